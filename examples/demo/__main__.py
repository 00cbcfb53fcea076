"""The demo: `make demo`, or `python -m examples.demo`.

Starts the provider and, behind a gate, the directory app, each under gunicorn; says where they are; ends both
with Ctrl-C and leaves nothing behind. This is the one place that knows both sides.
"""

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from examples.demo.servers import DemoFailed, Server, require_free, start, stop, wait_until_ready, watch
from examples.directory.app import USERS_FILE
from examples.local_accounts import ACCOUNTS, write_configuration


def main() -> int:
    """Run the demo until it is told to end; returns the exit status."""
    options = _options()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        require_free("provider", options.provider_port, "provider-port")
        require_free("directory app", options.app_port, "app-port")
        with tempfile.TemporaryDirectory(prefix="oidcgate-demo-") as folder:
            _run(Path(folder), options.provider_port, options.app_port)
    except DemoFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Nothing is left behind.")
    return 0


def _run(folder: Path, provider_port: int, app_port: int) -> None:
    issuer, public_url = f"http://localhost:{provider_port}", f"http://localhost:{app_port}"
    print("Starting ...", flush=True)
    files = write_configuration(folder, issuer=issuer, public_url=public_url, users=USERS_FILE)
    servers: list[Server] = []
    try:
        serve = ["-m", "provider", "--config", str(files.provider), "serve", "--port", str(provider_port)]
        servers.append(start("provider", serve, port=provider_port, ready_path="/readyz", folder=folder))
        gunicorn = [
            "-m", "gunicorn", f"examples.demo.gated_directory:create_app({str(files.gate)!r})",
            "--bind", f"127.0.0.1:{app_port}", "--worker-class", "gthread", "--workers", "2",
            "--threads", "8", "--graceful-timeout", "3", "--no-control-socket",
        ]  # fmt: skip
        ready = "/.oidcgate/readyz"
        servers.append(start("directory app", gunicorn, port=app_port, ready_path=ready, folder=folder))
        wait_until_ready(servers)
        print(_welcome(issuer, public_url, folder), flush=True)
        watch(servers)
    finally:
        # Whoever is impatient and presses Ctrl-C again must not leave a server behind.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        stop(servers)


def _welcome(issuer: str, public_url: str, logs: Path) -> str:
    rows = [("Sign in as", "Password", "What happens")]
    rows += [(account.user_name, account.password, account.outcome) for account in ACCOUNTS]
    accounts = "\n".join(f"  {name:<12}{password:<16}{outcome}" for name, password, outcome in rows)
    return f"""
The demo is up. Open  {public_url}

  Directory app, behind the gate    {public_url}
  OpenID provider                   {issuer}

{accounts}

Known users are in {os.path.relpath(USERS_FILE)}; a change is seen within a minute.
Logs, with what stands behind an incident number, are in {logs} until it ends.
Ctrl-C stops everything.
"""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description="Sign in on this machine.")
    # Variables too, because that is what `make demo DEMO_APP_PORT=8100` hands on.
    provider_port, app_port = (os.environ.get(f"DEMO_{name}_PORT") for name in ("PROVIDER", "APP"))
    parser.add_argument("--provider-port", type=_port, default=provider_port or "9000")
    parser.add_argument("--app-port", type=_port, default=app_port or "8000")
    return parser.parse_args()


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; use 1 to 65535")
    return int(text)


def _end(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())

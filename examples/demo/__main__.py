"""The demo: `make demo`, or `python -m examples.demo`.

Starts the provider; the directory app behind a gate in its own process, under gunicorn; the tool desk, which
is not changed at all, behind the sidecar; and memcached for the sidecar's sessions, where it is installed.
Says where they are, ends all of them with Ctrl-C and leaves nothing behind. This is the one place that knows
both sides.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from examples.demo.servers import (
    DemoFailed,
    EndSignals,
    Server,
    python,
    require_free,
    require_room_for_sockets,
    start,
    stop,
    wait_until_ready,
    watch,
)
from examples.directory.app import USERS_FILE
from examples.local_accounts import ACCOUNTS, Configuration, Desk, write_configuration

READY = "/.oidcgate/readyz"


def main() -> int:
    """Run the demo until it is told to end; returns the exit status."""
    options = _options()
    signals = EndSignals()
    try:
        require_free("provider", options.provider_port, "provider-port")
        require_free("directory app", options.app_port, "app-port")
        require_free("sidecar", options.sidecar_port, "sidecar-port")
        with tempfile.TemporaryDirectory(prefix="oidcgate-demo-") as folder:
            require_room_for_sockets(Path(folder))
            _run(Path(folder), options, signals)
    except DemoFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Nothing is left behind.")
    return 0


def _run(folder: Path, options: argparse.Namespace, signals: EndSignals) -> None:
    issuer, public_url, desk_url = (
        f"http://localhost:{port}" for port in (options.provider_port, options.app_port, options.sidecar_port)
    )
    memcached = shutil.which("memcached") if find_spec("pymemcache") else None
    cache, desk = folder / "memcached.sock", folder / "tool-desk.sock"
    print("Starting ...", flush=True)
    files = write_configuration(
        folder,
        issuer=issuer,
        public_url=public_url,
        users=USERS_FILE,
        desk=Desk(desk_url, f"unix:{desk}", f"memcached://{cache}" if memcached else "sealed"),
    )
    servers: list[Server] = []
    try:
        if memcached:
            # It refuses to run as root without being told so; as anybody else it ignores the user.
            command = [memcached, "-s", str(cache), "-a", "0600", "-m", "16", "-u", "root"]
            servers.append(start("memcached", command, listens=cache, folder=folder))
        # On a socket that only this user can open: nobody else on this machine can go around its gate.
        command = python("-m", "examples.legacy", "--socket", str(desk))
        servers.append(start("tool desk", command, listens=desk, folder=folder))
        servers += _guards(folder, files, options)
        wait_until_ready(servers, signals)
        print(_welcome(issuer, public_url, desk_url, folder, shared=memcached is not None), flush=True)
        watch(servers, signals)
    finally:
        stop(servers)


def _guards(folder: Path, files: Configuration, options: argparse.Namespace) -> Iterator[Server]:
    """The provider and the two gates."""
    port = options.provider_port
    command = python("-m", "provider", "--config", str(files.provider), "serve", "--port", str(port))
    yield start("provider", command, listens=port, ready_path="/readyz", folder=folder)
    command = python(
        "-m", "gunicorn", f"examples.demo.gated_directory:create_app({str(files.gate)!r})",
        "--bind", f"127.0.0.1:{options.app_port}", "--worker-class", "gthread", "--workers", "2",
        "--threads", "8", "--graceful-timeout", "3", "--no-control-socket",
    )  # fmt: skip
    yield start("directory app", command, listens=options.app_port, ready_path=READY, folder=folder)
    command = python("-m", "oidcgate", "serve", "--config", str(files.desk))
    yield start("sidecar", command, listens=options.sidecar_port, ready_path=READY, folder=folder)


def _welcome(issuer: str, public_url: str, desk_url: str, logs: Path, *, shared: bool) -> str:
    rows = [("Sign in as", "Password", "What happens")]
    rows += [(account.user_name, account.password, account.outcome) for account in ACCOUNTS]
    accounts = "\n".join(f"  {name:<12}{password:<16}{outcome}" for name, password, outcome in rows)
    sessions = "kept on a memcached of this demo" if shared else "sealed into the cookie: no memcached here"
    return f"""
The demo is up. Open  {public_url}

  Directory app, the gate inside it           {public_url}
  Tool desk, unchanged, behind the sidecar    {desk_url}
  OpenID provider                             {issuer}

{accounts}

Who is signed in at one app is at the other: open it, and no password is asked.
The tool desk knows nothing of this; to sign out there, open {desk_url}/.oidcgate/logout
Its sessions are {sessions}.

Known users are in {os.path.relpath(USERS_FILE)}; a change is seen within a minute.
Logs, with what stands behind an incident number, are in {logs} until it ends.
Ctrl-C stops everything.
"""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description="Sign in on this machine.")
    for name, port in (("provider", 9000), ("app", 8000), ("sidecar", 8080)):
        # A variable too, because that is what `make demo DEMO_APP_PORT=8100` hands on.
        chosen = os.environ.get(f"DEMO_{name.upper()}_PORT") or str(port)
        parser.add_argument(f"--{name}-port", type=_port, default=chosen)
    return parser.parse_args()


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; use 1 to 65535")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())

"""Ours: the sidecar with both engines, the same proxies without a gate, an app with the gate in its process.

Sessions are sealed by the gate's own code, for 10,000 people whom its directory knows: signing so many in
would take longer than measuring.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.sidecar.stack import ROOT, Client, Served, port_of, wait_until_it_answers
from oidcgate.gate.build import build
from oidcgate.gate.config import load_config
from oidcgate.gate.session import SessionRecord
from oidcgate.web.sealing import new_secret
from tests.support.servers import free_port, running

SESSIONS = 10_000
WORKERS = 2
THREADS = 8


@dataclass(frozen=True)
class Gated:
    """A gate's configuration on disk."""

    file: Path
    client: Client

    def cookies(self, signed_in: Sequence[str] = ()) -> list[str]:
        """Cookie headers of `SESSIONS` sessions: of those that are given, and of others sealed here."""
        parts = build(load_config(self.file, {}))
        (issuer,), now = parts.relying_parties, int(time.time())
        made = [
            parts.sessions.create(_record(number, issuer, now), now)[0].partition(";")[0]
            for number in range(len(signed_in), SESSIONS)
        ]
        return [*signed_in, *made]


def configured(
    folder: Path, client: Client, issuer: str, upstream: str, *, engine: str, people: int = SESSIONS
) -> Gated:
    """Write the configuration of a sidecar that listens where `client` is reached, without an access log.

    Args:
        people: how many the directory knows beside alice, who can sign in.
    """
    home = folder / client.client_id
    home.mkdir()
    users = "".join(f'[[users]]\nuserName = "User {number}"\n' for number in range(people))
    (home / "users.toml").write_text('[[users]]\nuserName = "alice"\n' + users)
    file = home / "oidcgate.toml"
    file.write_text(
        f"""
public_url = {json.dumps(client.origin)}
[provider]
issuer = {json.dumps(issuer)}
client_id = {json.dumps(client.client_id)}
client_secret = {json.dumps(client.secret)}
[users]
source = {json.dumps(f"file:{home}/users.toml")}
[session]
secret = {json.dumps(new_secret())}
[state]
store = {json.dumps(f"sqlite:///{home}/state.db")}
[proxy]
upstream = {json.dumps(upstream)}
engine = {json.dumps(engine)}
[serve]
bind = "127.0.0.1:{port_of(client.origin)}"
workers = {WORKERS}
threads = {THREADS}
access_log = false
"""
    )
    return Gated(file, client)


@contextmanager
def sidecar(gated: Gated) -> Iterator[Served]:
    """`oidcgate serve`."""
    port = port_of(gated.client.origin)
    command = [sys.executable, "-m", "oidcgate", "serve", "--config", gated.file]
    with running(command, port=port, log=gated.file.with_name("log"), cwd=ROOT) as server:
        wait_until_it_answers(server)
        yield Served(gated.client.origin, server.process.pid)


@contextmanager
def served(
    folder: Path, name: str, application: str, *, port: int | None = None, worker: Sequence[str] = ()
) -> Iterator[Served]:
    """`application`, a call in `apps`, under gunicorn: in threads, unless `worker` says otherwise."""
    port = port or free_port()
    command = [
        sys.executable, "-m", "gunicorn", f"benchmarks.sidecar.apps:{application}",
        "--bind", f"127.0.0.1:{port}", "--workers", str(WORKERS), "--keep-alive", "75", "--no-control-socket",
        *(worker or ("--worker-class", "gthread", "--threads", str(THREADS))),
    ]  # fmt: skip
    with running(command, port=port, log=folder / f"{name}.log", cwd=ROOT) as server:
        wait_until_it_answers(server)
        yield Served(f"http://localhost:{port}", server.process.pid)


def async_proxy(folder: Path, upstream: str) -> AbstractContextManager[Served]:
    """The async engine without a gate, under the sidecar's own worker."""
    worker = ("--worker-class", "oidcgate.serve.worker.SidecarWorker")
    return served(folder, "async-proxy", f"async_proxy({upstream!r})", worker=worker)


def wsgi_proxy(folder: Path, upstream: str) -> AbstractContextManager[Served]:
    """The WSGI engine without a gate, under the same gunicorn as with one."""
    return served(folder, "wsgi-proxy", f"wsgi_proxy({upstream!r})")


def _record(number: int, issuer: str, now: int) -> SessionRecord:
    return SessionRecord(
        session_id=f"{number:022}",
        iss=issuer,
        sub=f"3f2c1a5e-0000-4000-8000-{number:012}",
        user_name=f"User {number}",
        sid=f"{number:022}",
        idp="Example",
        auth_time=now,
        acr="knowledge",
        amr=("pwd",),
        claims={"preferred_username": f"user {number}", "name": "A User", "email": "user@example.com"},
        known_at=now,
    )

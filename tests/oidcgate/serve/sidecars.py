"""A whole sidecar for tests: a configuration on disk, an app behind it, people who are signed in."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from oidcgate.gate.build import build
from oidcgate.gate.config import load_config
from oidcgate.gate.session import SessionRecord
from tests.support.servers import free_port

SECRET = "Zq3vN8r0Yk1Hn5uWb7Xc2Jd4Lf6Mg9Pa-sTeRiVoXyZ"
CLIENT_SECRET = "c4nary-client-secret"


@dataclass(frozen=True)
class Configured:
    """A configuration file and where its sidecar will be."""

    file: Path
    port: int
    metrics_port: int

    def cookie(self, user_name: str) -> str:
        """The Cookie header of a person who has signed in."""
        now = int(time.time())
        record = SessionRecord(
            session_id="s" * 22,
            iss="http://127.0.0.1:1",
            sub="3f2c1a5e-0000-4000-8000-000000000001",
            user_name=user_name,
            sid="",
            idp="",
            auth_time=now,
            acr="",
            amr=(),
            claims={"preferred_username": user_name},
            known_at=now,
        )
        return build(load_config(self.file, {})).sessions.create(record, now)[0].partition(";")[0]


def configured(
    folder: Path,
    upstream: str,
    *,
    engine: str = "async",
    proxy: str = "",
    serve: str = "",
    metrics: bool = True,
) -> Configured:
    """Write `oidcgate.toml` and what belongs to it."""
    port, metrics_port = free_port(), free_port()
    folder.mkdir(exist_ok=True)
    (folder / "users.toml").write_text('[[users]]\nuserName = "Ålice"\n')
    file = folder / "oidcgate.toml"
    file.write_text(
        f"""
public_url = "http://127.0.0.1:{port}"
[provider]
issuer = "http://127.0.0.1:1"
client_id = "app"
client_secret = "{CLIENT_SECRET}"
[users]
source = "file:users.toml"
[session]
secret = "{SECRET}"
[[rules]]
path = "/public/**"
allow = "anyone"
[proxy]
upstream = {json.dumps(upstream)}
engine = "{engine}"
{proxy}
[serve]
bind = "127.0.0.1:{port}"
workers = 2
graceful_seconds = 2
metrics_bind = "{f"127.0.0.1:{metrics_port}" if metrics else ""}"
{serve}
"""
    )
    return Configured(file, port, metrics_port)


class _App(BaseHTTPRequestHandler):
    """Answers what it was told of the person."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def app_running() -> Iterator[str]:
    """An app that knows nothing of sign-in; its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _App)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

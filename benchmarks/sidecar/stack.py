"""What stands around every contender: the provider that signs people in, and the upstream that answers."""

import json
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import requests

from oidcgate.web.sealing import new_secret
from provider.services.passwords import Passwords
from tests.support.servers import Server, free_port, running
from tests.support.user_agent import UserAgent

ROOT = Path(__file__).resolve().parents[2]
BODY_BYTES = 1024
PASSWORD = "demo-alice"  # noqa: S105 (only for this benchmark)
NGINX = "nginx"

_START_SECONDS = 40


@dataclass(frozen=True)
class Client:
    """An application at the provider."""

    client_id: str
    origin: str
    callback: str
    secret: str


def client(client_id: str, callback: str) -> Client:
    """A client on a free port of this machine."""
    origin = f"http://localhost:{free_port()}"
    return Client(client_id, origin, origin + callback, secrets.token_urlsafe(32))


@dataclass(frozen=True)
class Served:
    """A server that answers, and the group of its processes."""

    origin: str
    group: int


def port_of(url: str) -> int:
    """The port of an origin."""
    return int(url.rpartition(":")[2])


@contextmanager
def provider(folder: Path, clients: Sequence[Client]) -> Iterator[str]:
    """Our provider, under gunicorn, with one person and these clients; gives its issuer."""
    port = free_port()
    issuer = f"http://127.0.0.1:{port}"
    file = folder / "provider.toml"
    lines = [
        f"issuer = {json.dumps(issuer)}",
        f"database = {json.dumps(f'sqlite:///{folder}/provider.db')}",
        f"secret = {json.dumps(new_secret())}",
        "insecure_allow_http_loopback = true",
    ]
    for one in clients:
        lines += [
            "[[clients]]",
            f"client_id = {json.dumps(one.client_id)}",
            f"client_secret = {json.dumps(one.secret)}",
            f"redirect_uris = [{json.dumps(one.callback)}]",
            'scopes = ["openid", "profile", "email"]',
            "trusted = true",
        ]
    lines += [
        "[[users]]",
        'user_name = "alice"',
        'name = "Alice Martin"',
        'email = "alice@example.com"',
        "email_verified = true",
        f"password_hash = {json.dumps(Passwords().hash(PASSWORD))}",
    ]
    file.write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "provider", "--config", file, "serve", "--port", str(port)]
    with running(command, port=port, log=folder / "provider.log", cwd=ROOT):
        yield issuer


def sign_in(origin: str) -> str:
    """Sign alice in at a guarded app by the pages a person would see; gives the Cookie header's value."""
    agent = UserAgent()
    page = agent.open(f"{origin}/")
    page = agent.sign_in(page, "alice", PASSWORD)
    if page.status != 200 or len(page.response.content) != BODY_BYTES:
        raise RuntimeError(
            f"signing in at {origin} ended on {page.url} with {page.status}:\n{page.text[:2000]}"
        )
    asked = agent.session.prepare_request(requests.Request("GET", f"{origin}/"))
    return str(asked.headers["Cookie"])


def wait_until_it_answers(server: Server) -> None:
    """gunicorn listens before its workers can answer: return when one did, whatever it said.

    Raises:
        RuntimeError: none did in time, or the server ended; with its log.
    """
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=_START_SECONDS)
        try:
            connection.request("GET", "/.oidcgate/healthz")
            connection.getresponse().read()
            return
        except (OSError, HTTPException):
            time.sleep(0.02)
        finally:
            connection.close()
    raise RuntimeError(f"the server on port {server.port} does not answer:\n{server.log_text()}")


def nginx_version() -> str:
    """As nginx says it."""
    said = subprocess.run([NGINX, "-v"], capture_output=True, text=True, check=True).stderr  # noqa: S603
    return said.strip().rpartition("/")[2]


@contextmanager
def nginx(
    folder: Path, name: str, port: int, server: str, *, workers: int, outside: str = ""
) -> Iterator[Served]:
    """An nginx of our own: `server` is what its server block says, `outside` what is said around it."""
    home = folder / name
    home.mkdir()
    file = home / "nginx.conf"
    file.write_text(
        f"daemon off; worker_processes {workers}; pid {home}/pid; error_log {home}/error.log warn;"
        "events { worker_connections 4096; }\n"
        f"http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 75s;\n"
        f"client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/f;"
        f"uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;\n"
        f"{outside}\nserver {{ listen 127.0.0.1:{port}; {server} }}\n}}\n"
    )
    with running([NGINX, "-p", home, "-c", file], port=port, log=home / "log", cwd=home) as server_process:
        yield Served(f"http://localhost:{port}", server_process.process.pid)


@dataclass(frozen=True)
class Upstream:
    """The upstream's address, and how many requests it has answered."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def counted(self) -> int:
        """Requests so far, by nginx's own count."""
        with urllib.request.urlopen(f"{self.url}/stub-status", timeout=10) as answer:  # noqa: S310 (our own)
            return int(answer.read().split()[9])


@contextmanager
def upstream(folder: Path) -> Iterator[Upstream]:
    """What every contender stands in front of: nginx, one worker, an answer of 1 KB."""
    port = free_port()
    server = (
        f'default_type text/plain; location / {{ return 200 "{"x" * BODY_BYTES}"; }}'
        " location = /stub-status { stub_status; }"
    )
    with nginx(folder, "upstream", port, server, workers=1):
        yield Upstream(port)

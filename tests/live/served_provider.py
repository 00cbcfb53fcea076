"""A provider under real gunicorn workers, with shortcuts to codes and raw requests over sockets."""

import base64
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from provider.app import Provider
from provider.services.issuing import Authorization, CodeRequest, begin_grant, issue_code
from provider.store.schema import metadata
from tests.provider.store_log import VARIABLE
from tests.provider.world import ALICE, ALICE_HASH, APP_SECRET
from tests.support.servers import ROOT, Server, free_port, running

SECRET = "qT3vN8yZr5LwXk2PdJm7CgHs0BfEa9Ui4Ro6"
REDIRECT_URI = "https://app.example/cb"
_HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
BASIC = "Basic " + base64.b64encode(f"app:{APP_SECRET}".encode()).decode()


@dataclass(frozen=True)
class Answer:
    """Status and JSON body of one request; status 0 when the connection broke."""

    status: int
    body: Mapping[str, Any]

    @property
    def error(self) -> str | None:
        return self.body.get("error")


@dataclass(frozen=True)
class ServedProvider:
    """A configuration on disk that is served on a port."""

    folder: Path
    port: int

    @classmethod
    def configured(
        cls, folder: Path, *, lifetimes: str = "", database: str | None = None
    ) -> "ServedProvider":
        """Write the configuration; `database` is a URL, by default of a file beside it."""
        made = cls(folder, free_port())
        (folder / "provider.toml").write_text(
            f"""
            issuer = "http://127.0.0.1:{made.port}"
            insecure_allow_http_loopback = true
            database = "{database or f"sqlite:///{folder / 'provider.db'}"}"
            secret = "{SECRET}"
            [lifetimes]
            {lifetimes}
            [[clients]]
            client_id = "app"
            client_secret = "{APP_SECRET}"
            redirect_uris = ["{REDIRECT_URI}"]
            flows = ["authorization_code", "refresh_token", "password", "revocation"]
            [[users]]
            user_name = "alice"
            user_id = "{ALICE}"
            password_hash = "{ALICE_HASH}"
            """
        )
        return made

    @contextmanager
    def served(self, *, workers: int, threads: int = 8) -> Iterator[Server]:
        """Serve until the block ends; every worker is there when it begins."""
        command = [sys.executable, "-m", "provider", "--config", self.folder / "provider.toml"]
        with self._running(command, workers, threads) as server:
            yield server

    @contextmanager
    def served_with_store_log(self, *, workers: int, threads: int) -> Iterator[Path]:
        """Serve, with a log of each transaction (`tests.provider.store_log`) that is empty at first."""
        log = self.folder / "store.log"
        command = [
            sys.executable,
            "-m",
            "tests.live.logged_provider",
            "--config",
            self.folder / "provider.toml",
        ]
        path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
        env = {VARIABLE: str(log), "PYTHONPATH": path}
        with self._running(command, workers, threads, env):
            log.write_bytes(b"")
            yield log

    @contextmanager
    def _running(
        self, command: list[str | Path], workers: int, threads: int, env: Mapping[str, str] | None = None
    ) -> Iterator[Server]:
        # No --port: that of the issuer.
        command = [*command, "serve", "--workers", str(workers), "--threads", str(threads)]
        log = self.folder / "log"
        with running(command, port=self.port, log=log, cwd=self.folder, env=env) as server:
            deadline = time.monotonic() + 60
            while len(workers_of(server)) < workers or self.ask(_HEALTH).status != 200:
                assert time.monotonic() < deadline, server.log_text()
            yield server

    @contextmanager
    def provider(self) -> Iterator[Provider]:
        """The same provider in this process, for looking into its database."""
        made = Provider.from_config(self.folder / "provider.toml", env={})
        try:
            yield made
        finally:
            made.parts.store.dispose()

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Every row of every table."""
        with self.provider() as made, made.parts.store.read() as conn:
            return {
                name: [dict(row) for row in conn.execute(table.select()).mappings()]
                for name, table in metadata.tables.items()
            }

    def codes(self, count: int) -> list[str]:
        """Codes as the authorization endpoint would give them."""
        with self.provider() as made:
            realm, now = made.parts.realms[0], int(made.parts.clock())
            authorization = Authorization(
                client_id="app",
                user_id=ALICE,
                sid="",
                scope=("openid", "offline_access"),
                auth_time=now,
                acr="knowledge",
                amr=("pwd",),
            )
            bound = CodeRequest(REDIRECT_URI, nonce=None, code_challenge=None, code_challenge_method=None)
            with made.parts.store.begin() as conn:
                grants = [
                    begin_grant(conn, realm, replace(authorization, sid=f"sid-{n}"), now)
                    for n in range(count)
                ]
                return [issue_code(conn, realm, grant, bound, now) for grant in grants]

    def redeem(self, code: str) -> Answer:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI}
        return self.ask(_client_request("/token", form))

    def refresh(self, token: str) -> Answer:
        form = {"grant_type": "refresh_token", "refresh_token": token}
        return self.ask(_client_request("/token", form))

    def password(self) -> Answer:
        """What a person gets who types their password into the application."""
        form = {"username": "alice", "password": "demo-alice", "scope": "openid offline_access"}
        return self.ask(_client_request("/token", {"grant_type": "password", **form}))

    def revoke(self, token: str) -> Answer:
        return self.ask(_client_request("/revoke", {"token": token}))

    def userinfo(self, access_token: str) -> Answer:
        head = "GET /userinfo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        return self.ask(f"{head}Authorization: Bearer {access_token}\r\n\r\n".encode())

    def ask(self, request: bytes) -> Answer:
        """One request over a connection of its own."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
                return _exchange(connection, request)
        except OSError:
            return Answer(0, {})


def _exchange(connection: socket.socket, request: bytes) -> Answer:
    """Send, and read what comes until the server closes."""
    connection.sendall(request)
    parts = []
    while part := connection.recv(65_536):
        parts.append(part)
    head, end, body = b"".join(parts).partition(b"\r\n\r\n")
    declared = re.search(rb"\r\ncontent-length: *(\d+)", head.lower())
    if not end or declared is None or len(body) < int(declared[1]):
        return Answer(0, {})
    return Answer(int(head.split(b" ", 2)[1]), json.loads(body) if body else {})


def workers_of(server: Server) -> list[int]:
    """The worker processes of a server's arbiter."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(server.process.pid)], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in listed.stdout.split()]


def _client_request(path: str, form: Mapping[str, str]) -> bytes:
    body = urlencode(form).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Authorization: {BASIC}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body

"""A gate whose session keeps tokens of a served provider that revokes on reuse; many processes ask at once.

For `test_refresh_race`. The provider is a real server with workers of its own, without grace for a token that
comes twice; the gates share a state store, and each process makes its own from the same file.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from werkzeug.test import Client

from oidcgate import Gate
from oidcgate.gate.kept_tokens import Kept
from oidcgate.gate.session import Found
from oidcgate.gate.transaction import Transaction
from oidcgate.web.sealing import new_secret
from tests.live.served_provider import ServedProvider
from tests.provider.processes import in_processes, race
from tests.provider.world import ALICE, ALICE_HASH, APP_SECRET
from tests.support.lying_provider import NAVIGATION
from tests.support.servers import free_port
from tests.support.user_agent import UserAgent

APP = "http://localhost:8000"
CALLBACK = f"{APP}/.oidcgate/callback"
_PROVIDER_SECRET = "qT3vN8yZr5LwXk2PdJm7CgHs0BfEa9Ui4Ro6"


def _app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-User", environ["REMOTE_USER"])])
    return [environ.get("oidcgate.access_token", "").encode()]


@dataclass(frozen=True)
class RefreshedGate:
    """The provider, being served, and the configuration of the gate in front of it.

    Attributes:
        op: the provider.
        configuration: of every gate.
        cookie: of a browser that has signed in.
    """

    op: ServedProvider
    configuration: Path
    cookie: str

    @classmethod
    @contextmanager
    def signed_in(cls, folder: Path, state: str, *, workers: int, threads: int) -> "Iterator[RefreshedGate]":
        """Serve the provider, and sign alice in at the gate.

        Args:
            state: the state store of the gates.
            workers: of the provider, each with so many threads.
        """
        op = ServedProvider(folder, free_port())
        issuer = f"http://127.0.0.1:{op.port}"
        (folder / "provider.toml").write_text(
            f"""
            issuer = "{issuer}"
            insecure_allow_http_loopback = true
            database = "sqlite:///{folder / "provider.db"}"
            secret = "{_PROVIDER_SECRET}"
            [lifetimes]
            refresh_grace_seconds = 0
            [[clients]]
            client_id = "app"
            client_secret = "{APP_SECRET}"
            redirect_uris = ["{CALLBACK}"]
            trusted = true
            flows = ["authorization_code", "refresh_token", "revocation"]
            [[users]]
            user_name = "alice"
            user_id = "{ALICE}"
            password_hash = "{ALICE_HASH}"
            """
        )
        configuration = folder / "oidcgate.toml"
        configuration.write_text(
            f"""
            public_url = "{APP}"
            [provider]
            issuer = "{issuer}"
            client_id = "app"
            client_secret = "{APP_SECRET}"
            scopes = ["openid", "profile", "offline_access"]
            timeout_seconds = 30
            [users]
            source = "any"
            [session]
            secret = "{new_secret()}"
            keep_tokens = true
            [forward]
            access_token = true
            [state]
            store = "{state}"
            """
        )
        with op.served(workers=workers, threads=threads):
            yield cls(op, configuration, _sign_in(configuration))

    def gate(self) -> Gate:
        """A gate that remembers nothing."""
        return Gate.from_config(_app, self.configuration, env={})

    def ask(self, gate: Gate) -> tuple[int, str]:
        """One request of the browser: status, and the access token of the app or where it leads."""
        headers = {**NAVIGATION, "Cookie": self.cookie}
        answer = Client(gate, use_cookies=False).get("/page", base_url=APP, headers=headers)
        return answer.status_code, answer.headers.get("Location", answer.text)

    def kept(self) -> Kept:
        """What the state store has for the session."""
        with self._held() as (gate, session_id):
            held = gate.parts.sessions.kept_tokens.find(session_id, int(time.time()))
            assert held is not None
            return held.kept

    def becomes_due(self, *, expires_in: int = 0) -> None:
        """The tokens are to be renewed from now on; the access token is good for so many seconds more."""
        with self._held() as (gate, session_id):
            tokens, now = gate.parts.sessions.kept_tokens, int(time.time())
            held = tokens.find(session_id, now)
            assert held is not None
            due = msgspec.structs.replace(held.kept, renew_at=now - 1, expires_at=now + expires_in)
            assert tokens.change(held, due, now)

    def is_in_doubt(self) -> None:
        """The time in which an answer could come is over, and the access token has ended."""
        with self._held() as (gate, session_id):
            tokens, now = gate.parts.sessions.kept_tokens, int(time.time())
            held = tokens.find(session_id, now)
            assert held is not None
            assert held.kept.refresh_token is None
            late = msgspec.structs.replace(held.kept, answer_by=now - 1, expires_at=now - 1)
            assert tokens.change(held, late, now)

    def refreshed(self) -> int:
        """How many refresh tokens the provider has taken; none of them twice, and nothing is revoked."""
        rows = self.op.rows()
        assert [grant["revoked_at"] for grant in rows["grants"]] == [None] * len(rows["grants"])
        return sum(token["consumed_at"] is not None for token in rows["refresh_tokens"])

    def race(self, processes: int, threads: int) -> list[list[Any]]:
        """What that many are answered who ask at one instant."""
        return race(processes, threads, self.gate, self.ask)

    def killed(self, patch: Callable[[], object]) -> None:
        """Let a process ask that `patch` has made to die on the way."""

        def ask() -> None:
            gate = self.gate()
            patch()
            self.ask(gate)

        assert in_processes(1, ask) == [-signal.SIGKILL]

    @contextmanager
    def _held(self) -> "Iterator[tuple[Gate, str]]":
        with _opened(self.configuration) as gate:
            found = gate.parts.sessions.load(self.cookie, int(time.time()))
            assert isinstance(found, Found)
            yield gate, found.record.session_id


def die(*_: Any, **__: Any) -> Any:
    """End this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def _opened(configuration: Path) -> "Iterator[Gate]":
    gate = Gate.from_config(_app, configuration, env={})
    try:
        yield gate
    finally:
        gate.parts.state.close()  # type: ignore[attr-defined]  # of SqlStore and RedisStore, not of the port


def _sign_in(configuration: Path) -> str:
    """The Cookie header of a browser that has signed in through both, as the gate's routes have it."""
    with _opened(configuration) as gate:
        login = gate.parts.routes.sign_in
        (party,) = gate.parts.relying_parties.values()
        now = int(time.time())
        attempt = Transaction(os.urandom(32), party.provider.expected_issuer, "/page", 0, now)
        begun = login.transactions.begin(attempt, "", now)
        cookie = "; ".join(value.partition(";")[0] for value in begun)
        answer = UserAgent().answer(party.authorization_url(attempt), CALLBACK, "alice", "demo-alice")
        client = Client(gate, use_cookies=False)
        headers = {**NAVIGATION, "Cookie": cookie}
        response = client.get("/.oidcgate/callback", base_url=APP, query_string=answer, headers=headers)
        assert response.status_code == 303, response.text
        name = gate.parts.names.session
    cookies = [value.partition(";")[0] for value in response.headers.getlist("Set-Cookie")]
    (session,) = (value for value in cookies if value.startswith(f"{name}="))
    return session

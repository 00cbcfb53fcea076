"""One served provider with everything that is good once, and the ways to have it a moment before it is used.

For `test_provider_races`. Sign-ins go through the pages; nothing but an authenticator is written past them.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import jwt
import pyotp

from oidcgate.protocol.token import DEVICE_CODE
from oidcgate.web.sealing import KeyRing
from provider.app import Provider
from provider.factors.totp import TotpSecrets
from provider.store import totp
from provider.store.totp import Totp
from tests.live.at_once import Reply, ask, get, post, send_at_once
from tests.live.figures import Figures
from tests.live.served_provider import BASIC, SECRET, ServedProvider
from tests.provider.asserting import presenting
from tests.provider.databases import until
from tests.provider.processes import race
from tests.provider.store_log import at_once, read_log
from tests.provider.world import ALICE_HASH, APP_SECRET, CHALLENGE, VERIFIER
from tests.support.servers import free_port, running
from tests.support.user_agent import Page, UserAgent

T = TypeVar("T")

#: The realm in which a used refresh token is never answered again.
STRICT = "/r/strict"
PASSWORD = "demo-alice"


@dataclass(frozen=True)
class Size:
    """How many connections at once, over how many processes."""

    connections: int
    workers: int

    @property
    def threads(self) -> int:
        return self.connections // self.workers


SMALL, FULL = Size(24, 2), Size(100, 4)


@dataclass(frozen=True)
class RacedProvider:
    """The provider, being served, and the log of its store."""

    op: ServedProvider
    log: Path
    size: Size
    figures: Figures

    @classmethod
    @contextmanager
    def served(cls, folder: Path, database: str, size: Size, figures: Figures) -> "Iterator[RacedProvider]":
        """Serve one over that database until the block ends."""
        op = ServedProvider(folder, free_port())
        (folder / "provider.toml").write_text(_configuration(op.port, database, size))
        with op.served_with_store_log(workers=size.workers, threads=size.threads) as log:
            yield cls(op, log, size, figures)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.op.port}"

    @property
    def callback(self) -> str:
        """Of every client: an address that can be opened."""
        return f"{self.issuer}/healthz"

    def at_once(self, what: str, requests: Sequence[bytes]) -> list[Reply]:
        """Send them at one instant; the store's log has to say that they met, in every process."""
        assert len(requests) == self.size.connections
        self.log.write_bytes(b"")
        replies = send_at_once(self.op.port, requests)
        self.met(what, [reply.kind for reply in replies])
        return replies

    def at_once_beside(
        self, what: str, requests: Sequence[bytes], act: Callable[[Provider], object], *, after: int
    ) -> list[Reply]:
        """The same, while the provider in this process does something too.

        Args:
            after: So many transactions are over when it begins.
        """
        assert len(requests) == self.size.connections
        with self.op.provider() as made:
            self.log.write_bytes(b"")

            def beside() -> None:
                until(lambda: len(read_log(self.log)) >= after)
                act(made)

            replies = send_at_once(self.op.port, requests, beside)
        self.met(what, [reply.kind for reply in replies], apart=True)
        return replies

    def in_processes(self, act: Callable[[Provider], Any]) -> list[Any]:
        """What `act` says in as many processes and threads as there are workers and connections for them."""
        self.log.write_bytes(b"")
        configuration = self.op.folder / "provider.toml"
        return race(
            self.size.workers,
            self.size.threads,
            lambda: Provider.from_config(configuration, env={}),
            act,
        )

    def met(self, what: str, outcomes: Sequence[str], *, apart: bool = False) -> None:
        """Hold the store's log to the size: a quarter of the connections at one moment, in all processes.

        The small size runs beside other tests on busy cores, where it is chance how many meet: there only the
        outcomes are judged.

        Args:
            apart: They need not wait for each other, or have work of their own to do first: how many of them
                meet is chance, and only that some did is held.
        """
        if self.size != FULL:
            return
        under_way, processes = at_once(read_log(self.log))
        self.figures.note(
            what,
            connections=self.size.connections,
            processes=processes,
            transactions_at_once=under_way,
            outcomes=Counter(outcomes),
        )
        if apart:
            assert processes > 1
        else:
            assert under_way >= self.size.connections // 4
            assert processes >= self.size.workers

    def rows(self, table: str, **where: object) -> list[dict[str, Any]]:
        """Rows of a table in which these columns have these values."""
        found = self.op.rows()[table]
        return [row for row in found if all(row[name] == value for name, value in where.items())]

    def consents(self, user_id: str) -> set[str]:
        """The clients that somebody agreed to."""
        with self.op.provider() as made, made.parts.store.read() as conn:
            kept = made.parts.consents.of(conn, made.parts.realms[0], user_id).consents
        return {entry.client_id for entry in kept}

    def events(self, name: str, client_id: str) -> list[dict[str, Any]]:
        """What the audit log of the servers says of a client."""
        lines = (self.op.folder / "log").read_text().splitlines()
        events = [json.loads(line) for line in lines if line.startswith("{")]
        named = [event for event in events if event["event"] == f"provider.{name}"]
        return [event for event in named if event.get("client_id") == client_id]

    def ask(self, request: bytes) -> Reply:
        return ask(self.op.port, request)

    def add_client(self, client_id: str) -> str:
        """A client in the database that gets tokens for itself; returns its secret."""
        said = {
            "client_id": client_id,
            "auth_method": "client_secret_post",
            "flows": ["client_credentials"],
            "scopes": ["jobs"],
        }
        with self.op.provider() as made, made.parts.store.begin() as conn:
            added = made.parts.clients.add(conn, made.parts.realms[0], said, int(time.time()))
        assert added.secret is not None
        return added.secret.reveal()

    def redeeming(self, code: str, realm: str = "") -> bytes:
        """The client `app` redeems a code."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self.callback}
        return post(f"{realm}/token", {**form, "code_verifier": VERIFIER}, authorization=BASIC)

    def works(self, access_token: str, realm: str = "") -> bool:
        """Whether the token is good, as the provider itself says."""
        form = {"token": access_token}
        reply = self.ask(post(f"{realm}/introspect", form, authorization=BASIC))
        assert reply.status == 200
        return bool(reply.document["active"])

    def tokens(self, realm: str = "") -> dict[str, Any]:
        """What a sign-in gives, a refresh token included."""
        code = self.answer(self.authorize_url("app", realm=realm))["code"]
        reply = self.ask(self.redeeming(code, realm))
        assert reply.status == 200, reply.text
        return reply.document

    def authorize_url(self, client_id: str, *, realm: str = "", **changes: str) -> str:
        query = {
            "client_id": client_id,
            "redirect_uri": self.callback,
            "response_type": "code",
            "scope": "openid offline_access",
            "state": "s",
            "nonce": "n",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changes,
        }
        return f"{self.issuer}{realm}/authorize?{urlencode(query)}"

    def answer(self, url: str, name: str = "alice") -> dict[str, str]:
        """The parameters that the client is sent for somebody who signs in."""
        return UserAgent().answer(url, self.callback, name, PASSWORD)

    def assertion(self) -> dict[str, str]:
        """How the client `signer` proves itself, once."""
        now = int(time.time())
        said = {"iss": "signer", "sub": "signer", "aud": self.issuer, "jti": "j", "iat": now, "exp": now + 60}
        return presenting(jwt.encode(said, APP_SECRET, "HS256"))

    def signed_in(self, url: str, name: str = "alice") -> tuple[UserAgent, Page]:
        """A new browser, in which somebody has given their password, and what is shown then."""
        agent = UserAgent()
        return agent, agent.press(agent.open(url), "login", {"username": name, "password": PASSWORD})

    def pages(self, url: str, name: str) -> "list[OpenPage]":
        """What is shown after the password, in a browser for each connection."""
        return self.each(lambda _: OpenPage.of(*self.signed_in(url, name)))

    def each(self, make: Callable[[int], T]) -> list[T]:
        """One for each connection."""
        with ThreadPoolExecutor(self.size.workers) as pool:
            return list(pool.map(make, range(self.size.connections)))

    def confirmed(self, agent: UserAgent, user_code: str) -> str:
        """Type a code and say that the device is one's own; where the browser is sent to then."""
        form = self.typed(agent, user_code).form_with("allow")
        sent = {**form.fields, "decision": "allow"}
        answer = agent.session.post(form.action, data=sent, allow_redirects=False, timeout=30)
        return answer.headers["Location"]

    def typed(self, agent: UserAgent, user_code: str) -> Page:
        """The page that asks whether the device is one's own."""
        return agent.press(agent.open(f"{self.issuer}/device"), "send", {"user_code": user_code})

    def start_device(self) -> dict[str, Any]:
        reply = self.ask(post("/device_authorization", {"client_id": "tv", "scope": "openid offline_access"}))
        assert reply.status == 200, reply.text
        return reply.document

    def authenticator(self, user_id: str) -> pyotp.TOTP:
        """Give somebody one that was never used."""
        secret, now = pyotp.random_base32(), int(time.time())
        with self.op.provider() as made:
            realm = made.parts.realms[0]
            sealed = TotpSecrets(KeyRing([SECRET])).seal(realm, user_id, secret, now)
            with made.parts.store.begin() as conn:
                assert totp.add(conn, realm.id, Totp(user_id, sealed, 0, now))
        return pyotp.TOTP(secret)


@dataclass(frozen=True)
class OpenPage:
    """A page that a browser shows, and what it would send."""

    main_id: str | None
    text: str
    cookies: dict[str, str]
    action: str
    fields: dict[str, str | list[str]]

    @classmethod
    def of(cls, agent: UserAgent, page: Page) -> "OpenPage":
        form = page.forms[0]
        return cls(page.main_id, page.text, cookies_of(agent), target_of(form.action), form.fields)

    @property
    def phone(self) -> pyotp.TOTP:
        """The authenticator that this page sets up."""
        return pyotp.TOTP(secret_in(self.text))

    def sent(self, **fields: str) -> bytes:
        """The bytes of its form."""
        return post(self.action, {**self.fields, **fields}, cookies=self.cookies)

    @property
    def next(self) -> bytes:
        """The bytes of going on from here, when the form was sent."""
        return get(f"/authorize?interaction={self.fields['interaction']}", cookies=self.cookies)


@contextmanager
def started_at_once(folder: Path, database: str, size: Size) -> Iterator[list[int]]:
    """As many `serve` as there are processes, each by itself, over one database; their ports."""
    ports = [free_port() for _ in range(size.workers)]
    configuration = folder / "provider.toml"
    configuration.write_text(_configuration(ports[0], database, size))
    command = [sys.executable, "-m", "provider", "--config", configuration, "serve", "--workers", "1"]
    with ExitStack() as until_the_end, ThreadPoolExecutor(size.workers) as pool:
        servers = [
            running([*command, "--port", str(port)], port=port, log=folder / f"{port}.log", cwd=folder)
            for port in ports
        ]
        list(pool.map(until_the_end.enter_context, servers))
        yield ports


def secret_in(text: str) -> str:
    """What the page on which an authenticator is set up says to type."""
    return text.partition('id="secret">')[2].partition("<")[0].replace(" ", "")


def cookies_of(agent: UserAgent) -> dict[str, str]:
    return {cookie.name: cookie.value or "" for cookie in agent.session.cookies}


def target_of(url: str) -> str:
    """What a request line says of an address of the provider."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def refreshing(token: str, realm: str = "") -> bytes:
    """The client `app` uses a refresh token."""
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return post(f"{realm}/token", form, authorization=BASIC)


def polling(device_code: str) -> bytes:
    """The device asks for its tokens."""
    return post("/token", {"grant_type": DEVICE_CODE, "device_code": device_code, "client_id": "tv"})


def _configuration(port: int, database: str, size: Size) -> str:
    issuer = f"http://127.0.0.1:{port}"
    app = f"""
        client_id = "app"
        client_secret = "{APP_SECRET}"
        redirect_uris = ["{issuer}/healthz"]
        trusted = true
        flows = ["authorization_code", "hybrid", "refresh_token", "revocation", "introspection"]
    """
    person = f'password_hash = "{ALICE_HASH}"'
    asking = "".join(
        f"""
        [[clients]]
        client_id = "asks-{number}"
        auth_method = "none"
        redirect_uris = ["{issuer}/healthz"]
        """
        for number in range(size.connections + 2)
    )
    people = "".join(
        f"""
        [[users]]
        user_name = "{name}"
        user_id = "sub-{name}"
        {person}
        """
        for name in ("alice", "erin", "otto")
    )
    return f"""
        issuer = "{issuer}"
        insecure_allow_http_loopback = true
        database = "{database}"
        secret = "{SECRET}"
        further_signing_algorithms = ["ES256"]
        [lifetimes]
        refresh_grace_seconds = 300
        [throttle]
        account_failures = 1000
        network_failures = 100000
        [second_factor]
        mode = "acr"
        enrol_at_sign_in = true
        [[scopes]]
        value = "jobs"
        [[clients]]
        {app}
        [[clients]]
        client_id = "strong"
        auth_method = "none"
        redirect_uris = ["{issuer}/healthz"]
        trusted = true
        second_factor = "required"
        [[clients]]
        client_id = "signer"
        client_secret = "{APP_SECRET}"
        auth_method = "client_secret_jwt"
        token_endpoint_auth_signing_alg = "HS256"
        flows = ["client_credentials"]
        scopes = ["jobs"]
        [[clients]]
        client_id = "tv"
        auth_method = "none"
        trusted = true
        flows = ["device_code", "refresh_token"]
        {asking}
        {people}
        [[realms]]
        name = "strict"
        [realms.lifetimes]
        refresh_grace_seconds = 0
        [[realms.clients]]
        {app}
        [[realms.users]]
        user_name = "alice"
        user_id = "sub-alice"
        {person}
    """

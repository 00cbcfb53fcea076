"""A provider in process with a movable clock, and browsers that keep their cookies.

For the tests of this folder: everything between an authorization request and its answer, and signing out.
"""

import atexit
import base64
import hashlib
import html
import json
import re
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from argon2 import PasswordHasher
from werkzeug.test import Client as WSGIClient
from werkzeug.test import TestResponse

from oidcgate.audit import Audit
from oidcgate.net.fetch import Fetcher
from oidcgate.settings import parse
from provider import Provider
from provider.config import ProviderSettings
from provider.endpoints.login import Login
from provider.factors.password import PasswordFactor, _unmatched_hash
from provider.services.users import UserStore

ISSUER = "https://id.example"
START = 1_800_000_000
SECRET = "s" * 43 + "0123456789abcdef"
CLIENT_SECRET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
CALLBACK = "https://app.example/cb"
BYE = "https://app.example/bye"
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")

#: What a form sends; a name with several values is sent once for each.
Fields = Mapping[str, str | list[str]]

# As weak as argon2 goes: these tests are about the flow.
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@cache
def _hash(password: str) -> str:
    return QUICK.hash(password)


def client(client_id: str, **changes: Any) -> dict[str, Any]:
    public = changes.get("auth_method") == "none"
    return {
        "client_id": client_id,
        "name": f"The {client_id} app",
        **({} if public else {"client_secret": CLIENT_SECRET}),
        "redirect_uris": [CALLBACK],
        "post_logout_redirect_uris": [BYE],
        "flows": ["authorization_code", "refresh_token"],
        **changes,
    }


def settings_document(**changes: Any) -> dict[str, Any]:
    return {
        "issuer": ISSUER,
        "secret": SECRET,
        "insecure_allow_http_loopback": True,
        "clients": [
            client(
                "app",
                redirect_uris=[CALLBACK, f"{CALLBACK}?kept=1"],
                post_logout_redirect_uris=[BYE, f"{BYE}?kept=1"],
            ),
            client("trusted", trusted=True),
            client("other", trusted=True, redirect_uris=["https://other.example/cb"]),
            client("public", auth_method="none", trusted=True),
            client("native", auth_method="none", trusted=True, redirect_uris=["http://127.0.0.1/cb"]),
            client("off", enabled=False),
            client("nocode", flows=["refresh_token"]),
            client("narrow", trusted=True, flows=["authorization_code"], scopes=["openid", "profile"]),
        ],
        "users": [
            {
                "user_name": "alice",
                "user_id": "sub-alice",
                "password_hash": _hash("demo-alice"),
                "email": "a@example",
            },
            {"user_name": "Bob", "user_id": "sub-bob", "password_hash": _hash("demo-bob")},
            {
                "user_name": "gone",
                "user_id": "sub-gone",
                "password_hash": _hash("demo-gone"),
                "active": False,
            },
            {"user_name": "keyless", "user_id": "sub-keyless"},
        ],
        **changes,
    }


@cache
def _prepared_database() -> Path:
    """A database with its tables and a signing key, made once and copied: making a key takes longer than most
    tests.
    """
    folder = Path(mkdtemp(prefix="provider-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "prepared.db"
    document = settings_document(database=f"sqlite:///{path}", realms=[{"name": "second"}])
    provider = Provider.from_settings(parse(ProviderSettings, document))
    provider.parts.store.dispose()
    return path


class Page:
    """What a browser shows."""

    def __init__(self, response: TestResponse, url: str) -> None:
        self.response = response
        self.url = url
        self.status = response.status_code
        self.text = response.get_data(as_text=True)

    @property
    def main_id(self) -> str | None:
        found = re.search(r'<main[^>]*\bid="([^"]+)"', self.text)
        return found[1] if found else None

    @property
    def hidden(self) -> dict[str, str]:
        return {
            html.unescape(name): html.unescape(value)
            for name, value in re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', self.text)
        }

    @property
    def boxes(self) -> list[str]:
        """The values of the check boxes that are checked; on the page of consent these are scopes."""
        boxes = re.findall(r'<input type="checkbox"[^>]* name="scope" value="([^"]*)" checked', self.text)
        return [html.unescape(value) for value in boxes]

    @property
    def action(self) -> str:
        found = re.search(r'<form[^>]*\baction="([^"]+)"', self.text)
        assert found, self.text
        return html.unescape(found[1])

    @property
    def username(self) -> str:
        found = re.search(r'name="username"[^>]*\bvalue="([^"]*)"', self.text)
        assert found, self.text
        return html.unescape(found[1])

    @property
    def location(self) -> str | None:
        return self.response.headers.get("Location")

    @property
    def answer(self) -> dict[str, str]:
        """The parameters of an answer to a client: redirect by query or fragment, or form_post."""
        if self.main_id == "page-form-post":
            return self.hidden
        assert self.location is not None, (self.status, self.main_id, self.text[:500])
        parts = urlsplit(self.location)
        values = parse_qs(parts.fragment or parts.query, keep_blank_values=True, strict_parsing=True)
        assert all(len(value) == 1 for value in values.values())
        return {name: value[0] for name, value in values.items()}


def filled_in(page: Page, *, uncheck: Collection[str] = (), **fields: str) -> dict[str, str | list[str]]:
    """What a browser sends of a page's form."""
    boxes = [value for value in page.boxes if value not in uncheck]
    return {**page.hidden, **({"scope": boxes} if boxes else {}), **fields}


class Browser:
    """One browser: cookies, and redirects followed as long as they stay at the provider."""

    def __init__(self, provider: Provider, address: str) -> None:
        self.client = WSGIClient(provider)
        self.address = address
        self.visited: list[str] = []

    def step(self, url: str, data: Fields | str | None = None, **options: Any) -> Page:
        """One request, no redirect followed; `data` makes it a POST of a form."""
        parts = urlsplit(url)
        self.visited.append(url)
        headers = {"Accept-Language": "en", **options.pop("headers", {})}
        if data is not None:
            options["data"] = data if isinstance(data, str) else urlencode(data, doseq=True)
            options.setdefault("content_type", "application/x-www-form-urlencoded")
        response = self.client.open(
            parts.path,
            method="GET" if data is None else "POST",
            query_string=parts.query,
            base_url=ISSUER,
            headers=headers,
            environ_overrides={"REMOTE_ADDR": self.address},
            **options,
        )
        return Page(response, url)

    def go(self, url: str, data: Fields | str | None = None) -> Page:
        """One request, and on through every redirect to ourselves."""
        page = self.step(url, data)
        while page.location is not None and page.location.startswith(ISSUER + "/"):
            page = self.step(page.location)
        return page

    def authorize(self, client_id: str = "app", **changes: str | None) -> Page:
        return self.go(authorize_url(client_id, **changes))

    def submit(self, page: Page, *, uncheck: Collection[str] = (), **fields: str) -> Page:
        """Send the form of a page as it is, but for the fields that are filled in and what is unchecked."""
        return self.go(page.action, filled_in(page, uncheck=uncheck, **fields))

    def sign_in(self, page: Page, name: str = "alice", password: str | None = None) -> Page:
        assert page.main_id == "page-login", (page.status, page.main_id, page.location)
        return self.submit(page, username=name, password=password or f"demo-{name.lower()}")

    def signed_in(self, client_id: str = "trusted", name: str = "alice", **changes: str | None) -> Page:
        return self.sign_in(self.authorize(client_id, **changes), name)

    def cookies(self) -> dict[str, str]:
        assert self.client._cookies is not None
        return {cookie.key: cookie.value for cookie in self.client._cookies.values()}

    @property
    def session_cookie(self) -> str | None:
        found = [
            value
            for name, value in self.cookies().items()
            if re.fullmatch(r"__Host-oidcprovider-[0-9a-f]{16}", name)
        ]
        return found[0] if found else None


def authorize_url(client_id: str | None = "app", **changes: str | None) -> str:
    """An authorization request; None leaves a parameter out."""
    values: dict[str, str | None] = {
        "client_id": client_id,
        "redirect_uri": "https://other.example/cb" if client_id == "other" else CALLBACK,
        "response_type": "code",
        "scope": "openid profile",
        "state": "state-1",
        "nonce": "nonce-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    given = {name: value for name, value in values.items() if value is not None}
    return f"{ISSUER}/authorize?{urlencode(given)}"


@dataclass
class World:
    """The provider, its clock and its audit log."""

    provider: Provider
    time: list[float]
    lines: list[str] = field(default_factory=list)

    @classmethod
    def make(
        cls,
        folder: Path,
        *,
        fetcher: Fetcher | None = None,
        user_store: UserStore | None = None,
        **changes: Any,
    ) -> "World":
        """A provider over a file in the folder, which is made if it is not there."""
        database = folder / "provider.db"
        if not database.exists():
            shutil.copy(_prepared_database(), database)
        return cls.over(f"sqlite:///{database}", fetcher=fetcher, user_store=user_store, **changes)

    @classmethod
    def over(
        cls,
        url: str,
        *,
        fetcher: Fetcher | None = None,
        user_store: UserStore | None = None,
        **changes: Any,
    ) -> "World":
        """A provider over that database."""
        document = settings_document(database=url, **changes)
        time, lines = [float(START)], []  # type: list[float], list[str]
        provider = Provider.from_settings(
            parse(ProviderSettings, document),
            clock=lambda: time[0],
            audit=Audit(lines.append, lambda: time[0]),
            fetcher=fetcher,
            user_store=user_store,
        )
        world = cls(provider, time, lines)
        factor = world.password_factor
        factor._hasher, factor._nobody = QUICK, _unmatched_hash(QUICK)
        return world

    @property
    def password_factor(self) -> PasswordFactor:
        (login,) = (route.endpoint for route in self.provider.parts.routes if route.path == "/login")
        assert isinstance(login, Login)
        return login.attempts.factor

    def close(self) -> None:
        self.provider.parts.store.dispose()

    def browser(self, address: str = "203.0.113.7") -> Browser:
        return Browser(self.provider, address)

    def sleep(self, seconds: float) -> None:
        self.time[0] += seconds

    @property
    def now(self) -> int:
        return int(self.time[0])

    def events(self, name: str) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self.lines]
        return [event for event in found if event["event"] == f"provider.{name}"]

    def tokens(self, page: Page, client_id: str = "trusted", redirect_uri: str = CALLBACK) -> dict[str, Any]:
        """Redeem the code of an answer."""
        assert "code" in page.answer, page.answer
        form = {
            "grant_type": "authorization_code",
            "code": page.answer["code"],
            "redirect_uri": "https://other.example/cb" if client_id == "other" else redirect_uri,
            "code_verifier": VERIFIER,
        }
        headers = {}
        if client_id in ("public", "native"):
            form["client_id"] = client_id
        else:
            basic = base64.b64encode(f"{client_id}:{CLIENT_SECRET}".encode()).decode()
            headers["Authorization"] = f"Basic {basic}"
        response = WSGIClient(self.provider).post("/token", data=form, headers=headers, base_url=ISSUER)
        document = response.get_json()
        assert response.status_code == 200, document
        return dict(document)

    def post_token(
        self, form: Mapping[str, str], client_id: str = "trusted", path: str = "/token"
    ) -> TestResponse:
        """A request to the token endpoint, of a client that presents itself by Basic."""
        basic = base64.b64encode(f"{client_id}:{CLIENT_SECRET}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}"}
        return WSGIClient(self.provider).post(path, data=dict(form), headers=headers, base_url=ISSUER)

    def refresh(self, refresh_token: str, client_id: str = "trusted") -> TestResponse:
        return self.post_token({"grant_type": "refresh_token", "refresh_token": refresh_token}, client_id)

    def userinfo_status(self, access_token: str) -> int:
        response = WSGIClient(self.provider).get(
            "/userinfo", headers={"Authorization": f"Bearer {access_token}"}, base_url=ISSUER
        )
        return response.status_code


def claims(id_token: str) -> dict[str, Any]:
    """The claims of an ID token, unverified."""
    payload = id_token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))

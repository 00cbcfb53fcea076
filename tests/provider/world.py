"""A provider to test with: settings, a clock that is moved by hand, shortcuts to codes and tokens.

The database is a copy of one made once per run, because migrating and making an RSA key is most of what
starting costs.
"""

import base64
import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from werkzeug.test import Client as Browser
from werkzeug.test import TestResponse

from oidcgate.audit import Audit
from oidcgate.net.fetch import Fetcher
from oidcgate.settings import parse
from provider.app import Provider
from provider.config import ProviderSettings
from provider.realm import Realm
from provider.services.issuing import Authorization, CodeRequest, begin_grant, issue_code
from provider.store.schema import metadata

ISSUER = "https://id.example"
SECRET = "qT3vN8yZr5LwXk2PdJm7CgHs0BfEa9Ui4Ro6"
APP_SECRET = "app-3kQzX7VbN1mRtY9wLpGdHs5JfCe2AuKo8TiZq4Ex"
OTHER_SECRET = "other-9wLpGdHs5JfCe2AuKo8TiZq4Ex3kQzX7VbN1mRtY"
REDIRECT_URI = "https://app.example/cb"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
ALICE = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
# argon2id of "demo-alice" at a cost that only a test may use.
ALICE_HASH = "$argon2id$v=19$m=64,t=1,p=1$LREnf30qVT8ZTPOC5sYePg$yxM0lHUqS2nWfLhBu7U+88xMGDIqOdgzfQDuuwZnlRM"
ALL_SCOPES = ("openid", "profile", "email", "offline_access")


def config(database: Path | str, **changes: Any) -> dict[str, Any]:
    """What `provider.toml` would say, with `changes` at its top; `database` is a file or a URL."""
    return {
        "issuer": ISSUER,
        "database": database if isinstance(database, str) else f"sqlite:///{database}",
        "secret": SECRET,
        "clients": [
            {
                "client_id": "app",
                "name": "The app",
                "client_secret": APP_SECRET,
                "redirect_uris": [REDIRECT_URI],
                "flows": ["authorization_code", "refresh_token"],
            },
            {
                "client_id": "other",
                "client_secret": OTHER_SECRET,
                "auth_method": "client_secret_post",
                "redirect_uris": ["https://other.example/cb"],
                "flows": ["authorization_code", "refresh_token"],
            },
            {
                "client_id": "native",
                "auth_method": "none",
                "redirect_uris": ["https://native.example/cb"],
                "flows": ["authorization_code", "refresh_token"],
            },
        ],
        "users": [
            {
                "user_name": "alice",
                "user_id": ALICE,
                "password_hash": ALICE_HASH,
                "name": "Alice Liddell",
                "email": "alice@example.org",
                "email_verified": True,
            }
        ],
        **changes,
    }


@dataclass
class Clock:
    """Epoch seconds that stand still."""

    at: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.at += seconds


@dataclass
class World:
    """A provider over a database of its own, and a browser in front of it."""

    provider: Provider
    clock: Clock
    events: list[str] = field(default_factory=list)

    @classmethod
    def over(cls, database: Path | str, *, fetcher: Fetcher | None = None, **changes: Any) -> "World":
        """Start a provider; `changes` go to the top of its configuration."""
        clock, events = Clock(), list[str]()
        settings = parse(ProviderSettings, config(database, **changes))
        audit = Audit(events.append, clock)
        provider = Provider.from_settings(settings, clock=clock, audit=audit, fetcher=fetcher)
        return cls(provider, clock, events)

    @property
    def realm(self) -> Realm:
        return self.provider.parts.realms[0]

    @property
    def now(self) -> int:
        return int(self.clock())

    def browser(self) -> Browser:
        return Browser(self.provider)

    def code(self, realm: Realm | None = None, **changes: Any) -> str:
        """A code as the authorization endpoint would give it to `app`."""
        authorization = Authorization(
            client_id="app",
            user_id=ALICE,
            sid="sid-1",
            scope=ALL_SCOPES,
            auth_time=self.now - 60,
            acr="knowledge",
            amr=("pwd",),
        )
        bound = CodeRequest(
            redirect_uri=REDIRECT_URI, nonce="n-1", code_challenge=CHALLENGE, code_challenge_method="S256"
        )
        of_code = {name: changes.pop(name) for name in vars(bound) if name in changes}
        realm = realm or self.realm
        with self.provider.parts.store.begin() as conn:
            grant = begin_grant(conn, realm, replace(authorization, **changes), self.now)
            return issue_code(conn, realm, grant, replace(bound, **of_code), self.now)

    def post(
        self, path: str, form: Mapping[str, str] | list[tuple[str, str]], **options: Any
    ) -> TestResponse:
        """POST a form."""
        return self.browser().post(
            path, data=urlencode(form), content_type="application/x-www-form-urlencoded", **options
        )

    def token(
        self, form: Mapping[str, str], *, auth: tuple[str, str] | None = ("app", APP_SECRET)
    ) -> TestResponse:
        """A token request; by default of `app`, by its registered method."""
        headers = {} if auth is None else {"Authorization": basic(*auth)}
        return self.post("/token", form, headers=headers)

    def redeem(self, code: str, **changes: str) -> TestResponse:
        """Exchange a code as `app` would."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": VERIFIER,
        }
        return self.token({**form, **changes})

    def refresh(self, refresh_token: str, **changes: str) -> TestResponse:
        """Exchange a refresh token as `app` would."""
        return self.token({"grant_type": "refresh_token", "refresh_token": refresh_token, **changes})

    def tokens(self, **changes: Any) -> dict[str, Any]:
        """A whole answer of the token endpoint."""
        response = self.redeem(self.code(**changes))
        assert response.status_code == 200, response.text
        return dict(response.get_json())

    def userinfo(self, access_token: str) -> TestResponse:
        """What the UserInfo endpoint says to this token."""
        return self.browser().get("/userinfo", headers={"Authorization": f"Bearer {access_token}"})

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Every row of a table."""
        with self.provider.parts.store.read() as conn:
            return [dict(row) for row in conn.execute(metadata.tables[table].select()).mappings()]


def basic(client_id: str, secret: str) -> str:
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


def error_of(response: TestResponse) -> tuple[int, str]:
    """Status and OAuth error code of a JSON answer."""
    return response.status_code, response.get_json()["error"]


def copy_database(source: Path, target: Path) -> Path:
    """A copy of a database nobody has open."""
    shutil.copy(source, target)
    return target

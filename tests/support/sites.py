"""A gate, an app and a provider in one process: real parts, a clock that tests move, no socket.

The sites are `https://app.test` and `https://id.example`; :mod:`tests.support.user_agent` visits both.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oidcgate import Gate, settings
from oidcgate.audit import Audit
from oidcgate.gate.build import build
from oidcgate.gate.config import config_from_mapping
from oidcgate.net.fetch import Fetcher
from oidcgate.net.wsgi import WSGIAdapter
from provider import Provider
from provider.config import ProviderSettings
from provider.services.passwords import Passwords
from tests.support.user_agent import UserAgent

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

APP = "https://app.test"
ISSUER = "https://id.example"
CLIENT_SECRET = "canary-client-secret-0123456789-abcdefghijklmnopqrst"
GATE_SECRET = "Y2FuYXJ5LWdhdGUtc2VjcmV0LTAxMjM0NTY3ODktYWJjZGVm"
PROVIDER_SECRET = "Y2FuYXJ5LXByb3ZpZGVyLXNlY3JldC0wMTIzNDU2Nzg5LWE"
PASSWORDS = {name: f"canary-password-of-{name}" for name in ("alice", "bob", "mallory")}


@lru_cache(maxsize=16)
def _hash_of(password: str) -> str:
    return Passwords().hash(password)


@dataclass
class Clock:
    """Epoch seconds that stand still until a test moves them."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class App:
    """A WSGI app that counts its calls and tells what it was told."""

    calls: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        identity = environ.get("oidcgate.identity")
        self.calls.append(dict(environ))
        body = json.dumps(
            {
                "path": environ["PATH_INFO"],
                "query": environ.get("QUERY_STRING", ""),
                "user_name": identity.user_name if identity else None,
                "sub": identity.sub if identity else None,
                "claims": dict(identity.claims) if identity else None,
                "remote_user": environ.get("REMOTE_USER"),
                "cookie": environ.get("HTTP_COOKIE"),
            }
        ).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]


@dataclass
class Sites:
    """Both sites and what they wrote."""

    gate: Gate
    app: App
    provider: Provider
    clock: Clock
    events: list[str]
    provider_is_up: bool = True

    def call_provider(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """The provider as browser and gate reach it: as it is, or not at all."""
        if not self.provider_is_up:
            raise ConnectionError("the provider is down")
        return self.provider(environ, start_response)

    def user_agent(self) -> UserAgent:
        """A browser that has not been anywhere."""
        return UserAgent({APP: WSGIAdapter(self.gate), ISSUER: WSGIAdapter(self.call_provider)})

    def event_names(self) -> list[str]:
        """The names of all audit events so far, in order."""
        return [json.loads(line)["event"] for line in self.events]


def write_directory(folder: Path) -> Path:
    """A directory that knows Alice and, inactive, Carol."""
    path = folder / "users.toml"
    path.write_text(
        '[[users]]\nuserName = "Alice"\ndisplayName = "Alice Liddell"\n'
        '[[users]]\nuserName = "carol"\nactive = false\n'
    )
    return path


def make_provider(
    folder: Path, clock: Clock, events: list[str], *, fetcher: Fetcher | None = None, **overrides: Any
) -> Provider:
    """A provider with three people and the gate as a client.

    Args:
        fetcher: carries its calls to other servers, in place of one over sockets.
        overrides: settings laid over its usual ones.
    """
    data: dict[str, Any] = {
        "issuer": ISSUER,
        "database": f"sqlite:///{folder / 'provider.db'}",
        "secret": PROVIDER_SECRET,
        "clients": [
            {
                "client_id": "gate",
                "name": "The app",
                "client_secret": CLIENT_SECRET,
                "redirect_uris": [f"{APP}/.oidcgate/callback"],
                "post_logout_redirect_uris": [f"{APP}/.oidcgate/logged-out"],
            }
        ],
        "users": [
            {
                "user_name": name,
                "password_hash": _hash_of(password),
                "name": name.title(),
                "email": f"{name}@id.example",
            }
            for name, password in PASSWORDS.items()
        ],
    }
    parsed = settings.parse(ProviderSettings, {**data, **overrides})
    return Provider.from_settings(parsed, clock=clock, audit=Audit(events.append, clock), fetcher=fetcher)


def make_gate(
    app: App, provider: Any, folder: Path, clock: Clock, events: list[str], /, **overrides: Any
) -> Gate:
    """The gate around ``app``, with ``provider`` as its identity provider."""
    data: dict[str, Any] = {
        "public_url": APP,
        "provider": {"issuer": ISSUER, "client_id": "gate", "client_secret": CLIENT_SECRET},
        "users": {"source": f"file:{write_directory(folder)}"},
        "session": {"secret": GATE_SECRET},
        "state": {"store": f"sqlite:///{folder / 'state.db'}"},
        "rules": [{"path": "/public/**", "allow": "anyone"}],
    }
    for table, values in overrides.items():
        data[table] = {**data.get(table, {}), **values} if isinstance(values, dict) else values
    parts = build(
        config_from_mapping(data), clock=clock, provider_app=provider, audit=Audit(events.append, clock)
    )
    return Gate.from_parts(app, parts)


def make_sites(folder: Path, at_provider: Mapping[str, Any] | None = None, **gate: Any) -> Sites:
    """Gate, app and provider, ready for a user agent.

    Args:
        at_provider: tables laid over the provider's usual ones; the others are the gate's.
    """
    clock, events, app = Clock(), list[str](), App()
    provider = make_provider(folder, clock, events, **(at_provider or {}))
    # The gate's calls ask the finished object whether the provider is up.
    made: list[Sites] = []
    made.append(
        Sites(
            make_gate(app, lambda e, s: made[0].call_provider(e, s), folder, clock, events, **gate),
            app,
            provider,
            clock,
            events,
        )
    )
    return made[0]

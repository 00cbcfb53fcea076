"""What the interactive half of the provider reports: sign-ins, consent, sign-outs and refused requests.

Beside `provider.events`, under the same rules: stable names, ids as values, never a password, code or cookie.
A user name is reported only when it belongs to somebody: what is typed into that field by mistake is often
the password.
"""

from dataclasses import dataclass
from typing import ClassVar

from oidcgate.audit import Event


@dataclass(frozen=True)
class LoginSucceeded(Event):
    """A person signed in. `client_id` is the application they were on the way to."""

    name: ClassVar[str] = "provider.login_succeeded"
    realm: str
    user_id: str
    sid: str
    client_id: str
    amr: tuple[str, ...]
    network: str


@dataclass(frozen=True)
class LoginFailed(Event):
    """A sign-in was refused; `user_id` is None when the name belongs to nobody."""

    name: ClassVar[str] = "provider.login_failed"
    realm: str
    user_id: str | None
    client_id: str
    reason: str
    network: str


@dataclass(frozen=True)
class LoginSlowed(Event):
    """A sign-in was not even tried: too many failures lately."""

    name: ClassVar[str] = "provider.login_slowed"
    realm: str
    client_id: str
    network: str
    wait_seconds: int


@dataclass(frozen=True)
class ConsentAnswered(Event):
    """A person agreed or refused."""

    name: ClassVar[str] = "provider.consent_answered"
    realm: str
    user_id: str
    client_id: str
    scopes: tuple[str, ...]
    allowed: bool


@dataclass(frozen=True)
class AuthorizationRefused(Event):
    """A client's request was answered with an error by redirect; `detail` is for the operator."""

    name: ClassVar[str] = "provider.authorization_refused"
    realm: str
    client_id: str
    error: str
    detail: str


@dataclass(frozen=True)
class LoggedOut(Event):
    """A browser session was ended. `client_id` is the application that asked, None for the person alone."""

    name: ClassVar[str] = "provider.logged_out"
    realm: str
    user_id: str
    sid: str
    client_id: str | None


@dataclass(frozen=True)
class LogoutNotReturned(Event):
    """A sign-out request named an address that is not followed; `detail` says why."""

    name: ClassVar[str] = "provider.logout_not_returned"
    realm: str
    client_id: str | None
    detail: str

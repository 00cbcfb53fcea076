"""The gate's audit events: what happened at the door, to be proven afterwards.

How they are written is `oidcgate.audit`. No field holds a secret, code, token or cookie; `incident` is the id
that the person saw on the page.
"""

import dataclasses
from typing import ClassVar

from oidcgate.audit import Event


@dataclasses.dataclass(frozen=True)
class SignedIn(Event):
    """A session began. `replaced`: this browser had one before, which ended."""

    name: ClassVar[str] = "login.succeeded"
    user_name: str
    claimed_name: str
    sub: str
    issuer: str
    acr: str | None
    amr: tuple[str, ...]
    replaced: bool


@dataclasses.dataclass(frozen=True)
class ClaimsElsewhere(Event):
    """The IdP did not state these claims but said who does, or where to fetch them: they are absent.

    Entra does so with `groups` when somebody is in more of them than fit into a token.
    """

    name: ClassVar[str] = "login.claims_elsewhere"
    user_name: str
    issuer: str
    claims: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class SignInRefused(Event):
    """A sign-in came back and was not accepted; nobody was let in."""

    name: ClassVar[str] = "login.refused"
    reason: str
    detail: str
    incident: str


@dataclasses.dataclass(frozen=True)
class UserRefused(Event):
    """The directory does not let in whom the IdP vouches for.

    `why`: unknown, inactive, ambiguous (several have the name) or look-alike (it only looks like a user's).
    """

    name: ClassVar[str] = "login.user_refused"
    claimed_name: str
    why: str
    sub: str
    issuer: str
    incident: str


@dataclasses.dataclass(frozen=True)
class PinRefused(Event):
    """Another person than before came under a known userName; it stays the one's who came first.

    Either the name has a new owner (`oidcgate users clear-pins` lets them in), or somebody took its look.
    `pinned_at`: epoch seconds of the first sign-in.
    """

    name: ClassVar[str] = "login.pin_refused"
    user_name: str
    claimed_name: str
    sub: str
    issuer: str
    pinned_sub: str
    pinned_issuer: str
    pinned_at: int
    incident: str


@dataclasses.dataclass(frozen=True)
class AttributesLeftOut(Event):
    """Attributes of somebody who signed in are of another type, or not verified; no value is said."""

    name: ClassVar[str] = "login.attributes_left_out"
    user_name: str
    issuer: str
    faults: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class HookPassedOver(Event):
    """The hook failed at a sign-in, which went on without its changes."""

    name: ClassVar[str] = "login.hook_passed_over"
    user_name: str
    issuer: str
    detail: str


@dataclasses.dataclass(frozen=True)
class BreakGlassUsed(Event):
    """Somebody came in by the break-glass page. `replaced`: this browser's session of before ended."""

    name: ClassVar[str] = "break_glass.used"
    user_name: str
    network: str
    replaced: bool


@dataclasses.dataclass(frozen=True)
class BreakGlassRefused(Event):
    """Somebody did not come in by the break-glass page. `user_name`: one that is listed there, or null."""

    name: ClassVar[str] = "break_glass.refused"
    user_name: str | None
    reason: str
    network: str


@dataclasses.dataclass(frozen=True)
class BreakGlassSlowed(Event):
    """A try at the break-glass page came too early after failures, and was not made."""

    name: ClassVar[str] = "break_glass.slowed"
    network: str
    wait_seconds: int


@dataclasses.dataclass(frozen=True)
class SignInLooped(Event):
    """A browser signed in again and again and was a stranger each time; it was stopped."""

    name: ClassVar[str] = "login.looped"
    check: str
    reason: str
    incident: str


@dataclasses.dataclass(frozen=True)
class SignedOut(Event):
    """A session ended because its person asked. `attempts`: sign-ins under way that ended with it."""

    name: ClassVar[str] = "logout"
    user_name: str | None
    sub: str | None
    issuer: str | None
    attempts: int


@dataclasses.dataclass(frozen=True)
class SessionDisplaced(Event):
    """A session ended, for its user signed in once more than `session.max_per_user` lets them."""

    name: ClassVar[str] = "session.displaced"
    user_name: str
    sub: str
    issuer: str
    began_at: int


@dataclasses.dataclass(frozen=True)
class SignedOutByProvider(Event):
    """The IdP said that a session has ended. `channel`: back, front or frame; `sub`: whose, if it said so.

    `sessions`: how many ended here by it, those of sign-ins under way among them.
    """

    name: ClassVar[str] = "logout.by_provider"
    channel: str
    issuer: str
    sub: str | None
    sessions: int


@dataclasses.dataclass(frozen=True)
class ProviderLogoutRefused(Event):
    """Somebody said that a session has ended, and was not believed. `channel`: back or front."""

    name: ClassVar[str] = "logout.refused"
    channel: str
    detail: str
    incident: str


@dataclasses.dataclass(frozen=True)
class SessionsRevoked(Event):
    """An operator ended sessions. `by`: user, sid or session; `ended`: how many were known to live."""

    name: ClassVar[str] = "sessions.revoked"
    by: str
    value: str
    ended: int


@dataclasses.dataclass(frozen=True)
class SessionEndedAtProvider(Event):
    """The IdP gives no tokens for a session any more, so it has ended here as well."""

    name: ClassVar[str] = "session.ended_at_provider"
    user_name: str
    sub: str
    issuer: str


@dataclasses.dataclass(frozen=True)
class TokensNotRenewed(Event):
    """New tokens for a session could not be had. It goes on, and signs in silently when it needs some."""

    name: ClassVar[str] = "tokens.not_renewed"
    user_name: str
    sub: str
    issuer: str
    reason: str
    detail: str


@dataclasses.dataclass(frozen=True)
class TokensNotRevoked(Event):
    """A session ended here, and its tokens may be good at the IdP until they end. `kind`: which token."""

    name: ClassVar[str] = "logout.tokens_not_revoked"
    issuer: str
    kind: str
    detail: str


@dataclasses.dataclass(frozen=True)
class AccessRefused(Event):
    """Somebody was turned away by a rule, or because the directory no longer lets them in."""

    name: ClassVar[str] = "access.refused"
    user_name: str | None
    method: str
    path: str
    reason: str
    incident: str


@dataclasses.dataclass(frozen=True)
class ServiceUnavailable(Event):
    """What a request needs did not answer. `what`: provider, state, sessions, directory; gate: too busy."""

    name: ClassVar[str] = "service.unavailable"
    what: str
    detail: str
    incident: str

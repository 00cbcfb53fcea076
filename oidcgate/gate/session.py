"""A person's session: what is recorded of it, and what a look-up for it can answer. Pure.

Here live the versioned record and its codec, who its person is, and the three answers of a look-up: found,
absent, unavailable. What is done with sessions is next door in `oidcgate.gate.sessions`; who may pass is
decided in `oidcgate.gate.decision`.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from oidcgate.identity import Identity, read_only

__all__ = [
    "COOKIE_BUDGET_BYTES",
    "NOBODY",
    "STORED_BUDGET_BYTES",
    "Absent",
    "AbsentReason",
    "Found",
    "Person",
    "Session",
    "SessionLimits",
    "SessionRecord",
    "SessionTooLarge",
    "SessionUnavailable",
    "Unavailable",
    "UnavailableReason",
    "decode_record",
    "encode_record",
    "identity_of",
]

#: A cookie, name and value, never passes this. Browsers stop at 4,096, and every request carries it through
#: the header buffers of whatever stands in front.
COOKIE_BUDGET_BYTES: Final = 3584
#: A stored session, sealed, never passes this: each worker remembers thousands of them.
STORED_BUDGET_BYTES: Final = 32_768
_VERSION: Final = b"\x01"


class SessionRecord(msgspec.Struct, array_like=True, frozen=True, repr_omit_defaults=True):
    """What is known of a session. Fields are only ever added at the end; else the version byte moves.

    Attributes:
        session_id: new at each login. No credential: it is worth nothing without the seal.
        iss, sub, sid: who the person is at the provider, and the provider's own session if it said so.
        idp: the provider's name in our configuration.
        user_name: the directory's `userName`, or the mapped claim for somebody the directory does not know.
        display_name: for people to read.
        auth_time, acr, amr: when and how the person proved who they are, as far as the provider said.
        claims: the claims that are kept.
        known_at: when the directory last said that this user exists and is active; 0: it did not.
        created_at, absolute_at, seen_at: when it began, when it ends at the latest, when it was last used.
            `create` sets them; an earlier end than its own it leaves.
        generation: how often this record was written anew.
        tokens: whether tokens are kept in the state store under `session_id`.
        stranger: whether the directory did not know the name at the sign-in, so that nobody has asked whose
            it is (`oidcgate.gate.pins`): if it becomes known, a new sign-in has to say.
        session_state: what the provider's frame is asked about (`oidcgate.gate.session_frame`).
    """

    session_id: str
    iss: str
    sub: str
    user_name: str
    sid: str | None = None
    idp: str = ""
    display_name: str | None = None
    auth_time: int | None = None
    acr: str | None = None
    amr: tuple[str, ...] = ()
    claims: Mapping[str, Any] = {}
    known_at: int = 0
    created_at: int = 0
    absolute_at: int = 0
    seen_at: int = 0
    generation: int = 0
    tokens: bool = False
    stranger: bool = False
    session_state: str | None = None

    def __repr__(self) -> str:
        return f"SessionRecord(user_name={self.user_name!r}, created_at={self.created_at})"


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(SessionRecord).decode


def encode_record(record: SessionRecord) -> bytes:
    """The record as bytes, its version in front."""
    return _VERSION + _encode(record)


def decode_record(data: bytes) -> SessionRecord | None:
    """The record, or None for another version or anything that is no record."""
    if data[:1] != _VERSION:
        return None
    try:
        return _decode(memoryview(data)[1:])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        # msgspec has no class of its own for text that is not UTF-8.
        return None


class Person(NamedTuple):
    """Who a session's person is, as the directory saw it last. Replaced as a whole, never edited.

    Attributes:
        identity: what an app is told.
        remote_user: `identity.user_name` as REMOTE_USER carries it.
        known: whether the directory knows an active user of that name.
        answered_at: when the directory said so.
        generation: the directory's generation then; None: from an earlier process.
        recheck_at: when it is to be asked again.
        barred: whether the directory has that name and lets nobody in under it: the user is switched off, or
            there are several. A stranger is neither known nor barred.
    """

    identity: Identity
    remote_user: str
    known: bool
    answered_at: int
    generation: int | None
    recheck_at: int
    barred: bool = False


#: The person of a session for whom nobody has been asked yet: a step that was left out lets no one in.
NOBODY: Final = Person(Identity("", "", "", known=False), "", False, 0, None, 0)


def identity_of(record: SessionRecord, user_name: str, display_name: str | None, known: bool) -> Identity:
    """What an app is told of the person of a session, under the name that the directory gives them."""
    return Identity(
        user_name,
        record.sub,
        record.iss,
        record.idp,
        record.auth_time,
        record.acr,
        record.amr,
        read_only(record.claims),
        display_name or record.display_name,
        known,
    )


class AbsentReason(StrEnum):
    """Why there is no session, for the page that has to explain it and for the log."""

    NO_COOKIE = "no_session_cookie"  # or several of its name: `cookie_value` says why that is the same
    TOO_LONG = "session_cookie_too_long"
    UNREADABLE = "session_cookie_unreadable"  # altered, cut off, another gate's, or under a dropped secret
    OTHER_VERSION = "session_of_another_version"
    UNKNOWN = "session_not_in_store"
    EXPIRED = "session_expired"
    IDLE = "session_idle"
    REVOKED = "session_revoked"
    ENDED_AT_PROVIDER = "session_ended_at_provider"  # which gives no tokens for it any more
    NO_PROVIDER = "session_provider_not_configured"  # at this host, any more


class Absent(NamedTuple):
    """There is no usable session: the person may sign in.

    Attributes:
        reason: why.
        record: a session that is not to be used and has not ended, for who signs out of it.
    """

    reason: AbsentReason
    record: SessionRecord | None = None


class UnavailableReason(StrEnum):
    """What could not be asked."""

    STATE_STORE = "state_store_unavailable"
    SESSION_STORE = "session_store_unavailable"
    DIRECTORY = "directory_unavailable"
    BUSY = "too_many_requests_wait"


class Unavailable(NamedTuple):
    """Nobody can say whether there is a session. Neither lets anyone in nor logs anyone out."""

    reason: UnavailableReason


class SessionUnavailable(Exception):
    """Nobody can say whether there is a session, so a route that depends on it does nothing.

    Attributes:
        reason: what could not be asked.
    """

    def __init__(self, reason: StrEnum, detail: str = "") -> None:
        super().__init__(detail or str(reason))
        self.reason = reason


class Found:
    """A session that may be used now.

    One object serves all requests that carry the same cookie. What changes in it (the person, when it was
    last used) is replaced in one assignment each, so that threads see the old or the new.

    Attributes:
        record: what is known of the session.
        cookie: the cookie's value.
        person: who it is, as the directory saw it last; `NOBODY` until it has been asked.
        forwarded: the headers that tell an app elsewhere who `forwarded_to` is (`oidcgate.gate.judge`).
        stripped: a Cookie header and what is left of it for the app; a browser repeats itself.
        expires_at: from this second on it is over: idle or at its end.
        touch_at: from this second on its use is to be recorded (`Sessions.touch`).
        revocations: the version of the revocations under which it was last found good.
        tokens_at: from this second on its kept tokens are to be looked at (`oidcgate.gate.refreshing`).
        access_token: the kept one, while it is good, where the app is given it.
        unconfirmed: whether the next navigation is to sign in silently.
    """

    __slots__ = (
        *("access_token", "cookie", "expires_at", "forwarded", "forwarded_to", "person", "record"),
        *("revocations", "stripped", "tokens_at", "touch_at", "unconfirmed"),
    )

    def __init__(self, record: SessionRecord, cookie: str, limits: "SessionLimits") -> None:
        self.cookie = cookie
        self.person = NOBODY
        self.forwarded: tuple[tuple[bytes, bytes], ...] = ()
        self.forwarded_to: Person | None = None
        self.revocations: int | None = None
        self.stripped = ("", "")
        self.tokens_at = 0
        self.access_token: str | None = None
        self.unconfirmed = False
        self.renew(record, limits)

    def renew(self, record: SessionRecord, limits: "SessionLimits") -> None:
        """Take a newer record of the same session."""
        self.record = record
        idle_at = record.seen_at + limits.idle_seconds
        self.expires_at = idle_at if idle_at < record.absolute_at else record.absolute_at
        self.touch_at = record.seen_at + limits.touch_seconds

    def __repr__(self) -> str:
        return f"Found({self.record!r})"


#: What is known of the session of a request.
Session = Found | Absent | Unavailable


class SessionLimits(NamedTuple):
    """How long a session lives.

    Attributes:
        idle_seconds: without use.
        absolute_seconds: at most, however much it is used.
        touch_seconds: how long its use goes unrecorded.
    """

    idle_seconds: int = 28_800
    absolute_seconds: int = 43_200
    touch_seconds: int = 60

    @classmethod
    def of(cls, idle_seconds: int, absolute_seconds: int) -> "SessionLimits":
        """The limits as configured; use goes unrecorded for a minute, less where the idle limit is short."""
        return cls(idle_seconds, absolute_seconds, min(60, idle_seconds // 10))


class SessionTooLarge(Exception):
    """The session does not fit where it is kept; `largest` names the claims that take most of it."""

    def __init__(self, size: int, record: SessionRecord, limit: int = COOKIE_BUDGET_BYTES) -> None:
        self.size = size
        by_size = sorted(record.claims, key=lambda name: len(_encode(record.claims[name])), reverse=True)
        self.largest = tuple(by_size[:3])
        named = f" (largest claims: {', '.join(self.largest)})" if self.largest else ""
        what = "session cookie" if limit == COOKIE_BUDGET_BYTES else "stored session"
        otherwise = " or keep sessions in a store" if limit == COOKIE_BUDGET_BYTES else ""
        super().__init__(
            f"the {what} would have {size} bytes, the limit is {limit}{named}; keep fewer claims{otherwise}"
        )

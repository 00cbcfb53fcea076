"""The sessions of one gate: loaded, made, renewed and ended. Here: sealed into a cookie.

Here lives everything that is done with a session. Those that lie in a store are next door in
`oidcgate.gate.stored_sessions`. What a session is, and what a look-up can answer, is in
`oidcgate.gate.session`; which have ended in `oidcgate.gate.revocations`, which have begun in
`oidcgate.gate.session_index`; whether the person is known in `oidcgate.gate.known_users`. Cookies are only
made here: `oidcgate.gate.wsgi` and the routes send them.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from functools import lru_cache
from typing import ClassVar, Final, NamedTuple, Self, TypedDict

import msgspec

from oidcgate.gate.kept_tokens import Kept, KeptTokens
from oidcgate.gate.key_ages import KeyAges
from oidcgate.gate.revocations import IN_FLIGHT_SECONDS, Revocations
from oidcgate.gate.session import (
    COOKIE_BUDGET_BYTES,
    Absent,
    AbsentReason,
    Found,
    SessionLimits,
    SessionRecord,
    SessionTooLarge,
    Unavailable,
    UnavailableReason,
    decode_record,
    encode_record,
)
from oidcgate.gate.session_index import SessionIndex
from oidcgate.storage.records import RecordStore, StoreUnavailable
from oidcgate.waiting import about_to_wait
from oidcgate.web.cookies import CookieNames, cookie_value, delete_cookie, set_cookie
from oidcgate.web.sealing import KeyRing, Sealer

__all__ = ["Ended", "MoreOfSessions", "NotFound", "SealedSessions", "Sessions"]

_LONGEST_VALUE: Final = 4096
#: A longer Cookie header is searched each time, so that nobody fills the memory of others with theirs.
_REMEMBERED_HEADER: Final = 2048
#: A cookie that was just renewed is not renewed again at once by the requests that were under way with it.
_TOUCH_PAUSE_SECONDS: Final = 5
_END_RETRY_SECONDS: Final = 1


class NotFound(Exception):
    """There is no session, and why."""

    def __init__(self, reason: AbsentReason) -> None:
        self.reason = reason


class Ended(NamedTuple):
    """A session that was ended, and what it had kept: nobody else has that any more."""

    record: SessionRecord
    kept: Kept | None


class MoreOfSessions(TypedDict, total=False):
    """The arguments of `Sessions` that have a default."""

    revocation_max_stale_seconds: int
    remembered: int
    max_per_user: int
    displaced: Callable[[SessionRecord], None]


class Sessions(ABC):
    """The sessions of one gate: load, create, touch, end.

    `SealedSessions` keeps the record in the cookie, `StoredSessions` in a store. Both remember what
    they opened, bounded, by the cookie's bytes; time limits and revocations are compared on every load.

    Attributes:
        kept_tokens: what sign-ins brought and sessions keep, in the state store.
    """

    #: Of the seal of what the cookie holds.
    _purpose: ClassVar[str]

    def __init__(
        self,
        names: CookieNames,
        ring: KeyRing,
        gate_id: str,
        state: RecordStore,
        limits: SessionLimits,
        *,
        revocation_max_stale_seconds: int = 10,
        remembered: int = 10_000,
        max_per_user: int = 0,
        displaced: Callable[[SessionRecord], None] = lambda record: None,
    ) -> None:
        """Compose.

        Args:
            names: the gate's cookies.
            ring: the secrets; sessions sealed under any of them are good.
            gate_id: whose what lies in stores is, as part of the seal.
            state: the state store: revocations and kept tokens.
            limits: how long a session lives.
            revocation_max_stale_seconds: how long an unreadable state store is borne before 503.
            remembered: how many opened sessions a worker remembers.
            max_per_user: how many sessions a user may have at once; 0: any number.
            displaced: told of each session that ended because its user had too many.
        """
        self.limits = limits
        self.revocations = Revocations(
            state,
            longest_session_seconds=limits.absolute_seconds,
            max_stale_seconds=revocation_max_stale_seconds,
        )
        self.kept_tokens = KeptTokens(state, Sealer(ring, "tokens", gate_id), limits.absolute_seconds)
        self.index = SessionIndex(state, ring, gate_id)
        self.key_ages = KeyAges(state, ring, gate_id)
        self._max_per_user = max_per_user
        self._displaced = displaced
        #: What has ended and could not be written down, by id.
        self._unended: dict[str, SessionRecord] = {}
        self._end_again_at = 0
        self._ring = ring
        self._remembers = remembered
        self._serve(names, gate_id, "", None)

    def at(self, host: str, names: CookieNames, host_id: str, issuers: Container[str]) -> Self:
        """The sessions of the same gate at one of its hosts.

        A cookie opens only at the host where it was given, and how many a user may have counts for each host.
        What has ended, who is signed in and which tokens are kept is one for all: whoever ends sessions at
        one host ends those of every host.

        Args:
            host: what tells it from the others.
            names: its cookies.
            host_id: what tells this gate at this host from every other, as part of the seal.
            issuers: who signs people in there. A session of anybody else is absent: its provider was taken
                out of the configuration, or is one of other hosts now.
        """
        other = copy.copy(self)
        other._serve(names, host_id, host, issuers)
        return other

    def _serve(self, names: CookieNames, host_id: str, host: str, issuers: Container[str] | None) -> None:
        self.names = names
        self._host = host
        self._issuers = issuers
        self._in_cookie = Sealer(self._ring, self._purpose, host_id)
        # lru_cache: bounded, no lock, and 0.1 us where a TLRUCache takes 2.6; expiry is compared on each load
        # anyway. What does not open is raised and so not remembered.
        self._remembered = lru_cache(maxsize=self._remembers)(self._find)
        # A browser sends the same cookies again and again, and then none has to be cut out of them.
        self._in_header = lru_cache(maxsize=self._remembers)(self._find_in_header)

    def load(self, cookie_header: str, now: int) -> Found | Absent | Unavailable:
        """The session of a request.

        Args:
            cookie_header: the Cookie header, "" when there is none.
            now: epoch seconds.
        """
        find = self._in_header if len(cookie_header) <= _REMEMBERED_HEADER else self._find_in_header
        try:
            found = find(cookie_header)
            if now >= found.expires_at:
                self._look_again(found)
        except NotFound as absent:
            return Absent(absent.reason)
        except StoreUnavailable:
            return Unavailable(UnavailableReason.SESSION_STORE)
        if now >= found.expires_at:
            over = now >= found.record.absolute_at
            return Absent(AbsentReason.EXPIRED if over else AbsentReason.IDLE)
        try:
            version = self.revocations.check(now)
        except StoreUnavailable:
            return Unavailable(UnavailableReason.STATE_STORE)
        if found.revocations != version:
            if self.revocations.covers(found.record):
                self.end_unended(now)
                return Absent(AbsentReason.REVOKED)
            # Here and not above: who has passed once need not be looked at again, for issuers never change.
            if self._issuers is not None and found.record.iss not in self._issuers:
                return Absent(AbsentReason.NO_PROVIDER, found.record)
            found.revocations = version
        return found

    def person_behind(self, cookie_header: str) -> tuple[str, str] | None:
        """Whose session the cookie of a request is or was, as (iss, sub): it may have ended long ago.

        Returns:
            None when that is not to be told any more: there is no cookie, or nothing is kept behind it.

        Raises:
            StoreUnavailable: it cannot be said.
        """
        try:
            record = self._find_in_header(cookie_header).record
        except NotFound:
            return None
        return record.iss, record.sub

    def create(self, record: SessionRecord, now: int, *, replaces: SessionRecord | None = None) -> list[str]:
        """Begin a session; returns the Set-Cookie values.

        `record` carries a session id of its own; its times are set here, but for an end (`absolute_at`) that
        is earlier than the limits have it. If that id was revoked before, the
        session is dead from the start: a logout wins over a login that was still under way. Where its user
        has more sessions than they may, the oldest end.

        Args:
            replaces: the session that the caller will end in favour of this one.

        Raises:
            SessionTooLarge: it would not fit where it is kept.
            SessionUnavailable: a stored session could not be written.
            StoreUnavailable: the state store could not take note of it.
        """
        end = now + self.limits.absolute_seconds
        begun = msgspec.structs.replace(
            record, created_at=now, seen_at=now, absolute_at=min(record.absolute_at or end, end)
        )
        value = self._write(begun, now)
        self.key_ages.note(now)
        old = "" if replaces is None else replaces.session_id
        for surplus in self.index.add(begun, now, at_most=self._max_per_user, replaces=old, host=self._host):
            self.end(surplus, now)
            self._displaced(surplus)
        return [self._cookie(value)]

    def touch(self, found: Found, now: int) -> list[str]:
        """Record that the session was used; returns the Set-Cookie values, if any are needed.

        Never fails: a session whose use cannot be recorded is good until its limits.
        """
        found.touch_at = now + _TOUCH_PAUSE_SECONDS
        record = msgspec.structs.replace(
            found.record,
            seen_at=now,
            generation=found.record.generation + 1,
            known_at=found.person.answered_at if found.person.known else 0,
        )
        if not self._in_cookie.is_newest(found.cookie):
            about_to_wait()
            with suppress(StoreUnavailable):  # it would no longer be listed, and is good all the same
                self.index.renew(record.session_id, now)
        return self._rewrite(found, record, now)

    def end(self, record: SessionRecord, now: int) -> Ended:
        """End a session; whoever holds its cookie has to delete it then (`gone`).

        Raises:
            StoreUnavailable: it may not have ended; the cookie must not be deleted, or nobody could try
                again.
        """
        # Not only until a copy of the cookie would be idle: a worker that cannot read the store renews it.
        until = max(now, record.absolute_at) + 60
        self.revocations.revoke_session(record.session_id, now, until)
        return self._forget(record, now)

    def gone(self) -> str:
        """The Set-Cookie value that deletes the session's cookie."""
        return delete_cookie(self.names.session, path="/", secure=self.names.secure)

    def end_surely(self, record: SessionRecord, now: int) -> None:
        """End a session that nobody will ask to end again.

        Never fails: while the store is away only this worker lets nobody in with it, and tries again.
        """
        self.revocations.refuse_session(record.session_id)
        self._unended[record.session_id] = record
        self._end_again_at = 0
        self.end_unended(now)

    def end_unended(self, now: int) -> None:
        """Write down what `end_surely` could not, if there is any and the last attempt is not just over."""
        if not self._unended or now < self._end_again_at:
            return
        about_to_wait()
        self._end_again_at = now + _END_RETRY_SECONDS
        with suppress(StoreUnavailable):
            for session_id, record in list(self._unended.items()):
                self.end(record, now)
                self._unended.pop(session_id, None)

    def revoke(self, session_id: str, now: int) -> Ended | None:
        """Revoke a session by its id, for as long as any can live; returns it if it was known to live.

        Raises:
            StoreUnavailable: it may not be in force.
        """
        self.revocations.revoke_session(session_id, now, now + self.limits.absolute_seconds + 3600)
        record = self.index.get(session_id, now)
        return None if record is None else self._forget(record, now)

    def forbid(self, session_id: str, now: int) -> Ended | None:
        """Revoke the session that a login in flight has yet to create; returns it if that is just done.

        Anybody can begin logins and sign out of them, so what is written for one that never finishes is kept
        only for as long as it could. It can have finished just now: then its tokens are there, because a
        login keeps them before it asks `was_overtaken`, and its session is revoked like any other.

        Raises:
            StoreUnavailable: it may not be in force.
        """
        self.revocations.forbid_session(session_id, now, now + IN_FLIGHT_SECONDS)
        return self.revoke(session_id, now) if self.kept_tokens.has_any(session_id, now) else None

    def was_overtaken(self, record: SessionRecord, began_at: int, now: int) -> bool:
        """Whether a session that `create` has begun ended before its login did; `end` it then.

        To be asked after `create`: whoever ends sessions writes that down first and then looks which there
        are. So one of the two always sees the other, and the end wins.

        Args:
            began_at: when its login began.

        Raises:
            StoreUnavailable: it cannot be said, and nobody must be given the session.
        """
        return self.revocations.was_overtaken(record, began_at, now)

    def revoke_user(self, user_name: str, now: int) -> list[Ended]:
        """End every session this user has, on every worker and host; returns those that were known to live.

        What began later is not touched.

        Raises:
            StoreUnavailable: it may not be in force.
        """
        self.revocations.revoke_user(user_name, now)
        return self._forgotten(self.index.of_user(user_name, now), now)

    def revoke_subject(self, iss: str, sub: str, now: int) -> list[Ended]:
        """End every session of a subject of a provider; returns those that were known to live.

        Raises:
            StoreUnavailable: it may not be in force.
        """
        self.revocations.revoke_subject(iss, sub, now)
        return self._forgotten(self.index.of_subject(iss, sub, now), now)

    def revoke_sid(self, iss: str, sid: str, now: int, *, sub: str | None = None) -> list[Ended]:
        """End what came out of a session at a provider, logins under way too; returns what was known to live.

        Args:
            sub: the provider's name for its person, if it is known: their sessions of which the provider did
                not say a `sid` end as well, for nobody can tell whether they came out of this one.

        Raises:
            StoreUnavailable: it may not be in force.
        """
        self.revocations.revoke_sid(iss, sid, now)
        ended = self._forgotten(self.index.of_sid(iss, sid, now), now)
        if sub is not None:
            self.revocations.revoke_sidless(iss, sub, now)
            ended += self._forgotten(self.index.of_sidless(iss, sub, now), now)
        return ended

    def revoke_named_sid(self, iss: str, sid: str, now: int) -> list[Ended]:
        """The same at the word of whoever names the session, who may have made it up.

        What is no session here costs no other worker anything, and is forgotten when no login can be under
        way with it any more.

        Raises:
            StoreUnavailable: it may not be in force.
        """
        self.revocations.forbid_sid(iss, sid, now)
        if next(self.index.of_sid(iss, sid, now), None) is None:
            return []
        return self.revoke_sid(iss, sid, now)

    def seen_at(self, record: SessionRecord, now: int) -> int | None:
        """When a session of `index` was last used; None: nobody here can say.

        Raises:
            NotFound: it lies in a store, and is no longer there.
            StoreUnavailable: the store does not answer.
        """
        return None

    def _forget(self, record: SessionRecord, now: int) -> Ended:
        """Let go of all that is kept of a session that has ended."""
        self._delete(record, now)
        self.index.remove(record.session_id)
        return Ended(record, self.kept_tokens.take(record.session_id, now) if record.tokens else None)

    def _forgotten(self, ended: Iterable[SessionRecord], now: int) -> list[Ended]:
        # One that began after the revocation was written lives on.
        listed = [record for record in ended if self.revocations.covers(record)]
        return [self._forget(record, now) for record in listed]

    def _cookie(self, value: str) -> str:
        return set_cookie(self.names.session, value, path="/", secure=self.names.secure)

    def _find_in_header(self, cookie_header: str) -> Found:
        value = cookie_value(cookie_header, self.names.session)
        if value is None:
            raise NotFound(AbsentReason.NO_COOKIE)
        if len(value) > _LONGEST_VALUE:
            raise NotFound(AbsentReason.TOO_LONG)
        return self._remembered(value)

    def _find(self, value: str) -> Found:
        return Found(self._open(value), value, self.limits)

    def probe(self, now: int) -> None:
        """Ask whatever keeps the sessions whether it answers.

        Raises:
            StoreUnavailable: it does not.
        """
        return

    @abstractmethod
    def _open(self, value: str) -> SessionRecord:
        """The record behind a cookie's value, whatever its age. Raises NotFound, StoreUnavailable."""

    @abstractmethod
    def _look_again(self, found: Found) -> None:
        """A session's time is up, as this worker remembers it: it may have been used on another one."""

    @abstractmethod
    def _write(self, record: SessionRecord, now: int) -> str:
        """Keep a new record; returns the cookie's value."""

    @abstractmethod
    def _rewrite(self, found: Found, record: SessionRecord, now: int) -> list[str]:
        """Keep a record whose use was recorded; returns Set-Cookie values."""

    @abstractmethod
    def _delete(self, record: SessionRecord, now: int) -> None:
        """Forget a record, where it is kept."""


class SealedSessions(Sessions):
    """The record travels in the cookie, sealed: nothing to run, nothing to lose."""

    _purpose = "session"

    def _open(self, value: str) -> SessionRecord:
        data = self._in_cookie.open(value)
        if data is None:
            raise NotFound(AbsentReason.UNREADABLE)
        record = decode_record(data)
        if record is None:
            raise NotFound(AbsentReason.OTHER_VERSION)
        return record

    def _look_again(self, found: Found) -> None:
        return  # nothing is known of a sealed session but what its cookie says

    def _write(self, record: SessionRecord, now: int) -> str:
        value = self._in_cookie.seal(encode_record(record), now)
        size = len(self.names.session) + 1 + len(value)
        if size > COOKIE_BUDGET_BYTES:
            raise SessionTooLarge(size, record)
        return value

    def _rewrite(self, found: Found, record: SessionRecord, now: int) -> list[str]:
        value = self._in_cookie.seal(encode_record(record), now)
        return [self._cookie(value)]

    def _delete(self, record: SessionRecord, now: int) -> None:
        return

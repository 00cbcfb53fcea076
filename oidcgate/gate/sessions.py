"""The sessions of one gate: loaded, made, renewed and ended; sealed into a cookie or kept in a store.

Here lives everything that is done with a session. What one is, and what a look-up can answer, is in
`oidcgate.gate.session`; which sessions have ended in `oidcgate.gate.revocations`; whether the person is known
in `oidcgate.gate.known_users`. Cookies are only made here: `oidcgate.gate.wsgi` and the routes send them.
"""

from abc import ABC, abstractmethod
from functools import lru_cache
from typing import ClassVar, Final

import msgspec

from oidcgate.gate.kept_tokens import KeptTokens
from oidcgate.gate.revocations import Revocations
from oidcgate.gate.session import (
    COOKIE_BUDGET_BYTES,
    STORED_BUDGET_BYTES,
    Absent,
    AbsentReason,
    Found,
    SessionLimits,
    SessionRecord,
    SessionTooLarge,
    SessionUnavailable,
    Unavailable,
    UnavailableReason,
    decode_record,
    encode_record,
)
from oidcgate.storage.records import RecordCache, RecordStore, StoreUnavailable
from oidcgate.waiting import about_to_wait
from oidcgate.web.cookies import CookieNames, cookie_value, delete_cookie, set_cookie
from oidcgate.web.sealing import KeyRing, Sealer

__all__ = ["SealedSessions", "Sessions", "StoredSessions"]

_LONGEST_VALUE: Final = 4096
#: A longer Cookie header is searched each time, so that nobody fills the memory of others with theirs.
_REMEMBERED_HEADER: Final = 2048
#: A cookie that was just renewed is not renewed again at once by the requests that were under way with it.
_TOUCH_PAUSE_SECONDS: Final = 5
#: Longer than a login can be under way: the life of its transaction, the calls to the IdP, unequal clocks.
_IN_FLIGHT_SECONDS: Final = 1200
_SESSIONS: Final = "session"


class _NotFound(Exception):
    def __init__(self, reason: AbsentReason) -> None:
        self.reason = reason


class Sessions(ABC):
    """The sessions of one gate: load, create, touch, end.

    `SealedSessions` keeps the record in the cookie, `StoredSessions` in a record store. Both remember what
    they opened, bounded, by the cookie's bytes; time limits and revocations are compared on every load.

    Attributes:
        kept_tokens: what sign-ins brought and sessions keep, in the state store.
    """

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
    ) -> None:
        """Compose.

        Args:
            names: the gate's cookies.
            ring: the secrets; sessions sealed under any of them are good.
            gate_id: what tells this gate from every other, as part of the seal.
            state: the state store: revocations and kept tokens.
            limits: how long a session lives.
            revocation_max_stale_seconds: how long an unreadable state store is borne before 503.
            remembered: how many opened sessions a worker remembers.
        """
        self.names = names
        self.limits = limits
        self.revocations = Revocations(
            state,
            longest_session_seconds=limits.absolute_seconds,
            max_stale_seconds=revocation_max_stale_seconds,
        )
        self.kept_tokens = KeptTokens(state, Sealer(ring, "tokens", gate_id), limits.absolute_seconds)
        self._sealer = Sealer(ring, self._purpose, gate_id)
        # lru_cache: bounded, no lock, and 0.1 us where a TLRUCache takes 2.6; expiry is compared on each load
        # anyway. What does not open is raised and so not remembered.
        self._remembered = lru_cache(maxsize=remembered)(self._find)
        # A browser sends the same cookies again and again, and then none has to be cut out of them.
        self._in_header = lru_cache(maxsize=remembered)(self._find_in_header)

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
        except _NotFound as absent:
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
            record = found.record
            if self.revocations.covers(record.session_id, record.user_name, record.created_at):
                return Absent(AbsentReason.REVOKED)
            found.revocations = version
        return found

    def create(self, record: SessionRecord, now: int) -> list[str]:
        """Begin a session; returns the Set-Cookie values.

        `record` carries a session id of its own; its times are set here. If that id was revoked before, the
        session is dead from the start: a logout wins over a login that was still under way.

        Raises:
            SessionTooLarge: it would not fit into a cookie.
            SessionUnavailable: a stored session could not be written.
        """
        begun = msgspec.structs.replace(
            record, created_at=now, seen_at=now, absolute_at=now + self.limits.absolute_seconds
        )
        return [self._cookie(self._write(begun, now))]

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
        return self._rewrite(found, record, now)

    def end(self, record: SessionRecord | None, now: int) -> list[str]:
        """End a session (record first, then cookie); returns the Set-Cookie values.

        Args:
            record: the session; None when there is none left and only the cookie has to go.

        Raises:
            StoreUnavailable: it may not have ended; the cookie must not be deleted, or nobody could try
                again.
        """
        if record is not None:
            # Another copy of the cookie can be used no longer than this: nobody can renew it any more.
            until = max(now, min(record.absolute_at, now + self.limits.idle_seconds)) + 60
            self.revocations.revoke_session(record.session_id, now, until)
            self._delete(record, now)
            if record.tokens:
                self.kept_tokens.take(record.session_id, now)
        names = self.names
        return [delete_cookie(names.session, path="/", secure=names.secure)]

    def revoke(self, session_id: str, now: int) -> None:
        """Revoke a session by its id, for as long as any can live.

        Raises:
            StoreUnavailable: it may not be in force.
        """
        self.revocations.revoke_session(session_id, now, now + self.limits.absolute_seconds + 3600)

    def forbid(self, session_id: str, now: int) -> None:
        """Revoke the session that a login in flight has yet to create.

        Anybody can begin logins and sign out of them, so what is written for one that never finishes is kept
        only for as long as it could. It can have finished just now: then its tokens are there, because a
        login keeps them before it asks `is_revoked`, and its session is revoked like any other.

        Raises:
            StoreUnavailable: it may not be in force.
        """
        self.revocations.forbid_session(session_id, now, now + _IN_FLIGHT_SECONDS)
        if self.kept_tokens.has_any(session_id, now):
            self.revoke(session_id, now)

    def is_revoked(self, session_id: str, now: int) -> bool:
        """Whether `revoke`, `forbid` or `end` was called for this id, asked of the state store itself.

        Raises:
            StoreUnavailable: it cannot be said.
        """
        return self.revocations.is_revoked(session_id, now)

    def revoke_user(self, user_name: str, now: int) -> None:
        """End every session this user has, on every worker and host.

        Raises:
            StoreUnavailable: it may not be in force.
        """
        self.revocations.revoke_user(user_name, now)

    def _cookie(self, value: str) -> str:
        return set_cookie(self.names.session, value, path="/", secure=self.names.secure)

    def _find_in_header(self, cookie_header: str) -> Found:
        value = cookie_value(cookie_header, self.names.session)
        if value is None:
            raise _NotFound(AbsentReason.NO_COOKIE)
        if len(value) > _LONGEST_VALUE:
            raise _NotFound(AbsentReason.TOO_LONG)
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
        """The record behind a cookie's value, whatever its age. Raises _NotFound, StoreUnavailable."""

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
        data = self._sealer.open(value)
        if data is None:
            raise _NotFound(AbsentReason.UNREADABLE)
        record = decode_record(data)
        if record is None:
            raise _NotFound(AbsentReason.OTHER_VERSION)
        return record

    def _look_again(self, found: Found) -> None:
        return  # nothing is known of a sealed session but what its cookie says

    def _write(self, record: SessionRecord, now: int) -> str:
        value = self._sealer.seal(encode_record(record), now)
        size = len(self.names.session) + 1 + len(value)
        if size > COOKIE_BUDGET_BYTES:
            raise SessionTooLarge(size, record)
        return value

    def _rewrite(self, found: Found, record: SessionRecord, now: int) -> list[str]:
        value = self._sealer.seal(encode_record(record), now)
        return [self._cookie(value)]

    def _delete(self, record: SessionRecord, now: int) -> None:
        return


class StoredSessions(Sessions):
    """The record lies in a record cache, sealed; the cookie holds a sealed handle to it.

    Where workers share the cache they share the sessions; in a store in memory a session lives in one
    process. A cache that lost a record means a new login, never a session that ended and lives on: what has
    ended is known to the state store.
    """

    _purpose = "stored-session"

    def __init__(
        self,
        names: CookieNames,
        ring: KeyRing,
        gate_id: str,
        state: RecordStore,
        limits: SessionLimits,
        *,
        store: RecordCache,
        revocation_max_stale_seconds: int = 10,
        remembered: int = 10_000,
    ) -> None:
        super().__init__(
            names,
            ring,
            gate_id,
            state,
            limits,
            revocation_max_stale_seconds=revocation_max_stale_seconds,
            remembered=remembered,
        )
        self._store = store
        self._handles = Sealer(ring, "session-handle", gate_id)

    def probe(self, now: int) -> None:
        """See `Sessions.probe`. Of several servers, one is asked."""
        about_to_wait()
        self._store.get(_SESSIONS, "readyz", now=now)

    def _open(self, value: str) -> SessionRecord:
        handle = self._handles.open(value)
        if handle is None:
            raise _NotFound(AbsentReason.UNREADABLE)
        session_id = handle.decode()
        about_to_wait()
        # At any age: whether its time is up is compared on each load, for what is remembered too.
        stored = self._store.get(_SESSIONS, session_id, now=0)
        if stored is None:
            raise _NotFound(AbsentReason.UNKNOWN)
        data = self._sealer.open(stored.value.decode("ascii", "replace"))
        record = None if data is None else decode_record(data)
        # Whoever can write to the store must not be able to put one person's record under another's handle.
        if record is None or record.session_id != session_id:
            raise _NotFound(AbsentReason.OTHER_VERSION)
        return record

    def _look_again(self, found: Found) -> None:
        found.renew(self._open(found.cookie), self.limits)

    def _write(self, record: SessionRecord, now: int) -> str:
        sealed = self._sealed(record, now)
        if len(sealed) > STORED_BUDGET_BYTES:
            raise SessionTooLarge(len(sealed), record, STORED_BUDGET_BYTES)
        about_to_wait()
        try:
            self._store.put(_SESSIONS, record.session_id, sealed, expires_at=self._expires_at(record))
        except StoreUnavailable as error:
            # Not the state store, for which it would be taken otherwise.
            raise SessionUnavailable(UnavailableReason.SESSION_STORE, str(error)) from error
        return self._handles.seal(record.session_id.encode(), now)

    def _rewrite(self, found: Found, record: SessionRecord, now: int) -> list[str]:
        about_to_wait()
        try:
            stored = self._store.get(_SESSIONS, record.session_id, now=now)
            if stored is None:
                # Ended elsewhere, or lost: the next request looks again, as other workers would.
                found.expires_at = 0
                return []
            # Only over the copy that was read: a session that is being ended must not come back.
            self._store.swap(
                _SESSIONS,
                record.session_id,
                expected_version=stored.version,
                value=self._sealed(record, now),
                expires_at=self._expires_at(record),
                now=now,
            )
        except StoreUnavailable:
            return []
        found.renew(record, self.limits)
        return []

    def _delete(self, record: SessionRecord, now: int) -> None:
        about_to_wait()
        try:
            self._store.delete(_SESSIONS, record.session_id)
        except StoreUnavailable:
            # The session has ended: it was revoked before this. Its record goes by itself, and earlier.
            return

    def _sealed(self, record: SessionRecord, now: int) -> bytes:
        return self._sealer.seal(encode_record(record), now).encode()

    def _expires_at(self, record: SessionRecord) -> int:
        return min(record.absolute_at, record.seen_at + self.limits.idle_seconds)

"""Sessions whose record lies in a record cache or store: in memory, SQL, Redis or on memcached.

What holds for all sessions is next door in `oidcgate.gate.sessions`; the stores are `oidcgate.storage`.
"""

from typing import Final, Unpack

from oidcgate.gate.session import (
    STORED_BUDGET_BYTES,
    AbsentReason,
    Found,
    SessionLimits,
    SessionRecord,
    SessionTooLarge,
    SessionUnavailable,
    UnavailableReason,
    decode_record,
    encode_record,
)
from oidcgate.gate.sessions import MoreOfSessions, NotFound, Sessions
from oidcgate.storage.records import RecordCache, RecordStore, StoreUnavailable
from oidcgate.waiting import about_to_wait
from oidcgate.web.cookies import CookieNames
from oidcgate.web.sealing import KeyRing, Sealer

__all__ = ["StoredSessions"]

_SESSIONS: Final = "session"


class StoredSessions(Sessions):
    """The record lies in a record cache, sealed; the cookie holds a sealed handle to it.

    Where workers share the cache they share the sessions; in a store in memory a session lives in one
    process. A cache that lost a record means a new login, never a session that ended and lives on: what has
    ended is known to the state store.
    """

    _purpose = "session-handle"

    def __init__(
        self,
        names: CookieNames,
        ring: KeyRing,
        gate_id: str,
        state: RecordStore,
        limits: SessionLimits,
        *,
        store: RecordCache,
        **more: Unpack[MoreOfSessions],
    ) -> None:
        """Compose; see `Sessions`.

        Args:
            store: where the records lie.
        """
        super().__init__(names, ring, gate_id, state, limits, **more)
        self._store = store
        # Of the gate and not of a host, so that what lists sessions can ask for those of every host.
        self._sealer = Sealer(ring, "stored-session", gate_id)

    def seen_at(self, record: SessionRecord, now: int) -> int | None:
        """See `Sessions.seen_at`."""
        return self._kept(record.session_id, now).seen_at

    def probe(self, now: int) -> None:
        """See `Sessions.probe`. Of several servers, one is asked."""
        about_to_wait()
        self._store.get(_SESSIONS, "readyz", now=now)

    def _open(self, value: str) -> SessionRecord:
        handle = self._in_cookie.open(value)
        if handle is None:
            raise NotFound(AbsentReason.UNREADABLE)
        # At any age: whether its time is up is compared on each load, for what is remembered too.
        return self._kept(handle.decode(), 0)

    def _kept(self, session_id: str, now: int) -> SessionRecord:
        about_to_wait()
        stored = self._store.get(_SESSIONS, session_id, now=now)
        if stored is None:
            raise NotFound(AbsentReason.UNKNOWN)
        data = self._sealer.open(stored.value.decode("ascii", "replace"))
        record = None if data is None else decode_record(data)
        # Whoever can write to the store must not be able to put one person's record under another's handle.
        if record is None or record.session_id != session_id:
            raise NotFound(AbsentReason.OTHER_VERSION)
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
        return self._in_cookie.seal(record.session_id.encode(), now)

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
        if self._in_cookie.is_newest(found.cookie):
            return []
        # Before the secret that sealed it is dropped, or the session would be lost with it.
        return [self._cookie(self._in_cookie.seal(record.session_id.encode(), now))]

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

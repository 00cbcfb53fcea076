"""Which sessions have ended before their time: written to the state store, held in memory by each worker.

A sealed cookie stays readable after a logout, so ending a session means remembering that it ended. Here live
the revocation of one session, of one that a login in flight may still create, and of all that a user, a
provider's subject or a provider's own session has. What a session is lives in `oidcgate.gate.session`; who
may pass in `oidcgate.gate.decision`.
"""

import threading
from hashlib import sha256
from itertools import count
from typing import Final

from oidcgate.directory.port import fold
from oidcgate.gate.session import SessionRecord
from oidcgate.storage.records import RecordStore, StoreUnavailable
from oidcgate.waiting import about_to_wait

__all__ = [
    "IN_FLIGHT_SECONDS",
    "REVOCATIONS",
    "Revocations",
    "groups_of",
    "provider_key",
    "sid_group",
    "subject_group",
    "user_group",
]

#: Longer than a login can be under way: the life of its transaction, the calls to the IdP, unequal clocks.
IN_FLIGHT_SECONDS: Final = 1200

#: The kind of record whose writes every worker has to hear of.
REVOCATIONS: Final = "revocation"
_SESSION: Final = "session:"
_ALL: Final = "all"
# Anybody can forbid attempts of their own, as many as they like. Workers do not hold them in memory: only the
# login that would make such a session asks for it.
_FORBIDDEN: Final = "forbidden"
# Revocations are found by the seconds in which they were made, so that one more costs a worker the few that
# are new and not all. Hosts disagree about the time: a neighbour is read as well, and within a minute of
# each such read all that was made within ten.
_BUCKET_SECONDS: Final = 5
_WIDE_BUCKET_SECONDS: Final = 600
_WIDE_READ_SECONDS: Final = 60
_FULL_READ_SECONDS: Final = 3600
_PAGE: Final = 1000
_RETRY_SECONDS: Final = 1


def user_group(user_name: str) -> str:
    """What all sessions of a user have in common, under whatever provider."""
    return f"user:{fold(user_name)}"


def subject_group(iss: str, sub: str) -> str:
    """What all sessions of one subject of a provider have in common."""
    return f"sub:{provider_key(iss, sub)}"


def sid_group(iss: str, sid: str) -> str:
    """What the sessions that came out of one session at a provider have in common."""
    return f"sid:{provider_key(iss, sid)}"


def sidless_group(iss: str, sub: str) -> str:
    """What the sessions of one subject have in common of which the provider did not say a `sid`."""
    return f"sidless:{provider_key(iss, sub)}"


def groups_of(record: SessionRecord) -> tuple[str, str, str]:
    """Everything by which a session can be ended together with others."""
    iss, sub, sid = record.iss, record.sub, record.sid
    which = sidless_group(iss, sub) if sid is None else sid_group(iss, sid)
    return user_group(record.user_name), subject_group(iss, sub), which


def provider_key(iss: str, name: str) -> str:
    """A name that a provider gave something, as a key: no two pairs are one, and none is of any length."""
    return sha256(f"{len(iss)}:{iss}{name}".encode("utf-8", "surrogatepass")).hexdigest()


class Revocations:
    """The revocations in force, as fresh as the state store's generation.

    On each request `check` compares one number; the store is read only when that number moved. A worker that
    cannot read the store goes on with what it knows for `max_stale_seconds`, and then refuses to answer
    rather than admit a session that may have ended.
    """

    def __init__(
        self, store: RecordStore, *, longest_session_seconds: int, max_stale_seconds: int = 10
    ) -> None:
        """Nothing is read yet.

        Args:
            store: the state store, shared by all workers.
            longest_session_seconds: how long a session can live at most, and so a revocation has to.
            max_stale_seconds: how long an unreadable store is borne.
        """
        self._store = store
        self._longest = longest_session_seconds
        self._max_stale = max_stale_seconds
        self._lock = threading.Lock()
        # Not caches but the state itself, rebuilt from the store on each full read: expired ones go then.
        self._sessions: set[str] = set()
        self._not_before: dict[str, int] = {}
        # What the store did not take, and so does not give back on a read.
        self._unwritten: set[str] = set()
        self._generation: int | None = None
        self._verified_at: int | None = None
        self._read_at = 0
        self._wide_read_at = 0
        # Whether something was read since the last wide read: of a host whose clock is off there may be more.
        self._read_narrowly = False
        self._full_read_at = 0
        self._retry_at = 0
        #: Another number after each read; a session judged under the same number need not be judged again.
        self.version = 0
        # Never the same number twice, also when two threads revoke at once.
        self._versions = count(1)

    def check(self, now: int) -> int:
        """Bring the memory up to date if the store changed; returns `version`.

        Raises:
            StoreUnavailable: the store could not be read, and what is known is older than
                `max_stale_seconds`.
        """
        try:
            generation = self._store.generation()
            if self._is_read(generation, now):
                self._verified_at = now
                return self.version
            self._read(generation, now)
        except StoreUnavailable:
            if self._verified_at is None or now - self._verified_at > self._max_stale:
                raise
        return self.version

    def covers(self, record: SessionRecord) -> bool:
        """Whether this session has ended: by itself, or with all of its user, subject or `sid`.

        A session made in the very second of such a revocation counts as one from before it.
        """
        if record.session_id in self._sessions or record.session_id in self._unwritten:
            return True
        if not self._not_before:
            return False
        return any(record.created_at <= self._not_before.get(group, -1) for group in groups_of(record))

    def revoke_session(self, session_id: str, now: int, until: int) -> None:
        """End a session, up to `until`.

        Raises:
            StoreUnavailable: it may not be in force.
        """
        self._put(_SESSION + session_id, b"", now, until)
        self._sessions.add(session_id)
        self._unwritten.discard(session_id)
        self.version = next(self._versions)

    def refuse_session(self, session_id: str) -> None:
        """End a session for this worker alone, until `revoke_session` can be written down."""
        self._unwritten.add(session_id)
        self.version = next(self._versions)

    def forbid_session(self, session_id: str, now: int, until: int) -> None:
        """Forbid a session that a login under way may still make: `was_overtaken` says so.

        Raises:
            StoreUnavailable: it may not be in force.
        """
        # Sent again and again it costs a look and no write.
        if self._store.get(_FORBIDDEN, session_id, now=now) is None:
            self._store.put(_FORBIDDEN, session_id, b"", expires_at=until)

    def revoke_user(self, user_name: str, now: int) -> None:
        """End every session that this user has had up to now.

        Raises:
            StoreUnavailable: it may not be in force.
        """
        self._revoke_group(user_group(user_name), now)

    def revoke_subject(self, iss: str, sub: str, now: int) -> None:
        """End every session that this subject of a provider has had up to now.

        Raises:
            StoreUnavailable: it may not be in force.
        """
        self._revoke_group(subject_group(iss, sub), now)

    def revoke_sid(self, iss: str, sid: str, now: int) -> None:
        """End every session that has come out of this session at the provider up to now.

        Raises:
            StoreUnavailable: it may not be in force.
        """
        self._revoke_group(sid_group(iss, sid), now)

    def revoke_sidless(self, iss: str, sub: str, now: int) -> None:
        """End every session that this subject has had up to now of which the provider did not say a `sid`.

        Raises:
            StoreUnavailable: it may not be in force.
        """
        self._revoke_group(sidless_group(iss, sub), now)

    def forbid_sid(self, iss: str, sid: str, now: int) -> None:
        """Forbid what logins under way may still make of this session at the provider; see `was_overtaken`.

        Raises:
            StoreUnavailable: it may not be in force.
        """
        until = now + IN_FLIGHT_SECONDS
        self._store.put(_FORBIDDEN, sid_group(iss, sid), str(now).encode(), expires_at=until)

    def was_overtaken(self, record: SessionRecord, began_at: int, now: int) -> bool:
        """Whether this session ended before its login did: by itself, or with others since the login began.

        The store itself is asked. What `covers` compares would not do: a session is younger than its login.

        Args:
            record: the session.
            began_at: when the browser was sent to the provider. An end within that second counts.

        Raises:
            StoreUnavailable: it cannot be said.
        """
        get = self._store.get
        for kind, key in ((_FORBIDDEN, record.session_id), (REVOCATIONS, _SESSION + record.session_id)):
            if get(kind, key, now=now) is not None:
                return True
        groups = groups_of(record)
        ends = (
            get(kind, key, now=now)
            for kind, key in (*((REVOCATIONS, group) for group in groups), (_FORBIDDEN, groups[-1]))
        )
        return any(end is not None and began_at <= int(end.value) for end in ends)

    def _revoke_group(self, group: str, now: int) -> None:
        # For as long as a session from before can live, and a login from before can be under way.
        self._put(group, str(now).encode(), now, now + max(self._longest, IN_FLIGHT_SECONDS))
        self._not_before[group] = max(now, self._not_before.get(group, 0))
        self.version = next(self._versions)

    def _put(self, key: str, value: bytes, now: int, until: int) -> None:
        tags = (_ALL, f"at:{now // _BUCKET_SECONDS}", f"about:{now // _WIDE_BUCKET_SECONDS}")
        self._store.put(REVOCATIONS, key, value, expires_at=until, tags=tags)

    def _is_read(self, generation: int, now: int) -> bool:
        wide_is_due = self._read_narrowly and now - self._wide_read_at >= _WIDE_READ_SECONDS
        full_is_due = now - self._full_read_at >= _FULL_READ_SECONDS
        return generation == self._generation and not wide_is_due and not full_is_due

    def _read(self, generation: int, now: int) -> None:
        about_to_wait()
        with self._lock:
            if self._is_read(generation, now):
                return  # another thread has read it meanwhile
            known_well_enough = self._verified_at is not None and now - self._verified_at <= self._max_stale
            if now < self._retry_at and known_well_enough:
                # The last attempt failed a moment ago: a slow store must not hold up every request in turn.
                return
            try:
                self._read_changes(now)
            except StoreUnavailable:
                self._retry_at = now + _RETRY_SECONDS
                raise
            # The generation from before the read: what was written during it is seen at the next check.
            self._generation = generation
            self._verified_at = self._read_at = now
            self.version = next(self._versions)

    def _read_changes(self, now: int) -> None:
        if self._verified_at is None or now - self._full_read_at >= _FULL_READ_SECONDS or now < self._read_at:
            sessions: set[str] = set()
            not_before: dict[str, int] = {}
            self._collect(_ALL, now, sessions, not_before)
            self._sessions, self._not_before = sessions, not_before
            self._full_read_at = self._wide_read_at = now
            self._read_narrowly = False
            return
        wide = now - self._wide_read_at >= _WIDE_READ_SECONDS
        if wide:
            name, seconds, since = "about", _WIDE_BUCKET_SECONDS, self._wide_read_at
        else:
            name, seconds, since = "at", _BUCKET_SECONDS, self._read_at
        for bucket in range(since // seconds - 1, now // seconds + 2):
            self._collect(f"{name}:{bucket}", now, self._sessions, self._not_before)
        # Only now: had it failed, the next read would have to look for the same.
        self._read_narrowly = not wide
        if wide:
            self._wide_read_at = now

    def _collect(self, tag: str, now: int, sessions: set[str], not_before: dict[str, int]) -> None:
        after = ""
        while True:
            page = self._store.find(REVOCATIONS, tag, now=now, limit=_PAGE, after=after)
            for key, record in page:
                if key.startswith(_SESSION):
                    sessions.add(key[len(_SESSION) :])
                else:
                    not_before[key] = max(int(record.value), not_before.get(key, 0))
            if len(page) < _PAGE:
                return
            after = page[-1][0]

"""What stored sessions must do over any record cache. A test module subclasses it and gives `records`.

What holds for sealed sessions as well is in tests/oidcgate/gate/test_session.py.
"""

import pytest

from oidcgate.gate.session import (
    STORED_BUDGET_BYTES,
    Absent,
    AbsentReason,
    Found,
    SessionLimits,
    SessionTooLarge,
    SessionUnavailable,
    Unavailable,
    UnavailableReason,
)
from oidcgate.gate.stored_sessions import StoredSessions
from oidcgate.storage.memory import MemoryStore
from oidcgate.storage.records import Record, RecordCache, StoreFailure, StoreUnavailable
from oidcgate.waiting import WouldWait, at_once
from oidcgate.web.cookies import CookieNames
from oidcgate.web.sealing import KeyRing, new_secret
from tests.oidcgate.gate.parts import NOW, cookie_of, record

NAMES = CookieNames.of("https://app.example.com")
SECRET = new_secret()
LIMITS = SessionLimits.of(idle_seconds=600, absolute_seconds=3600)
UNAVAILABLE = Unavailable(UnavailableReason.SESSION_STORE)


class Watched:
    """A cache whose calls are noted, which goes away when told to."""

    def __init__(self, inner: RecordCache) -> None:
        self.inner = inner
        self.calls: list[str] = []
        self.down = False

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.down:
            raise StoreUnavailable(StoreFailure.UNREACHABLE, "the test says so")

    def put(self, kind: str, key: str, value: bytes, *, expires_at: int) -> None:
        self._call("put")
        self.inner.put(kind, key, value, expires_at=expires_at)

    def get(self, kind: str, key: str, *, now: int) -> Record | None:
        self._call("get")
        return self.inner.get(kind, key, now=now)

    def swap(
        self, kind: str, key: str, *, expected_version: int, value: bytes, expires_at: int, now: int
    ) -> bool:
        self._call("swap")
        return self.inner.swap(
            kind, key, expected_version=expected_version, value=value, expires_at=expires_at, now=now
        )

    def delete(self, kind: str, key: str) -> None:
        self._call("delete")
        self.inner.delete(kind, key)


class SessionStoreContract:
    """The suite; every test gets a new, empty cache and workers that share it."""

    @pytest.fixture
    def store(self, records: RecordCache) -> Watched:
        return Watched(records)

    @pytest.fixture
    def state(self) -> MemoryStore:
        return MemoryStore(clock=lambda: NOW)

    @pytest.fixture
    def here(self, store: Watched, state: MemoryStore) -> StoredSessions:
        return self.worker(store, state)

    @pytest.fixture
    def there(self, store: Watched, state: MemoryStore) -> StoredSessions:
        return self.worker(store, state)

    @staticmethod
    def worker(
        store: Watched, state: MemoryStore, remembered: int = 10_000, secrets: tuple[str, ...] = (SECRET,)
    ) -> StoredSessions:
        """A worker that remembers nothing yet."""
        ring = KeyRing(secrets)
        return StoredSessions(NAMES, ring, "gate", state, LIMITS, store=store, remembered=remembered)

    @staticmethod
    def found(sessions: StoredSessions, cookie: str, now: int) -> Found:
        session = sessions.load(cookie, now)
        assert isinstance(session, Found), session
        return session

    @staticmethod
    def reason(sessions: StoredSessions, cookie: str, now: int) -> AbsentReason:
        session = sessions.load(cookie, now)
        assert isinstance(session, Absent), session
        return session.reason

    @pytest.mark.row("T-03")
    def test_two_workers_share_a_session(self, here: StoredSessions, there: StoredSessions) -> None:
        cookie = cookie_of(here.create(record(claims={"groups": ["a"]}), NOW))
        session = self.found(there, cookie, NOW + 1).record
        assert (session.user_name, session.claims) == ("Alice", {"groups": ["a"]})
        assert (session.created_at, session.absolute_at) == (NOW, NOW + 3600)

    @pytest.mark.row("T-03")
    def test_the_second_request_makes_no_store_call(self, store: Watched, here: StoredSessions) -> None:
        cookie = cookie_of(here.create(record(), NOW))
        store.calls.clear()
        first = self.found(here, cookie, NOW)
        assert store.calls == ["get"]
        for later in range(60):
            assert self.found(here, cookie, NOW + later) is first
        assert store.calls == ["get"]

    @pytest.mark.row("T-03")
    def test_use_on_one_worker_keeps_the_session_on_another(
        self, here: StoredSessions, there: StoredSessions
    ) -> None:
        cookie = cookie_of(here.create(record(), NOW))
        self.found(there, cookie, NOW)
        here.touch(self.found(here, cookie, NOW + 500), NOW + 500)
        # The copy that is remembered there has run out; the session has not.
        assert self.found(there, cookie, NOW + 1000).record.seen_at == NOW + 500
        for worker in (here, there):
            assert self.reason(worker, cookie, NOW + 1100) is AbsentReason.IDLE

    @pytest.mark.row("T-03")
    @pytest.mark.parametrize(
        ("used", "now", "reason"),
        [
            ((), 599, None),
            ((), 600, AbsentReason.IDLE),
            ((60,), 659, None),
            ((60,), 660, AbsentReason.IDLE),
            (tuple(range(60, 3600, 60)), 3599, None),
            (tuple(range(60, 3600, 60)), 3600, AbsentReason.EXPIRED),
        ],
    )
    def test_a_session_lives_to_the_very_second_that_its_limits_say(
        self,
        here: StoredSessions,
        there: StoredSessions,
        used: tuple[int, ...],
        now: int,
        reason: AbsentReason | None,
    ) -> None:
        cookie = cookie_of(here.create(record(), NOW))
        for second in used:
            here.touch(self.found(here, cookie, NOW + second), NOW + second)
        for worker in (here, there):
            if reason is None:
                self.found(worker, cookie, NOW + now)
            else:
                assert self.reason(worker, cookie, NOW + now) is reason

    @pytest.mark.row("T-03")
    def test_no_use_carries_a_session_beyond_its_absolute_end(
        self, here: StoredSessions, there: StoredSessions
    ) -> None:
        cookie = cookie_of(here.create(record(), NOW))
        for now in range(NOW, NOW + 3600, 300):
            for worker in (here, there):
                worker.touch(self.found(worker, cookie, now), now)
        for worker in (here, there):
            self.found(worker, cookie, NOW + 3599)
            assert self.reason(worker, cookie, NOW + 3600) is AbsentReason.EXPIRED

    @pytest.mark.row("T-03", "G-23")
    def test_a_logout_is_in_force_at_the_next_request_of_a_worker_that_remembers(
        self, store: Watched, here: StoredSessions, there: StoredSessions
    ) -> None:
        cookie = cookie_of(here.create(record(), NOW))
        self.found(there, cookie, NOW)
        here.end(self.found(here, cookie, NOW).record, NOW + 1)
        store.calls.clear()
        assert self.reason(there, cookie, NOW + 1) is AbsentReason.REVOKED
        assert store.calls == [], "it is told by the state store"
        assert store.inner.get("session", "s1", now=0) is None, "and the record is gone"

    @pytest.mark.row("G-23")
    def test_a_use_that_is_being_recorded_does_not_bring_a_session_back(
        self, store: Watched, state: MemoryStore, here: StoredSessions, there: StoredSessions
    ) -> None:
        cookie = cookie_of(here.create(record(), NOW))
        session = self.found(there, cookie, NOW)
        looked_up = store.inner.get

        def ended_meanwhile(kind: str, key: str, *, now: int) -> Record | None:
            answer = looked_up(kind, key, now=now)
            here.end(session.record, now)
            return answer

        slow = Watched(store.inner)
        slow.get = ended_meanwhile
        there._store = slow
        there.touch(session, NOW + 60)
        assert slow.calls == ["swap"]
        assert looked_up("session", "s1", now=0) is None
        assert isinstance(self.worker(store, state).load(cookie, NOW + 60), Absent)

    @pytest.mark.row("T-03")
    def test_a_session_that_was_lost_is_absent_to_all_within_a_minute(
        self, store: Watched, here: StoredSessions, there: StoredSessions
    ) -> None:
        cookie = cookie_of(here.create(record(), NOW))
        session = self.found(here, cookie, NOW)
        store.inner.delete("session", "s1")
        assert self.reason(there, cookie, NOW + 1) is AbsentReason.UNKNOWN
        # The worker that remembers finds out when it has to record the use.
        assert session.touch_at == NOW + 60
        assert here.touch(session, NOW + 60) == []
        assert self.reason(here, cookie, NOW + 60) is AbsentReason.UNKNOWN
        assert store.inner.get("session", "s1", now=0) is None, "nobody writes it anew"
        fresh = cookie_of(here.create(record("s2"), NOW + 61))
        assert fresh != cookie
        self.found(there, fresh, NOW + 61)

    def test_what_was_absent_is_looked_up_again(self, store: Watched, here: StoredSessions) -> None:
        cookie = cookie_of(here.create(record(), NOW))
        kept = store.inner.get("session", "s1", now=NOW)
        assert kept is not None
        store.inner.delete("session", "s1")
        assert self.reason(here, cookie, NOW) is AbsentReason.UNKNOWN
        store.inner.put("session", "s1", kept.value, expires_at=kept.expires_at)
        self.found(here, cookie, NOW)

    @pytest.mark.row("G-16")
    def test_a_new_secret_signs_nobody_out_and_the_old_one_can_go_once_the_session_was_used(
        self, store: Watched, state: MemoryStore, here: StoredSessions
    ) -> None:
        cookie = cookie_of(here.create(record(), NOW))
        fresh = new_secret()
        rotated = self.worker(store, state, secrets=(fresh, SECRET))
        session = self.found(rotated, cookie, NOW + 1)
        renewed = cookie_of(rotated.touch(session, NOW + 60))
        assert renewed != cookie
        assert self.worker(store, state, secrets=(fresh,)).load(cookie, NOW + 61) == Absent(
            AbsentReason.UNREADABLE
        )
        last = self.worker(store, state, secrets=(fresh,))
        assert self.found(last, renewed, NOW + 61).record.session_id == "s1"
        assert [each.session_id for each in last.index.of_user("Alice", NOW + 61)] == ["s1"]
        # One that is sealed under the newest is given out once.
        assert last.touch(self.found(last, renewed, NOW + 121), NOW + 121) == []

    @pytest.mark.row("G-05", "T-03")
    def test_an_outage_lets_nobody_in_and_logs_nobody_out(
        self, store: Watched, here: StoredSessions, there: StoredSessions
    ) -> None:
        cookie = cookie_of(here.create(record(), NOW))
        remembered = self.found(here, cookie, NOW)
        store.down = True
        for later in range(0, 300, 50):
            assert there.load(cookie, NOW + later) == UNAVAILABLE
            # Whom the worker knows it lets in, until their time is up as it knows it.
            assert self.found(here, cookie, NOW + later) is remembered
        here.touch(remembered, NOW + 300)
        assert here.load(cookie, NOW + 600) == UNAVAILABLE
        with pytest.raises(SessionUnavailable) as refused:
            here.create(record("s2"), NOW)
        assert refused.value.reason is UnavailableReason.SESSION_STORE
        assert str(refused.value) == "the test says so"
        store.down = False
        here.touch(self.found(there, cookie, NOW + 301), NOW + 301)
        assert self.found(here, cookie, NOW + 700).record.session_id == "s1"

    @pytest.mark.row("G-23", "G-05")
    def test_a_logout_during_an_outage_is_in_force_and_stays_so(
        self, store: Watched, state: MemoryStore, here: StoredSessions, there: StoredSessions
    ) -> None:
        cookie = cookie_of(here.create(record(), NOW))
        session = self.found(here, cookie, NOW)
        self.found(there, cookie, NOW)
        store.down = True
        here.end(session.record, NOW + 1)
        assert self.reason(there, cookie, NOW + 1) is AbsentReason.REVOKED
        store.down = False
        assert store.inner.get("session", "s1", now=NOW) is not None, "it could not be removed"
        for now in range(NOW + 1, NOW + 3700, 100):
            for worker in (here, there, self.worker(store, state)):
                assert isinstance(worker.load(cookie, now), Absent)

    @pytest.mark.row("G-03")
    def test_what_is_kept_cannot_be_read_or_exchanged(self, store: Watched, here: StoredSessions) -> None:
        alice = cookie_of(here.create(record("s1", "canary-alice"), NOW))
        here.create(record("s2", "canary-bob"), NOW)
        kept = [store.inner.get("session", key, now=NOW) for key in ("s1", "s2")]
        assert all(each is not None and b"canary" not in each.value for each in kept)
        assert kept[1] is not None
        store.inner.put("session", "s1", kept[1].value, expires_at=NOW + 600)
        assert self.reason(here, alice, NOW) is AbsentReason.OTHER_VERSION
        store.inner.put("session", "s1", b"\x00\xff", expires_at=NOW + 600)
        assert self.reason(here, alice, NOW) is AbsentReason.OTHER_VERSION

    @pytest.mark.row("G-03")
    def test_a_large_session_is_kept_and_a_huge_one_refused_by_name(self, here: StoredSessions) -> None:
        large = {"groups": [f"group-{number:05}" for number in range(1500)]}
        cookie = cookie_of(here.create(record(claims=large), NOW))
        assert len(cookie) < 200
        assert self.found(here, cookie, NOW).record.claims == large
        with pytest.raises(
            SessionTooLarge, match=r"the stored session would have .* claims: groups"
        ) as refused:
            here.create(record(claims={"groups": "x" * STORED_BUDGET_BYTES}), NOW)
        assert refused.value.size > STORED_BUDGET_BYTES

    @pytest.mark.row("G-28")
    def test_a_worker_remembers_so_many_and_no_more(self, store: Watched, state: MemoryStore) -> None:
        sessions = self.worker(store, state, remembered=10)
        cookies = [cookie_of(sessions.create(record(f"s{number}"), NOW)) for number in range(30)]
        for cookie in cookies:
            self.found(sessions, cookie, NOW)
        store.calls.clear()
        for cookie in cookies[-10:]:
            self.found(sessions, cookie, NOW)
        assert store.calls == []
        self.found(sessions, cookies[0], NOW)
        assert store.calls == ["get"]

    def test_who_must_not_wait_is_told_before_anybody_is_asked(
        self, store: Watched, here: StoredSessions, there: StoredSessions
    ) -> None:
        cookie = cookie_of(here.create(record(), NOW))
        store.calls.clear()
        with pytest.raises(WouldWait):
            at_once(there.load, cookie, NOW)
        assert store.calls == []
        session = self.found(there, cookie, NOW)
        assert at_once(there.load, cookie, NOW + 1) is session
        # No call is needed to see that this is no session.
        assert at_once(there.load, cookie + "x", NOW) == Absent(AbsentReason.UNREADABLE)
        store.calls.clear()
        for call in (
            lambda: there.load(cookie, NOW + 600),
            lambda: there.touch(session, NOW + 60),
            lambda: there.create(record("s2"), NOW),
        ):
            with pytest.raises(WouldWait):
                at_once(call)
        assert store.calls == []

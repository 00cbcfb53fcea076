"""Which sessions have begun and not ended, and that a user has no more of them than they may."""

import multiprocessing
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from oidcgate.gate.session import Absent, Found, SessionLimits, SessionRecord
from oidcgate.gate.sessions import SealedSessions, Sessions
from oidcgate.gate.stored_sessions import StoredSessions
from oidcgate.storage.records import RecordStore, StoreUnavailable
from oidcgate.storage.redis import RedisStore
from oidcgate.storage.redis_address import redis_server_of
from oidcgate.storage.sql import SqlStore
from oidcgate.web.cookies import CookieNames
from oidcgate.web.sealing import KeyRing, new_secret
from tests.contracts.record_cache import together
from tests.oidcgate.gate.parts import ISSUER, NOW, SECRET, Store, cookie_of, record
from tests.support.postgresql import Postgresql
from tests.support.redis import redis_server

NAMES = CookieNames.of("https://app.example.com")
LIMITS = SessionLimits.of(idle_seconds=600, absolute_seconds=3600)

Make = Callable[..., Sessions]


def sealed(
    state: RecordStore, *, secrets: tuple[str, ...] = (SECRET,), gate: str = "gate", **more: object
) -> Sessions:
    return SealedSessions(NAMES, KeyRing(secrets), gate, state, LIMITS, **more)


def stored(
    state: RecordStore, *, secrets: tuple[str, ...] = (SECRET,), gate: str = "gate", **more: object
) -> Sessions:
    return StoredSessions(NAMES, KeyRing(secrets), gate, state, LIMITS, store=state, **more)


KINDS = pytest.mark.parametrize("make", [sealed, stored])


@pytest.fixture
def state() -> Store:
    return Store()


def names(records: object) -> list[str]:
    return sorted(each.session_id for each in records)


@KINDS
@pytest.mark.row("G-08")
def test_what_began_is_listed_until_it_ends(make: Make, state: Store) -> None:
    sessions = make(state)
    sessions.create(record("s1", "Alice", sid="op-1", claims={"groups": ["a"]}), NOW)
    sessions.create(record("s2", "Alice", sub="second", sid="op-2"), NOW + 1)
    sessions.create(record("s3", "Bob"), NOW + 2)
    index = make(state).index
    assert names(index.everybody(NOW + 3)) == ["s1", "s2", "s3"]
    assert names(index.of_user("ALICE", NOW + 3)) == ["s1", "s2"]
    assert names(index.of_subject(ISSUER, "second", NOW + 3)) == ["s2"]
    assert names(index.of_sid(ISSUER, "op-1", NOW + 3)) == ["s1"]
    assert names(index.of_sid("https://other.example", "op-1", NOW + 3)) == []
    listed = index.get("s1", NOW + 3)
    assert listed is not None
    assert (listed.user_name, listed.created_at, listed.absolute_at) == ("Alice", NOW, NOW + 3600)
    assert listed.claims == {}, "who lists sessions has no business with what is in them"
    sessions.end(listed, NOW + 4)
    sessions.revoke_user("Bob", NOW + 4)
    assert names(index.everybody(NOW + 4)) == ["s2"]
    assert names(index.everybody(NOW + 3601)) == []
    assert index.get("s1", NOW + 4) is None


@KINDS
def test_a_session_that_begins_while_its_user_is_revoked_stays_listed(make: Make, state: Store) -> None:
    sessions = make(state)
    sessions.create(record("s1"), NOW)
    sessions.create(record("s2"), NOW + 11)
    assert names(each.record for each in sessions.revoke_user("Alice", NOW + 10)) == ["s1"]
    assert names(sessions.index.of_user("Alice", NOW + 11)) == ["s2"]


def test_another_gate_and_a_dropped_secret_list_nothing(state: Store) -> None:
    sealed(state).create(record(), NOW)
    for other in (sealed(state, gate="other"), sealed(state, secrets=(new_secret(),))):
        assert names(other.index.everybody(NOW)) == []
        assert names(other.index.of_user("Alice", NOW)) == []
    rotated = sealed(state, secrets=(new_secret(), SECRET))
    assert names(rotated.index.everybody(NOW)) == ["s1"]


def test_rows_that_were_altered_are_passed_over(state: Store) -> None:
    sessions = sealed(state)
    sessions.create(record("s1"), NOW)
    sessions.create(record("s2", "Bob"), NOW)
    ((key, _),) = state.find("signed-in", sessions.index._tag("user:bob"), now=NOW)
    for value in (b"", b"\xff\x00", sessions.index._sealer.seal(b"\xc1", NOW).encode()):
        state.put("signed-in", key, value, expires_at=NOW + 600, tags=(sessions.index._all,))
        assert names(sessions.index.everybody(NOW)) == ["s1"]


def test_more_sessions_than_a_page_are_all_listed(state: Store) -> None:
    sessions = sealed(state)
    for number in range(1100):
        sessions.create(record(f"s{number}"), NOW)
    assert len(names(sessions.index.everybody(NOW))) == 1100


def test_the_database_tells_nobody_who_is_signed_in(tmp_path: Path) -> None:
    with closing(SqlStore(f"sqlite:///{tmp_path}/state.db", clock=lambda: NOW)) as store:
        sealed(store).create(record("canary-id", "canary-alice", sub="canary-sub", sid="canary-sid"), NOW)
        with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
            text = "\n".join(connection.iterdump())
    assert "signed-in" in text
    assert "canary" not in text


@KINDS
def test_a_session_of_which_no_note_can_be_taken_is_not_given_out(make: Make) -> None:
    state, kept = Store(), Store()
    sessions = (
        make(state)
        if make is sealed
        else StoredSessions(NAMES, KeyRing([SECRET]), "gate", state, LIMITS, store=kept)
    )
    state.down = True
    with pytest.raises(StoreUnavailable):
        sessions.create(record(), NOW)


# -- as many as a user may have


def alive(sessions: Sessions, cookies: dict[str, str], now: int) -> list[str]:
    return sorted(name for name, cookie in cookies.items() if isinstance(sessions.load(cookie, now), Found))


@KINDS
def test_the_oldest_end_when_a_user_has_too_many(make: Make, state: Store) -> None:
    ended: list[SessionRecord] = []
    here, there = make(state, max_per_user=2, displaced=ended.append), make(state, max_per_user=2)
    bob = cookie_of(here.create(record("bob", "Bob"), NOW))
    cookies = {}
    for number in range(1, 5):
        cookies[f"s{number}"] = cookie_of(here.create(record(f"s{number}"), NOW + number))
        assert alive(there, cookies, NOW + number) == [
            f"s{each}" for each in range(max(1, number - 1), number + 1)
        ]
    assert names(ended) == ["s1", "s2"]
    assert isinstance(there.load(bob, NOW + 5), Found)
    # One that ended makes room.
    here.end(here.load(cookies["s4"], NOW + 5).record, NOW + 5)
    cookies["s5"] = cookie_of(there.create(record("s5", "ALICE"), NOW + 6))
    assert alive(here, cookies, NOW + 6) == ["s3", "s5"]


def test_any_number_is_the_default(state: Store) -> None:
    sessions = sealed(state)
    cookies = {f"s{number}": cookie_of(sessions.create(record(f"s{number}"), NOW)) for number in range(30)}
    assert len(alive(sessions, cookies, NOW)) == 30


@KINDS
def test_a_session_that_gives_way_to_the_new_one_does_not_count(make: Make, state: Store) -> None:
    sessions = make(state, max_per_user=2)
    cookies = {
        name: cookie_of(sessions.create(record(name), NOW + at)) for name, at in [("phone", 0), ("old", 1)]
    }
    old = sessions.load(cookies["old"], NOW + 2)
    assert isinstance(old, Found)
    cookies["new"] = cookie_of(sessions.create(record("new"), NOW + 2, replaces=old.record))
    sessions.end(old.record, NOW + 2)
    assert alive(sessions, cookies, NOW + 2) == ["new", "phone"]


def test_a_host_whose_clock_is_late_does_not_end_what_it_has_just_begun(state: Store) -> None:
    on_time, late = (sealed(state, max_per_user=1) for _ in range(2))
    cookies = {"s1": cookie_of(on_time.create(record("s1"), NOW))}
    cookies["s2"] = cookie_of(late.create(record("s2"), NOW - 30))
    assert alive(on_time, cookies, NOW) == ["s2"]


@KINDS
def test_threads_that_sign_one_user_in_at_once_leave_as_many_as_are_allowed(make: Make, state: Store) -> None:
    workers = [make(state, max_per_user=3) for _ in range(12)]
    made = together(12, lambda index: cookie_of(workers[index].create(record(f"s{index}"), NOW)))
    cookies = {f"s{index}": str(cookie) for index, cookie in enumerate(made)}
    assert len(alive(make(state), cookies, NOW)) == 3


def _store(url: str) -> RecordStore:
    if url.startswith("redis:"):
        return RedisStore(redis_server_of(url), "gate", wall_clock=lambda: NOW)
    return SqlStore(url, clock=lambda: NOW)


def _sign_in(url: str, process: int, many: int, start: object, made: object) -> None:
    with closing(_store(url)) as store:
        sessions = sealed(store, max_per_user=3)
        start.wait(60)
        made.put(
            [
                cookie_of(sessions.create(record(f"{process}-{number}"), NOW + number))
                for number in range(many)
            ]
        )


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("redis", marks=pytest.mark.live),
        pytest.param("pg", marks=pytest.mark.live),
    ]
)
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A store that processes can share, empty."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/state.db"
    elif request.param == "redis":
        with redis_server() as server:
            yield server.url
    else:
        postgresql: Postgresql = request.getfixturevalue("postgresql_server")
        with postgresql.database() as name:
            yield postgresql.url(name)


@pytest.mark.slow
def test_processes_that_sign_one_user_in_at_once_leave_as_many_as_are_allowed(shared_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    start, made = context.Barrier(3), context.Queue()
    processes = [
        context.Process(target=_sign_in, args=(shared_url, index, 15, start, made)) for index in range(3)
    ]
    for process in processes:
        process.start()
    cookies = {cookie: cookie for _ in processes for cookie in made.get(timeout=120)}
    for process in processes:
        process.join(60)
    assert len(cookies) == 45
    with closing(_store(shared_url)) as store:
        after = sealed(store)
        living = alive(after, cookies, NOW + 20)
        assert len(living) == 3
        assert len(names(after.index.of_user("Alice", NOW + 20))) == 3
        assert all(isinstance(after.load(cookie, NOW + 20), Absent) for cookie in set(cookies) - set(living))

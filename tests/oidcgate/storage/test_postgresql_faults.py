"""A PostgreSQL that is frozen, stopped and started anew, under the store and under sessions in it."""

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from oidcgate.gate.session import Absent, AbsentReason, Found, SessionLimits, Unavailable, UnavailableReason
from oidcgate.gate.stored_sessions import StoredSessions
from oidcgate.storage.memory import MemoryStore
from oidcgate.storage.records import StoreFailure, StoreUnavailable
from oidcgate.storage.sql import SqlStore
from oidcgate.web.cookies import CookieNames
from oidcgate.web.sealing import KeyRing
from tests.contracts.record_cache import together
from tests.oidcgate.gate.parts import NOW, SECRET, cookie_of, record
from tests.support.postgresql import Postgresql

pytestmark = [pytest.mark.live, pytest.mark.slow]

PATIENCE_SECONDS = 0.5
#: A lock has a second more, and a new connection is tried for two.
AT_MOST_SECONDS = 15


@pytest.fixture
def store(postgresql_server: Postgresql) -> Iterator[SqlStore]:
    with postgresql_server.database() as name:
        url = postgresql_server.url(name)
        with closing(SqlStore(url, busy_timeout_seconds=PATIENCE_SECONDS, clock=lambda: NOW)) as store:
            store.put("kind", "key", b"v", expires_at=NOW + 100)
            yield store


def value_of(store: SqlStore) -> bytes | None:
    found = store.get("kind", "key", now=NOW)
    return None if found is None else found.value


@pytest.mark.row("G-05")
def test_a_frozen_server_is_unavailable_in_time_and_then_at_once(
    store: SqlStore, postgresql_server: Postgresql
) -> None:
    assert together(3, lambda _: value_of(store)) == [b"v"] * 3
    with postgresql_server.frozen():
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable, match="cannot be reached") as refused:
            value_of(store)
        assert refused.value.reason is StoreFailure.UNREACHABLE
        assert PATIENCE_SECONDS < time.monotonic() - begun < AT_MOST_SECONDS
        begun = time.monotonic()
        refusals = together(8, lambda _: value_of(store))
        assert time.monotonic() - begun < AT_MOST_SECONDS
        assert all(isinstance(each, StoreUnavailable) for each in refusals)
        assert sum("a moment ago" in str(each) for each in refusals) >= 7, "one looks, the others do not wait"
    time.sleep(1.1)  # the pause for which a server that did not answer is left alone
    # No answer to what was asked before it was frozen is taken for the answer to what is asked now.
    assert store.get("kind", "other", now=NOW) is None
    assert value_of(store) == b"v"


@pytest.mark.row("G-05")
def test_a_server_that_was_started_anew_is_asked_on_new_connections(
    store: SqlStore, postgresql_server: Postgresql
) -> None:
    together(3, lambda _: value_of(store))
    postgresql_server.stop()
    try:
        with pytest.raises(StoreUnavailable) as refused:
            value_of(store)
        assert refused.value.reason is StoreFailure.UNREACHABLE
    finally:
        postgresql_server.start()
    assert value_of(store) == b"v"
    assert together(3, lambda _: value_of(store)) == [b"v"] * 3


@pytest.mark.row("G-05", "T-03")
def test_sessions_in_a_frozen_database_are_unavailable_and_then_the_same(
    store: SqlStore, postgresql_server: Postgresql
) -> None:
    names = CookieNames.of("https://app.example.com")
    limits = SessionLimits.of(idle_seconds=600, absolute_seconds=3600)
    state = MemoryStore(clock=lambda: NOW)
    here, there = (
        StoredSessions(names, KeyRing([SECRET]), "gate", state, limits, store=store) for _ in range(2)
    )
    cookie = cookie_of(here.create(record(), NOW))
    assert isinstance(here.load(cookie, NOW), Found)
    with postgresql_server.frozen():
        assert there.load(cookie, NOW) == Unavailable(UnavailableReason.SESSION_STORE)
        # Whom a worker remembers, it lets in; a sign-out is in force although the record cannot be removed.
        found = here.load(cookie, NOW)
        assert isinstance(found, Found)
        here.touch(found, NOW + 60)
        assert isinstance(here.load(cookie, NOW + 60), Found)
    time.sleep(1.1)
    found = there.load(cookie, NOW + 61)
    assert isinstance(found, Found)
    here.end(found.record, NOW + 61)
    assert there.load(cookie, NOW + 62) == Absent(AbsentReason.REVOKED)

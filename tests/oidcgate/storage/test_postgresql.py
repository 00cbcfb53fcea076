"""The store in PostgreSQL, a database for each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import psycopg
import pytest

from oidcgate.storage.records import RecordStore, StoreFailure, StoreUnavailable
from oidcgate.storage.sql import SqlStore
from tests.contracts.record_store import RecordStoreContract
from tests.support.postgresql import Postgresql

pytestmark = pytest.mark.live

OpenStore = Callable[..., SqlStore]


@pytest.fixture
def database(postgresql_server: Postgresql) -> Iterator[str]:
    """An empty database."""
    with postgresql_server.database() as name:
        yield name


@pytest.fixture
def open_store(postgresql_server: Postgresql, database: str) -> Iterator[OpenStore]:
    """Opens stores over one empty database, with further parameters for the connection if any."""
    with ExitStack() as opened:

        def open_one(more: str = "") -> SqlStore:
            store = SqlStore(postgresql_server.url(database, more=more))
            return opened.enter_context(closing(store))

        yield open_one


@pytest.fixture(autouse=True)
def _same_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    # The generation changes with time as well, since other hosts do not announce their writes.
    monkeypatch.setattr("oidcgate.storage.sql.time.monotonic", lambda: 100.0)


class TestPostgresql(RecordStoreContract):
    @pytest.fixture
    def store(self, open_store: OpenStore) -> RecordStore:
        return open_store()


def test_another_host_sees_a_change_within_two_seconds(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = open_store(), open_store()
    before = here.generation()
    there.put("kind", "key", b"v", expires_at=10)
    monkeypatch.setattr("oidcgate.storage.sql.time.monotonic", lambda: 102.0)
    assert here.generation() != before
    assert here.get("kind", "key", now=0) is not None


def test_a_database_that_may_only_be_read(open_store: OpenStore) -> None:
    open_store().put("kind", "key", b"v", expires_at=10)
    store = open_store("&options=-cdefault_transaction_read_only=on")
    assert store.get("kind", "key", now=0) is not None
    with pytest.raises(StoreUnavailable, match="is read-only") as refused:
        store.put("kind", "key", b"w", expires_at=10)
    assert refused.value.reason is StoreFailure.READ_ONLY


def test_a_row_that_another_holds(
    open_store: OpenStore, postgresql_server: Postgresql, database: str
) -> None:
    open_store().put("kind", "key", b"v", expires_at=10)
    store = open_store("&options=-clock_timeout=50")
    with psycopg.connect(postgresql_server.address(database)) as holder:
        holder.execute("SELECT * FROM oidcgate_records FOR UPDATE")
        with pytest.raises(StoreUnavailable, match="is locked") as refused:
            store.take("kind", "key", now=0)
        holder.rollback()
    assert refused.value.reason is StoreFailure.LOCKED
    assert store.take("kind", "key", now=0) is not None

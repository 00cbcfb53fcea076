"""Transactions hold wholly or not at all, and a database in trouble is one named error."""

import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from oidcgate.protocol.errors import TemporarilyUnavailable
from provider.store.engine import Store, StoreUnavailable
from tests.provider.processes import in_processes
from tests.provider.world import World, error_of


@pytest.fixture
def store(tmp_path: Path):
    made = Store(f"sqlite:///{tmp_path / 'x.db'}", busy_seconds=0.2)
    with made.begin() as conn:
        conn.execute(text("CREATE TABLE t (n INTEGER PRIMARY KEY)"))
    yield made
    made.dispose()


def count(store: Store) -> int:
    with store.read() as conn:
        return conn.execute(text("SELECT count(*) FROM t")).scalar_one()


def insert(store: Store, n: int) -> None:
    with store.begin() as conn:
        conn.execute(text("INSERT INTO t VALUES (:n)"), {"n": n})


@pytest.mark.row("P-15")
@pytest.mark.parametrize("url", ["sqlite:///{}/x.db", "postgresql+psycopg://nobody@127.0.0.1:1/{}"])
def test_an_unexpected_error_does_not_tell_what_was_written(url: str, tmp_path: Path) -> None:
    engine = Store(url.format(tmp_path)).engine
    assert engine.hide_parameters


@pytest.mark.row("P-15")
def test_the_text_of_a_broken_constraint_holds_no_value(store: Store) -> None:
    insert(store, 70_707)
    with pytest.raises(IntegrityError) as caught:
        insert(store, 70_707)
    assert "70707" not in str(caught.value)


def test_sqlite_keeps_what_it_acknowledged(store: Store) -> None:
    with store.read() as conn:
        pragmas = [conn.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous")]
    assert pragmas == ["wal", 2]


def test_a_transaction_that_raises_has_not_happened(store: Store) -> None:
    def fail() -> None:
        with store.begin() as conn:
            conn.execute(text("INSERT INTO t VALUES (1)"))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert count(store) == 0


def test_reading_sees_one_state_and_waits_for_nobody(store: Store) -> None:
    with store.begin() as writer:
        writer.execute(text("INSERT INTO t VALUES (1)"))
        with store.read() as reader:
            assert reader.execute(text("SELECT count(*) FROM t")).scalar_one() == 0


def test_a_read_only_view_that_writes_is_rolled_back(store: Store) -> None:
    with store.read() as conn:
        conn.execute(text("INSERT INTO t VALUES (1)"))
    assert count(store) == 0


def test_locked_by_another_process(store: Store, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable) as caught:
        insert(store, 1)
    assert "locked" in caught.value.detail
    other.execute("ROLLBACK")
    other.close()
    insert(store, 1)
    assert count(store) == 1


def test_writers_of_one_process_wait_in_line_and_not_for_ever(store: Store) -> None:
    with store.begin() as conn:
        conn.execute(text("INSERT INTO t VALUES (1)"))
        failures: list[BaseException] = []

        def write() -> None:
            try:
                insert(store, 2)
            except StoreUnavailable as error:
                failures.append(error)

        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert len(failures) == 1
    assert count(store) == 1


def run(store: Store, *statements: str) -> None:
    with store.begin() as conn:
        for statement in statements:
            conn.execute(text(statement))


def test_full(store: Store) -> None:
    # A cap on the pages of this connection: what a full disk says, without one.
    series = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s LIMIT 9999) SELECT n FROM s"
    with pytest.raises(StoreUnavailable) as caught:
        run(store, "PRAGMA max_page_count = 2", "INSERT INTO t VALUES (0)", f"INSERT INTO t {series}")
    assert "full" in caught.value.detail
    assert count(store) == 0


def test_read_only(store: Store) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        run(store, "PRAGMA query_only = ON", "INSERT INTO t VALUES (1)")
    assert "readonly" in caught.value.detail


def test_the_files_are_their_owners_alone(store: Store, tmp_path: Path) -> None:
    insert(store, 1)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["x.db", "x.db-shm", "x.db-wal"]
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600] * 3


def test_no_database_at_all(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/missing/x.db")
    with pytest.raises(StoreUnavailable), store.read() as conn:
        conn.execute(text("SELECT 1"))


def test_the_error_shows_no_statement_and_no_parameter(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable) as caught, store.begin() as conn:
        conn.execute(text("SELECT :secret FROM missing_table"), {"secret": "hunter2"})
    shown = f"{caught.value!r} {caught.value} {caught.value.detail}"
    assert "hunter2" not in shown
    assert "SELECT" not in shown
    assert caught.value.__cause__ is None
    assert isinstance(caught.value, TemporarilyUnavailable)


def test_a_password_in_the_url_does_not_show() -> None:
    assert "hunter2" not in repr(Store("postgresql+psycopg://u:hunter2@h/d"))


def test_a_child_process_opens_its_own_connections(store: Store) -> None:
    insert(store, 1)
    parent = id(store.engine)

    def work() -> None:
        insert(store, 2)
        assert id(store.engine) != parent

    assert in_processes(1, work) == [0]
    insert(store, 3)
    assert count(store) == 3


@pytest.mark.parametrize("state", ["locked", "read-only"])
def test_an_outage_is_503_and_half_of_nothing(database: Path, state: str) -> None:
    world = World.over(database)
    world.provider.parts.store._busy_seconds = 0.1  # shortens the wait, not what happens after it
    world.provider.parts.store.dispose()
    code = world.code()
    other = sqlite3.connect(database, isolation_level=None)
    if state == "locked":
        other.execute("BEGIN IMMEDIATE")
    else:
        with world.provider.parts.store.engine.connect() as conn:
            conn.exec_driver_sql("PRAGMA query_only = ON")
    response = world.redeem(code)
    assert error_of(response) == (503, "temporarily_unavailable")
    assert response.headers["Retry-After"] == "5"
    if state == "locked":
        other.execute("ROLLBACK")
    other.close()
    world.provider.parts.store.dispose()
    assert world.redeem(code).status_code == 200

"""SQLite: it keeps what it acknowledged, is its owner's alone, and its troubles are one named error."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from provider.store.engine import Store, StoreUnavailable
from provider.store.sqlite import switch_to_wal
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


def run(store: Store, *statements: str) -> None:
    with store.begin() as conn:
        for statement in statements:
            conn.execute(text(statement))


def test_sqlite_keeps_what_it_acknowledged(store: Store) -> None:
    with store.read() as conn:
        pragmas = [conn.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous")]
    assert pragmas == ["wal", 2]


def test_a_read_only_view_that_writes_is_rolled_back(store: Store) -> None:
    with store.read() as conn:
        conn.execute(text("INSERT INTO t VALUES (1)"))
    assert count(store) == 0


def test_locked_by_another_process(store: Store, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable) as caught:
        run(store, "INSERT INTO t VALUES (1)")
    assert "locked" in caught.value.detail
    other.execute("ROLLBACK")
    other.close()
    run(store, "INSERT INTO t VALUES (1)")
    assert count(store) == 1


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
    run(store, "INSERT INTO t VALUES (1)")
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["x.db", "x.db-shm", "x.db-wal"]
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600] * 3


def test_no_database_at_all(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/missing/x.db")
    with pytest.raises(StoreUnavailable), store.read() as conn:
        conn.execute(text("SELECT 1"))


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


class Told:
    """A cursor that is told so many times that the file is in another's hands."""

    def __init__(self, times: int, code: int = sqlite3.SQLITE_BUSY) -> None:
        self.left, self.code = times, code

    def execute(self, _statement: str) -> None:
        if self.left:
            self.left -= 1
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = self.code
            raise error


@pytest.mark.parametrize("code", [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY])
def test_who_switches_a_new_file_beside_another_asks_again(code: int) -> None:
    cursor = Told(3, code)
    switch_to_wal(cursor, 60)
    assert cursor.left == 0


@pytest.mark.parametrize(
    ("code", "busy_seconds"),
    [
        pytest.param(sqlite3.SQLITE_BUSY, 0, id="no-time-left"),
        pytest.param(sqlite3.SQLITE_READONLY, 60, id="another-trouble"),
    ],
)
def test_what_does_not_pass_by_itself_is_told(code: int, busy_seconds: float) -> None:
    cursor = Told(1000, code)
    with pytest.raises(sqlite3.OperationalError):
        switch_to_wal(cursor, busy_seconds)
    assert cursor.left == 999

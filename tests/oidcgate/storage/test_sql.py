"""The store in a database: what SQLite alone can do wrong, and what processes see of each other."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from oidcgate.storage.records import RecordStore, StoreFailure, StoreUnavailable
from oidcgate.storage.sql import SqlStore
from tests.contracts.record_store import NOW, RecordStoreContract, together

NOBODY = 65534


class TestSqliteFile(RecordStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[RecordStore]:
        store = SqlStore(f"sqlite:///{tmp_path}/state.db")
        yield store
        store.close()


class TestSqliteInMemory(RecordStoreContract):
    @pytest.fixture
    def store(self) -> Iterator[RecordStore]:
        store = SqlStore("sqlite://")
        yield store
        store.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def store(file: Path) -> Iterator[SqlStore]:
    store = SqlStore(f"sqlite:///{file}", busy_timeout_seconds=0.05)
    yield store
    store.close()


def python(program: str, *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_take_gives_a_record_to_one_process(file: Path) -> None:
    program = """
        import sys
        from oidcgate.storage.sql import SqlStore
        store = SqlStore("sqlite:///" + sys.argv[1])
        print("ready", flush=True)
        sys.stdin.readline()
        print(sum(store.take("kind", f"key{n}", now=0) is not None for n in range(100)))
    """
    processes = [python(program, file) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    store = SqlStore(f"sqlite:///{file}")
    for number in range(100):
        store.put("kind", f"key{number}", b"v", expires_at=10)
    # All four open the file, and race for every key, from here.
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    taken = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert sum(taken) == 100
    assert [process.returncode for process in processes] == [0] * 4


def test_processes_may_create_the_database_at_once(file: Path) -> None:
    program = """
        import sys
        from oidcgate.storage.sql import SqlStore
        store = SqlStore("sqlite:///" + sys.argv[1])
        print("ready", flush=True)
        sys.stdin.readline()
        store.put("kind", sys.argv[2], b"v", expires_at=10, tags=("all",))
    """
    processes = [python(program, file, number) for number in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.communicate("go\n", timeout=60)
    assert [process.returncode for process in processes] == [0] * 4
    assert len(SqlStore(f"sqlite:///{file}").find("kind", "all", now=0)) == 4


def test_another_process_sees_the_generation_change_at_once(store: SqlStore, file: Path) -> None:
    program = """
        import sys
        from oidcgate.storage.sql import SqlStore
        store = SqlStore("sqlite:///" + sys.argv[1])
        for line in sys.stdin:
            store.put("kind", line, b"v", expires_at=10)
            print("done", flush=True)
    """
    writer = python(program, file)
    assert writer.stdin is not None
    assert writer.stdout is not None
    seen = {store.generation()}
    for number in range(3):
        writer.stdin.write(f"{number}\n")
        writer.stdin.flush()
        assert writer.stdout.readline() == "done\n"
        assert store.generation() not in seen
        seen.add(store.generation())
    writer.communicate(timeout=30)


def test_a_store_that_is_told_what_is_watched_announces_nothing_else(file: Path) -> None:
    here, there = (SqlStore(f"sqlite:///{file}", watched={"revocation"}) for _ in range(2))
    before = here.generation()
    there.put("forbidden", "k", b"", expires_at=NOW + 10)
    assert here.generation() == before
    there.put("revocation", "k", b"", expires_at=NOW + 10)
    assert here.generation() != before
    here.close()
    there.close()


def test_a_writer_killed_after_its_commit_does_not_hide_the_change(
    store: SqlStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = """
        import os, signal, sys
        from oidcgate.storage import change_mark
        from oidcgate.storage.sql import SqlStore
        change_mark.ChangeMark.done = lambda self: os.kill(os.getpid(), signal.SIGKILL)
        SqlStore("sqlite:///" + sys.argv[1]).put("kind", "key", b"v", expires_at=10)
    """
    store.put("kind", "other", b"v", expires_at=10)
    seconds = [100.0]
    monkeypatch.setattr("oidcgate.storage.change_mark.time.monotonic", lambda: seconds[0])
    writer = python(program, file)
    writer.communicate(timeout=30)
    assert writer.returncode == -9
    assert store.get("kind", "key", now=0) is not None
    before = store.generation()
    seconds[0] += 1
    assert store.generation() != before
    store.put("kind", "third", b"v", expires_at=10)
    settled = store.generation()
    seconds[0] += 1
    assert store.generation() == settled


def test_the_generation_is_cheap(store: SqlStore) -> None:
    store.put("kind", "key", b"v", expires_at=10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqlStore, "_connection", None)  # it must not ask the database
        assert store.generation() == store.generation()


def test_a_store_used_before_a_fork_works_on_both_sides(store: SqlStore) -> None:
    store.put("kind", "parent", b"v", expires_at=10, tags=("all",))
    inherited = store._engine
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover (another process)
        try:
            store.put("kind", "child", b"v", expires_at=10, tags=("all",))
            keys = [key for key, _ in store.find("kind", "all", now=0)]
            os.write(write_end, json.dumps([keys, store._engine is inherited]).encode())
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as answer:
        keys, same_engine = json.load(answer)
    os.waitpid(child, 0)
    assert keys == ["child", "parent"]
    assert not same_engine
    assert [key for key, _ in store.find("kind", "all", now=0)] == ["child", "parent"]


def test_the_database_is_durable_and_private(store: SqlStore, file: Path) -> None:
    store.put("kind", "key", b"v", expires_at=10)
    engine = store._engine
    assert engine is not None
    with engine.connect() as connection:
        for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
    assert {path.stat().st_mode & 0o077 for path in file.parent.iterdir()} == {0}


def test_a_relative_file_stays_where_it_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = SqlStore("sqlite:///state.db")
    monkeypatch.chdir("/")
    store.put("kind", "key", b"v", expires_at=10)
    assert (tmp_path / "state.db").exists()
    store.close()


def refusal(store: SqlStore, *, reading: bool = False) -> StoreUnavailable:
    try:
        if reading:
            store.get("kind", "key", now=0)
        else:
            store.put("kind", "new", b"v" * 100_000, expires_at=10)
    except StoreUnavailable as error:
        return error
    pytest.fail("the store answered")


def test_locked(store: SqlStore, file: Path) -> None:
    store.put("kind", "key", b"v", expires_at=10)
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    for write in (
        lambda: store.put("kind", "key", b"w", expires_at=10),
        lambda: store.take("kind", "key", now=0),
        lambda: store.swap("kind", "key", expected_version=None, value=b"", expires_at=10, now=20),
        lambda: store.delete_tagged("kind", "t"),
        lambda: store.sweep(20, 10),
    ):
        with pytest.raises(StoreUnavailable, match="locked by another process") as refused:
            write()
        assert refused.value.reason is StoreFailure.LOCKED
    record = store.get("kind", "key", now=0)
    assert record is not None
    assert record.value == b"v"
    holder.execute("ROLLBACK")
    holder.close()
    store.put("kind", "key", b"w", expires_at=10)


def test_locked_at_its_first_use(store: SqlStore, file: Path) -> None:
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    assert refusal(store, reading=True).reason is StoreFailure.LOCKED
    holder.execute("ROLLBACK")
    holder.close()
    assert store.get("kind", "key", now=0) is None


def test_full(store: SqlStore) -> None:
    store.put("kind", "key", b"v", expires_at=10)
    engine = store._engine
    assert engine is not None

    def limit(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA max_page_count=10")

    sa.event.listen(engine, "checkout", limit)
    error = refusal(store)
    assert error.reason is StoreFailure.FULL
    assert "is full; free space" in str(error)
    assert store.get("kind", "key", now=0) is not None
    assert store.get("kind", "new", now=0) is None


@pytest.mark.parametrize("reading", [True, False], ids=["read", "write"])
def test_corrupt(store: SqlStore, file: Path, reading: bool) -> None:
    file.write_bytes(b"this is no database" * 500)
    error = refusal(store, reading=reading)
    assert error.reason is StoreFailure.CORRUPT
    assert "damaged or no database" in str(error)


@pytest.mark.parametrize("reading", [True, False], ids=["read", "write"])
def test_missing_folder(tmp_path: Path, reading: bool) -> None:
    error = refusal(SqlStore(f"sqlite:///{tmp_path}/not/here/state.db"), reading=reading)
    assert error.reason is StoreFailure.MISSING
    assert f"there is no folder {tmp_path}/not/here" in str(error)
    with pytest.raises(StoreUnavailable):
        SqlStore(f"sqlite:///{tmp_path}/not/here/state.db").generation()


def test_the_name_of_a_folder_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    assert refusal(SqlStore(f"sqlite:///{tmp_path}/state.db")).reason is StoreFailure.MISSING


@pytest.fixture
def others_folder() -> Iterator[Path]:
    """A folder that an unprivileged user can reach, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("writable", ["nothing", "folder"])
def test_read_only(others_folder: Path, writable: str) -> None:
    # Root writes whatever the mode says, so the store is used as somebody else when root runs the tests.
    file = others_folder / "state.db"
    store = SqlStore(f"sqlite:///{file}")
    store.put("kind", "key", b"v", expires_at=10)
    store.close()
    for path in others_folder.iterdir():
        path.chmod(0o444 if path == file or writable == "nothing" else 0o666)
    others_folder.chmod(0o777 if writable == "folder" else 0o555)
    program = """
        import os, sys
        from oidcgate.storage.records import StoreUnavailable
        from oidcgate.storage.sql import SqlStore
        store = SqlStore("sqlite:///" + sys.argv[1])
        import sqlalchemy.dialects.sqlite.pysqlite
        if os.getuid() == 0:
            os.setgid(int(sys.argv[2]))
            os.setuid(int(sys.argv[2]))
        try:
            store.put("kind", "new", b"v", expires_at=10)
        except StoreUnavailable as error:
            print(error.reason)
    """
    answer = python(program, file, NOBODY).communicate(timeout=30)[0]
    others_folder.chmod(0o755)
    assert answer == "read_only\n"


def test_no_free_connection_is_an_outage_too(store: SqlStore) -> None:
    store.put("kind", "key", b"v", expires_at=10)
    engine = store._engine
    assert engine is not None
    held = [engine.connect() for _ in range(32)]
    assert refusal(store, reading=True).reason is StoreFailure.LOCKED
    for connection in held:
        connection.close()


def test_many_threads_write_without_an_outage(file: Path) -> None:
    store = SqlStore(f"sqlite:///{file}")

    def write(number: int) -> None:
        for index in range(5):
            store.put("kind", f"{number}-{index}", b"", expires_at=10, tags=("all",))

    assert together(16, write) == [None] * 16
    assert len(store.find("kind", "all", now=0)) == 80
    store.close()


def test_what_has_long_expired_goes_by_itself(file: Path) -> None:
    store = SqlStore(f"sqlite:///{file}", clock=lambda: NOW)
    for number in range(10):
        store.put("kind", f"old{number}", b"v", expires_at=NOW - 3600, tags=("t",))
    store.put("kind", "late", b"v", expires_at=NOW - 3599, tags=("t",))
    for _ in range(300):
        store.put("kind", "key", b"v", expires_at=NOW + 10, tags=("t",))
    assert [key for key, _ in store.find("kind", "t", now=0)] == ["key", "late"]
    store.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("not an address", "not a database address"),
        ("mysql://root:hunter2@host/db", "mysql is not supported"),
    ],
)
def test_other_addresses_are_refused_without_being_repeated(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        SqlStore(url)
    assert "hunter2" not in str(refused.value)


def test_an_unreachable_server_is_an_outage_and_its_password_unsaid() -> None:
    store = SqlStore("postgresql+psycopg://app:hunter2@127.0.0.1:1/db?connect_timeout=2")
    error = refusal(store)
    assert error.reason is StoreFailure.UNREACHABLE
    assert "hunter2" not in str(error)
    assert "cannot be reached" in str(error)

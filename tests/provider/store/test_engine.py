"""Transactions hold wholly or not at all, and a database in trouble is one named error: on both databases."""

import threading
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from oidcgate.protocol.errors import TemporarilyUnavailable
from provider.store.engine import Store, StoreUnavailable, lock_names
from tests.provider.databases import is_postgresql, one_after_the_other
from tests.provider.processes import in_processes


@pytest.fixture
def store(empty_url: str) -> Iterator[Store]:
    made = Store(empty_url, busy_seconds=0.2)
    with made.begin() as conn:
        conn.execute(text("CREATE TABLE t (n INTEGER PRIMARY KEY)"))
    yield made
    made.dispose()


def count(store: Store) -> int:
    with store.read() as conn:
        return int(conn.execute(text("SELECT count(*) FROM t")).scalar_one())


def insert(store: Store, n: int) -> None:
    with store.begin() as conn:
        conn.execute(text("INSERT INTO t VALUES (:n)"), {"n": n})


@pytest.mark.row("P-15")
def test_an_unexpected_error_does_not_tell_what_was_written(store: Store) -> None:
    assert store.engine.hide_parameters


@pytest.mark.row("P-15")
def test_the_text_of_a_broken_constraint_holds_no_value(store: Store) -> None:
    insert(store, 70_707)
    with pytest.raises(IntegrityError) as caught:
        insert(store, 70_707)
    error: BaseException | None = caught.value
    while error is not None:  # a traceback in the log shows each of them
        assert "70707" not in f"{error} {error!r}"
        error = error.__cause__ or error.__context__


def test_a_transaction_that_raises_has_not_happened(store: Store) -> None:
    def fail() -> None:
        with store.begin() as conn:
            conn.execute(text("INSERT INTO t VALUES (1)"))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert count(store) == 0


def test_reading_sees_one_state_and_waits_for_nobody(store: Store) -> None:
    with store.read() as reader:
        assert reader.execute(text("SELECT count(*) FROM t")).scalar_one() == 0
        with store.begin() as writer:
            writer.execute(text("INSERT INTO t VALUES (1)"))
            assert reader.execute(text("SELECT count(*) FROM t")).scalar_one() == 0
        assert reader.execute(text("SELECT count(*) FROM t")).scalar_one() == 0
    assert count(store) == 1


def test_what_a_read_only_view_writes_is_not_there(store: Store) -> None:
    refused = pytest.raises(StoreUnavailable, match="unavailable") if is_postgresql(store) else nullcontext()
    with refused, store.read() as conn:
        conn.execute(text("INSERT INTO t VALUES (1)"))
    assert count(store) == 0
    insert(store, 1)  # the connection goes on to write for others
    assert count(store) == 1


def test_who_waits_for_a_name_waits_until_the_end_of_the_transaction(store: Store) -> None:
    def mine(conn: Connection) -> int:
        lock_names(conn, ["b", "a"])
        found = conn.execute(text("SELECT count(*) FROM t")).scalar_one()
        conn.execute(text("INSERT INTO t VALUES (:n)"), {"n": found})
        return int(found)

    assert one_after_the_other(store, mine, mine) == (0, 1)


def test_who_waits_for_too_long_is_told_and_has_done_nothing(store: Store) -> None:
    def write(conn: Connection) -> None:
        lock_names(conn, ["name"])
        conn.execute(text("INSERT INTO t VALUES (2)"))

    with store.begin() as conn:
        lock_names(conn, ["name"])
        conn.execute(text("INSERT INTO t VALUES (1)"))
        failures: list[BaseException] = []

        def try_it() -> None:
            try:
                with store.begin() as conn:
                    write(conn)
            except StoreUnavailable as error:
                failures.append(error)

        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
    assert len(failures) == 1
    assert count(store) == 1


def test_the_error_shows_no_statement_and_no_parameter(store: Store) -> None:
    with pytest.raises(StoreUnavailable) as caught, store.begin() as conn:
        conn.execute(text("SELECT :secret FROM missing_table"), {"secret": "hunter2"})
    shown = f"{caught.value!r} {caught.value} {caught.value.detail}"
    assert "missing_table" in caught.value.detail
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

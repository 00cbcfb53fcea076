"""Both databases of the provider, for tests that have to hold on each: fixtures, and who waits for whom.

`empty_url` names a database without tables, `url` one with tables and a signing key, `store` is open over the
latter. SQLite is a file of the test's own, PostgreSQL a database in the server that all tests share.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection, make_url, text

from provider.store.engine import Store
from tests.provider.world import World, copy_database
from tests.support.postgresql import Postgresql

T = TypeVar("T")

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.live)]
_PATIENCE_SECONDS = 30


@pytest.fixture(params=BOTH)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: Postgresql = request.getfixturevalue("postgresql_server")
    with server.database() as name:
        yield server.url(name)


@pytest.fixture(scope="session")
def made_postgresql(postgresql_server: Postgresql) -> Iterator[str]:
    """A database with tables and a signing key that others are copied from."""
    with postgresql_server.database() as name:
        World.over(postgresql_server.url(name)).provider.parts.store.dispose()
        yield name


@pytest.fixture(params=BOTH)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with tables and a signing key."""
    if request.param == "sqlite":
        made: Path = request.getfixturevalue("made_database")
        yield f"sqlite:///{copy_database(made, tmp_path / 'provider.db')}"
        return
    server: Postgresql = request.getfixturevalue("postgresql_server")
    with server.database(request.getfixturevalue("made_postgresql")) as name:
        yield server.url(name)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """That database, open."""
    made = Store(url)
    yield made
    made.dispose()


def is_postgresql(store: Store) -> bool:
    return store.engine.dialect.name == "postgresql"


def one_after_the_other(
    store: Store, first: Callable[[Connection], T], second: Callable[[Connection], T]
) -> tuple[T, T]:
    """Two transactions over two connections of two stores that overlap; returns what both said.

    The first one has done its work and stays open until the second one waits for it: in PostgreSQL for a
    lock, as the server itself says; in SQLite to begin.
    """
    other = Store(store.engine.url.render_as_string(hide_password=False))
    said: Future[T] = Future()
    asked = threading.Event()

    def run_second() -> None:
        asked.set()
        try:
            with other.begin() as conn:
                result = second(conn)
            said.set_result(result)
        except BaseException as error:
            said.set_exception(error)

    thread = threading.Thread(target=run_second)
    with store.begin() as conn:
        result = first(conn)
        thread.start()
        if is_postgresql(store):
            until(lambda: waiting(store) == 1)
        else:
            assert asked.wait(_PATIENCE_SECONDS)
        assert not said.done(), "the second transaction did not wait for the first"
    thread.join(_PATIENCE_SECONDS)
    other.dispose()
    return result, said.result(0)


def waiting(store: Store) -> int:
    """How many transactions wait for a lock in this database of PostgreSQL."""
    with store.read() as conn:
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = :name"
        return int(conn.execute(text(query), {"name": make_url(store.engine.url).database}).scalar_one())


def until(true: Callable[[], bool]) -> None:
    """Look again and again, for a bounded time."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)  # nothing announces that somebody waits

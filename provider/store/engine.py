"""The database as the rest of the provider sees it: transactions that hold wholly or not at all.

`begin()` is a transaction that writes, `read()` one that does not. Statements live in the modules next door,
one per aggregate; the tables in `schema`, their changes in `migrations`. How a connection to SQLite or to
PostgreSQL is opened, and what each is told, is in `sqlite` and `postgresql`.
"""

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Engine, Select, exc, make_url

from oidcgate.protocol.errors import TemporarilyUnavailable
from provider.store import postgresql, sqlite

#: How long a transaction waits for the database before the request is answered with 503.
BUSY_SECONDS: Final = 5.0
READS: Final = "provider_reads"


class StoreUnavailable(TemporarilyUnavailable):
    """The database is locked, full, read-only, gone, or not to be used by us.

    Nothing of the transaction has happened, unless the connection broke while PostgreSQL committed it: then
    it has happened wholly or not at all, and nobody can say which.
    """

    def __init__(self, cause: BaseException) -> None:
        # SQLAlchemy's own text carries the statement and its parameters: only the driver's words are kept.
        original = getattr(cause, "orig", None) or cause
        super().__init__(detail=" ".join(f"{type(original).__name__}: {original}".split())[:300])


def to_be_judged(conn: Connection, query: Select[Any]) -> Select[Any]:
    """The query, locking what it finds until the transaction ends; as it is where nothing is written.

    For rows that decide what else is written: nobody changes them between the look and the commit. SQLite has
    one writer at a time and needs no lock of a row.
    """
    return query if conn.get_execution_options().get(READS, False) else query.with_for_update()


def lock_names(conn: Connection, names: Iterable[str]) -> None:
    """Have these names alone until the transaction ends; others who ask for one of them wait.

    For rows that may not be there yet, which `to_be_judged` cannot lock. In SQLite a transaction that writes
    has everything alone.
    """
    if conn.dialect.name == "postgresql":
        postgresql.lock_names(conn, names)


class Store:
    """One database, opened by each process for itself when it first needs it.

    Args:
        url: `sqlite:///file` or `postgresql+psycopg://…`.
        busy_seconds: how long to wait for a lock or a connection.
    """

    def __init__(self, url: str, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self._url = make_url(url)
        self._busy_seconds = busy_seconds
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._opened_by = 0
        # SQLite has one writer at a time and wakes those who wait in no order; inside one process they queue
        # here instead.
        self._writer = threading.Lock()

    def __repr__(self) -> str:
        return f"Store({self._url.render_as_string(hide_password=True)})"

    @property
    def engine(self) -> Engine:
        """The engine of this process: a connection that crosses a fork would be shared by two."""
        with self._lock:
            if self._engine is None or self._opened_by != os.getpid():
                if self._engine is not None:
                    # The parent's connections stay the parent's: they are forgotten here, not closed.
                    self._engine.dispose(close=False)
                    self._writer = threading.Lock()
                self._engine = self._open()
                self._opened_by = os.getpid()
            return self._engine

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction that writes; committed when the block ends, rolled back when it raises.

        Raises:
            StoreUnavailable: the database is in trouble, or another transaction was in the way for too long.
        """
        engine = self.engine
        queued = self._url.get_backend_name() == "sqlite"
        if queued and not self._writer.acquire(timeout=self._busy_seconds):
            raise StoreUnavailable(TimeoutError("other transactions of this process did not end"))
        try:
            with _translated(), engine.begin() as connection:
                yield connection
        finally:
            if queued:
                self._writer.release()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A view of the database as it was at one moment, for reading only; it does not wait for writers.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        engine = self.engine
        options: dict[str, Any] = {READS: True}
        if self._url.get_backend_name() == "postgresql":
            options |= postgresql.READING
        with _translated(), engine.connect() as connection:
            yield connection.execution_options(**options)

    def dispose(self) -> None:
        """Close every connection of this process, as before a fork."""
        with self._lock:
            if self._engine is not None and self._opened_by == os.getpid():
                self._engine.dispose()
            self._engine = None

    def _open(self) -> Engine:
        if self._url.get_backend_name() == "sqlite":
            return sqlite.open_engine(self._url, self._busy_seconds, reads=READS)
        return postgresql.open_engine(self._url, self._busy_seconds)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError) as error:
        raise StoreUnavailable(error) from None
    except exc.ProgrammingError as error:
        if postgresql.is_not_ours_to_use(error):
            raise StoreUnavailable(error) from None
        raise
    except sqlite3.OperationalError as error:  # out of the listeners above, where nobody wraps it
        raise StoreUnavailable(error) from None

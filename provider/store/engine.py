"""The database as the rest of the provider sees it: transactions that hold wholly or not at all.

`begin()` is a transaction that writes, `read()` one that does not. Statements live in the modules next door,
one per aggregate; the tables in `schema`, their changes in `migrations`. SQLite is the default and is told to
keep what it acknowledged.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, exc, make_url

from oidcgate.protocol.errors import TemporarilyUnavailable

#: How long a transaction waits for the database before the request is answered with 503.
BUSY_SECONDS: Final = 5.0
_READS = "provider_reads"


class StoreUnavailable(TemporarilyUnavailable):
    """The database is locked, full, read-only or gone; nothing of the transaction has happened."""

    def __init__(self, cause: BaseException) -> None:
        # SQLAlchemy's own text carries the statement and its parameters: only the driver's words are kept.
        original = getattr(cause, "orig", None) or cause
        super().__init__(detail=f"{type(original).__name__}: {original}"[:300])


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
            StoreUnavailable: nothing of the block has happened.
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
        """A view of the database for reading only; it does not wait for writers.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        with _translated(), self.engine.connect() as connection:
            yield connection.execution_options(**{_READS: True})

    def dispose(self) -> None:
        """Close every connection of this process, as before a fork."""
        with self._lock:
            if self._engine is not None and self._opened_by == os.getpid():
                self._engine.dispose()
            self._engine = None

    def _open(self) -> Engine:
        if self._url.get_backend_name() == "sqlite":
            return _open_sqlite(self._url, self._busy_seconds)
        return create_engine(
            self._url,
            pool_size=16,
            max_overflow=16,
            pool_timeout=self._busy_seconds,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={"connect_timeout": max(1, round(self._busy_seconds))},
        )


def _open_sqlite(url: Any, busy_seconds: float) -> Engine:
    # The file holds password hashes and sealed keys: made here it is its owner's alone, and so are those that
    # SQLite puts beside it. A file that cannot be made is reported by the first connection.
    with suppress(OSError):
        os.close(os.open(url.database, os.O_RDWR | os.O_CREAT, 0o600))
    # isolation_level None keeps the driver from beginning transactions of its own: ours say BEGIN IMMEDIATE.
    engine = create_engine(
        url,
        pool_size=16,
        max_overflow=16,
        pool_timeout=busy_seconds,
        # An error that nobody expected is logged as it is; what it was bound to may be a hint or a hash.
        hide_parameters=True,
        connect_args={"timeout": busy_seconds, "isolation_level": None, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        cursor = connection.cursor()
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute("PRAGMA foreign_keys=ON")
        finally:
            cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that begins with reading and then writes would fail with SQLITE_BUSY at once: the lock
        # comes first.
        reads = connection.get_execution_options().get(_READS, False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError) as error:
        raise StoreUnavailable(error) from None
    except sqlite3.OperationalError as error:  # out of the listeners above, where nobody wraps it
        raise StoreUnavailable(error) from None

"""Opening SQLite: it is told to keep what it acknowledged, and to begin transactions when we say so.

What a transaction is to the rest of the provider is in `engine`; the other database is `postgresql`.
"""

import os
import sqlite3
import time
from contextlib import suppress
from typing import Final

from sqlalchemy import URL, Connection, Engine, create_engine, event

#: Between two tries to switch a new file.
_PAUSE_SECONDS: Final = 0.01


def open_engine(url: URL, busy_seconds: float, *, reads: str) -> Engine:
    """An engine over the file of the URL, which is made if it is not there.

    Args:
        busy_seconds: how long to wait for another process's lock, or for a connection.
        reads: the execution option that marks a transaction which does not write.
    """
    # The file holds password hashes and sealed keys: made here it is its owner's alone, and so are those that
    # SQLite puts beside it. A file that cannot be made is reported by the first connection.
    with suppress(OSError):
        os.close(os.open(url.database or "", os.O_RDWR | os.O_CREAT, 0o600))
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
            switch_to_wal(cursor, busy_seconds)
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute("PRAGMA foreign_keys=ON")
        finally:
            cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that begins with reading and then writes would fail with SQLITE_BUSY at once: the lock
        # comes first.
        only_reads = connection.get_execution_options().get(reads, False)
        connection.exec_driver_sql("BEGIN" if only_reads else "BEGIN IMMEDIATE")

    return engine


def switch_to_wal(cursor: sqlite3.Cursor, busy_seconds: float) -> None:
    """Have the file write ahead. It stays so, and all but the first who ask change nothing.

    Two processes that switch a new file together would wait for each other for ever: SQLite tells one of them
    without waiting that the file is busy, whatever time-out it has. That one asks again.

    Raises:
        sqlite3.OperationalError: the file cannot be used, or stayed busy for `busy_seconds`.
    """
    deadline = time.monotonic() + busy_seconds
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            # The low byte is the kind; the others say how it came about.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
        time.sleep(_PAUSE_SECONDS)  # nothing announces that the other one is done; bounded by the deadline

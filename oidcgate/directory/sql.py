"""Users of a database: whoever an operator's SELECT lists, asked for by name.

The SELECT says who the users are, in columns `user_name`, `active` and `display_name`; it has no parameter
and no say in how names compare. The condition around it is ours, and a name goes into it as a value that
the driver carries: nothing that a person is called can become part of a statement.
"""

import math
import os
import re
import sqlite3
import threading
import time
import unicodedata
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import sqlalchemy as sa

from oidcgate.directory.asked import sound_users
from oidcgate.directory.port import DirectoryUnavailable, KnownUser
from oidcgate.settings import Problem
from oidcgate.time_limit import NotInTime, TimeLimited

__all__ = ["SqlUsers", "query_problem", "url_problem"]

_COLUMNS: Final = {"user_name": "userName", "active": "active", "display_name": "displayName"}
#: Of so many who have one name in the database's eyes nobody can be told from the others.
_MOST: Final = 20
_LISTED: Final = 20
_AT_ONCE: Final = 8
#: A name that nobody has, to see whether the statement can be run.
_NOBODY: Final = "oidcgate-check"
_INSTRUCTIONS_PER_LOOK: Final = 10_000

# What the operator has to mend: who connects, to which database, and what is asked there. Everything else
# (locks, restarts, full disks) passes.
_SQLITE_SETTINGS: Final = frozenset(
    {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY}
)
_NO_COLUMN: Final = re.compile(
    r"no such column: known_users\.user_name|column known_users\.user_name does not"
)
_POSTGRESQL_SETTINGS: Final = ("0A", "22", "25", "28", "3D", "42")


def url_problem(value: str) -> str | None:
    """What is wrong with the address of a database, and what to do; None when nothing is."""
    try:
        url = sa.make_url(value)
    except sa.exc.ArgumentError:
        return "is no database address; write postgresql+psycopg://USER:PASSWORD@HOST/NAME or sqlite:///FILE"
    if url.drivername not in ("sqlite", "postgresql+psycopg"):
        return "names a database that is not supported; write postgresql+psycopg://… or sqlite:///…"
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        return "names no file; write sqlite:///FILE"
    return None


def query_problem(value: str) -> str | None:
    """What is wrong with the SELECT of users, as far as can be told without running it."""
    words = value.split(maxsplit=1)
    if not words or words[0].upper() not in ("SELECT", "WITH"):
        return "is no SELECT; write SELECT … AS user_name FROM …"
    if value.rstrip().endswith(";"):
        return "ends in a semicolon; leave it off, the gate puts its own condition around the SELECT"
    if sa.text(value).compile().params:
        return "has a parameter; leave the condition on the name off, the gate adds it"
    return None


class SqlUsers:
    """The users that `query` lists in the database at `url`.

    Connections are opened when they are needed, read only, and by each process for itself.

    Args:
        url: fit for `url_problem`.
        query: fit for `query_problem`.
        timeout_seconds: how long a question may take, from the wait for a connection to the last row.
    """

    def __init__(self, url: str, query: str, *, timeout_seconds: float) -> None:
        self._url = sa.make_url(url)
        self._name = self._url.render_as_string(hide_password=True)
        self._timeout_seconds = timeout_seconds
        self._threads = TimeLimited("oidcgate-users-sql", at_once=_AT_ONCE)
        self._opening: dict[int, threading.Lock] = {}
        self._engine: sa.Engine | None = None
        self._inherited: list[sa.Engine] = []
        self._pid: int | None = None
        self._ends = _Ends()
        # On lines of its own: the last one may end in a comment.
        users = sa.text(f"\n{query}\n").columns(sa.column("user_name", sa.String())).subquery("known_users")
        self._users = users
        self._lowered = sa.func.lower(users.c.user_name)

    def users_like(self, name: str) -> Sequence[KnownUser]:
        spellings = [
            sa.func.lower(sa.bindparam(None, spelling, sa.String())) for spelling in _spellings(name)
        ]
        statement = (
            sa.select(sa.text("*")).select_from(self._users).where(self._lowered.in_(spellings)).limit(_MOST)
        )
        rows = self._ask(statement)
        if len(rows) == _MOST:
            raise DirectoryUnavailable(f"{self._name}: {_MOST} users or more have one name", answered=True)
        return sound_users(map(_entry, rows), self._name)

    def problems(self) -> list[Problem]:
        self.users_like(_NOBODY)
        number = sa.func.count()
        statement = (
            sa.select(sa.func.max(self._users.c.user_name), number)
            .select_from(self._users)
            .group_by(self._lowered)
            .having(number > 1)
            .limit(_LISTED)
        )
        return [
            Problem(
                "users.sql.query",
                name,
                f"is the name of {users} users but for case; all are refused",
                "give each user a name of their own",
            )
            for name, users in self._ask(statement)
        ]

    def close(self) -> None:
        """Close the connections of this process that are not in use. A later question opens new ones."""
        if self._engine is not None and self._pid == os.getpid():
            self._engine.dispose()

    def _ask(self, statement: sa.Executable) -> Sequence[Any]:
        # In a thread: no driver has a time limit of its own for every way in which a server can hang.
        try:
            return self._threads.call(partial(self._rows, statement), self._timeout_seconds)
        except NotInTime:
            why = f"no answer within {self._timeout_seconds:g} seconds"
            raise DirectoryUnavailable(f"{self._name}: {why}") from None

    def _rows(self, statement: sa.Executable) -> Sequence[Any]:
        self._ends.at = time.monotonic() + self._timeout_seconds
        try:
            with self._open().connect() as connection:
                return connection.execute(statement).all()
        except sa.exc.DBAPIError as error:
            # Not chained: it repeats the statement with its values.
            raise self._unavailable(error.orig) from None
        except sa.exc.TimeoutError:
            raise DirectoryUnavailable(f"{self._name}: no connection became free") from None
        except (sa.exc.SQLAlchemyError, UnicodeError) as error:
            raise DirectoryUnavailable(f"{self._name}: {type(error).__name__}", answered=True) from None

    def _open(self) -> sa.Engine:
        pid = os.getpid()
        # A lock of this process: one held at the moment of a fork would never be released in the child.
        with self._opening.setdefault(pid, threading.Lock()):
            if self._engine is not None and self._pid == pid:
                return self._engine
            if self._engine is not None:
                # What a parent had open is the parent's: kept, so that it is not closed here either.
                self._inherited.append(self._engine)
            self._engine, self._pid = self._make_engine(), pid
            return self._engine

    def _make_engine(self) -> sa.Engine:
        if self._url.get_backend_name() == "sqlite":
            engine = sa.create_engine(
                self._url,
                creator=self._sqlite,
                poolclass=sa.pool.QueuePool,
                pool_size=_AT_ONCE,
                isolation_level="AUTOCOMMIT",
            )
        else:
            engine = sa.create_engine(
                self._url,
                pool_size=_AT_ONCE,
                pool_pre_ping=True,
                pool_timeout=self._timeout_seconds,
                isolation_level="AUTOCOMMIT",
                connect_args={
                    "connect_timeout": math.ceil(self._timeout_seconds) + 1,
                    # A network that swallows everything must not keep a thread for hours.
                    "tcp_user_timeout": math.ceil(self._timeout_seconds * 1000),
                    "keepalives_idle": 5,
                    "keepalives_interval": 5,
                    "keepalives_count": 3,
                },
            )
            sa.event.listen(engine, "connect", self._read_only)
        return engine

    def _sqlite(self) -> sqlite3.Connection:
        # `rw`: a file that is not there is an error, and is not made.
        file = f"file:{quote(str(self._file))}?mode=rw"
        connection = sqlite3.connect(
            file, uri=True, timeout=self._timeout_seconds, check_same_thread=False, isolation_level=None
        )
        connection.execute("PRAGMA query_only = ON")
        connection.set_progress_handler(self._ends.passed, _INSTRUCTIONS_PER_LOOK)
        return connection

    @property
    def _file(self) -> Path:
        return Path(str(self._url.database)).absolute()

    def _read_only(self, connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET statement_timeout = {math.ceil(self._timeout_seconds * 1000)}")
            cursor.execute("SET default_transaction_read_only = on")
        connection.commit()

    def _unavailable(self, error: BaseException | None) -> DirectoryUnavailable:
        if isinstance(error, sqlite3.Error):
            # The low byte; the rest tells variants apart. Without one, the driver did not like the statement.
            answered = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in _SQLITE_SETTINGS
        else:
            state = getattr(error, "sqlstate", None) or ""
            answered = state[:2] in _POSTGRESQL_SETTINGS
        told = " ".join(str(error).split())[:300]
        # In words of the configuration: of the SELECT around the operator's nobody but us knows.
        if _NO_COLUMN.search(told):
            told = "users.sql.query has no column user_name; name it with AS"
        elif isinstance(error, sqlite3.OperationalError) and not self._file.exists():
            told = f"users.sql.url: there is no file {self._file}"
        return DirectoryUnavailable(f"{self._name}: {told}", answered=answered)


class _Ends(threading.local):
    """When this thread's question has to be over (monotonic seconds)."""

    at = math.inf

    def passed(self) -> int:
        """For SQLite, which asks every so often and stops at anything but 0."""
        return int(time.monotonic() > self.at)


def _spellings(name: str) -> Iterator[str]:
    """What to look for: `lower` of a database may know ASCII only, and its names may be composed or not."""
    if name.isascii():
        yield name
        return
    forms = (name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name))
    yield from dict.fromkeys(
        spelling for form in forms for spelling in (form, form.lower(), form.upper(), form.title())
    )


def _entry(row: Any) -> dict[str, Any]:
    # An alias without quotes is the same in small and large letters; SQLite gives it as it was written.
    columns = {str(name).lower(): value for name, value in row._mapping.items()}
    entry = {attribute: columns[name] for name, attribute in _COLUMNS.items() if name in columns}
    # SQLite has no booleans, and some schemas have none elsewhere.
    if type(entry.get("active")) is int and entry["active"] in (0, 1):
        entry["active"] = bool(entry["active"])
    return entry

"""A record store in a database: SQLite for one host, PostgreSQL across hosts (SQLAlchemy Core).

What is SQLite's own (how a connection is opened, how a write begins, what its error codes mean) is here
too. The provider's database is another one with a schema of its own; neither knows the other.
"""

import errno
import fcntl
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.pool import QueuePool, StaticPool

from oidcgate.storage import postgresql
from oidcgate.storage.change_mark import ChangeMark
from oidcgate.storage.left_alone import LeftAlone
from oidcgate.storage.records import Record, StoreFailure, StoreUnavailable
from oidcgate.waiting import about_to_wait

#: How long a PostgreSQL that did not answer is left alone.
_PAUSE_SECONDS: Final = 1.0
_WRITES_PER_SWEEP: Final = 256
_SWEPT_AT_ONCE: Final = 1024
# Behind other hosts' clocks: a revocation must not go while a clock that is late still honours its session.
_SWEPT_AFTER_SECONDS: Final = 3600
_LOCK_OF_SCHEMA: Final = 0x6F69646367617465

_metadata = sa.MetaData()
_records = sa.Table(
    "oidcgate_records",
    _metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.LargeBinary, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
)
_tags = sa.Table(
    "oidcgate_record_tags",
    _metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("tag", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.ForeignKeyConstraint(
        ["kind", "key"], ["oidcgate_records.kind", "oidcgate_records.key"], ondelete="CASCADE"
    ),
    sa.Index("oidcgate_record_tags_key", "kind", "key"),
)

_COLUMNS: Final = (_records.c.value, _records.c.version, _records.c.expires_at)

_SQLITE_REASONS: Final = {
    sqlite3.SQLITE_BUSY: StoreFailure.LOCKED,
    sqlite3.SQLITE_LOCKED: StoreFailure.LOCKED,
    sqlite3.SQLITE_FULL: StoreFailure.FULL,
    sqlite3.SQLITE_READONLY: StoreFailure.READ_ONLY,
    sqlite3.SQLITE_CORRUPT: StoreFailure.CORRUPT,
    sqlite3.SQLITE_NOTADB: StoreFailure.CORRUPT,
    sqlite3.SQLITE_CANTOPEN: StoreFailure.MISSING,
}
# SQLSTATE: class 08 connection, 53100 disk full, 25006 read-only transaction, 55P03 and 40* lock and
# serialisation.
_POSTGRESQL_REASONS: Final = {
    "08": StoreFailure.UNREACHABLE,
    "40": StoreFailure.LOCKED,
    "53100": StoreFailure.FULL,
    "25006": StoreFailure.READ_ONLY,
    "55P03": StoreFailure.LOCKED,
}
_OS_REASONS: Final = {
    errno.ENOENT: StoreFailure.MISSING,
    errno.EACCES: StoreFailure.READ_ONLY,
    errno.EPERM: StoreFailure.READ_ONLY,
    errno.EROFS: StoreFailure.READ_ONLY,
    errno.ENOSPC: StoreFailure.FULL,
    errno.EDQUOT: StoreFailure.FULL,
}
_ADVICE: Final = {
    StoreFailure.LOCKED: "is locked by another process; end what holds it, such as an open shell or a backup",
    StoreFailure.FULL: "is full; free space on its disk or raise its limit",
    StoreFailure.READ_ONLY: "is read-only; let the server's user write the file and its folder",
    StoreFailure.CORRUPT: "is damaged or no database; restore it, or move it away to begin anew",
    StoreFailure.MISSING: "cannot be opened; make its folder and let the server's user write there",
    StoreFailure.UNREACHABLE: "cannot be reached; check that the database runs and that the address is right",
    StoreFailure.FAILED: "failed",
}


class SqlStore:
    """Records in the database at `url` (`sqlite:///state.db`, `postgresql+psycopg://…`).

    Nothing is opened before the first use, and again after a fork: a SQLite connection must not cross one.
    A relative SQLite file is taken from the working directory of the moment this is made.

    What has long expired is removed along with every so many writes, so that nobody has to think of it.

    Args:
        password: for PostgreSQL, where it is not in the address.
        lag_seconds: how late another process's write is seen in PostgreSQL; see `generation`.
        busy_timeout_seconds: how long a write waits for another process's, and anybody for a PostgreSQL that
            does not answer.
        watched: the kinds whose writes make a new generation; None: all.
        clock: epoch seconds; tells what has long expired.

    Raises:
        ValueError: `url` is no database address, or names a kind of database that is not supported.
    """

    def __init__(
        self,
        url: str,
        *,
        password: str | None = None,
        busy_timeout_seconds: float = 5.0,
        lag_seconds: float = 2,
        clock: Callable[[], float] = time.time,
        watched: Collection[str] | None = None,
    ) -> None:
        try:
            parsed = sa.make_url(url)
        except sa.exc.ArgumentError:
            # Not from it: the error repeats the address, which may hold a password.
            raise ValueError(
                "not a database address; write sqlite:///state.db or postgresql+psycopg://…"
            ) from None
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise ValueError(f"{parsed.get_backend_name()} is not supported; use sqlite or postgresql")
        self._file: Path | None = None
        if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
            self._file = Path(str(parsed.database)).absolute()
            parsed = parsed.set(database=str(self._file))
        self._url = parsed if password is None else parsed.set(password=password)
        self._lag_seconds = lag_seconds
        self._insert: Any = sqlite_insert if parsed.get_backend_name() == "sqlite" else postgresql_insert
        self._busy_timeout_seconds = busy_timeout_seconds
        self._clock = clock
        in_memory = parsed.get_backend_name() == "sqlite" and self._file is None
        # A database in memory is one connection, which takes one thread at a time.
        self._turn: AbstractContextManager[object] = threading.RLock() if in_memory else nullcontext()
        self._announces = parsed.get_backend_name() == "sqlite"
        self._left_alone = LeftAlone(parsed.render_as_string(), _PAUSE_SECONDS, time.monotonic)
        self._opening: dict[int, threading.Lock] = {}
        self._pid: int | None = None
        self._engine: sa.Engine | None = None
        self._inherited: list[sa.Engine] = []
        self._mark: ChangeMark | None = None
        self._watched = watched
        self._writes = 0
        self._watched_writes = 0

    def folder_fault(self) -> str | None:
        """What is wrong with the folder of a database in a file, if anything; every use would fail on it.

        Nothing is opened: who looks may be another user than who will serve.
        """
        fault = None if self._file is None else _folder_fault(self._file)
        return None if fault is None else fault[1]

    def put(self, kind: str, key: str, value: bytes, *, expires_at: int, tags: Sequence[str] = ()) -> None:
        row = _row(value, expires_at)
        statement = self._insert(_records).values(kind=kind, key=key, **row)
        with self._write(kind) as write:
            write.connection.execute(
                statement.on_conflict_do_update(index_elements=["kind", "key"], set_=row)
            )
            _tag(write.connection, kind, key, tags)
            if self._writes % _WRITES_PER_SWEEP == _WRITES_PER_SWEEP - 1:
                write.connection.execute(_sweeping(int(self._clock()) - _SWEPT_AFTER_SECONDS, _SWEPT_AT_ONCE))

    def get(self, kind: str, key: str, *, now: int) -> Record | None:
        statement = sa.select(*_COLUMNS).where(_named(kind, key), _records.c.expires_at > now)
        with self._connection(writes=False) as connection:
            row = connection.execute(statement).first()
            return None if row is None else _record(row, _tags_of(connection, kind, [key]).get(key, ()))

    def take(self, kind: str, key: str, *, now: int) -> Record | None:
        statement = (
            _records.delete().where(_named(kind, key), _records.c.expires_at > now).returning(*_COLUMNS)
        )
        with self._write(kind) as write:
            # Before the record, with which they go.
            tags = _tags_of(write.connection, kind, [key]).get(key, ())
            row = write.connection.execute(statement).first()
            write.changed = row is not None
            return None if row is None else _record(row, tags)

    def swap(
        self,
        kind: str,
        key: str,
        *,
        expected_version: int | None,
        value: bytes,
        expires_at: int,
        tags: Sequence[str] = (),
        now: int,
    ) -> bool:
        row = _row(value, expires_at)
        statement: Any
        if expected_version is None:
            insert = self._insert(_records).values(kind=kind, key=key, **row)
            statement = insert.on_conflict_do_update(
                index_elements=["kind", "key"], set_=row, where=_records.c.expires_at <= now
            )
        else:
            current = (_records.c.version == expected_version) & (_records.c.expires_at > now)
            statement = _records.update().where(_named(kind, key), current).values(**row)
        with self._write(kind) as write:
            write.changed = (
                write.connection.execute(statement.returning(_records.c.version)).first() is not None
            )
            if write.changed:
                _tag(write.connection, kind, key, tags)
            return write.changed

    def delete(self, kind: str, key: str) -> None:
        with self._write(kind) as write:
            write.changed = write.connection.execute(_records.delete().where(_named(kind, key))).rowcount > 0

    def delete_tagged(self, kind: str, tag: str) -> int:
        tagged = sa.select(_tags.c.key).where(_tags.c.kind == kind, _tags.c.tag == tag)
        statement = _records.delete().where(_records.c.kind == kind, _records.c.key.in_(tagged))
        with self._write(kind) as write:
            deleted = write.connection.execute(statement).rowcount
            write.changed = deleted > 0
            return deleted

    def find(
        self, kind: str, tag: str, *, now: int, limit: int = 1000, after: str = ""
    ) -> list[tuple[str, Record]]:
        joined = (_tags.c.kind == _records.c.kind) & (_tags.c.key == _records.c.key)
        statement = (
            sa.select(_records.c.key, *_COLUMNS)
            .join(_tags, joined)
            .where(_tags.c.kind == kind, _tags.c.tag == tag, _tags.c.key > after, _records.c.expires_at > now)
            .order_by(_tags.c.key)
            .limit(limit)
        )
        with self._connection(writes=False) as connection:
            rows = connection.execute(statement).all()
            tags = _tags_of(connection, kind, [row.key for row in rows])
            return [(row.key, _record(row, tags.get(row.key, ()))) for row in rows]

    def sweep(self, now: int, limit: int) -> int:
        # No new generation: what expired was absent already.
        with self._connection(writes=True) as connection:
            return connection.execute(_sweeping(now, limit)).rowcount

    def generation(self) -> int:
        if self._mark is None and self._file is not None:
            about_to_wait()
            with self._connection(writes=False):
                pass
        if self._mark is not None:
            return self._mark.read()
        # Another host's writes are not announced, so each period counts as a change.
        return self._watched_writes + (0 if self._announces else int(time.monotonic() / self._lag_seconds))

    def close(self) -> None:
        """Close every connection of this process. A later use opens the store again."""
        if self._engine is not None and self._pid == os.getpid():
            self._engine.dispose()
            self._engine = None

    @contextmanager
    def _write(self, kind: str) -> Iterator["_Writing"]:
        told = self._watched is None or kind in self._watched
        with self._connection(writes=True) as connection:
            writing = _Writing(connection)
            yield writing
            told = told and writing.changed
            if told and self._mark is not None:
                self._mark.begin()
        if writing.changed:
            self._writes += 1
        if told:
            self._watched_writes += 1
            if self._mark is not None:
                self._mark.done()

    @contextmanager
    def _connection(self, *, writes: bool) -> Iterator[sa.Connection]:
        """A transaction, committed at the end; what goes wrong with the database becomes StoreUnavailable."""
        if not self._left_alone.may_be_asked():
            raise self._unavailable(StoreFailure.UNREACHABLE, "it did not answer a moment ago")
        begun = time.monotonic()
        try:
            engine = self._open().execution_options(oidcgate_writes=writes)
            with self._turn, engine.begin() as connection:
                yield connection
        except sa.exc.DBAPIError as error:
            reason = _reason(error.orig)
            # A connection that was cut is no reason to keep others waiting: their own may be good.
            if reason is StoreFailure.UNREACHABLE and time.monotonic() - begun > self._busy_timeout_seconds:
                self._left_alone.did_not_answer(error.orig or error)
            raise self._unavailable(reason, type(error.orig).__name__) from error
        except sa.exc.TimeoutError as error:
            raise self._unavailable(StoreFailure.LOCKED, "no connection became free") from error
        except OSError as error:
            reason = _OS_REASONS.get(error.errno or 0, StoreFailure.FAILED)
            raise self._unavailable(reason, str(error.strerror)) from error
        else:
            self._left_alone.answered()

    def _open(self) -> sa.Engine:
        engine, pid = self._engine, os.getpid()
        if engine is not None and self._pid == pid:
            return engine
        # A lock of this process: one held at the moment of a fork would never be released in the child.
        with self._opening.setdefault(pid, threading.Lock()):
            if self._engine is not None and self._pid == pid:
                return self._engine
            if self._engine is not None:
                # The parent's connections. Closing them here would end the locks it holds: they are kept.
                self._inherited.append(self._engine)
            engine = self._make_engine()
            if self._file is None:
                _create_schema(engine)
            else:
                path = self._file.with_name(self._file.name + "-generation")
                self._mark = self._mark or ChangeMark(path)
                # One process at a time: two that switch a new file to WAL at once fail without waiting.
                with path.open("rb") as alone:
                    fcntl.flock(alone, fcntl.LOCK_EX)
                    self._file.touch(0o600)
                    _create_schema(engine)
            self._engine, self._pid = engine, pid
            return engine

    def _make_engine(self) -> sa.Engine:
        if self._url.get_backend_name() != "sqlite":
            return postgresql.open_engine(self._url, self._busy_timeout_seconds)
        arguments = {"timeout": self._busy_timeout_seconds, "check_same_thread": False}
        if self._file is None:
            engine = sa.create_engine(self._url, poolclass=StaticPool, connect_args=arguments)
        else:
            engine = sa.create_engine(
                self._url,
                poolclass=QueuePool,
                pool_size=4,
                max_overflow=28,
                pool_timeout=self._busy_timeout_seconds,
                connect_args=arguments,
            )
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _unavailable(self, reason: StoreFailure, what: str) -> StoreUnavailable:
        if reason is StoreFailure.MISSING and self._file is not None:
            reason, what = _folder_fault(self._file) or (reason, what)
        name = self._url.render_as_string(hide_password=True)
        return StoreUnavailable(reason, f"{name}: {_ADVICE[reason]} ({what})")


class _Writing:
    """A write transaction; `changed` is cleared by one that found nothing to do."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.changed = True


def _folder_fault(file: Path) -> tuple[StoreFailure, str] | None:
    folder = file.parent
    if not folder.is_dir():
        return StoreFailure.MISSING, f"there is no folder {folder}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return StoreFailure.READ_ONLY, f"the folder {folder} cannot be written"
    return None


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver begins transactions by itself, and late; `_begin_sqlite` does it instead.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    # IMMEDIATE: a write that began as a read cannot wait for another writer, it can only fail.
    writes = connection.get_execution_options().get("oidcgate_writes", True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _create_schema(engine: sa.Engine) -> None:
    with engine.execution_options(oidcgate_writes=False).begin() as connection:
        if sa.inspect(connection).has_table(_tags.name):
            return
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_OF_SCHEMA)))
        _metadata.create_all(connection)


def _reason(error: BaseException | None) -> StoreFailure:
    if isinstance(error, sqlite3.Error):
        # The low byte; the rest tells variants apart.
        return _SQLITE_REASONS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, StoreFailure.FAILED)
    state = getattr(error, "sqlstate", None)
    if state is None:
        return StoreFailure.UNREACHABLE
    return _POSTGRESQL_REASONS.get(state, _POSTGRESQL_REASONS.get(state[:2], StoreFailure.FAILED))


def _row(value: bytes, expires_at: int) -> dict[str, Any]:
    # Random, not counted: a key that is removed and written again must not come back to an old version.
    return {"value": value, "version": secrets.randbits(62), "expires_at": expires_at}


def _named(kind: str, key: str) -> sa.ColumnElement[bool]:
    return sa.and_(_records.c.kind == kind, _records.c.key == key)


def _sweeping(now: int, limit: int) -> sa.Delete:
    expired = (
        sa.select(_records.c.kind, _records.c.key)
        .where(_records.c.expires_at <= now)
        .order_by(_records.c.expires_at)
        .limit(limit)
    )
    return _records.delete().where(sa.tuple_(_records.c.kind, _records.c.key).in_(expired))


def _tag(connection: sa.Connection, kind: str, key: str, tags: Sequence[str]) -> None:
    """Make `tags` the tags of the record."""
    connection.execute(_tags.delete().where(_tags.c.kind == kind, _tags.c.key == key))
    rows = [{"kind": kind, "tag": tag, "key": key} for tag in dict.fromkeys(tags)]
    if rows:
        connection.execute(_tags.insert(), rows)


def _tags_of(connection: sa.Connection, kind: str, keys: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for start in range(0, len(keys), 500):
        some = _tags.c.key.in_(keys[start : start + 500])
        statement = (
            sa.select(_tags.c.key, _tags.c.tag).where(_tags.c.kind == kind, some).order_by(_tags.c.tag)
        )
        for key, tag in connection.execute(statement):
            found.setdefault(key, []).append(tag)
    return {key: tuple(tags) for key, tags in found.items()}


def _record(row: Any, tags: tuple[str, ...]) -> Record:
    return Record(bytes(row.value), row.version, row.expires_at, tags)

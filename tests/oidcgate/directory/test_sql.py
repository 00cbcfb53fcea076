"""Users in a database: SQLite and a real PostgreSQL, sound, slow, gone and lying."""

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa

from oidcgate.directory.asked import AskedDirectory
from oidcgate.directory.port import DirectoryUnavailable, KnownUser, UserDirectory
from oidcgate.directory.sql import SqlUsers, query_problem, url_problem
from tests.contracts.user_directory import (
    ALICE,
    INJECTIONS,
    NOW,
    DirectoryOf,
    UserDirectoryContract,
    UserServer,
    UserServerContract,
)
from tests.support.postgresql import Postgresql

LONG = 30.0
QUERY = "SELECT login AS user_name, full_name AS display_name, employed AS active, title FROM people -- all"
TABLE = "CREATE TABLE people (login TEXT, full_name TEXT, employed BOOLEAN, title TEXT)"


_opened: list[SqlUsers] = []


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    yield
    # What was given up holds its connection until it ends.
    for thread in threading.enumerate():
        if thread.name == "oidcgate-users-sql":
            thread.join()
    while _opened:
        _opened.pop().close()


def source_at(url: str, query: str = QUERY, *, seconds: float = LONG) -> SqlUsers:
    _opened.append(SqlUsers(url, query, timeout_seconds=seconds))
    return _opened[-1]


def directory_at(url: str, query: str = QUERY, *, seconds: float = LONG) -> AskedDirectory:
    return AskedDirectory(source_at(url, query, seconds=seconds), "people")


def row(user: Mapping[str, Any]) -> tuple[Any, ...]:
    return user["userName"], user.get("displayName"), user.get("active", True), user.get("title")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A SQLite file with an empty table of people."""
    path = tmp_path / "the people.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute(TABLE)
    return path


def fill(file: Path, *rows: Sequence[Any]) -> None:
    with closing(sqlite3.connect(file)) as db, db:
        db.executemany("INSERT INTO people VALUES (?, ?, ?, ?)", rows)


class TestSqlite(UserDirectoryContract):
    attributes_of_alice: ClassVar[Mapping[str, Any]] = {}
    tells_look_alikes_apart = True

    @pytest.fixture
    def directory_of(self, file: Path) -> DirectoryOf:
        def make(users: Sequence[Mapping[str, Any]]) -> UserDirectory:
            fill(file, *map(row, users))
            return directory_at(f"sqlite:///{file}")

        return make


@pytest.fixture(scope="module")
def database(postgresql_server: Postgresql) -> Iterator[str]:
    """An empty database in the PostgreSQL of the tests."""
    with postgresql_server.database() as database:
        yield database


@pytest.mark.live
class TestPostgresql(UserDirectoryContract):
    attributes_of_alice: ClassVar[Mapping[str, Any]] = {}
    tells_look_alikes_apart = True

    @pytest.fixture
    def directory_of(self, postgresql_server: Postgresql, database: str) -> DirectoryOf:
        def make(users: Sequence[Mapping[str, Any]]) -> UserDirectory:
            with postgresql_server.connection(database) as connection:
                connection.execute("DROP TABLE IF EXISTS people")
                connection.execute(TABLE)
                connection.cursor().executemany(
                    "INSERT INTO people VALUES (%s, %s, %s, %s)", list(map(row, users))
                )
            return directory_at(postgresql_server.url(database))

        return make

    @pytest.mark.parametrize(
        ("query", "told"),
        [
            pytest.param("SELECT login FROM people", "query has no column user_name", id="no user_name"),
            pytest.param("SELECT login AS user_name FROM persons", "persons", id="no table"),
            pytest.param("SELECT FROM WHERE", "syntax error", id="no SQL"),
            pytest.param(
                "WITH gone AS (DELETE FROM people RETURNING login) SELECT login AS user_name FROM gone",
                "data-modifying",
                id="writes",
            ),
            pytest.param("SELECT secret AS user_name FROM vault", "permission denied", id="not permitted"),
        ],
    )
    def test_what_is_wrong_with_the_query_is_told(
        self, postgresql_server: Postgresql, query: str, told: str
    ) -> None:
        with postgresql_server.database() as database:
            with postgresql_server.connection(database) as connection:
                connection.execute(TABLE)
                connection.execute("CREATE TABLE vault (secret TEXT)")
                connection.execute("CREATE ROLE reader LOGIN")
                connection.execute("GRANT SELECT ON people TO reader")
            try:
                directory = directory_at(postgresql_server.url(database, login="reader"), query)
                with pytest.raises(DirectoryUnavailable, match=told) as unavailable:
                    directory.problems()
                assert unavailable.value.answered
            finally:
                with postgresql_server.connection(database) as connection:
                    connection.execute("DROP OWNED BY reader")
                    connection.execute("DROP ROLE reader")

    def test_nothing_is_written_by_a_query_that_would(self, postgresql_server: Postgresql) -> None:
        with postgresql_server.database() as database:
            with postgresql_server.connection(database) as connection:
                connection.execute("CREATE SEQUENCE counted")
            query = "SELECT nextval('counted')::text AS user_name"
            with pytest.raises(DirectoryUnavailable, match="read-only transaction"):
                directory_at(postgresql_server.url(database), query).find("1", now=NOW)

    def test_a_password_that_is_wrong_is_told_without_it(self, postgresql_server: Postgresql) -> None:
        directory = directory_at(postgresql_server.url(login="locked:wrong-3kX9"))
        with pytest.raises(DirectoryUnavailable, match="password authentication failed") as unavailable:
            directory.find("alice", now=NOW)
        assert "wrong-3kX9" not in str(unavailable.value)
        assert "wrong-3kX9" not in repr(unavailable.value.__context__)

    def test_a_query_that_takes_too_long_is_ended_by_the_server(self, postgresql_server: Postgresql) -> None:
        query = "SELECT pg_sleep(60)::text AS user_name"
        directory = directory_at(postgresql_server.url(), query, seconds=0.2)
        with pytest.raises(DirectoryUnavailable) as unavailable:
            directory.find("alice", now=NOW)
        assert not unavailable.value.answered

    def test_a_table_that_is_locked_is_waited_for_no_longer(self, postgresql_server: Postgresql) -> None:
        with postgresql_server.database() as database, postgresql_server.connection(database) as connection:
            connection.execute(TABLE)
            connection.execute("INSERT INTO people VALUES ('alice', NULL, true, NULL)")
            directory = directory_at(postgresql_server.url(database), seconds=0.5)
            with connection.transaction():
                connection.execute("LOCK TABLE people")
                with pytest.raises(DirectoryUnavailable) as unavailable:
                    directory.find("alice", now=NOW)
                assert not unavailable.value.answered
            assert directory.find("alice", now=NOW + 10) == KnownUser("alice")

    def test_what_the_database_calls_equal_is_not_one_name(self, postgresql_server: Postgresql) -> None:
        with postgresql_server.database() as database:
            with postgresql_server.connection(database) as connection:
                connection.execute(
                    "CREATE COLLATION plain "
                    "(provider = icu, locale = 'und-u-ks-level1', deterministic = false)"
                )
                connection.execute("CREATE TABLE people (login TEXT COLLATE plain)")
                connection.execute("INSERT INTO people VALUES ('josé'), ('jose')")
            directory = directory_at(postgresql_server.url(database), "SELECT login AS user_name FROM people")
            assert [directory.find(name, now=NOW) for name in ("jose", "josé", "jósé")] == [
                KnownUser("jose"),
                KnownUser("josé"),
                None,
            ]


#: What a look-up of one name among many may not do.
WHOLE_TABLE = ("Seq Scan", "SCAN people")


@pytest.mark.live
def test_postgresql_finds_a_name_by_its_index(postgresql_server: Postgresql) -> None:
    with postgresql_server.database() as database, postgresql_server.connection(database) as connection:
        connection.execute(TABLE)
        connection.execute(
            "INSERT INTO people SELECT 'User' || n, NULL, true, NULL FROM generate_series(1, 20000) AS n"
        )
        connection.execute("CREATE INDEX ON people (lower(login))")
        connection.execute("ANALYZE people")
        # The plan of what was asked, as the server writes it down.
        connection.execute(f"ALTER DATABASE {database} SET session_preload_libraries = 'auto_explain'")
        connection.execute(f"ALTER DATABASE {database} SET auto_explain.log_min_duration = 0")
        before = len(postgresql_server.log_text())
        directory = directory_at(postgresql_server.url(database))
        for name in ("user777", "üser777"):
            directory.find(name, now=NOW)
        assert directory.find("USER777", now=NOW) == KnownUser("User777")
        plans = postgresql_server.log_text()[before:]
    assert plans.count("Index Cond") >= 3
    assert not [scan for scan in WHOLE_TABLE if scan in plans]


def test_sqlite_finds_a_name_by_its_index(file: Path) -> None:
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("CREATE INDEX by_login ON people (lower(login))")
    source = source_at(f"sqlite:///{file}")
    asked: list[tuple[str, object]] = []
    sa.event.listen(
        source._open(), "before_cursor_execute", lambda _c, _k, text, values, *_: asked.append((text, values))
    )
    for name in ("alice", "josé"):
        source.users_like(name)
    with closing(sqlite3.connect(file)) as db:
        for text, values in asked:
            plan = str(db.execute(f"EXPLAIN QUERY PLAN {text}", values).fetchall())
            assert "SEARCH people USING INDEX by_login" in plan
            assert not [scan for scan in WHOLE_TABLE if scan in plan]
    assert len(asked) == 2


def test_an_app_may_write_meanwhile(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO people VALUES ('alice', NULL, true, NULL)")
        directory = directory_at(f"sqlite:///{file}")
        assert directory.find("alice", now=NOW) is None
        db.execute("COMMIT")
        assert directory.find("alice", now=NOW) == KnownUser("alice")


@pytest.mark.live
class TestFaults(UserServerContract):
    @pytest.fixture
    def served(self) -> Iterator[tuple[UserServer, UserDirectory]]:
        server = Postgresql()
        try:
            with server.connection() as connection:
                connection.execute(TABLE)
                connection.execute("INSERT INTO people VALUES ('Alice', '', true, ''), ('bob', '', true, '')")
            yield server, directory_at(server.url(), seconds=1)
        finally:
            server.end()

    def test_threads_that_hang_are_few(self, served: tuple[UserServer, UserDirectory]) -> None:
        server, directory = served
        assert directory.find("alice", now=NOW) is not None
        server.freeze()
        try:
            asking = [
                threading.Thread(target=self._ask, args=(directory, NOW + number)) for number in range(40)
            ]
            for thread in asking:
                thread.start()
            for thread in asking:
                thread.join()
            hanging = [thread for thread in threading.enumerate() if thread.name == "oidcgate-users-sql"]
            assert len(hanging) <= 8
        finally:
            server.thaw()
        for thread in hanging:
            thread.join()
        assert directory.find("alice", now=NOW + 100) is not None

    def _ask(self, directory: UserDirectory, now: int) -> None:
        with pytest.raises(DirectoryUnavailable):
            directory.find("alice", now=now)


#: What stands in `active`, and whether alice may come in; None: there is no such user.
ACTIVE = [
    pytest.param(True, True, id="true"),
    pytest.param(1, True, id="1"),
    pytest.param(0, False, id="0"),
    pytest.param(2, None, id="2"),
    pytest.param(-1, None, id="-1"),
    pytest.param("true", None, id="text"),
    pytest.param("N", None, id="N"),
    pytest.param(1.0, None, id="number"),
    pytest.param(b"\x01", None, id="bytes"),
    pytest.param(None, None, id="null"),
]


@pytest.mark.parametrize(("value", "active"), ACTIVE)
def test_who_is_active_is_said_in_so_many_words(tmp_path: Path, value: object, active: bool | None) -> None:
    with closing(sqlite3.connect(tmp_path / "p.db")) as db, db:
        # Without types, so that what is put in comes out.
        db.execute("CREATE TABLE people (user_name, active)")
        db.execute("INSERT INTO people VALUES ('alice', ?)", (value,))
    user = directory_at(f"sqlite:///{tmp_path}/p.db", "SELECT * FROM people").find("alice", now=NOW)
    assert (None if user is None else user.active) is active


#: Names that a column may hold and no user can have.
NO_NAMES = [None, "", " alice", "alice\n", "al\u200dice", "a" * 151, b"alice"]


@pytest.mark.parametrize("name", NO_NAMES, ids=ascii)
def test_a_malformed_row_is_nobody(tmp_path: Path, name: object) -> None:
    with closing(sqlite3.connect(tmp_path / "p.db")) as db, db:
        db.execute("CREATE TABLE people (user_name)")
        db.execute("INSERT INTO people VALUES (?), ('bob')", (name,))
    directory = directory_at(f"sqlite:///{tmp_path}/p.db", "SELECT * FROM people")
    assert directory.find("alice", now=NOW) is None
    assert directory.find("bob", now=NOW) == KnownUser("bob")


def test_columns_are_named_in_any_case(file: Path) -> None:
    fill(file, row(ALICE))
    query = "SELECT login AS USER_NAME, full_name AS Display_Name, employed AS ACTIVE FROM people"
    directory = directory_at(f"sqlite:///{file}", query)
    assert directory.find("alice", now=NOW) == KnownUser("Alice", True, "Alice Liddell")


def test_text_that_is_none_is_no_answer(file: Path) -> None:
    fill(file, ("alice", b"x", True, None))
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("UPDATE people SET full_name = CAST(x'ff41' AS TEXT)")
    with pytest.raises(DirectoryUnavailable):
        directory_at(f"sqlite:///{file}").find("alice", now=NOW)


@pytest.mark.parametrize("name", ["josé", "JOSÉ", "José", "jose\u0301", "JOSE\u0301"])
@pytest.mark.parametrize("stored", ["José", "JOSÉ", "josé", "jose\u0301"])
def test_letters_that_the_database_cannot_lower(file: Path, stored: str, name: str) -> None:
    fill(file, (stored, None, True, None), ("jose", None, True, None))
    assert directory_at(f"sqlite:///{file}").find(name, now=NOW) == KnownUser(stored)


def test_more_namesakes_than_can_be_told_apart(file: Path) -> None:
    fill(file, *[("alice", None, True, None)] * 20)
    with pytest.raises(DirectoryUnavailable, match="20 users or more have one name") as unavailable:
        directory_at(f"sqlite:///{file}").find("alice", now=NOW)
    assert unavailable.value.answered


def test_nothing_is_written_whatever_a_name_says(file: Path) -> None:
    fill(file, ("alice", None, True, None))
    before = file.read_bytes()
    directory = directory_at(f"sqlite:///{file}")
    for name in INJECTIONS:
        assert directory.find(name, now=NOW) is None
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_file_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    directory = directory_at(f"sqlite:///{tmp_path}/none.db")
    with pytest.raises(DirectoryUnavailable, match=r"sql\.url: there is no file .*none\.db") as unavailable:
        directory.find("alice", now=NOW)
    assert unavailable.value.answered
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("query", "told"),
    [
        pytest.param(
            "SELECT login FROM people", "query has no column user_name; name it with AS", id="no user_name"
        ),
        pytest.param("SELECT login AS user_name FROM persons", "no such table: persons", id="no table"),
        pytest.param("SELECT FROM WHERE", "syntax error", id="no SQL"),
        pytest.param("SELECT 'a' AS user_name) ; DROP TABLE people; --", "one statement", id="unbalanced"),
    ],
)
def test_what_is_wrong_with_the_query_is_told(file: Path, query: str, told: str) -> None:
    with pytest.raises(DirectoryUnavailable, match=told) as unavailable:
        directory_at(f"sqlite:///{file}", query).problems()
    assert unavailable.value.answered


def test_a_query_without_end_ends_for_us(file: Path) -> None:
    query = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT CAST(i AS TEXT) AS user_name FROM n"
    )
    directory = directory_at(f"sqlite:///{file}", query, seconds=0.2)
    with pytest.raises(DirectoryUnavailable) as unavailable:
        directory.find("alice", now=NOW)
    assert not unavailable.value.answered
    # And its thread does not burn on.
    for thread in threading.enumerate():
        if thread.name == "oidcgate-users-sql":
            thread.join()


def test_a_locked_file_is_waited_for_no_longer(file: Path) -> None:
    fill(file, ("alice", None, True, None))
    directory = directory_at(f"sqlite:///{file}", seconds=0.2)
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DirectoryUnavailable) as unavailable:
            directory.find("alice", now=NOW)
        db.execute("ROLLBACK")
    assert not unavailable.value.answered
    assert directory.find("alice", now=NOW + 10) == KnownUser("alice")


def test_a_worker_opens_connections_of_its_own(file: Path) -> None:
    fill(file, ("alice", None, True, None))
    source = source_at(f"sqlite:///{file}")
    source.users_like("alice")
    engine = source._open()
    pid = os.fork()
    if pid == 0:  # the child says by its status whether all is well
        fine = source._open() is not engine and source.users_like("alice") == [KnownUser("alice")]
        os._exit(0 if fine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert source._open() is engine


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql+psycopg://u:p@h/d", None),
        ("sqlite:///people.db", None),
        ("", "is no database address"),
        ("people.db", "is no database address"),
        ("postgresql://u:p@h/d", "not supported"),
        ("postgresql+asyncpg://u:p@h/d", "not supported"),
        ("mysql+pymysql://u:p@h/d", "not supported"),
        ("nonsense://x", "not supported"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite+aiosqlite:///p.db", "not supported"),
        ("sqlite+pysqlite:///p.db", "not supported"),
    ],
)
def test_addresses(url: str, told: str | None) -> None:
    problem = url_problem(url)
    assert problem is None if told is None else told in str(problem)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT login AS user_name FROM people", None),
        ("with p as (select 1) select a::text as user_name from p", None),
        ("  \nSELECT '12:30' AS user_name", None),
        ("", "is no SELECT"),
        ("people", "is no SELECT"),
        ("DELETE FROM people", "is no SELECT"),
        ("SELECT 1;", "ends in a semicolon"),
        ("SELECT login AS user_name FROM people WHERE login = :name", "has a parameter"),
    ],
)
def test_queries(query: str, told: str | None) -> None:
    problem = query_problem(query)
    assert problem is None if told is None else told in str(problem)


def test_alice_of_the_contract_is_put_in_whole(file: Path) -> None:
    fill(file, row(ALICE))
    assert directory_at(f"sqlite:///{file}").find("alice", now=NOW) == KnownUser(
        "Alice", True, "Alice Liddell"
    )

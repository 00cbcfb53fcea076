"""From `[users]` to a directory: what may be set, and which directory it makes."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from oidcgate.directory.asked import AskedDirectory
from oidcgate.directory.port import KnownUser
from oidcgate.directory.sql import SqlUsers
from oidcgate.gate.config import config_from_mapping
from oidcgate.gate.directories import directory_of, known_users_check
from oidcgate.gate.users_settings import UsersSettings, anchored_users
from oidcgate.settings import SettingsError, parse
from tests.oidcgate.gate.test_config import keys_of_problems, minimal

NOW = 1_800_000_000
QUERY = "SELECT login AS user_name FROM people"
SQL = {"url": "postgresql+psycopg://gate:hidden-7nQ2@db/people", "query": QUERY}
SCIM = {"base_url": "https://people.example.com/scim/v2", "bearer_token": "hidden-7nQ2"}


def knows_alice(name: str) -> dict[str, str] | None:
    """A directory of one's own, as a configuration names it."""
    return {"userName": "alice"} if name == "alice" else None


@pytest.mark.parametrize(
    "users",
    [
        {"source": "file:users.csv"},
        {"source": "sql", "sql": SQL},
        {"source": "sql", "sql": {**SQL, "url": "sqlite:///people.db"}, "timeout_seconds": 0.5},
        {"source": "scim", "scim": SCIM},
        {"source": "scim", "scim": {**SCIM, "base_url": "http://localhost:8080/v2"}},
        {"source": "python:my_company.people:find"},
    ],
    ids=lambda users: str(users["source"]),
)
def test_what_may_be_set(users: dict[str, Any]) -> None:
    config = config_from_mapping(minimal(users=users))
    assert config.users.source == users["source"]
    assert "hidden-7nQ2" not in repr(config)


@pytest.mark.parametrize(
    ("users", "key"),
    [
        pytest.param({"source": "sql"}, "users.sql", id="no table"),
        pytest.param({"source": "scim"}, "users.scim", id="no server"),
        pytest.param({"source": "any", "sql": SQL}, "users.sql", id="table of another"),
        pytest.param({"source": "sql", "sql": SQL, "scim": SCIM}, "users.scim", id="two tables"),
        pytest.param({"source": "sql", "sql": {"query": QUERY}}, "users.sql.url", id="no database"),
        pytest.param({"source": "sql", "sql": {"url": SQL["url"]}}, "users.sql.query", id="no query"),
        pytest.param({"source": "sql", "sql": {**SQL, "url": "mysql://x"}}, "users.sql.url", id="mysql"),
        pytest.param(
            {"source": "sql", "sql": {**SQL, "query": "SELECT a FROM b WHERE c = :name"}},
            "users.sql.query",
            id="parameter",
        ),
        pytest.param({"source": "sql", "sql": {**SQL, "table": "p"}}, "users.sql.table", id="unknown key"),
        pytest.param({"source": "scim", "scim": {**SCIM, "bearer_token": None}}, "users.scim.bearer_token",
                     id="no token"),
        pytest.param({"source": "scim", "scim": {**SCIM, "base_url": "people.example.com"}},
                     "users.scim.base_url", id="no URL"),
        pytest.param({"source": "scim", "scim": {**SCIM, "base_url": "http://people.example.com/v2"}},
                     "users.scim.base_url", id="http"),
        pytest.param({"source": "scim", "scim": {**SCIM, "base_url": "https://p.example/v2?tenant=1"}},
                     "users.scim.base_url", id="query"),
        pytest.param({"source": "scim", "scim": {**SCIM, "ca_file": "/nowhere.pem"}}, "users.scim.ca_file",
                     id="no bundle"),
        pytest.param({"source": "python:"}, "users.source", id="no function"),
        pytest.param({"source": "python:people"}, "users.source", id="module alone"),
        pytest.param({"source": "python:people.find()"}, "users.source", id="a call"),
        pytest.param({"source": "ftp://users"}, "users.source", id="no source"),
        pytest.param({"source": "any", "timeout_seconds": 0}, "users.timeout_seconds", id="no time"),
    ],
)  # fmt: skip
def test_what_may_not(users: dict[str, Any], key: str) -> None:
    assert keys_of_problems(minimal(users=users)) == {key}


def test_no_problem_shows_a_secret() -> None:
    users = {"source": "sql", "sql": {"url": "mysql://u:hidden-7nQ2@h/d", "query": ""}, "scim": SCIM}
    with pytest.raises(SettingsError) as caught:
        config_from_mapping(minimal(users=users))
    assert "hidden-7nQ2" not in str(caught.value)


def test_secrets_may_have_files_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "database").write_text("sqlite:///people.db\n")
    (tmp_path / "database").chmod(0o600)
    users = parse(
        UsersSettings, {"source": "sql", "sql": {"url_file": "database", "query": QUERY}}, base_dir=tmp_path
    )
    assert users.sql is not None
    assert users.sql.url.reveal() == "sqlite:///people.db"


def test_files_are_those_beside_the_configuration(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "people.db")) as db, db:
        db.execute("CREATE TABLE people (login)")
        db.execute("INSERT INTO people VALUES ('alice')")
    data = {"source": "sql", "sql": {"url": "sqlite:///people.db", "query": QUERY}}
    users = anchored_users(parse(UsersSettings, data), tmp_path)
    directory = directory_of(users)
    assert directory.find("alice", now=NOW) == KnownUser("alice")
    assert isinstance(directory, AskedDirectory)
    assert isinstance(directory._source, SqlUsers)
    directory._source.close()


def test_a_function_is_asked() -> None:
    users = UsersSettings(source="python:tests.oidcgate.gate.test_directories:knows_alice")
    directory = directory_of(users)
    assert [directory.find(name, now=NOW) for name in ("alice", "bob")] == [KnownUser("alice"), None]


@pytest.mark.parametrize("name", ["no_such_module:find", "tests.oidcgate.gate.test_directories:nobody"])
def test_a_function_that_is_not_there_is_told(tmp_path: Path, name: str) -> None:
    config = config_from_mapping(minimal(users={"source": f"python:{name}"}))
    (problem,) = known_users_check(tmp_path / "oidcgate.toml")(config)
    assert problem.key == "users.source"
    assert "PYTHONPATH" in problem.fix
    with pytest.raises(SettingsError):
        directory_of(config.users)


@pytest.mark.parametrize(
    "table", [{"source": "sql", "sql": SQL}, {"source": "scim", "scim": SCIM}], ids=["sql", "scim"]
)
def test_nobody_is_asked_at_start(tmp_path: Path, table: dict[str, Any]) -> None:
    # Neither host is there: asking either would tell a problem.
    config = config_from_mapping(minimal(users=table))
    assert list(known_users_check(tmp_path / "oidcgate.toml")(config)) == []


def test_settings_that_nobody_checked_are_told_when_they_are_used() -> None:
    with pytest.raises(SettingsError, match=r"add \[users\.scim\]"):
        directory_of(UsersSettings(source="scim"))

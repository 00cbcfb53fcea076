"""The directories of docs/how-to/known-users.md, made as the page says and asked."""

import sqlite3
import tomllib
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from oidcgate.directory.port import UserDirectory
from oidcgate.gate.directories import directory_of
from oidcgate.gate.users_settings import UsersSettings, anchored_users
from oidcgate.settings import parse
from tests.examples.pages import blocks
from tests.support.servers import ROOT

PAGE = ROOT / "docs" / "how-to" / "known-users.md"
NOW = 1_800_000_000
pytestmark = pytest.mark.checkout


def block(language: str, holding: str) -> str:
    """The one block of the page in that language that has these words in it."""
    (text,) = [one.text for one in blocks(PAGE) if one.language == language and holding in one.text]
    return text


def directory(folder: Path, source: str, **tables: Mapping[str, Any]) -> UserDirectory:
    """What a block of configuration makes, with some tables in place of its own."""
    users = {**tomllib.loads(block("toml", f'source = "{source}'))["users"], **tables}
    return directory_of(anchored_users(parse(UsersSettings, users), folder), lambda: NOW)


def names(directory: UserDirectory) -> list[tuple[str, str | None, bool]]:
    """Who is found out of those whom the page mentions."""
    found = [directory.find(name, now=NOW) for name in ("ALICE", "bob", "carol", "mallory")]
    return [(user.user_name, user.display_name, user.active) for user in found if user is not None]


def test_the_file(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text(block("csv", "userName"))
    assert names(directory(tmp_path, "file:")) == [
        ("Alice", "Alice Martin", True),
        ("bob", None, True),
        ("carol", "Carol King", False),
    ]


def test_the_database(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "people.db")) as db, db:
        db.execute("CREATE TABLE people (login, full_name, left_on)")
        db.execute("INSERT INTO people VALUES ('alice', 'Alice Martin', NULL), ('carol', NULL, '2026-01-01')")
        # As the page advises where there are many.
        (statement,) = [part for part in PAGE.read_text().split("`") if part.startswith("CREATE INDEX")]
        db.execute(statement.replace("INDEX ON", "INDEX by_login ON"))
    table = tomllib.loads(block("toml", 'source = "sql"'))["users"]["sql"]
    people = directory(tmp_path, "sql", sql={**table, "url": "sqlite:///people.db"})
    assert names(people) == [("alice", "Alice Martin", True), ("carol", None, False)]


def test_the_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "people.py").write_text(block("python", "def find"))
    monkeypatch.syspath_prepend(tmp_path)
    assert names(directory(tmp_path, "python:")) == [("Alice", "Alice Martin", True)]

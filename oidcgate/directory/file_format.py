"""What the text of a user file says: TOML `[[users]]`, a SCIM ListResponse or plain list in JSON, or CSV.

Pure: reading the file, and when, is `file`; what one user may look like, `entries`.
"""

import csv
import difflib
import io
import json
import tomllib
from pathlib import Path
from typing import Any, Final, NamedTuple

from oidcgate.directory.entries import user_of
from oidcgate.directory.port import KnownUser, fold
from oidcgate.settings import Problem

_BOOLEANS: Final = {"true": True, "false": False}


class UnreadableFile(Exception):
    """The file as a whole says nothing. The message continues a sentence that begins with the file's name."""


def read_users(data: bytes, path: Path) -> tuple[dict[str, KnownUser | None], tuple[Problem, ...]]:
    """Users by folded name, and what is wrong with single ones.

    A user with a problem is left out; a name that several users have is there with None.

    Raises:
        UnreadableFile: no TOML or JSON, no list of users, or a list without any.
    """
    where, entries = _entries(data, path.suffix.lower())
    users: dict[str, KnownUser | None] = {}
    first_named: dict[str, str] = {}
    problems: list[Problem] = []
    for index, entry in enumerate(entries):
        key = f"{path} {where}[{index}]"
        user = _misfit(entry, key) if isinstance(entry, _Misfit) else user_of(entry, key)
        if isinstance(user, Problem):
            problems.append(user)
            continue
        folded = fold(user.user_name)
        if folded in users:
            message = f"is the same name as that of {first_named[folded]}; both are refused"
            problems.append(
                Problem(f"{key}.userName", user.user_name, message, "give each user a name of their own")
            )
            users[folded] = None
            continue
        first_named[folded] = f"{where}[{index}]"
        users[folded] = user
    return users, tuple(problems)


def _entries(data: bytes, suffix: str) -> tuple[str, list[Any]]:
    try:
        # Spreadsheets put a mark in front of what they write in UTF-8.
        text = data.decode("utf-8-sig" if suffix == ".csv" else "utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableFile(f"line {line} is not UTF-8 text") from None
    where, entries = ("rows", _rows(text)) if suffix == ".csv" else _listed(text, json_text=suffix == ".json")
    if not entries:
        raise UnreadableFile("holds no users")
    return where, entries


def _listed(text: str, *, json_text: bool) -> tuple[str, list[Any]]:
    try:
        document = json.loads(text, object_pairs_hook=_unique) if json_text else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(f"is no {'JSON' if json_text else 'TOML'}: {error}") from None
    where = "Resources" if json_text else "users"
    if isinstance(document, list):
        where, entries = "", document
    elif isinstance(document, dict) and isinstance(document.get(where), list):
        entries = document[where]
        total = document.get("totalResults", len(entries)) if json_text else len(entries)
        if total != len(entries):
            raise UnreadableFile(f"is one page of {len(entries)} users out of {total}; put all into one file")
    else:
        if isinstance(document, dict) and isinstance(document.get(where), dict):
            raise UnreadableFile(
                f"holds one {where}, not a list of them; write [[{where}]] with two brackets"
            )
        wanted = "a list, or an object with the list Resources" if json_text else "[[users]]"
        near = difflib.get_close_matches(where, document if isinstance(document, dict) else [], n=1)
        raise UnreadableFile(f"holds no users: {wanted} is missing" + (f"; {near[0]!r}?" if near else ""))
    return where, entries


def _rows(text: str) -> list[Any]:
    """The rows of a table as entries; an empty cell says nothing, so it is no attribute.

    A row in which `active` is no boolean is handed on as it is, for whoever reads entries to refuse.

    Spec: RFC 4180.
    """
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        raise UnreadableFile(f"is no CSV: {error}") from None
    heading = rows.pop(0) if rows else ["userName"]
    if "userName" not in heading:
        near = difflib.get_close_matches("userName", heading, n=1)
        if ";" in heading[0]:
            raise UnreadableFile("is not separated by commas; write userName,active,displayName in line 1")
        raise UnreadableFile("has no column userName in line 1" + (f"; {near[0]!r}?" if near else ""))
    if len(set(heading)) != len(heading):
        raise UnreadableFile("names a column twice in line 1")
    return [_row(heading, row) for row in rows]


class _Misfit(NamedTuple):
    """A row that does not fit the heading."""

    cells: int
    columns: int


def _misfit(row: _Misfit, key: str) -> Problem:
    said = f"has {row.cells} cells, and line 1 names {row.columns}"
    return Problem(key, None, said, "put a value that has a comma in it in quotes, and leave no cell out")


def _row(heading: list[str], row: list[str]) -> object:
    if len(row) != len(heading):
        return _Misfit(len(row), len(heading))
    entry: dict[str, Any] = {name: cell for name, cell in zip(heading, row, strict=True) if cell}
    entry.setdefault("userName", "")
    entry["active"] = _BOOLEANS.get(entry.get("active", "true").lower(), entry.get("active"))
    return entry


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is given twice")
    return members

"""What the text of a user file says: TOML `[[users]]`, a SCIM ListResponse in JSON, or a plain JSON list.

Pure: reading the file, and when, is `file`. Only the names of SCIM mean something: `userName`, `active`,
`displayName`; everything else is an attribute.
"""

import difflib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from oidcgate.directory.port import KnownUser, fold, user_name_problem
from oidcgate.settings import Problem

_NAMED: Final = ("userName", "active", "displayName")


class UnreadableFile(Exception):
    """The file as a whole says nothing. The message continues a sentence that begins with the file's name."""


def read_users(data: bytes, path: Path) -> tuple[dict[str, KnownUser | None], tuple[Problem, ...]]:
    """Users by folded name, and what is wrong with single ones.

    A user with a problem is left out; a name that several users have is there with None.

    Raises:
        UnreadableFile: no TOML or JSON, no list of users, or a list without any.
    """
    where, entries = _entries(data, json_text=path.suffix.lower() == ".json")
    users: dict[str, KnownUser | None] = {}
    first_named: dict[str, str] = {}
    problems: list[Problem] = []
    for index, entry in enumerate(entries):
        key = f"{path} {where}[{index}]"
        found = _entry_problem(entry, key)
        if found is not None:
            problems.append(found)
            continue
        name = entry["userName"]
        folded = fold(name)
        if folded in users:
            message = f"is the same name as that of {first_named[folded]}; both are refused"
            problems.append(Problem(f"{key}.userName", name, message, "give each user a name of their own"))
            users[folded] = None
            continue
        first_named[folded] = f"{where}[{index}]"
        attributes = {attribute: value for attribute, value in entry.items() if attribute not in _NAMED}
        users[folded] = KnownUser(
            name, entry.get("active", True), entry.get("displayName"), MappingProxyType(attributes)
        )
    return users, tuple(problems)


def _entries(data: bytes, *, json_text: bool) -> tuple[str, list[Any]]:
    try:
        text = data.decode()
        document = json.loads(text, object_pairs_hook=_unique) if json_text else tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableFile(f"line {line} is not UTF-8 text") from None
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
        wanted = "a list, or an object with the list Resources" if json_text else "[[users]]"
        near = difflib.get_close_matches(where, document if isinstance(document, dict) else [], n=1)
        raise UnreadableFile(f"holds no users: {wanted} is missing" + (f"; {near[0]!r}?" if near else ""))
    if not entries:
        raise UnreadableFile("holds no users")
    return where, entries


def _entry_problem(entry: object, key: str) -> Problem | None:
    if not isinstance(entry, Mapping):
        return Problem(key, None, "is not a user", "write userName and the other attributes of one user")
    if "userName" not in entry:
        near = difflib.get_close_matches("userName", entry, n=1)
        fix = f"did you mean it by {near[0]!r}?" if near else "add userName"
        return Problem(key, None, "has no userName", fix)
    wrong = user_name_problem(entry["userName"])
    if wrong is not None:
        return Problem(f"{key}.userName", entry["userName"], *wrong)
    # Anything but a plain boolean might be meant as "no".
    if not isinstance(entry.get("active", True), bool):
        return Problem(f"{key}.active", entry["active"], "is not a boolean", "write true or false")
    display_name = entry.get("displayName")
    if display_name is not None and not isinstance(display_name, str):
        return Problem(f"{key}.displayName", display_name, "is not a string", "write it in quotes")
    return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is given twice")
    return members

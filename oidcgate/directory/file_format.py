"""What the text of a user file says: TOML `[[users]]`, a SCIM ListResponse in JSON, or a plain JSON list.

Pure: reading the file, and when, is `file`; what one user may look like, `entries`.
"""

import difflib
import json
import tomllib
from pathlib import Path
from typing import Any

from oidcgate.directory.entries import user_of
from oidcgate.directory.port import KnownUser, fold
from oidcgate.settings import Problem


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
        user = user_of(entry, key)
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


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is given twice")
    return members

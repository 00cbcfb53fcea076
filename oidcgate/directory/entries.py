"""One user as a directory writes it: attributes by the names of SCIM, made into a `KnownUser` or refused.

Only `userName`, `active` and `displayName` mean something; everything else is an attribute.

Spec: RFC 7643 4.1.1.
"""

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from oidcgate.directory.port import KnownUser, user_name_problem
from oidcgate.settings import Problem

__all__ = ["user_of"]

_NAMED: Final = ("userName", "active", "displayName")
#: From which likeness on: `is_active` is meant, `activity` is something else.
_NEAR: Final = 0.8


def user_of(entry: object, key: str) -> KnownUser | Problem:
    """The user that `entry` describes, or what is wrong with it; `key` says where it stands."""
    if not isinstance(entry, Mapping):
        return Problem(key, None, "is not a user", "write userName and the other attributes of one user")
    if "userName" not in entry:
        near = difflib.get_close_matches("userName", map(str, entry))
        fix = f"did you mean it by {near[0]!r}?" if near else "add userName"
        return Problem(key, None, "has no userName", fix)
    for name in map(str, entry):
        if name not in _NAMED and (meant := _meant(name)) is not None:
            # It may say that somebody is not active, and would be read as an attribute of no meaning.
            return Problem(f"{key}.{name}", None, f"is not {meant}", f"write {meant}, or another name")
    wrong = user_name_problem(entry["userName"])
    if wrong is not None:
        return Problem(f"{key}.userName", entry["userName"], *wrong)
    # Anything but a plain boolean might be meant as "no".
    if not isinstance(entry.get("active", True), bool):
        return Problem(f"{key}.active", entry["active"], "is not a boolean", "write true or false")
    display_name = entry.get("displayName")
    if display_name is not None and not isinstance(display_name, str):
        return Problem(f"{key}.displayName", display_name, "is not a string", "write it in quotes")
    attributes = {name: value for name, value in entry.items() if name not in _NAMED}
    return KnownUser(entry["userName"], entry.get("active", True), display_name, MappingProxyType(attributes))


def _meant(name: str) -> str | None:
    """What has a meaning and was nearly written: in other capitals, misspelt, or turned around."""
    for meant in _NAMED:
        if difflib.SequenceMatcher(None, name.casefold(), meant.casefold()).ratio() >= _NEAR:
            return meant
    return None

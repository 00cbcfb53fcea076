"""The types of attributes, and how a value gets from one to another. Pure.

What an IdP sends is JSON, and an app that expects a list of texts must not be given a number in its place: a
value is of its declared type, or left out. Where an IdP writes numbers as text, a mapping may allow to decode
them (`weak`).
"""

import math
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

__all__ = ["MISMATCH", "AttributeType", "converted", "kind_of"]


class AttributeType(StrEnum):
    """What a value can be declared as."""

    STRING = "string"
    NUMBER = "number"
    BOOL = "bool"
    STRING_ARRAY = "string_array"
    NUMBER_ARRAY = "number_array"
    BOOL_ARRAY = "bool_array"
    OBJECT = "object"
    ANY = "any"


#: Instead of a value that is not of its type.
MISMATCH: Final = object()

_MEMBER: Final = {
    AttributeType.STRING_ARRAY: AttributeType.STRING,
    AttributeType.NUMBER_ARRAY: AttributeType.NUMBER,
    AttributeType.BOOL_ARRAY: AttributeType.BOOL,
}
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})", re.ASCII)
_DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})\.[0-9]{1,18}", re.ASCII)
_BOOLS: Final = {"1": True, "true": True, "0": False, "false": False}
# What a session can hold: integers of 64 bits, and nothing so deep that reading it could fail.
_LEAST_INTEGER: Final = -(2**63)
_GREATEST_INTEGER: Final = 2**64 - 1
_DEEPEST: Final = 16


def converted(kind: AttributeType, value: Any, *, weak: bool = False) -> Any:
    """`value` as a `kind`, or `MISMATCH`. A list of which one entry does not fit does not fit.

    What comes back shares no list and no mapping with `value`, and can be kept in a session.

    Args:
        weak: decode `"1"`, `"true"`, `"0"` and `"false"` as booleans and the other way, numbers from text and
            into it, and take a single value for a list of one.
    """
    member = _MEMBER.get(kind)
    if member is not None:
        if not isinstance(value, list | tuple):
            if not weak or value is None:
                return MISMATCH
            value = [value]
        entries = [_single(member, entry, weak) for entry in value]
        return MISMATCH if any(entry is MISMATCH for entry in entries) else entries
    return _single(kind, value, weak)


def _single(kind: AttributeType, value: Any, weak: bool) -> Any:
    match kind:
        case AttributeType.STRING:
            value = _as_text(value) if weak else value
            fits = isinstance(value, str)
        case AttributeType.NUMBER:
            value = _as_number(value) if weak else value
            fits = isinstance(value, int | float) and not isinstance(value, bool)
        case AttributeType.BOOL:
            value = _BOOLS.get(value) if weak and isinstance(value, str) else value
            fits = isinstance(value, bool)
        case AttributeType.OBJECT:
            fits = isinstance(value, Mapping)
        case _:
            fits = True
    return _plain(value, 0) if fits else MISMATCH


def _as_text(value: Any) -> Any:
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value) if isinstance(value, int | float) else value


def _as_number(value: Any) -> Any:
    if isinstance(value, str):
        if _INTEGER.fullmatch(value):
            return int(value)
        if _DECIMAL.fullmatch(value):
            return float(value)
    return value


def _plain(value: Any, depth: int) -> Any:
    """`value` in lists and dicts of its own, or `MISMATCH` where a session cannot hold it."""
    match value:
        case None | bool():
            return value
        case str():
            return value if _is_whole(value) else MISMATCH
        case int():
            return value if _LEAST_INTEGER <= value <= _GREATEST_INTEGER else MISMATCH
        case float():
            return value if math.isfinite(value) else MISMATCH
        case list() | tuple() | Mapping() if depth == _DEEPEST:
            return MISMATCH
        case list() | tuple():
            entries = [_plain(entry, depth + 1) for entry in value]
            return MISMATCH if any(entry is MISMATCH for entry in entries) else entries
        case Mapping():
            members = {name: _plain(entry, depth + 1) for name, entry in value.items()}
            texts = all(isinstance(name, str) and _is_whole(name) for name in members)
            return members if texts and not any(entry is MISMATCH for entry in members.values()) else MISMATCH
    return MISMATCH


def _is_whole(text: str) -> bool:
    """Whether no character of it is half of one, which UTF-8 cannot write."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def kind_of(value: Any) -> str:
    """What a value is, in the words of a report that must not show it."""
    if not isinstance(value, list | tuple):
        return _simple_kind(value)
    # Not what is in lists of lists: how deep they go is the IdP's to say.
    kinds = {_simple_kind(entry) for entry in value}
    return f"array of {' and '.join(sorted(kinds))}" if kinds else "empty array"


def _simple_kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case str():
            return "string"
        case int() | float():
            return "number"
        case list() | tuple():
            return "array"
        case Mapping():
            return "object"
    return type(value).__name__

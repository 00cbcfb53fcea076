"""A TOML file as a mapping, or what is wrong with it in the words of whoever wrote it.

Here lives `read_toml`, with the table that turns a parser's complaints into what to do about them. What the
mapping means is `reading` next door.
"""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any, Final

from oidcgate.settings.values import Problem, SettingsError, unreadable

_GENERAL_FIX: Final = "correct the file, or name another"
_IF_MISSING: Final = "write it with the command init, or name another by --config"

#: How a complaint of tomllib begins: what that means in the file, and what to do.
_COMPLAINTS: Final = (
    ("Invalid statement", "is no setting", "write key = value, a [table] or a # comment"),
    (
        "Expected newline or end of document",
        "goes on behind its end",
        "put text in quotes and one key on a line; a number starts with no 0",
    ),
    ("Found invalid character '\\n'", "has a text without an end", "put the same quote on both its sides"),
    ("Found invalid character '\\r'", "has a lone carriage return", "end lines as this system does"),
    ("Expected ']'", "has a table's name without an end", "write [name]"),
    ("Expected ']]'", "has a table's name without an end", "write [[name]]"),
    ("Expected '='", "has a key without a value", "write key = value; a key with spaces needs quotes"),
    (
        "Invalid initial character for a key part",
        "has a key that does not begin as one",
        "use letters, digits, _ and -, or put the key in quotes; write a { } on one line",
    ),
    ("Unclosed array", "has a list without an end", "put , between its values and ] behind the last"),
    ("Unclosed inline table", "has a { without an end", "put , between its keys and } behind the last"),
    (
        "Unescaped '\\'",
        "has a backslash that means nothing",
        "write it twice, or the text in single quotes",
    ),
    ("Invalid hex value", "has a \\u that names no character", "write four hexadecimal digits behind it"),
    ("Escaped character is not", "has a \\u that names no character", "write the character itself"),
    ("Expected \"'", "is in a text without an end", "put the same quote on both its sides"),
    ("Unterminated string", "has a text without an end", "put the same quote on both its sides"),
    ("Illegal character '\\n'", "has a text without an end", "put the same quote on both its sides"),
    ("Illegal character", "has a control character", "remove it"),
    ("Invalid date", "has a date that is none", "write it as 2026-01-31, or as text in quotes"),
    (
        "Invalid value",
        "has a value that is none",
        "put text in quotes; true and false are written small",
    ),
)
#: The same for what is said twice.
_TWICE: Final = (
    "Cannot declare",
    "Cannot overwrite",
    "Cannot mutate",
    "Cannot redefine",
    "Duplicate inline table key",
)
_PLACED: Final = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_NAME: Final = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')(?:\s*\.\s*(?:[\w-]+|"[^"\n]*"|'[^'\n]*'))*"""
_KEY: Final = re.compile(rf"\s*({_NAME})\s*=")
_TABLE: Final = re.compile(rf"\s*(\[{{1,2}})\s*({_NAME})\s*\]")


def read_toml(file: Path) -> dict[str, Any]:
    """What is in a file.

    Raises:
        SettingsError: it cannot be read or is no TOML; says where, and what to do.
    """
    try:
        text = file.read_bytes().decode()
    except OSError as error:
        raise _wrong(file, *unreadable(error, _IF_MISSING)) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _wrong(file, f"line {line} is not UTF-8 text", "save it as UTF-8") from None
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise _wrong(file, "has lists or tables too deep in each other", _GENERAL_FIX) from None
    except ValueError as error:
        raise _explained(file, text, str(error)) from None


def _explained(file: Path, text: str, complaint: str) -> SettingsError:
    found = _PLACED.fullmatch(complaint)
    if found is None:
        # A number of so many digits that Python will not convert it has no place either.
        return _wrong(file, "has a number that is too long", _GENERAL_FIX)
    said, at_line, at_column = found.groups()
    lines = text.splitlines()
    number = int(at_line) if at_line else max(1, len(text.rstrip().splitlines()))
    if said.startswith(_TWICE):
        return _twice(file, lines, number, said)
    for start, what, fix in _COMPLAINTS:
        if said.startswith(start):
            where = f"line {number}, column {at_column}," if at_column else f"line {number}, the last,"
            return _wrong(file, f"{where} {what}", fix)
    return _wrong(file, f"line {number} is no TOML", _GENERAL_FIX)


def _twice(file: Path, lines: list[str], number: int, said: str) -> SettingsError:
    """A key or table that was there before: which, and where."""
    declared = re.search(r"\(.*\)", said)
    line = lines[number - 1] if number <= len(lines) else ""
    if (inside := re.fullmatch(r"Duplicate inline table key '(.*)'", said)) is not None:
        return _wrong(file, f"line {number} gives {inside[1]} twice inside its {{ }}", "keep one of them")
    if (heading := _TABLE.match(line)) is not None:
        name = ".".join(ast.literal_eval(declared[0])) if declared else heading[2]
        what, wanted = f"the table [{name}]", (heading[2], "")
        fix = "put all its keys under one of them, or write [[…]] at each where there may be several"
    elif (key := _KEY.match(line)) is not None:
        what, wanted = key[1], (_table_of(lines, number), key[1])
        fix = "keep one of them"
    else:
        return _wrong(file, f"line {number} gives a key that is given before", "keep one of them")
    before = [index for index in range(1, number) if _stands_at(lines, index) == wanted]
    first = f", first in line {before[0]}" if before else ""
    return _wrong(file, f"line {number} gives {what} a second time{first}", fix)


def _stands_at(lines: list[str], number: int) -> tuple[str, str] | None:
    """Table and key that a line gives; of a heading the key is empty. A guess: text can look like that."""
    line = lines[number - 1]
    if (heading := _TABLE.match(line)) is not None:
        return heading[2], ""
    key = _KEY.match(line)
    return None if key is None else (_table_of(lines, number), key[1])


def _table_of(lines: list[str], number: int) -> str:
    for line in reversed(lines[: number - 1]):
        if (heading := _TABLE.match(line)) is not None:
            return heading[2]
    return ""


def _wrong(file: Path, message: str, fix: str) -> SettingsError:
    return SettingsError([Problem(str(file), None, message, fix)])

"""What settings are made of and what is wrong with them: `Secret`, `FileText`, `Problem`, `SettingsError`.

Next door: `fields`, how a setting is declared; `reading`, how it gets its value.
"""

import hmac
import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

_SHOWN_LIMIT: Final = 80
_URL_PASSWORD: Final = re.compile(r"://.*@", re.DOTALL)


class Secret:
    """A string that does not show itself: `repr`, `str` and format give `***`.

    Comparison is constant in time. The value leaves only through `reveal()`, which review can search for.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)


class FileText(str):
    """A text that usually has a file of its own and is no secret, such as a certificate: `x`, or `x_file`."""

    __slots__ = ()


class Problem(NamedTuple):
    """One thing that is wrong: where, what was given, why that is wrong, what to do.

    Attributes:
        key: dotted path of the setting (`session.same_site`, `rules[0].path`), or the file's name.
        value: what was given; None when there is nothing to show. Never the value of a secret.
        message: continues the sentence that key and value begin.
        fix: what to do about it.
    """

    key: str
    value: object
    message: str
    fix: str

    def __str__(self) -> str:
        shown = "" if self.value is None else f"{_shown(self.value)} "
        return f"{self.key}: {shown}{self.message}; {self.fix}"


class SettingsError(Exception):
    """The configuration is wrong as a whole; `problems` holds every reason, `str()` lists one per line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


def unreadable(error: OSError, if_missing: str) -> tuple[str, str]:
    """Message and fix of a `Problem` with a file that cannot be opened; `if_missing`: the fix then."""
    match error:
        case FileNotFoundError():
            fix = if_missing
        case IsADirectoryError():
            return "is a folder", "name a file"
        case PermissionError():
            fix = "let the user that runs this read it (chown, chmod), and enter its folder"
        case _:
            fix = "name a file that can be read"
    return f"cannot be read: {error.strerror}", fix


def _shown(value: object) -> str:
    """A value as a message shows it: on one line; of a table or list only its kind (it may hold secrets)."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, int) and value.bit_length() > 256:
        return "a very large integer"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return str(value) if isinstance(value, int | float) else repr(str(value))[:_SHOWN_LIMIT]
    text = _URL_PASSWORD.sub("://***@", value)
    return ascii(text if len(text) <= _SHOWN_LIMIT else text[:_SHOWN_LIMIT] + "…")

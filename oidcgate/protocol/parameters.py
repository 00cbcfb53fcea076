"""Request parameters as they arrived: which are there, and which are there more than once.

Every parser of this room starts here. What a parameter means is its message's module.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, TypeVar

from oidcgate.protocol.errors import InvalidRequest, OAuthError

E = TypeVar("E", bound=OAuthError)

#: Longer values are refused: nothing we accept is longer, and some are kept for as long as a login takes.
MAX_VALUE_CHARACTERS: Final = 4096
#: id_token_hint and request are whole tokens.
MAX_TOKEN_CHARACTERS: Final = 16_384

_TOKENS: Final = frozenset(
    {"id_token_hint", "refresh_token", "access_token", "client_assertion", "assertion", "token", "request"}
)
# RFC 8707 2 and RFC 8693 2.1 let these be repeated.
_REPEATABLE: Final = frozenset({"resource", "audience"})
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
# What somebody chose for a password is compared by its hash and goes nowhere else. Half a character cannot
# be hashed.
_WITH_CONTROLS: Final = frozenset({"password"})
_HALF_CHARACTER: Final = re.compile(r"[\ud800-\udfff]")


class Parameters(NamedTuple):
    """Parameters by name. One without a value counts as absent; of a repeated one the first value is kept.

    Attributes:
        further: The other values of those that may be repeated.

    Spec: RFC 6749 3.1, 3.2.
    """

    values: dict[str, str]
    repeated: frozenset[str]
    further: Mapping[str, tuple[str, ...]] = MappingProxyType({})

    def get(self, name: str) -> str | None:
        """Return the value, or None when it is absent."""
        return self.values.get(name)

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of a parameter that may be repeated, in order."""
        first = self.values.get(name)
        return () if first is None else (first, *self.further.get(name, ()))

    def safe(self, name: str) -> str | None:
        """Return the value if it is given once and well formed, else None."""
        value = self.values.get(name)
        return None if value is None or name in self.repeated or _problem(name, value) else value

    def required(self, name: str) -> str:
        """Return the value.

        Raises:
            InvalidRequest: It is absent.
        """
        value = self.values.get(name)
        if value is None:
            raise InvalidRequest(f"{name} is missing")
        return value

    def check(self, *names: str) -> None:
        """Refuse these parameters (all, if none is named) when repeated, too long or with control characters.

        A `password` may hold control characters.

        Raises:
            InvalidRequest: Naming the first of them.
        """
        for name in names or sorted({*self.values, *self.repeated}):
            if name in self.repeated and name not in _REPEATABLE:
                raise InvalidRequest(f"{_shown(name)} is given more than once")
            for value in self.all(name):
                problem = _problem(name, value)
                if problem is not None:
                    raise InvalidRequest(f"{_shown(name)} {problem}")


def collect(pairs: Iterable[tuple[str, str]]) -> Parameters:
    """Return the decoded pairs of a query or form by name; never fails."""
    values: dict[str, str] = {}
    seen: set[str] = set()
    repeated: set[str] = set()
    further: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        if name in seen:
            repeated.add(name)
        seen.add(name)
        if not value:
            continue
        if name in values and name in _REPEATABLE:
            further[name] = (*further.get(name, ()), value)
        values.setdefault(name, value)
    return Parameters(values, frozenset(repeated), further)


def _problem(name: str, value: str) -> str | None:
    if len(value) > (MAX_TOKEN_CHARACTERS if name in _TOKENS else MAX_VALUE_CHARACTERS):
        return "is too long"
    if (_HALF_CHARACTER if name in _WITH_CONTROLS else _CONTROL).search(value):
        return "has control characters"
    return None


def _shown(name: str) -> str:
    # The name is the client's text as much as the value is.
    return name if name.isidentifier() and len(name) <= 40 else "a parameter"

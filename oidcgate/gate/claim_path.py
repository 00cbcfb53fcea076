r"""Where a claim is in what the IdP says: a path of names with dots between them. Pure.

`email` is a claim, `address.country` a member of one. A dot that belongs to a name is written `\.`, and a
backslash `\\`: `https://example\.com/groups` is the claim `https://example.com/groups`.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

__all__ = ["MISSING", "ClaimPath", "parse_claim_path"]

#: A claim that was not there, which is not the same as one that is null.
MISSING: Final = object()

_PART: Final = re.compile(r"(?:[^.\\]|\\[.\\])+", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_TO_ESCAPE: Final = re.compile(r"[.\\]")


class ClaimPath(NamedTuple):
    """The names from the outermost claim to the member that is meant; never empty."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(_TO_ESCAPE.sub(r"\\\g<0>", name) for name in self.names)

    @property
    def claim(self) -> str:
        """The outermost claim."""
        return self.names[0]

    def read(self, claims: Mapping[str, Any]) -> Any:
        """The value there, or `MISSING`: where the way ends, and where it leads through what has no members.

        Names are compared as they are, so that a literal `a.b` is never taken for the member `b` of `a`.
        """
        value: Any = claims
        for name in self.names:
            if not isinstance(value, Mapping) or name not in value:
                return MISSING
            value = value[name]
        return value


def parse_claim_path(text: str) -> ClaimPath:
    r"""The path that a text means.

    Raises:
        ValueError: it means none; says what is wrong, and after a semicolon what to do.
    """
    names = []
    position = 0
    while True:
        part = _PART.match(text, position)
        if part is not None:
            names.append(_ESCAPED.sub(r"\1", part[0]))
            position = part.end()
        if text[position : position + 1] == "\\":
            raise ValueError(
                r"has a backslash that escapes nothing; write \. for a dot and \\ for a backslash in a name"
            )
        if part is None:
            raise ValueError(
                r"has an empty name; write names with one dot between them, and \. for a dot in a name"
            )
        if position == len(text):
            return ClaimPath(tuple(names))
        position += 1

"""The challenge by which a protected resource asks for a fresher or stronger authentication. Pure.

The other challenges of a resource are `oidcgate.protocol.bearer`.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

__all__ = ["StepUpChallenge", "step_up_challenge"]

_LONGEST: Final = 4096
_MOST_CONTEXTS: Final = 10
_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# One parameter, which may begin a challenge, or a challenge without any. Spec: RFC 9110 11.2, 11.6.1.
_ITEM = re.compile(
    rf'\s*(?:({_WORD})(?:\s+|(?=\s*(?:,|$))))?(?:({_WORD})\s*=\s*("(?:[^"\\]|\\.)*"|{_WORD}))?\s*(?:,|$)'
)
_QUOTED_PAIR = re.compile(r"\\(.)")


class StepUpChallenge(NamedTuple):
    """What the authentication has to be; at least one of the two is asked for.

    Attributes:
        max_age_seconds: how long ago it may have been; None: any time.
        acr_values: contexts of which it has to have one; empty: any.
    """

    max_age_seconds: int | None
    acr_values: tuple[str, ...]


def step_up_challenge(header_values: Iterable[str]) -> StepUpChallenge | None:
    """Read what the `WWW-Authenticate` fields of a 401 ask for.

    Returns:
        None when none of them is such a challenge, when it asks for nothing that can be given, or when it
        cannot be read.

    Spec: RFC 9470 3.
    """
    for text in header_values:
        if len(text) > _LONGEST:
            continue
        for parameters in _bearer_challenges(text):
            if parameters.get("error") != "insufficient_user_authentication":
                continue
            age = parameters.get("max_age")
            if age is not None and not (age.isascii() and age.isdigit() and len(age) <= 9):
                continue
            contexts = tuple(parameters.get("acr_values", "").split()[:_MOST_CONTEXTS])
            if age is not None or contexts:
                return StepUpChallenge(None if age is None else int(age), contexts)
    return None


def _bearer_challenges(text: str) -> Iterator[dict[str, str]]:
    """The parameters of each Bearer challenge of one field, up to where it cannot be read."""
    parameters: dict[str, str] | None = None
    position = 0
    while position < len(text):
        found = _ITEM.match(text, position)
        if found is None or found.end() == position:
            break
        position = found.end()
        scheme, name, value = found.groups()
        if scheme is not None:
            if parameters:
                yield parameters
            parameters = {} if scheme.lower() == "bearer" else None
        if name is not None and parameters is not None:
            plain = _QUOTED_PAIR.sub(r"\1", value[1:-1]) if value.startswith('"') else value
            parameters[name.lower()] = plain
    if parameters:
        yield parameters

"""Instants inside tokens. What a token without one, or with an odd one, is called is its own module's."""

from collections.abc import Mapping
from typing import Any, Final

# The largest integer that every JSON reader keeps whole (RFC 7493 2.2).
_MAX_INSTANT: Final = 2**53 - 1


def numeric_date(claims: Mapping[str, Any], name: str) -> int | float | None:
    """Return the claim as epoch seconds, or None when it is absent.

    Raises:
        ValueError: It is no number, or none that a clock shows.

    Spec: RFC 7519 2.
    """
    value = claims.get(name)
    if value is None:
        return None
    # bool is an int to Python; NaN compares with nothing, so it would pass every limit.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MAX_INSTANT:
        raise ValueError(f"{name} is not an instant")
    return value

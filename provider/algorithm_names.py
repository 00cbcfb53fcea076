"""Names of algorithms in settings: what is said of one that is not known."""

import difflib
from collections.abc import Collection, Iterator

from oidcgate.settings import Problem


def unknown(key: str, value: str, known: Collection[str]) -> Iterator[Problem]:
    """The problem of a value that is neither empty nor one of the known names; the nearest is its fix."""
    if not value or value in known:
        return
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(value.lower(), by_lower, n=1)
    fix = f"did you mean {by_lower[near[0]]}" if near else f"use one of {', '.join(known)}"
    yield Problem(key, value, "is no algorithm that can be used here", fix)

"""Answers that may take no time: how code on an event loop asks without ever holding the loop up.

What is asked for an admitted request is nearly always known in memory. Here lives the one rule for the rest:
whoever is about to wait (a store, a directory, a lock held during either) says so first with
`about_to_wait`, and where the caller must not wait that is the end of it: `WouldWait`. The caller then asks
again in a thread. Who does that is `oidcgate.gate.asgi`.
"""

import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["WouldWait", "about_to_wait", "at_once"]

P = ParamSpec("P")
T = TypeVar("T")


class WouldWait(Exception):
    """The answer is not in memory. Nothing was asked or changed: ask again where waiting is fine."""


class _Caller(threading.local):
    must_not_wait = False


_caller = _Caller()


def at_once(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call, and be told instead of made to wait.

    Raises:
        WouldWait: the call came to a point where it would have had to wait.
    """
    _caller.must_not_wait = True
    try:
        return call(*args, **kwargs)
    finally:
        _caller.must_not_wait = False


def about_to_wait() -> None:
    """To be called before anything that can take time: a round trip, a file, a lock around one.

    Raises:
        WouldWait: the caller asked through `at_once`.
    """
    if _caller.must_not_wait:
        raise WouldWait

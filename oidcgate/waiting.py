"""How code on an event loop never holds the loop up: asking without waiting, and room between many things.

What is asked for an admitted request is nearly always known in memory. Here lives the one rule for the rest:
whoever is about to wait (a store, a directory, a lock held during either) says so first with
`about_to_wait`, and where the caller must not wait that is the end of it: `WouldWait`. The caller then asks
again in a thread. Who does that is `oidcgate.gate.asgi`.

What takes long only because it is done for each of thousands (a regular look at all that is under way) is
done `in_portions`, for all who look.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final, ParamSpec, TypeVar

__all__ = ["PORTION", "WouldWait", "about_to_wait", "at_once", "in_portions"]

#: So many things are looked at before others have a turn.
PORTION: Final = 100

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


async def in_portions(things: Iterable[T]) -> AsyncIterator[T]:
    """Each of those that are there now, one after another, with room for others after each `PORTION`.

    What others do with that room may concern things that are still to come: ask of each whether it is still
    there.
    """
    for number, thing in enumerate(tuple(things), start=1):
        yield thing
        if number % PORTION == 0:
            await asyncio.sleep(0)

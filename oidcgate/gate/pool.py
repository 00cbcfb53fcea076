"""Threads for what waits, so that an event loop does not: bounded in number and in what may queue for them.

Here lives the pool alone. What runs in one, and what is answered when it is full, is next door in `asgi`.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

__all__ = ["Pool", "PoolFull"]

P = ParamSpec("P")
T = TypeVar("T")


class PoolFull(Exception):
    """As many calls wait as may; one more would only wait longer than anybody does."""


class Pool:
    """Some threads and a queue of limited length. Made before a fork, it starts its threads after it."""

    def __init__(self, name: str, *, threads: int, queue: int) -> None:
        """Nothing is started yet.

        Args:
            name: what its threads are called.
            threads: how many calls run at once.
            queue: how many more may wait.
        """
        self._make = partial(ThreadPoolExecutor, threads, thread_name_prefix=name)
        self._executor: ThreadPoolExecutor | None = None
        self._room = threads + queue
        self.pending = 0

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The answer of `call`, made in a thread. A caller that is cancelled leaves the call to its end.

        Raises:
            PoolFull: nothing was called.
        """
        if self.pending >= self._room:
            raise PoolFull
        loop = asyncio.get_running_loop()
        executor = self._executor = self._executor or self._make()
        self.pending += 1
        future: Future[T] = executor.submit(call, *args, **kwargs)
        future.add_done_callback(lambda _: self._leave(loop))
        return await asyncio.wrap_future(future, loop=loop)

    def close(self) -> None:
        """Let the threads go: what runs comes to its end, what is queued is cancelled.

        A later call starts anew.
        """
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)

    def _leave(self, loop: asyncio.AbstractEventLoop) -> None:
        # Counted on the loop alone, so that no lock is needed; a loop that is closed counts no more.
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._done)

    def _done(self, *_: Any) -> None:
        self.pending -= 1

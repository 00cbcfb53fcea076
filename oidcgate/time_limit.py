"""Calls that cannot be ended, and who waits for them no longer than so many seconds.

Code of others (a resolver, a database driver, a function that an operator wrote) has often no time limit of
its own, or none for every way in which it can hang. It runs in a thread that may be left behind; never in
many of them.
"""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["NotInTime", "TimeLimited"]

T = TypeVar("T")


class NotInTime(TimeoutError):
    """There was no answer in time, or no turn."""


class TimeLimited:
    """Makes calls in threads of their own and waits for each a limited time. Safe to share between threads.

    Args:
        name: what the threads are called, and who is busy when too many calls are under way.
        at_once: how many calls may be under way, those that were given up included.
    """

    def __init__(self, name: str, *, at_once: int) -> None:
        self._name = name
        self._room = threading.BoundedSemaphore(at_once)

    def call(self, call: Callable[[], T], seconds: float) -> T:
        """The answer of `call`, or the exception that it raised.

        Args:
            seconds: how long to wait for a turn and the answer together.

        Raises:
            NotInTime: there was none in time. The call goes on, and its answer is dropped.
        """
        ends_at = time.monotonic() + seconds
        if not self._room.acquire(timeout=max(seconds, 0)):
            raise NotInTime(f"{self._name}: too many calls have not come back yet")
        answers: list[T] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                answers.append(call())
            except BaseException as error:
                # Whatever it is: it belongs to the caller, a thread would print it.
                errors.append(error)
            finally:
                self._room.release()

        # A daemon: one that hangs must not keep the process from ending.
        thread = threading.Thread(target=run, name=self._name, daemon=True)
        try:
            thread.start()
        except BaseException:
            self._room.release()
            raise
        thread.join(max(ends_at - time.monotonic(), 0))
        if errors:
            raise errors.pop()
        if not answers:
            raise NotInTime(f"{self._name}: no answer within {seconds:g} seconds")
        return answers[0]

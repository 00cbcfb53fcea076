"""A server that did not answer is left alone for a moment, so that requests do not queue up behind time-outs.

One caller at a time finds out whether it is back; whoever comes meanwhile is told at once. Used by the stores
that may be servers of their own: `memcached`, `redis`, `sql`.
"""

import logging
import threading
from collections.abc import Callable

__all__ = ["LeftAlone"]

log = logging.getLogger("oidcgate.storage")


class LeftAlone:
    """Whether a server is worth asking now.

    Args:
        name: what the log calls it.
        pause_seconds: how long it is left alone.
        clock: seconds, never set back.
    """

    def __init__(self, name: str, pause_seconds: float, clock: Callable[[], float]) -> None:
        self._name = name
        self._pause_seconds = pause_seconds
        self._clock = clock
        self._lock = threading.Lock()
        #: When it may be asked again; None: it answered when it was last asked.
        self._ask_again_at: float | None = None

    def may_be_asked(self) -> bool:
        """False: it did not answer a moment ago."""
        if self._ask_again_at is None:
            return True
        with self._lock:
            if self._ask_again_at is None:
                return True
            now = self._clock()
            if now < self._ask_again_at:
                return False
            # This caller finds out; whoever comes meanwhile is told at once.
            self._ask_again_at = now + self._pause_seconds
            return True

    def did_not_answer(self, error: Exception) -> None:
        """To be called when it was asked in vain."""
        with self._lock:
            if self._ask_again_at is None:
                log.warning("%s does not answer: %r", self._name, error)
            self._ask_again_at = self._clock() + self._pause_seconds

    def answered(self) -> None:
        """To be called whenever it answered."""
        if self._ask_again_at is not None:
            self._ask_again_at = None
            log.info("%s answers again", self._name)

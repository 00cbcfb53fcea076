"""A thread beside the requests of a process, for what nobody waits for and takes too long after an answer.

WSGI has no process of its own, so the thread begins with the first answer of a process, or when a server that
knows says so. It ends when it is told to.
"""

import logging
import os
import threading
from collections.abc import Callable
from typing import Final

_log = logging.getLogger("provider")

#: How long it rests when there was nothing to do.
REST_SECONDS: Final = 1.0


class Background:
    """One thread of each process, over a function that says how much it did.

    Args:
        work: Called again and again; what it raises is logged.
        stopping: Set when the thread is to end, for a `work` that lasts.
    """

    def __init__(self, work: Callable[[], int], stopping: threading.Event) -> None:
        self._work = work
        self._stopping = stopping
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._begun_by = 0

    def begin(self) -> None:
        """See to it that the thread of this process runs; a fork takes none along.

        Raises:
            RuntimeError: no thread can be started now; the next call tries again.
        """
        if self._begun_by == os.getpid():
            return
        with self._lock:
            if self._begun_by != os.getpid():
                thread = threading.Thread(target=self._run, name="provider-background", daemon=True)
                thread.start()
                self._thread, self._begun_by = thread, os.getpid()

    def end(self, patience_seconds: float) -> None:
        """End the thread of this process, after what it is at, if that does not take longer."""
        thread = self._thread
        if thread is not None and self._begun_by == os.getpid():
            self._stopping.set()
            thread.join(patience_seconds)

    def _run(self) -> None:
        while not self._stopping.is_set():
            done = 0
            try:
                done = self._work()
            except Exception as error:
                _log.error("what is done beside requests failed", exc_info=error)
            if not done:
                self._stopping.wait(REST_SECONDS)

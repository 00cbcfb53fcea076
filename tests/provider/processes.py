"""Several processes that do the same at once, by forking this one."""

import os
import warnings
from collections.abc import Callable


def in_processes(count: int, work: Callable[[], object]) -> list[int]:
    """Run `work` in `count` children; returns their exit codes, 0 where it did not raise."""
    return [
        os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in [_child(work) for _ in range(count)]
    ]


def _child(work: Callable[[], object]) -> int:
    with warnings.catch_warnings():
        # Newer Pythons warn of threads here; the child only works on a database and leaves.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:  # pragma: no cover (another process)
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return child

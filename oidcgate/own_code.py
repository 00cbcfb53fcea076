"""Code of an operator's own, named in a configuration as `module:callable`: found, and called with a limit.

Here live `named`, which imports it, and `Limited`, which waits for it no longer than it was told. What such
code is asked for, and what its silence means, is said by whoever calls it.
"""

import importlib
import re
import threading
from collections.abc import Callable
from typing import Any, Final

__all__ = ["Limited", "OwnCodeFailed", "name_problem", "named"]

_NAME: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


class OwnCodeFailed(Exception):
    """The code cannot be found, raised an exception, or did not answer in time.

    Its text names the kind of an exception and never quotes one: that may hold what the code was given.
    """


def name_problem(value: str) -> str | None:
    """What is wrong with a name as a rule of a setting says it; whether it can be imported is not asked."""
    if _NAME.fullmatch(value):
        return None
    return "names no callable; write module:callable, as in my_company.sign_in:enrich"


def named(name: str) -> Callable[..., Any]:
    """The callable of that name; its module is imported.

    Raises:
        OwnCodeFailed: there is none.
    """
    module_name, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:  # what an import may run into is the module's own
        told = str(error) if isinstance(error, ImportError) else type(error).__name__
        raise OwnCodeFailed(f"{module_name} cannot be imported: {told}") from error
    for part in path.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise OwnCodeFailed(f"{module_name} has no callable {path}")
    return found  # type: ignore[no-any-return]  # what it takes and gives is its caller's to say


class Limited:
    """A callable that is waited for no longer than a limit.

    Each call has a thread of its own, which cannot be ended from outside: a call that hangs keeps it. So only
    some may run at once, and while all of them hang the next ones fail without being made.
    """

    def __init__(self, call: Callable[..., Any], *, seconds: float, at_once: int = 8) -> None:
        """Nothing is called yet.

        Args:
            call: what is called.
            seconds: how long it may take.
            at_once: how many calls may be under way.
        """
        self._call = call
        self._seconds = seconds
        self._free = threading.BoundedSemaphore(at_once)

    def __call__(self, *args: Any) -> Any:
        """What the callable returns.

        Raises:
            OwnCodeFailed: it raised an exception (which is the cause of this one), took too long, or too many
                calls are under way.
        """
        if not self._free.acquire(blocking=False):
            raise OwnCodeFailed("too many calls have not come back yet")
        answer: list[Any] = []
        failure: list[BaseException] = []

        def run() -> None:
            try:
                answer.append(self._call(*args))
            except BaseException as error:  # also an attempt to end the process: whoever waits is told
                failure.append(error)
            finally:
                self._free.release()

        # A daemon: a call that hangs must not keep the process from ending.
        thread = threading.Thread(target=run, name="oidcgate-own-code", daemon=True)
        thread.start()
        thread.join(self._seconds)
        # Copied: it may end right now, and then counts as too late or as in time, but not as both.
        answers, failures = answer[:], failure[:]
        if failures:
            raise OwnCodeFailed(f"it raised {type(failures[0]).__name__}") from failures[0]
        if not answers:
            raise OwnCodeFailed(f"it did not answer within {self._seconds:g} seconds")
        return answers[0]

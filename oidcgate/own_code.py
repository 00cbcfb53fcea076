"""Code of an operator's own, named in a configuration as `module:callable`: found, and called with a limit.

Here live `named`, which imports it, and `Limited`, which waits for it no longer than it was told. What such
code is asked for, and what its silence means, is said by whoever calls it.
"""

import importlib
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from oidcgate.time_limit import NotInTime, TimeLimited

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
    """A callable that is waited for no longer than a limit; how is `oidcgate.time_limit`."""

    def __init__(self, call: Callable[..., Any], *, seconds: float, at_once: int = 8) -> None:
        """Nothing is called yet.

        Args:
            call: what is called.
            seconds: how long it may take.
            at_once: how many calls may be under way.
        """
        self._call = call
        self._seconds = seconds
        self._threads = TimeLimited("oidcgate-own-code", at_once=at_once)

    def __call__(self, *args: Any) -> Any:
        """What the callable returns.

        Raises:
            OwnCodeFailed: it raised an exception (which is the cause of this one), took too long, or too many
                calls are under way.
        """
        try:
            return self._threads.call(partial(self._told, *args), self._seconds)
        except NotInTime as error:
            raise OwnCodeFailed(str(error)) from None

    def _told(self, *args: Any) -> Any:
        try:
            return self._call(*args)
        except BaseException as error:  # also an attempt to end the process: whoever waits is told
            raise OwnCodeFailed(f"it raised {type(error).__name__}") from error

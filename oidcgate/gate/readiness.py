"""Whether what decisions need answers: asked by one request at a time, and remembered for a second.

Anybody may ask for `/.oidcgate/readyz`. If each request asked the directory, a stranger who asks often would
put a slow one out of service, and hold all threads besides. Which parts are asked is said in `routes`.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Final

from oidcgate.directory.port import AmbiguousUser, DirectoryUnavailable
from oidcgate.storage.records import StoreUnavailable

__all__ = ["Readiness"]

_HOLDS_SECONDS: Final = 1
#: A question that takes longer is itself a reason not to send anybody here.
_PATIENCE_SECONDS: Final = 10


class Readiness:
    """The last answers of the parts. Safe to share between threads."""

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._asked_since: float | None = None
        self._last: tuple[float, Mapping[str, bool]] | None = None

    def of(
        self, questions: Mapping[str, Callable[[], object]], clock: Callable[[], float]
    ) -> Mapping[str, bool]:
        """Which parts answer, by name; no older than a second, or than the question that is under way.

        Whoever comes while another asks gets what was known before, and waits for nobody. Where nothing was,
        or the question takes more than ten seconds, that is: no part answers.

        Args:
            questions: by name; each returns, or raises what its part raises when it cannot answer.
            clock: epoch seconds.
        """
        last, now = self._last, clock()
        # A clock that was set back must not keep an answer until it has caught up.
        if last is not None and 0 <= now - last[0] < _HOLDS_SECONDS:
            return last[1]
        if not self._asking.acquire(blocking=False):
            since = self._asked_since
            if last is None or (since is not None and now - since > _PATIENCE_SECONDS):
                return dict.fromkeys(questions, False)
            return last[1]
        try:
            self._asked_since = now
            answers = {name: _works(ask) for name, ask in questions.items()}
            # From the end on: who takes long is to have a rest, too.
            self._last = clock(), answers
            return answers
        finally:
            self._asked_since = None
            self._asking.release()


def _works(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except (StoreUnavailable, DirectoryUnavailable):
        return False
    except AmbiguousUser:
        # An answer: several users have the name that was asked for.
        return True
    return True

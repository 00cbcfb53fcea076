"""Long requests are judged anew: an event stream or a WebSocket ends when its session does.

Here live the register of what is under way and the look at it every few seconds. Judging is
`oidcgate.gate.judge`; what is told to the client is up to the front, next door in `asgi` (G-26).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from oidcgate.waiting import in_portions
from oidcgate.web.facts import Facts

__all__ = ["LOOK_SECONDS", "Ongoing", "Watch"]

log = logging.getLogger("oidcgate.gate")

LOOK_SECONDS: Final = 10


class Ongoing:
    """One request under way.

    Attributes:
        identified: whether the app was told who it is.
        ended: set when it may go on no longer; its task has been cancelled then.
    """

    __slots__ = ("cookies", "ended", "facts", "identified", "task")

    def __init__(self, task: "asyncio.Task[object]", facts: Facts, cookies: str, identified: bool) -> None:
        self.task = task
        self.facts = facts
        self.cookies = cookies
        self.identified = identified
        self.ended = False


class Watch:
    """The requests of one front that are under way, on one event loop.

    A request costs an entry in a set; whatever is under way at a look is judged.
    """

    def __init__(
        self, may_go_on: Callable[[Ongoing], Awaitable[bool]], *, look_seconds: float = LOOK_SECONDS
    ) -> None:
        """Nothing is watched yet.

        Args:
            may_go_on: judges a request anew; one that it cannot judge, because it fails, is ended.
            look_seconds: how often.
        """
        self._may_go_on = may_go_on
        self._look_seconds = look_seconds
        self._ongoing: set[Ongoing] = set()
        self._looking: asyncio.Task[None] | None = None

    def begin(self, facts: Facts, cookies: str, *, identified: bool) -> Ongoing:
        """Watch the request that the current task answers; `end` has to follow."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (an app is always called in one)
        ongoing = Ongoing(task, facts, cookies, identified)
        self._ongoing.add(ongoing)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look())
        return ongoing

    def end(self, ongoing: Ongoing) -> None:
        """The request is answered."""
        self._ongoing.discard(ongoing)

    async def _look(self) -> None:
        # Ends when nothing is under way, so that a loop that has served its requests can be closed.
        while self._ongoing:
            await asyncio.sleep(self._look_seconds)
            async for ongoing in in_portions(self._ongoing):
                if not await self._passes(ongoing) and ongoing in self._ongoing:
                    # Stays in the register until its task has left: an app may take this for something to
                    # recover from, and is told again at the next look.
                    ongoing.ended = True
                    ongoing.task.cancel()

    async def _passes(self, ongoing: Ongoing) -> bool:
        try:
            return not ongoing.ended and await self._may_go_on(ongoing)
        except Exception:
            # A new request would fail as well; and the others have still to be looked at.
            log.exception("a request under way cannot be judged anew, so it ends")
            return False

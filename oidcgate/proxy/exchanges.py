"""The exchanges under way, for whom each of them waits, and when it is given up.

Here live `Exchange`, `Exchanges` with its one look per second at all of them, and so every time-out of a
`Proxy` but that of connecting. A timer per request would cost more than the rest of it. What an exchange does
is `http`'s next door.
"""

import asyncio
from collections.abc import Iterable
from enum import Enum

from oidcgate.proxy.routes import Limits
from oidcgate.proxy.troubles import Trouble
from oidcgate.proxy.upstream import Connection, Pool
from oidcgate.waiting import in_portions
from oidcgate.web.asgi import Receive

__all__ = ["Exchange", "Exchanges", "Waits"]


class Waits(Enum):
    """For whom one direction of an exchange waits."""

    NOBODY = 0
    CLIENT = 1
    UPSTREAM = 2


_NOBODY = Waits.NOBODY  # to be found faster than a member of an Enum


class Exchange:
    """One request under way.

    Attributes:
        task: of the server, that runs it.
        receive: of the server.
        connection: to the upstream, while there is one.
        moved_at: when a byte was last passed on in either direction, as exact as the looks are frequent.
        upload: for whom the body of the request waits; nobody: all of it is sent.
        answer: for whom the answer waits.
        started: the client has the head of an answer.
        helper: the task that reads from the client, beside `task`.
        given_up: why `task` was cancelled by us.
    """

    __slots__ = (
        "answer",
        "connection",
        "given_up",
        "helper",
        "moved_at",
        "receive",
        "started",
        "task",
        "upload",
    )

    def __init__(self, receive: Receive, now: float) -> None:
        self.task = asyncio.current_task()
        self.receive = receive
        self.connection: Connection | None = None
        self.moved_at = now
        self.upload = self.answer = _NOBODY
        self.started = False
        self.helper: asyncio.Task[None] | None = None
        self.given_up: Trouble | None = None

    def fail(self, kind: Trouble) -> None:
        """Give the exchange up, wherever it stands."""
        if self.connection is not None:
            self.connection.fail(kind)
        if self.task is not None and (self.connection is None or self.answer is Waits.CLIENT):
            # It does not look at the connection now, and the client may never let it go on.
            self.given_up = kind
            self.task.cancel()

    async def until_the_client_leaves(self) -> None:
        """Wait for the server to say that the client has left; the body has been read."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def watch(self) -> None:
        """Give the exchange up when the client leaves."""
        await self.until_the_client_leaves()
        self.fail(Trouble.CLIENT_GONE)

    def overdue(self, now: float, limits: Limits) -> Trouble | None:
        """What to give it up for, when too long nothing has moved."""
        if self.upload is Waits.CLIENT or self.answer is Waits.CLIENT:
            if limits.client_idle_seconds is None:
                return None
            seconds, kind = limits.client_idle_seconds, Trouble.CLIENT_IDLE
        elif self.upload is Waits.UPSTREAM or (self.answer is Waits.UPSTREAM and self.started):
            seconds, kind = limits.idle_seconds, Trouble.IDLE
        elif self.answer is Waits.UPSTREAM:
            seconds, kind = limits.head_seconds, Trouble.HEAD_TIMEOUT
        else:
            return None
        return kind if now - self.moved_at > seconds else None


class Exchanges:
    """All exchanges of one `Proxy`, looked at from time to time while there are any.

    Attributes:
        now: time of the event loop at the last look.
    """

    def __init__(self, limits: Limits, pools: Iterable[Pool], every_seconds: float) -> None:
        self.now = 0.0
        self._limits = limits
        self._pools = tuple(pools)
        self._every_seconds = every_seconds
        self._active: set[Exchange] = set()
        self._looking: asyncio.Task[None] | None = None

    def begin(self, receive: Receive) -> Exchange:
        """A request has come."""
        if self._looking is None or self._looking.done():
            loop = asyncio.get_running_loop()
            self.now = loop.time()
            self._looking = loop.create_task(self._look_while_there_are_any())
        exchange = Exchange(receive, self.now)
        self._active.add(exchange)
        return exchange

    def end(self, exchange: Exchange) -> None:
        """It is over, one way or the other: whatever it still holds is let go of."""
        self._active.discard(exchange)
        if exchange.helper is not None:
            exchange.helper.cancel()
        if exchange.connection is not None:
            exchange.connection.abort()

    def stop(self) -> None:
        """Look no more; a new request starts it again."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def _look_while_there_are_any(self) -> None:
        loop = asyncio.get_running_loop()
        while self._active or any(pool.idle for pool in self._pools):
            await asyncio.sleep(self._every_seconds)
            await self.look(loop.time())

    async def look(self, now: float) -> None:
        """Give up what is overdue.

        Args:
            now: time of the event loop.
        """
        self.now = now
        async for exchange in in_portions(self._active):
            if exchange not in self._active:
                continue
            overdue = exchange.overdue(now, self._limits)
            if overdue is not None:
                exchange.fail(overdue)
            elif exchange.helper is None and exchange.upload is Waits.NOBODY:
                # It takes longer than most: from now on somebody listens whether the client is still there.
                exchange.helper = asyncio.create_task(exchange.watch())
        for pool in self._pools:
            pool.sweep(now)

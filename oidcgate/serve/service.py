"""What the connections of one worker share: limits, a coarse clock, the sweep, and the way to an end.

Here live `Service` and `ServerLimits`. Nothing here reads or writes a byte of HTTP: that is
`oidcgate.serve.protocol`. The process around it is `oidcgate.serve.worker`.

No request costs a timer. Each connection notes when it was last heard, by a clock that is set once a sweep,
and each sweep asks every connection whether somebody has kept it waiting too long.
"""

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable, MutableMapping
from email.utils import formatdate
from typing import Any, Final, Protocol

from uvicorn.server import ServerState

from oidcgate.handover import Outcome
from oidcgate.serve.request_head import Refusal
from oidcgate.waiting import in_portions

__all__ = ["Connection", "Finished", "ServerLimits", "Service"]

_SWEEP_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.05
_FAREWELL_SECONDS: Final = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class ServerLimits:
    """What a client may ask of one worker.

    Attributes:
        connections: open at once, tunnels included; one more is answered 503.
        head_seconds: from the first byte of a request's head to its last, and from accepting a connection to
            that first byte.
        head_bytes, head_fields: size of a head and number of its fields.
        keepalive_seconds: between an answer and the next request.
        client_idle_seconds: how long a client may send nothing of a body that is waited for, or take nothing
            of what is sent.
        linger_seconds, linger_bytes: how long and how much is read and thrown away behind a last answer, so
            that a client which is still sending gets to read it.
        pipelined: requests that may wait on one connection while another is answered.
    """

    connections: int = 20_000
    head_seconds: float = 10
    head_bytes: int = 32 * 1024
    head_fields: int = 100
    keepalive_seconds: float = 75
    client_idle_seconds: float = 60
    linger_seconds: float = 5
    linger_bytes: int = 4 * 1024 * 1024
    pipelined: int = 32

    @property
    def sweep_seconds(self) -> float:
        """How often to look: every second, unless a limit is so short that this would miss it."""
        shortest = min(
            self.head_seconds, self.keepalive_seconds, self.client_idle_seconds, self.linger_seconds
        )
        return min(_SWEEP_SECONDS, shortest / 4)


class Connection(Protocol):
    """A connection, as far as the service and whoever records need to know it."""

    @property
    def client(self) -> tuple[str, int] | None:
        """Address and port of the other end."""

    @property
    def transport(self) -> asyncio.Transport:
        """What carries its bytes."""

    def in_body(self) -> bool:
        """Whether a body is being read."""

    def sweep(self, now: float) -> None:
        """End what has kept everybody waiting for too long."""

    def shutdown(self) -> None:
        """The server stops: what is under way may end, nothing new begins."""


class Finished(Protocol):
    """A request that is over, as far as whoever records needs to know it."""

    scope: MutableMapping[str, Any]
    status: int
    sent: int
    began_at: float
    user: str
    outcome: Outcome | None

    @property
    def connection(self) -> Connection:
        """On which it was."""


class Service(ServerState):
    """One worker's connections, as uvicorn's protocol expects to find them.

    Attributes:
        connections: all that are open, tunnels included.
        tasks: one for each request under way.
        total_requests: answered so far.
        now: the clock at the last sweep.
        date_line: the Date field of answers, with its line break.
        stopping: no connection is taken any more, and each ends with its next answer.
        hurried: set by whoever wants a stop that has begun to be over at once.
        accepted: connections so far; `upgraded` of them became tunnels, `tunnels` of which are open.
        on_sweep: called after each sweep.
    """

    connections: set[Connection]  # type: ignore[assignment]  # uvicorn's own set, in which all are ours

    def __init__(
        self,
        limits: ServerLimits,
        *,
        clock: Callable[[], float] | None = None,
        wall_clock: Callable[[], float] = time.time,
        on_finished: Callable[[Finished], None] | None = None,
        on_refused: Callable[[Connection, Refusal], None] | None = None,
    ) -> None:
        """Nothing is open yet. To be made on the loop that it will serve.

        Args:
            limits: what clients may ask.
            clock: seconds since whenever; the loop's time unless given.
            wall_clock: epoch seconds, for the Date field.
            on_finished: is told of each request when its task has ended.
            on_refused: is told of each head that was no request.
        """
        super().__init__()
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self.log = logging.getLogger("oidcgate.serve")
        self.stopping = self.hurried = False
        self.accepted = 0
        self.upgraded = self.tunnels = 0
        self.on_finished = on_finished
        self.on_refused = on_refused
        self.on_sweep: Callable[[], None] | None = None
        self._clock = clock or self.loop.time
        self._wall_clock = wall_clock
        self._date_second = -1
        self._set_clock()

    async def sweep_for_ever(self) -> None:
        """Sweep again and again until cancelled."""
        while True:
            await asyncio.sleep(self.limits.sweep_seconds)
            await self.sweep()

    async def sweep(self) -> None:
        """Set the clock, and end what has been waited for too long."""
        self._set_clock()
        async for connection in in_portions(self.connections):
            if connection in self.connections:
                connection.sweep(self.now)
        if self.on_sweep is not None:
            self.on_sweep()

    def _set_clock(self) -> None:
        self.now = self._clock()
        second = int(self._wall_clock())
        if second != self._date_second:
            self._date_second = second
            self.date_line = b"date: %b\r\n" % formatdate(second, usegmt=True).encode("ascii")

    async def stop(self, graceful_seconds: float) -> None:
        """Let end what is under way, then end it.

        Idle connections are closed at once, answers and streams may come to their end, tunnels are told. Who
        is not done in time is cancelled: a tunnel then says goodbye, an answer stays visibly unfinished.
        """
        self.stopping = True
        for connection in tuple(self.connections):
            connection.shutdown()
        await self._until_nothing_is_left(graceful_seconds)
        if self.tasks:
            self.log.warning("%d requests under way are cut: the time to end is over", len(self.tasks))
            for task in tuple(self.tasks):
                task.cancel()
        # What was written last is on its way; a client that takes nothing holds nobody up.
        self.hurried = False
        await self._until_nothing_is_left(_FAREWELL_SECONDS)
        for connection in tuple(self.connections):
            connection.transport.abort()

    async def _until_nothing_is_left(self, seconds: float) -> None:
        deadline = self.loop.time() + seconds
        while (self.connections or self.tasks) and self.loop.time() < deadline and not self.hurried:
            await asyncio.sleep(_LOOK_SECONDS)

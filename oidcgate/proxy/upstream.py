"""Connections to an upstream on an event loop: one exchange at a time on each, kept for the next in a pool.

Here live `Connection`, which sends a request and reads its answer with backpressure both ways, and `Pool`,
which lends connections of one upstream, newest first, up to a number. What is asked and what becomes of the
answer is `http`'s next door; time-outs are its too, since it knows who is waited for.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from oidcgate.proxy.answer import AnswerReader
from oidcgate.proxy.dial import connect
from oidcgate.proxy.routes import Limits, Upstream
from oidcgate.proxy.troubles import Trouble, UpstreamTrouble

__all__ = ["Connection", "Pool"]

# As much of an answer is held for a client that does not take it, and then no more is read: this, and what
# one read of the event loop brings at a time (uvloop 256 KB).
_HELD_BYTES: Final = 64 * 1024


class Connection(asyncio.Protocol):
    """One connection. An exchange begins with `begin`; it is over when its answer is, or with trouble.

    Attributes:
        answer: of the exchange that began last, as far as it has come.
        trouble: why the rest of the answer will never come.
        reused: an exchange has gone over it before, so the upstream may have closed it in the meantime.
        idle_since: when it was last given back.
        lost: it is closed.
        on_lost: told when it is.
        writing_paused: the upstream does not take what was written.
    """

    __slots__ = (
        "_awaited",
        "_busy",
        "_drained",
        "_held",
        "_loop",
        "_reading_paused",
        "_transport",
        "answer",
        "idle_since",
        "lost",
        "on_lost",
        "reused",
        "trouble",
        "writing_paused",
    )

    _transport: asyncio.Transport

    def __init__(self, limits: Limits, on_lost: "Callable[[Connection], None]") -> None:
        self.answer = AnswerReader("GET", limits, lasting=True)
        self.trouble: UpstreamTrouble | None = None
        self.on_lost = on_lost
        self.idle_since = 0.0
        self.lost = self.reused = self.writing_paused = False
        self._loop = asyncio.get_running_loop()
        self._awaited: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._busy = False
        self._reading_paused = False
        self._held = 0

    # What an exchange does.

    def begin(self, method: str, head: bytes, body: bytes = b"", *, upgrade: bool = False) -> None:
        """Send a request, or what there is of it yet, and read its answer from now on.

        Args:
            method: of the request.
            head: complete.
            body: the first bytes of the body, framed.
            upgrade: it asks for another protocol; after a 101 follows `hand_over`.
        """
        self._busy = True
        self.answer.restart(method, upgrade=upgrade)
        if body:
            self._transport.writelines((head, body))
        else:
            self._transport.write(head)

    def write(self, *parts: bytes) -> None:
        """Send more of the body, framed. Whoever goes on while `writing_paused` fills memory."""
        if not self._transport.is_closing():
            self._transport.writelines(parts)

    async def drained(self) -> None:
        """Wait until the upstream has taken enough of what was written, or is gone."""
        while self.writing_paused and not self.lost:
            self._drained = self._loop.create_future()
            await self._drained

    def news(self) -> "asyncio.Future[None]":
        """What to await for the head, more of the body, the end or trouble. For one waiter at a time."""
        if self._reading_paused and not self._held:
            self._reading_paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()
        self._awaited = self._loop.create_future()
        return self._awaited

    def take(self) -> bytes:
        """The bytes of the body that have come since the last time."""
        self._held = 0
        return self.answer.take()

    @property
    def closing(self) -> bool:
        """Whether nothing can be asked over it any more."""
        return self.lost or self._transport.is_closing()

    def finish(self) -> bool:
        """End the exchange. Says whether another may follow: all is sent, no more came than was asked for."""
        self._busy = False
        return self.answer.complete and self.answer.reusable and self._transport.get_write_buffer_size() == 0

    def hand_over(self, protocol: asyncio.Protocol) -> tuple[asyncio.Transport, bytes]:
        """Leave the connection to another protocol, after a 101.

        Returns:
            The transport, being read, and what has come already behind the head.
        """
        self._busy = False
        self.answer.end()
        self._transport.set_protocol(protocol)
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
        return self._transport, self.answer.switched

    def fail(self, kind: Trouble, detail: str = "") -> None:
        """Give the exchange up: the connection is closed at once, and whoever waits hears why."""
        self._fail(UpstreamTrouble(kind, detail))

    def close(self) -> None:
        """Close the connection; what was written still goes out."""
        self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    # What the event loop says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment] # a stream's is always one that writes

    def data_received(self, data: bytes) -> None:
        if not self._busy:
            # Nobody asked. What comes next would be taken for the answer to somebody else's request.
            self._transport.abort()
            return
        try:
            self.answer.feed(data)
        except UpstreamTrouble as trouble:
            self._fail(trouble)
            return
        self._held += len(data)
        if (
            self._held > _HELD_BYTES
            and not self._reading_paused
            and (not self.answer.complete or self.answer.status == 101)
        ):
            self._reading_paused = True
            self._transport.pause_reading()
        if self.answer.head_complete:
            self._wake()

    def eof_received(self) -> None:
        """The transport closes itself; `connection_lost` judges what that means."""

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        try:
            self.answer.end(broken=exc is not None)
        except UpstreamTrouble as trouble:
            if self.trouble is None:
                self.trouble = UpstreamTrouble(trouble.kind, "" if exc is None else type(exc).__name__)
        self._wake()
        self._wake_writer()
        self.on_lost(self)

    def pause_writing(self) -> None:
        self.writing_paused = True

    def resume_writing(self) -> None:
        self.writing_paused = False
        self._wake_writer()

    def _fail(self, trouble: UpstreamTrouble) -> None:
        if self.trouble is None:
            self.trouble = trouble
        self._transport.abort()
        self._wake()

    def _wake(self) -> None:
        waiter = self._awaited
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _wake_writer(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)


class Pool:
    """The connections of one worker to one upstream.

    The one used last is lent first: the others grow old and are closed, and what remains is as many as there
    is work for.
    """

    def __init__(self, upstream: Upstream, limits: Limits) -> None:
        self.upstream = upstream
        self._limits = limits
        self._idle: deque[Connection] = deque()
        self._open = 0
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._closed = False

    def idle_connection(self) -> Connection | None:
        """A connection that has been used before, or None."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if not connection.closing:
                return connection
        return None

    async def connection(self) -> Connection:
        """A new connection, or, when there are as many as there may be, the first that is given back.

        Raises:
            UpstreamTrouble: the upstream cannot be reached, or no place became free in time.
        """
        if self._open < self._limits.upstream_connections:
            self._open += 1
        else:
            given = await self._wait_for_a_place()
            while given is not None:
                if not given.closing:
                    return given
                given = await self._wait_for_a_place()
        try:
            _, connection = await connect(self.upstream, self._new, self._limits.connect_seconds)
            if connection.lost:
                raise UpstreamTrouble(Trouble.UNREACHABLE, "closed at once")
        except BaseException:
            self._place_is_free()
            raise
        connection.on_lost = self._lost
        return connection

    def give_back(self, connection: Connection, now: float) -> None:
        """Take a connection back after its exchange; it is closed unless another one may follow.

        Args:
            now: time, from which on it is unused.
        """
        if not connection.finish() or self._closed:
            connection.abort()
            return
        connection.reused = True
        connection.idle_since = now
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self._idle.append(connection)

    def sweep(self, now: float) -> None:
        """Close what has been unused for too long."""
        oldest = now - self._limits.pooled_seconds
        while self._idle and self._idle[0].idle_since <= oldest:
            self._idle.popleft().close()

    @property
    def open(self) -> int:
        """How many connections there are, or are being made."""
        return self._open

    @property
    def idle(self) -> int:
        """How many of them are unused."""
        return len(self._idle)

    def close(self) -> None:
        """Close unused connections; those in use are closed when they come back."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _new(self) -> Connection:
        return Connection(self._limits, _not_yet_counted)

    async def _wait_for_a_place(self) -> Connection | None:
        """A connection that was given back, or None for the place of one that is gone, counted as ours."""
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                return await waiter
        except BaseException as error:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            elif waiter.done() and not waiter.cancelled():
                # Given up in the moment in which it was given: the next in line gets it.
                self._pass_on(waiter.result())
            if isinstance(error, TimeoutError):
                number = self._limits.upstream_connections
                raise UpstreamTrouble(Trouble.TOO_MANY, f"{number} connections are in use") from None
            raise

    def _pass_on(self, given: Connection | None) -> None:
        if given is None:
            self._place_is_free()
        else:
            self.give_back(given, given.idle_since)

    def _lost(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
        self._place_is_free()

    def _place_is_free(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._open -= 1


def _not_yet_counted(_connection: Connection) -> None:
    """Until the pool has the connection, whoever opens it knows how that went."""

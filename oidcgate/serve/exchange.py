"""One request and its answer, as ASGI has them.

Here lives `Exchange`: the body that waits to be read, and the answer as it is written, framed by us alone.
Which requests there are, and what becomes of the connection afterwards, is `oidcgate.serve.protocol`, which
makes one of these for each request.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final, Protocol

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.utils import ClientDisconnected

from oidcgate.handover import BODY_FOLLOWS, OUTCOME, AnswerCut, Outcome, TunnelEnd
from oidcgate.proxy.fields import HeaderPair
from oidcgate.serve.answer_head import answer_head
from oidcgate.serve.service import Connection, Service

__all__ = ["ASGIApp", "Exchange", "Link", "Message", "Scope"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
ASGIApp = Callable[
    [Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

#: Pieces up to this size are copied into one; longer ones are handed on as they are.
_JOINED_BYTES: Final = 16_384


class Link(Connection, Protocol):
    """A connection, as far as what is answered on it needs to know it."""

    @property
    def service(self) -> Service:
        """What all connections share."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop on which it lives."""

    @property
    def flow(self) -> FlowControl:
        """Who waits for whom to read."""

    def write(self, data: bytes) -> None:
        """Bytes for the client."""

    def write_pieces(self, pieces: Iterable[bytes]) -> None:
        """The same for several pieces, without copying them into one."""

    def answered(self, exchange: "Exchange") -> None:
        """`exchange` has written the last byte of its answer."""

    def cut(self, exchange: "Exchange") -> None:
        """`exchange` will never be complete, and the client must see that it is not."""

    def fail(self, exchange: "Exchange") -> None:
        """The app has answered nothing to `exchange`."""

    def hand_over(self, head: bytes, tunnel: TunnelEnd) -> None:
        """Write a last head; from then on the connection is `tunnel`'s."""

    def tunnel_ended(self) -> None:
        """Nobody is in charge of the connection any more."""


class Exchange:
    """One request under way.

    Attributes:
        scope: of ASGI; `scope["oidcgate.exchange"]` is this object.
        connection: on which it is.
        keep_alive: whether another request may follow.
        expects_continue: the client waits for a word before it sends its body.
        arrived: bytes of the body that have come; `buffered` of them nobody has read yet.
        body_ended: the whole body has arrived.
        wanted_at: since when a piece of the body is waited for; None while none is.
        gone: the client has left, or its request turned out to be none.
        status: of the answer; 0 before there is one.
        written: something of the answer has gone out.
        complete: all of it has.
        sent: bytes of the answer's body.
        began_at: of the monotonic clock, when somebody wants to know how long it took.
        outcome, user: for the access log: what became of it, and whose it was. Whoever knows sets them; None:
            nobody has said so yet.
    """

    __slots__ = (
        "_chunked",
        "_chunks",
        "_end_told",
        "_head",
        "_left",
        "_mute",
        "_waiters",
        "arrived",
        "began_at",
        "body_ended",
        "buffered",
        "complete",
        "connection",
        "expects_continue",
        "gone",
        "keep_alive",
        "outcome",
        "scope",
        "sent",
        "status",
        "task",
        "user",
        "wanted_at",
        "written",
    )

    def __init__(self, connection: Link, scope: Scope, keep_alive: bool, expects_continue: bool) -> None:
        self.connection = connection
        self.scope = scope
        self.keep_alive = keep_alive
        self.expects_continue = expects_continue
        self.task: asyncio.Task[None] | None = None
        self.arrived = 0
        self.buffered = 0
        self.body_ended = False
        self.wanted_at: float | None = None
        self.gone = False
        self.status = 0
        self.written = False
        self.complete = False
        self.sent = 0
        self.began_at = 0.0
        self.outcome: Outcome | None = None
        self.user = ""
        self._chunks: list[bytes] = []
        self._end_told = False
        self._waiters: list[asyncio.Future[None]] = []
        self._head = b""
        self._mute = False
        self._chunked = False
        # Bytes of the body that the announced length still asks for; None: no length is announced.
        self._left: int | None = None

    async def run(self, app: ASGIApp) -> None:
        """Have `app` answer."""
        service = self.connection.service
        try:
            await app(self.scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        except AnswerCut:
            # Whoever raised it has said what there is to say.
            self.outcome = Outcome.FAILED
        except asyncio.CancelledError:
            # By a stop of the server: what is under way ends where it is.
            self.connection.cut(self)
            raise
        except Exception:
            service.log.exception("the app failed")
        finally:
            if self.task is not None:
                service.tasks.discard(self.task)
            self.over()
            if service.on_finished is not None:
                service.on_finished(self)

    def over(self) -> None:
        """The app has said all it will say: an answer that is not complete never will be."""
        if self.complete or self.gone:
            return
        if not self.written:
            self.connection.fail(self)
        else:
            self.connection.cut(self)

    # The request's body

    def feed(self, data: bytes) -> None:
        """A piece of the body has arrived."""
        self._chunks.append(data)
        self.arrived += len(data)
        self.buffered += len(data)
        if self._waiters:
            self._wake()

    def end_body(self) -> None:
        """The body has arrived."""
        self.body_ended = True
        if self._waiters:
            self._wake()

    def lose(self) -> None:
        """The client is gone, for whatever reason: reading and writing tell the app so."""
        self.gone = True
        if self._waiters:
            self._wake()

    async def receive(self) -> Message:
        """The next piece of the body, or the end of the connection. Spec: ASGI HTTP 2.5."""
        while True:
            if self.gone or self.complete:
                return {"type": "http.disconnect"}
            if self._chunks:
                return self._take()
            if self.body_ended and not self._end_told:
                self._end_told = True
                return {"type": "http.request", "body": b"", "more_body": False}
            if not self.body_ended:
                self._ask_for_more()
            await self._arrival()

    def _take(self) -> Message:
        chunks = self._chunks
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._chunks = []
        self.buffered = 0
        if self.body_ended:
            self._end_told = True
            return {"type": "http.request", "body": body, "more_body": False}
        self.connection.flow.resume_reading()
        return {"type": "http.request", "body": body, "more_body": True}

    def _ask_for_more(self) -> None:
        connection = self.connection
        if self.expects_continue:
            self.expects_continue = False
            if not self.status:
                connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self.wanted_at is None:
            self.wanted_at = connection.service.now
        connection.flow.resume_reading()

    async def _arrival(self) -> None:
        # One for each who waits: cancelling one must not wake the others with its cancellation.
        waiter = self.connection.loop.create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            self._waiters.remove(waiter)
            self.wanted_at = None

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    # The answer

    async def send(self, message: Message) -> None:
        """Write a part of the answer, once the client has taken enough of those before.

        Raises:
            ClientDisconnected: nobody is there to read it. Spec: ASGI HTTP 2.4.
            RuntimeError, ValueError: the message is not what may come now, or would not be what it says.
        """
        if self.gone:
            raise ClientDisconnected
        flow = self.connection.flow
        if flow.write_paused:
            await flow.drain()
            if self.gone:
                raise ClientDisconnected
        kind = message["type"]
        if kind == "http.response.body" and self.status and not self.complete:
            self._write_body(message.get("body", b""), message.get("more_body", False))
        elif kind == "http.response.start" and not self.status:
            self._begin(message["status"], message.get("headers", ()))
            self.outcome = message.get(OUTCOME, self.outcome)
            if not message.get(BODY_FOLLOWS, False):
                self._flush()
        else:
            raise RuntimeError(f"the app sends {kind!r} where it cannot come")

    def _begin(self, status: int, headers: Iterable[HeaderPair]) -> None:
        service, scope = self.connection.service, self.scope
        # What follows a body that has not ended is the rest of it, which nobody reads.
        keep_alive = self.keep_alive and self.body_ended and not service.stopping
        self._head, self.keep_alive, self._mute, self._chunked, self._left = answer_head(
            status, headers, scope["method"], scope["http_version"], keep_alive, service.date_line
        )
        self.status = status

    def _flush(self) -> None:
        head, self._head = self._head, b""
        if head:
            self.written = True
            self.connection.write(head)

    def _write_body(self, body: bytes, more: bool) -> None:
        size = len(body)
        if self._mute:
            size = 0
        elif self._left is not None:
            if size > self._left:
                raise RuntimeError("the app sends more than its Content-Length")
            self._left -= size
            if self._left and not more:
                raise RuntimeError("the app sends less than its Content-Length")
        self.sent += size
        head, self._head = self._head, b""
        if self._chunked:
            last = b"" if more else b"0\r\n\r\n"
            if size:
                opening = b"%b%x\r\n" % (head, size)
                if size <= _JOINED_BYTES:
                    self.connection.write(b"".join((opening, body, b"\r\n", last)))
                else:
                    self.connection.write_pieces((opening, body, b"\r\n" + last))
            elif head or last:
                self.connection.write(head + last)
        elif size:
            if not head:
                self.connection.write(body)
            elif size <= _JOINED_BYTES:
                self.connection.write(head + body)
            else:
                self.connection.write_pieces((head, body))
        elif head:
            self.connection.write(head)
        self.written = True
        if not more:
            self.complete = True
            if self._waiters:
                self._wake()
            self.connection.answered(self)

    @property
    def ends_with_connection(self) -> bool:
        """Whether nothing but the end of the connection says where the body ends."""
        return bool(self.status) and not (self._chunked or self._mute or self._left is not None)

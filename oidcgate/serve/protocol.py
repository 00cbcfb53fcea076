"""One connection of a client, from its first byte to its last.

Here lives `SidecarProtocol`: what becomes of requests, and of the connection when a request, a limit or the
client comes to an end. How bytes become requests is `reading`, below this; one request and its answer is
`exchange`, a WebSocket's handshake `upgrade`; what all connections share is `service`.

uvicorn, whose protocol this is, leaves open how long a client may keep everybody waiting, how many requests
may queue on one connection, and what becomes of an answer when the client is still sending.
"""

import asyncio
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Final, cast

from uvicorn.config import Config

from oidcgate.handover import Outcome, TunnelEnd
from oidcgate.serve.exchange import ASGIApp, Exchange, Scope
from oidcgate.serve.reading import RequestReader
from oidcgate.serve.request_head import Refusal
from oidcgate.serve.service import Service
from oidcgate.serve.upgrade import Handshake

__all__ = ["SidecarProtocol", "protocol_factory"]

#: How long a client that had just connected when the server began to stop may take for its one request.
_LAST_CHANCE_SECONDS: Final = 1.0


def protocol_factory(app: ASGIApp, service: Service) -> Callable[[], "SidecarProtocol"]:
    """What an asyncio server needs: one protocol for each connection to `app`."""
    config = Config(
        app,
        interface="asgi3",
        lifespan="off",
        ws="none",
        http=SidecarProtocol,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
    )
    config.load()
    return lambda: SidecarProtocol(config, service)


class SidecarProtocol(RequestReader):
    """A client's connection.

    Attributes:
        exchange: the request being answered; None between requests.
        tunnel: what the connection was handed over to.
    """

    def __init__(self, config: Config, service: Service) -> None:
        super().__init__(config, service)
        self.exchange: Exchange | None = None
        self.tunnel: TunnelEnd | None = None
        self._queue: list[Exchange] = []
        # What is said when all before it is answered.
        self._last_word: Refusal | None = None
        self._dropped = 0
        self._linger_until: float | None = None
        # Who keeps whom waiting, since when; how much of an answer the client has taken.
        self._heard_at = self._idle_since = self._taken_at = service.now
        self._asked = False
        self._written = 0
        self._taken = 0

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there; one too many is told so."""
        # Of a stream server; uvloop's is no subclass.
        super().connection_made(cast(asyncio.Transport, transport))
        service = self.service
        service.accepted += 1
        limit = service.limits.connections
        if len(service.connections) > limit * 1.1 + 10:
            # Being polite to everybody would be another way of having no limit.
            service.connections.discard(self)
            self.deaf = True
            self.transport.abort()
        elif len(service.connections) > limit:
            self.refuse(Refusal(503, "too many connections", fields=[(b"retry-after", b"1")]))
        elif service.stopping:
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is no more; whoever works for it is told."""
        self.service.connections.discard(self)
        self._lose_all()
        self.flow.resume_writing()

    def eof_received(self) -> None:
        """The client sends no more. As servers do, this is taken for its leaving; the transport closes."""
        self._lose_all()

    def _lose_all(self) -> None:
        self._queue.clear()
        if self.exchange is not None:
            self.exchange.lose()

    def data_received(self, data: bytes) -> None:
        """Bytes of the client."""
        self._heard_at = self.service.now
        if self.deaf:
            self._drop(len(data))
        else:
            self.read(data)

    # Exchanges

    def exchange_for(self, scope: Scope, keep_alive: bool, expects_continue: bool) -> Exchange:
        """What answers this request here."""
        return Exchange(self, scope, keep_alive, expects_continue)

    def handshake_for(self, scope: Scope) -> Handshake:
        """The same for one that wants to become a WebSocket."""
        return Handshake(self, scope)

    def begin(self, exchange: Exchange) -> None:
        """A request has come: it is answered now, or when those before it are."""
        self._asked = True
        if self.exchange is None:
            self._answer(exchange)
        else:
            self._queue.append(exchange)
            self.flow.pause_reading()

    def has_room(self) -> bool:
        """Whether one more request may wait."""
        return len(self._queue) < self.service.limits.pipelined

    def _answer(self, exchange: Exchange) -> None:
        service = self.service
        self.exchange = exchange
        if service.on_finished is not None:
            exchange.began_at = monotonic()
        exchange.task = task = self.loop.create_task(exchange.run(self.app))
        service.tasks.add(task)

    def answered(self, exchange: Exchange) -> None:
        """`exchange` has written the last byte of its answer."""
        service = self.service
        service.total_requests += 1
        if self.transport.is_closing():
            return
        if not exchange.keep_alive or service.stopping:
            if exchange.body_ended and not self.deaf and not isinstance(exchange, Handshake):
                self.transport.close()
            else:
                self._linger()
        elif self._queue:
            self._answer(self._queue.pop(0))
            if not self._queue and not self.deaf:
                self._read_on()
        elif self._last_word is not None:
            self._say(self._last_word)
        else:
            # An idle connection keeps nothing of what was.
            self.exchange = self.reading = None
            self._idle_since = service.now
            self._read_on()

    def _read_on(self) -> None:
        if self.flow.read_paused:
            # Whoever was not read could not send its head.
            self.head_since = self.service.now
            self.flow.resume_reading()

    def cut(self, exchange: Exchange) -> None:
        """`exchange` will never be complete, and the client must see that it is not."""
        if exchange.gone or exchange.complete:
            return
        exchange.lose()
        self.deaf = True
        if exchange.ends_with_connection:
            # An orderly end would make it look complete.
            self.transport.abort()
        elif not self.transport.is_closing():
            self.transport.close()

    def fail(self, exchange: Exchange) -> None:
        """The app has answered nothing to `exchange`."""
        exchange.lose()
        exchange.status = 500
        self.deaf = True
        self._say(Refusal(500, "the server failed"), with_body=exchange.scope.get("method") != "HEAD")

    def hand_over(self, head: bytes, tunnel: TunnelEnd) -> None:
        """The connection is no HTTP any more."""
        self.service.upgraded += 1
        self.service.tunnels += 1
        self.tunnel = tunnel
        self.write(head)
        self.transport.set_protocol(tunnel)
        self.flow.resume_reading()
        self.forget()

    def tunnel_ended(self) -> None:
        """Nobody is in charge of the connection any more."""
        self.service.tunnels -= 1
        self.deaf = True
        if not self.transport.is_closing():
            self.transport.close()
        if self._unsent():
            self._linger_until = self.service.now + self.service.limits.linger_seconds
        else:
            self.service.connections.discard(self)

    def shutdown(self) -> None:
        """The server stops: what is under way may end, nothing new begins."""
        if self.tunnel is not None:
            self.tunnel.shutdown()
        elif self.exchange is not None:
            self._queue.clear()
        elif self._asked and not self.in_head and self._linger_until is None:
            self.transport.close()
        else:
            # Whoever has just connected is about to ask, and would take an end for a failure.
            self._idle_since = self.service.now

    # Writing, and the end

    def write(self, data: bytes) -> None:
        """Bytes for the client."""
        self._written += len(data)
        self.transport.write(data)

    def write_pieces(self, pieces: Iterable[bytes]) -> None:
        """The same for several pieces, without copying them into one."""
        pieces = tuple(pieces)
        self._written += sum(map(len, pieces))
        self.transport.writelines(pieces)

    def refuse(self, refusal: Refusal) -> None:
        """What comes in is no request; the answer to it is the last."""
        service = self.service
        self.deaf = True
        self.forget()
        if service.on_refused is not None:
            service.on_refused(self, refusal)
        exchange, reading = self.exchange, self.reading
        if exchange is None:
            self._say(refusal)
        elif exchange is reading and not exchange.body_ended:
            # The fault is in its body, so whoever reads that is told.
            exchange.outcome = Outcome.MALFORMED
            exchange.lose()
            if exchange.written:
                self.transport.abort()
            else:
                exchange.status = refusal.status
                self._say(refusal, with_body=exchange.scope["method"] != "HEAD")
        else:
            if self._queue and reading is not None and not reading.body_ended:
                self._queue.pop()
            self._last_word = refusal
            self.flow.pause_reading()

    def _say(self, refusal: Refusal, *, with_body: bool = True) -> None:
        if not self.transport.is_closing():
            self.write(refusal.answer(self.service.date_line, with_body=with_body))
            self._linger()

    def _linger(self) -> None:
        """Say the end, and read on for a while: closing at once would take back what was just said.

        A connection that is closed with unread bytes is reset, and a reset makes the other side forget what
        it has received but not read. Spec: RFC 9112 9.6.
        """
        self.deaf = True
        self._linger_until = self.service.now + self.service.limits.linger_seconds
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.flow.resume_reading()
        else:
            self.transport.close()

    def _drop(self, size: int) -> None:
        self._dropped += size
        if self._dropped <= self.service.limits.linger_bytes:
            return
        if self._linger_until is not None:
            self.transport.abort()
        else:
            self.flow.pause_reading()

    def _unsent(self) -> int:
        return self.transport.get_write_buffer_size()

    def sweep(self, now: float) -> None:
        """End what has kept everybody waiting for too long."""
        limits = self.service.limits
        if self._linger_until is not None:
            if now >= self._linger_until:
                self.transport.abort()
                self.service.connections.discard(self)
            return
        unsent = self._unsent()
        taken = self._written - unsent
        if not unsent or taken != self._taken:
            self._taken, self._taken_at = taken, now
        elif now - self._taken_at >= limits.client_idle_seconds:
            self.transport.abort()
            return
        if self.tunnel is not None or self.transport.is_closing():
            return
        exchange = self.exchange
        if self.in_head:
            if now - self.head_since >= limits.head_seconds and not (self.deaf or self.flow.read_paused):
                self.refuse(Refusal(408, "the request head took too long"))
        elif exchange is None:
            patience = limits.keepalive_seconds if self._asked else limits.head_seconds
            if now - self._idle_since >= (_LAST_CHANCE_SECONDS if self.service.stopping else patience):
                self.transport.close()
        elif (
            exchange.wanted_at is not None
            and not exchange.body_ended
            and now - max(exchange.wanted_at, self._heard_at) >= limits.client_idle_seconds
        ):
            self.refuse(Refusal(408, "the request body took too long"))

"""`Proxy`: an ASGI app that has an upstream answer, byte by byte as both sides go on.

Here lives one exchange from request to answer. Next door: the heads of both (`request_head`,
`response_head`), what a client is told when it fails (`short_answers`), connections (`upstream`), time-outs
(`exchanges`), WebSockets (`websocket`). Identity comes in with the scope and is not looked at.
"""

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from oidcgate.handover import BODY_FOLLOWS, FORWARD, OUTCOME, AnswerCut, Outcome
from oidcgate.proxy.client_way import forwarded
from oidcgate.proxy.dial import tls_context
from oidcgate.proxy.exchanges import Exchange, Exchanges, Waits
from oidcgate.proxy.fields import BadHead, HeaderPair, header_lines
from oidcgate.proxy.framing import Framing, request_framing
from oidcgate.proxy.pages import proxy_pages
from oidcgate.proxy.request_head import ASKED_AGAIN, request_head, target_of
from oidcgate.proxy.response_head import response_headers
from oidcgate.proxy.routes import Destination, Limits, Public, Route, RouteTable
from oidcgate.proxy.short_answers import reader_of, short_answer
from oidcgate.proxy.troubles import OnError, Trouble, UpstreamTrouble, no_report
from oidcgate.proxy.upload import Upload
from oidcgate.proxy.upstream import Connection, Pool
from oidcgate.proxy.websocket import carry, refuse
from oidcgate.web.asgi import Receive, Scope, Send, whole_environ
from oidcgate.web.forwarded import TrustedPeers, claimed_hops

__all__ = ["Proxy"]

_LOOK_SECONDS: Final = 1.0
# A member of an Enum takes longer to find than a field to write.
_NOBODY, _CLIENT, _UPSTREAM = Waits.NOBODY, Waits.CLIENT, Waits.UPSTREAM
# What a client claims of its way is remembered with what follows from it, up to this length.
_REMEMBERED_CLAIM: Final = 256


class Proxy:
    """Passes requests on to upstreams, and their answers back.

    Nothing of a body is held but what is on its way: whoever reads slowly slows the other side down, whoever
    leaves frees the other side. A client never gets half an answer for a whole one: an answer that has begun
    and cannot be completed ends in `AnswerCut`, upon which a server closes the connection.

    What the upstream is told about the client comes from the connection and the configuration. The scope may
    hold `oidcgate.forward`, a list of fields, which replace the client's of those names.

    One instance serves one event loop. It answers `lifespan`: a start reads all certificates, a stop closes
    unused connections.
    """

    #: Tells a gate to leave it to us to send its identity headers.
    forwards_identity: Final = True

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        public: Public,
        limits: Limits | None = None,
        trusted: TrustedPeers | None = None,
        on_error: OnError = no_report,
        look_seconds: float = _LOOK_SECONDS,
        pages_folder: Path | None = None,
    ) -> None:
        """Set up; nothing is opened yet.

        Args:
            routes: which upstream serves what.
            public: where clients reach us.
            limits: how long and how much is waited for.
            trusted: peers whose X-Forwarded-For is believed; by default nobody.
            on_error: hears once of each exchange that failed for another reason than a client that left.
            look_seconds: how often exchanges are looked at, and so how exact time-outs are.
            pages_folder: templates and texts of an operator's own for the page that says the app is down.

        Raises:
            ValueError: there is no route, or two contradict each other.
        """
        self._table = RouteTable(routes, public)
        self._limits = limits or Limits()
        self._trusted = trusted or TrustedPeers()
        self._believes = self._trusted.believes_somebody
        self._on_error = on_error
        self._pools = {upstream: Pool(upstream, self._limits) for upstream in self._table.upstreams}
        self._exchanges = Exchanges(self._limits, self._pools.values(), look_seconds)
        self._remembered_way = lru_cache(maxsize=4096)(self._way_lines)
        self._pages = proxy_pages(pages_folder)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope: `http`, `websocket` or `lifespan`.

        Raises:
            AnswerCut: an answer that has begun cannot be completed.
        """
        kind = scope["type"]
        if kind == "http":
            await self._serve(scope, receive, send)
        elif kind == "websocket":
            await self._tunnel(scope, receive, send)
        elif kind == "lifespan":
            await self._live(receive, send)
        else:
            raise ValueError(f"an ASGI scope of type {kind!r} is not served")

    # One exchange

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: list[HeaderPair] = scope["headers"]
        method: str = scope["method"]
        destination = self._table.only or self._table.find(_host(headers), scope["path"])
        if destination is None:
            return await self._answer_shortly(
                UpstreamTrouble(Trouble.NO_ROUTE), None, scope, send, unread=True
            )
        try:
            framing = request_framing(headers, scope["http_version"])
            head = request_head(
                method,
                target_of(scope),
                headers,
                host=destination.host,
                own=destination.admitted(scope.get(FORWARD, ())),
                framing=framing,
                own_lines=self._way(scope, headers, destination),
            )
        except BadHead as bad:
            trouble = UpstreamTrouble(Trouble.BAD_REQUEST, bad.fault)
            return await self._answer_shortly(trouble, destination, scope, send, unread=True)
        exchange = self._exchanges.begin(receive)
        try:
            await self._pass(exchange, self._pools[destination.upstream], method, head, framing, send)
        except UpstreamTrouble as trouble:
            await self._end_badly(trouble, exchange, destination, scope, send)
        except asyncio.CancelledError:
            given_up = exchange.given_up
            if given_up is None or exchange.task is None or exchange.task.uncancel() > 0:
                raise
            await self._end_badly(UpstreamTrouble(given_up), exchange, destination, scope, send)
        finally:
            self._exchanges.end(exchange)
        return None

    async def _pass(
        self, exchange: Exchange, pool: Pool, method: str, head: bytes, framing: Framing, send: Send
    ) -> None:
        """Send the request, then pass the answer on as it comes.

        Raises:
            UpstreamTrouble: either side fails.
        """
        upload = Upload(self._exchanges, exchange, framing) if framing.has_body else None
        body = b"" if upload is None else await upload.first()
        connection = pool.idle_connection() or await pool.connection()
        exchange.connection = connection
        exchange.moved_at = self._exchanges.now
        exchange.answer = _UPSTREAM
        connection.begin(method, head, body)
        if upload is not None and not upload.done:
            exchange.helper = asyncio.create_task(upload.rest(connection))
        again = upload is None and method in ASKED_AGAIN
        while not connection.answer.head_complete or connection.trouble is not None:
            trouble = connection.trouble
            if trouble is None:
                await connection.news()
            elif again and _was_stale(connection):
                again = False
                exchange.connection = None
                connection = exchange.connection = await pool.connection()
                connection.begin(method, head)
            else:
                raise trouble
        early = upload is not None and not upload.done
        await self._pass_answer(exchange, pool, connection, early, send)

    async def _pass_answer(
        self, exchange: Exchange, pool: Pool, connection: Connection, early: bool, send: Send
    ) -> None:
        """Pass on an answer whose head is there.

        Args:
            early: the request is not sent yet in whole.
        """
        answer = connection.answer
        exchanges = self._exchanges
        try:
            headers = response_headers(answer.status, answer.headers)
        except BadHead as bad:
            raise UpstreamTrouble(Trouble.MALFORMED, bad.fault) from None
        if early:
            # Nobody may be left to read the rest of the request.
            headers.append((b"connection", b"close"))
        chunk = connection.take()
        complete = answer.complete
        if complete and not early:
            # Before the client has it: a slow one keeps no connection of the upstream's.
            exchange.connection = None
            pool.give_back(connection, exchanges.now)
        exchange.started = True
        exchange.moved_at = exchanges.now
        exchange.answer = _CLIENT
        follows = complete or chunk != b""
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": headers,
                BODY_FOLLOWS: follows,
            }
        )
        while not complete:
            if chunk:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                exchange.moved_at = exchanges.now
            chunk = connection.take()
            if not chunk and not answer.complete:
                if connection.trouble is not None:
                    raise connection.trouble
                exchange.answer = _UPSTREAM
                await connection.news()
                exchange.answer = _CLIENT
                exchange.moved_at = exchanges.now
                chunk = connection.take()
            complete = answer.complete
        if exchange.connection is not None:
            exchange.connection = None
            if exchange.upload is _NOBODY:
                pool.give_back(connection, exchanges.now)
            else:
                # The request goes on, but nobody waits for what it says.
                connection.abort()
        await send({"type": "http.response.body", "body": chunk, "more_body": False})

    async def _end_badly(
        self,
        trouble: UpstreamTrouble,
        exchange: Exchange,
        destination: Destination,
        scope: Scope,
        send: Send,
    ) -> None:
        if trouble.kind is Trouble.CLIENT_GONE:
            return
        if not exchange.started:
            unread = exchange.upload is not _NOBODY
            await self._answer_shortly(trouble, destination, scope, send, unread=unread)
            return
        self._on_error(trouble.kind, destination.upstream, trouble.detail)
        raise AnswerCut(trouble.kind.value) from None

    async def _answer_shortly(
        self,
        trouble: UpstreamTrouble,
        destination: Destination | None,
        scope: Scope,
        send: Send,
        *,
        unread: bool,
    ) -> None:
        self._on_error(trouble.kind, destination and destination.upstream, trouble.detail)
        reader = None
        if destination is not None:
            environ = whole_environ(scope, scope["headers"], b"")
            reader = reader_of(environ, destination.host.decode("ascii"), self._pages)
        method: str = scope["method"]
        status, headers, body = short_answer(trouble.kind, method=method, reader=reader, unread=unread)
        start = {"type": "http.response.start", "status": status, "headers": headers}
        await send({**start, BODY_FOLLOWS: True, OUTCOME: Outcome.FAILED})
        await send({"type": "http.response.body", "body": body})

    async def _tunnel(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: list[HeaderPair] = scope["headers"]
        destination = self._table.only or self._table.find(_host(headers), scope["path"])
        if destination is None:
            self._on_error(Trouble.NO_ROUTE, None, "")
            await refuse(scope, send, Trouble.NO_ROUTE)
            return
        way = self._way_fields(_peer(scope), claimed_hops(headers), destination)
        await carry(
            scope,
            receive,
            send,
            route=destination,
            own_headers=[*destination.admitted(scope.get(FORWARD, ())), *way],
            limits=self._limits,
            on_error=self._on_error,
        )

    # What we say of the client's way

    def _way(self, scope: Scope, headers: Sequence[HeaderPair], destination: Destination) -> bytes:
        claimed = claimed_hops(headers) if self._believes else b""
        if len(claimed) > _REMEMBERED_CLAIM:
            return self._way_lines(_peer(scope), claimed, destination)
        return self._remembered_way(_peer(scope), claimed, destination)

    def _way_lines(self, peer: str | None, claimed: bytes, destination: Destination) -> bytes:
        return header_lines(self._way_fields(peer, claimed, destination))

    def _way_fields(self, peer: str | None, claimed: bytes, destination: Destination) -> list[HeaderPair]:
        return forwarded(peer, claimed, trusted=self._trusted, proto=destination.proto, host=destination.host)

    # The life of the server

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    for upstream in self._table.upstreams:
                        tls_context(upstream)
                except OSError as error:
                    text = f"the certificates for {upstream.url} cannot be used: {error}"
                    await send({"type": "lifespan.startup.failed", "message": text})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def pool_sizes(self) -> tuple[int, int]:
        """How many pooled connections to upstreams there are, and how many of them are unused."""
        pools = self._pools.values()
        return sum(pool.open for pool in pools), sum(pool.idle for pool in pools)

    def close(self) -> None:
        """Close unused connections; those in use are closed when their exchange is over."""
        self._exchanges.stop()
        for pool in self._pools.values():
            pool.close()


def _was_stale(connection: Connection) -> bool:
    """Whether the upstream closed an old connection before it can have read the request."""
    trouble = connection.trouble
    return (
        connection.reused
        and not connection.answer.begun
        and trouble is not None
        and trouble.kind is Trouble.CLOSED
    )


def _peer(scope: Scope) -> str | None:
    client = scope.get("client")
    return client[0] if client else None


def _host(headers: Sequence[HeaderPair]) -> bytes:
    for name, value in headers:
        if name == b"host":
            return value
    return b""

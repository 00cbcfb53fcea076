"""A WebSocket on its way to being one: the handshake with an upstream, and what is answered where it fails.

Here live `carry` and `refuse`, which `http` next door calls for a scope of type `websocket`. Extensions and
subprotocols are agreed between client and upstream. What the two then say to each other is carried by
`tunnel.Tunnel`; who may open a WebSocket, and how long it may last, is decided elsewhere.
"""

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from oidcgate.handover import DROP_COOKIE, OUTCOME, TUNNEL_HEADERS, UPGRADE, AnswerCut, Outcome, Upgrade
from oidcgate.proxy.dial import connect
from oidcgate.proxy.fields import BadHead, HeaderPair, header_lines
from oidcgate.proxy.framing import NO_BODY
from oidcgate.proxy.request_head import request_head, target_of
from oidcgate.proxy.response_head import response_headers
from oidcgate.proxy.routes import Destination, Limits
from oidcgate.proxy.short_answers import short_answer
from oidcgate.proxy.troubles import OnError, Trouble, UpstreamTrouble, no_report
from oidcgate.proxy.tunnel import Tunnel
from oidcgate.proxy.upstream import Connection
from oidcgate.web.asgi import Receive, Scope, Send

__all__ = ["accept_value", "carry", "refuse"]

# RFC 6455 1.3
_ACCEPT_SUFFIX: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

_UPGRADE_FIELDS: Final = ((b"connection", b"Upgrade"), (b"upgrade", b"websocket"))
_UPGRADE_LINES: Final = header_lines(_UPGRADE_FIELDS)


def accept_value(key: bytes) -> bytes:
    """The Sec-WebSocket-Accept that answers a Sec-WebSocket-Key. Spec: RFC 6455 4.2.2."""
    return base64.b64encode(hashlib.sha1(key + _ACCEPT_SUFFIX, usedforsecurity=False).digest())


async def carry(
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    route: Destination,
    own_headers: Iterable[HeaderPair] = (),
    limits: Limits,
    on_error: OnError = no_report,
) -> None:
    """Pass a WebSocket handshake to an upstream and, when that agrees, carry frames until one end is gone.

    Whatever else the upstream answers is relayed as the HTTP answer that it is. Cancelling the task ends the
    tunnel: both ends get a Close frame 1008 where one fits between frames, and nothing passes any more; the
    task ends when both are gone, a few seconds later at most.

    Args:
        scope: of type `websocket`; its server offers `Upgrade` and the Denial Response extension.
        receive: ASGI.
        send: ASGI.
        route: where it goes.
        own_headers: our fields for the upstream, instead of any that the client has sent.
        limits: time-outs of the handshake, sizes of the answer's head and of a message.
        on_error: hears of each trouble once.

    Raises:
        AnswerCut: the upstream's refusal has begun to pass and cannot be completed.

    Spec: RFC 6455 4; ASGI WebSocket Denial Response.
    """
    extensions = scope.get("extensions") or {}
    upgrade: Upgrade | None = extensions.get(UPGRADE)
    if upgrade is None:
        on_error(Trouble.NO_UPGRADE, route.upstream, "the server cannot hand its connections over")
        await refuse(scope, send, Trouble.NO_UPGRADE)
        return
    handshake = _Handshake(scope, send, route, limits, on_error)
    opened = await _while_client_is_there(receive, handshake.pass_on(tuple(own_headers), upgrade))
    # What the handshake needed is let go of: the tunnel may last for days.
    del scope, receive, send, own_headers, extensions, upgrade, handshake
    if opened is not None:
        await opened.last()


async def _while_client_is_there(receive: Receive, handshake: Awaitable[Tunnel | None]) -> Tunnel | None:
    """What the handshake comes to, or None when the client leaves before."""

    async def until_it_leaves() -> None:
        while (await receive())["type"] != "websocket.disconnect":
            pass

    def left(_watching: "asyncio.Task[None]") -> None:
        client_is_there.reschedule(0)

    # The handshake stays in this task, where a cancellation finds either it or an open tunnel.
    watching = asyncio.ensure_future(until_it_leaves())
    try:
        async with asyncio.timeout(None) as client_is_there:
            watching.add_done_callback(left)
            try:
                return await handshake
            finally:
                watching.remove_done_callback(left)
    except TimeoutError:
        return None
    finally:
        watching.cancel()


class _Handshake:
    """The request to the upstream, and what becomes of its answer."""

    def __init__(
        self,
        scope: Scope,
        send: Send,
        route: Destination,
        limits: Limits,
        on_error: OnError,
    ) -> None:
        self._scope = scope
        self._send = send
        self._route = route
        self._limits = limits
        self._on_error = on_error

    async def pass_on(self, own_headers: Sequence[HeaderPair], upgrade: Upgrade) -> Tunnel | None:
        """The open tunnel; None when something else was answered."""
        limits = self._limits
        upstream = self._route.upstream
        connection: Connection | None = None
        try:
            head = self._request(own_headers)
            _, connection = await connect(
                upstream, lambda: Connection(limits, _not_pooled), limits.connect_seconds
            )
            connection.begin("GET", head, upgrade=True)
            answer = connection.answer
            await _news(connection, limits.head_seconds, Trouble.HEAD_TIMEOUT, lambda: answer.head_complete)
            if answer.status == 101:
                opened = self._open(connection, upgrade)
                connection = None
                return opened
            await self._relay(connection)
        except BadHead as bad:
            self._on_error(Trouble.BAD_REQUEST, upstream, bad.fault)
            await refuse(self._scope, self._send, Trouble.BAD_REQUEST)
        except UpstreamTrouble as trouble:
            self._on_error(trouble.kind, upstream, trouble.detail)
            await refuse(self._scope, self._send, trouble.kind)
        finally:
            if connection is not None:
                connection.abort()
        return None

    def _request(self, own_headers: Sequence[HeaderPair]) -> bytes:
        scope, host = self._scope, self._route.host
        own = (*_UPGRADE_FIELDS, *own_headers)
        return request_head("GET", target_of(scope), scope["headers"], host=host, own=own, framing=NO_BODY)

    def _open(self, connection: Connection, upgrade: Upgrade) -> Tunnel:
        """Check the upstream's 101, pass it on, and join the two connections.

        Raises:
            UpstreamTrouble: it agrees to something else than was asked for.
            OSError: the client is gone.
        """
        headers = connection.answer.headers
        wrong = _wrong_switch(headers, self._scope["headers"])
        if wrong is not None:
            raise UpstreamTrouble(Trouble.MALFORMED, wrong)
        if connection.closing:
            raise UpstreamTrouble(Trouble.CLOSED)
        try:
            # As of an answer without a body: what it may say of one is not passed on.
            passed = response_headers(204, headers, drop_cookie=self._scope.get(DROP_COOKIE))
            passed += self._scope.get(TUNNEL_HEADERS, ())
            head = b"HTTP/1.1 101 Switching Protocols\r\n" + header_lines(passed) + _UPGRADE_LINES + b"\r\n"
        except BadHead as bad:
            raise UpstreamTrouble(Trouble.MALFORMED, bad.fault) from None
        agreed = any(name.lower() == b"sec-websocket-extensions" and value for name, value in headers)
        joined = Tunnel(self._route, self._limits.message_bytes, self._on_error, extensions=agreed)
        joined.begin(connection, upgrade, head)
        return joined

    async def _relay(self, connection: Connection) -> None:
        """Pass on an answer that is no upgrade.

        Raises:
            UpstreamTrouble: it cannot be passed on; nothing of it has been.
            AnswerCut: the rest of it cannot.
        """
        answer = connection.answer
        try:
            headers = response_headers(answer.status, answer.headers)
        except BadHead as bad:
            raise UpstreamTrouble(Trouble.MALFORMED, bad.fault) from None
        start = {"type": "websocket.http.response.start", "status": answer.status, "headers": headers}
        await self._send(start)
        complete = False
        while not complete:
            body, complete = connection.take(), answer.complete
            if body or complete:
                message = {"type": "websocket.http.response.body", "body": body, "more_body": not complete}
                await self._send(message)
                continue
            try:
                await _news(connection, self._limits.idle_seconds, Trouble.IDLE)
            except UpstreamTrouble as trouble:
                self._on_error(trouble.kind, self._route.upstream, trouble.detail)
                raise AnswerCut from None


async def _news(
    connection: Connection, seconds: float, late: Trouble, come: Callable[[], bool] | None = None
) -> None:
    """Wait until something has come, or until all of `come` has.

    Raises:
        UpstreamTrouble: it never will, or not in time.
    """
    try:
        async with asyncio.timeout(seconds):
            while connection.trouble is None:
                await connection.news()
                if come is None or come():
                    return
    except TimeoutError:
        raise UpstreamTrouble(late, f"nothing within {seconds} s") from None
    raise connection.trouble


def _not_pooled(_connection: Connection) -> None:
    """The connection of a tunnel is nobody else's: no place among others becomes free with its end."""


def _wrong_switch(answer: Iterable[HeaderPair], request: Iterable[HeaderPair]) -> str | None:
    """What is wrong with the fields of a 101, or None. Spec: RFC 6455 4.1."""
    upgrade = _values(answer, b"upgrade")
    if [value.lower() for value in upgrade] != [b"websocket"]:
        return "101 without Upgrade: websocket"
    tokens = [
        token.strip().lower() for value in _values(answer, b"connection") for token in value.split(b",")
    ]
    if b"upgrade" not in tokens:
        return "101 without Connection: Upgrade"
    keys = _values(request, b"sec-websocket-key")
    if len(keys) != 1 or _values(answer, b"sec-websocket-accept") != [accept_value(keys[0])]:
        return "101 with a wrong Sec-WebSocket-Accept"
    return None


def _values(headers: Iterable[HeaderPair], name: bytes) -> list[bytes]:
    return [value.strip(b" \t") for other, value in headers if other.lower() == name]


async def refuse(scope: Scope, send: Send, kind: Trouble) -> None:
    """Answer a handshake that met this trouble; a server that can only say no says no."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1011})
        return
    status, headers, body = short_answer(kind)
    start = {"type": "websocket.http.response.start", "status": status, "headers": headers}
    await send({**start, OUTCOME: Outcome.FAILED})
    await send({"type": "websocket.http.response.body", "body": body, "more_body": False})

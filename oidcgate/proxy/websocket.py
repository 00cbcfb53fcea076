"""WebSockets: the handshake with an upstream, and the tunnel that carries what the two ends then say.

Here live `tunnel`, which `http` next door calls for a scope of type `websocket`, and the two ends of one
tunnel. Frames are followed (`frames`) but not opened: extensions and subprotocols are agreed between client
and upstream, pings and the closing handshake are theirs. Who may open a WebSocket, and how long it may last,
is decided elsewhere: this module ends one when its task is cancelled.

An open tunnel is two protocol objects on two transports: no task but the server's own, no timer, no buffer.
"""

import asyncio
import base64
import hashlib
import os
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from oidcgate.proxy.dial import connect
from oidcgate.proxy.frames import CLOSE_GOING_AWAY, CLOSE_POLICY, Frames, close_frame
from oidcgate.proxy.routes import Destination, Limits
from oidcgate.proxy.rules import (
    NO_BODY,
    BadHead,
    HeaderPair,
    header_lines,
    request_head,
    response_headers,
)
from oidcgate.proxy.troubles import AnswerCut, OnError, Trouble, UpstreamTrouble, no_report, short_answer
from oidcgate.proxy.upstream import Connection

__all__ = ["DROP_COOKIE", "TUNNEL_HEADERS", "UPGRADE", "Upgrade", "accept_value", "tunnel"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]

#: The key in `scope["extensions"]` under which a server offers its `Upgrade`.
UPGRADE: Final = "oidcgate.upgrade"
#: The key in the scope under which somebody in front may say which Set-Cookie values must not pass. Other
#: answers can be changed on their way out; the one that opens a tunnel is written here.
DROP_COOKIE: Final = "oidcgate.drop_cookie"

#: The key in the scope under which somebody in front may give fields to add to that answer.
TUNNEL_HEADERS: Final = "oidcgate.tunnel_headers"

#: How long an end may take to say goodbye; where nobody ended the tunnel on purpose, without taking any of
#: what is left for it.
LINGER_SECONDS: Final = 5.0

# A peer that went without a word is noticed after two minutes; nothing else ends a tunnel that is silent.
_KEEPALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)

# RFC 6455 1.3
_ACCEPT_SUFFIX: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

_UPGRADE_FIELDS: Final = ((b"connection", b"Upgrade"), (b"upgrade", b"websocket"))
_UPGRADE_LINES: Final = header_lines(_UPGRADE_FIELDS)


class Upgrade(Protocol):
    """What a server offers to whoever wants to take over the client's connection."""

    def accept(self, head: bytes, tunnel: asyncio.Protocol) -> tuple[asyncio.Transport, bytes]:
        """Write `head`, a complete 101, to the client, and make `tunnel` the protocol of its transport.

        Returns:
            The transport, being read, and what the client has already sent behind its request.

        Raises:
            OSError: the client is gone.
        """


def accept_value(key: bytes) -> bytes:
    """The Sec-WebSocket-Accept that answers a Sec-WebSocket-Key. Spec: RFC 6455 4.2.2."""
    return base64.b64encode(hashlib.sha1(key + _ACCEPT_SUFFIX, usedforsecurity=False).digest())


async def tunnel(
    scope: Scope,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
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
        await _answer(scope, send, Trouble.NO_UPGRADE)
        return
    handshake = _Handshake(scope, send, route, limits, on_error)
    opened = await _while_client_is_there(receive, handshake.pass_on(tuple(own_headers), upgrade))
    # What the handshake needed is let go of: the tunnel may last for days.
    del scope, receive, send, own_headers, extensions, upgrade, handshake
    if opened is not None:
        await opened.last()


async def _while_client_is_there(
    receive: Callable[[], Awaitable[Message]], handshake: "Awaitable[_Tunnel | None]"
) -> "_Tunnel | None":
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
        send: Callable[[Message], Awaitable[None]],
        route: Destination,
        limits: Limits,
        on_error: OnError,
    ) -> None:
        self._scope = scope
        self._send = send
        self._route = route
        self._limits = limits
        self._on_error = on_error
        self._drop_cookie: Callable[[bytes], bool] | None = scope.get(DROP_COOKIE)

    async def pass_on(self, own_headers: Sequence[HeaderPair], upgrade: Upgrade) -> "_Tunnel | None":
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
            await _answer(self._scope, self._send, Trouble.BAD_REQUEST)
        except UpstreamTrouble as trouble:
            self._on_error(trouble.kind, upstream, trouble.detail)
            await _answer(self._scope, self._send, trouble.kind)
        finally:
            if connection is not None:
                connection.abort()
        return None

    def _request(self, own_headers: Sequence[HeaderPair]) -> bytes:
        scope = self._scope
        target: bytes = scope["raw_path"]
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        own = (*_UPGRADE_FIELDS, *own_headers)
        return request_head("GET", target, scope["headers"], host=self._route.host, own=own, framing=NO_BODY)

    def _open(self, connection: Connection, upgrade: Upgrade) -> "_Tunnel":
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
            passed = response_headers(204, headers, drop_cookie=self._drop_cookie)
            passed += self._scope.get(TUNNEL_HEADERS, ())
            head = b"HTTP/1.1 101 Switching Protocols\r\n" + header_lines(passed) + _UPGRADE_LINES + b"\r\n"
        except BadHead as bad:
            raise UpstreamTrouble(Trouble.MALFORMED, bad.fault) from None
        agreed = any(name.lower() == b"sec-websocket-extensions" and value for name, value in headers)
        joined = _Tunnel(self._route, self._limits.message_bytes, self._on_error, extensions=agreed)
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
            headers = response_headers(answer.status, answer.headers, drop_cookie=self._drop_cookie)
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


async def _answer(scope: Scope, send: Callable[[Message], Awaitable[None]], kind: Trouble) -> None:
    """Refuse the handshake; a server that can only say no says no."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1011})
        return
    status, headers, body = short_answer(kind)
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body, "more_body": False})


class _End(asyncio.Protocol):
    """One end of a tunnel: what arrives from it goes to `peer`.

    Attributes:
        transport: its connection.
        peer: the other end.
        frames: those that arrive from it.
        lost: its connection is gone.
    """

    __slots__ = ("_tunnel", "frames", "lost", "peer", "transport")

    transport: asyncio.Transport
    peer: "_End"

    def __init__(self, tunnel: "_Tunnel", frames: Frames) -> None:
        self._tunnel = tunnel
        self.frames = frames
        self.lost = False

    def data_received(self, data: bytes) -> None:
        """Bytes of this end, which go to the other as they are."""
        frames = self.frames
        passed = frames.feed(data)
        tunnel = self._tunnel
        if tunnel.ending:
            # Read only so that its last words, and the end of the connection, can be heard.
            if frames.closed:
                self.transport.close()
            return
        if passed:
            self.peer.transport.write(passed)
        if frames.fault is not None:
            tunnel.refuse(self)

    def pause_writing(self) -> None:
        """This end takes less than the other sends: no more is read there."""
        transport = self.peer.transport
        if not self._tunnel.ending and not transport.is_closing():
            transport.pause_reading()

    def resume_writing(self) -> None:
        """This end has taken what was waiting."""
        transport = self.peer.transport
        if not self._tunnel.ending and not transport.is_closing():
            transport.resume_reading()

    def eof_received(self) -> None:
        """This end says nothing any more. As servers do, this is taken for its leaving."""
        self._tunnel.end_leaves(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """This end is gone, and with it the tunnel."""
        self._tunnel.end_is_gone(self)

    def shutdown(self) -> None:
        """The server stops."""
        self._tunnel.close(CLOSE_GOING_AWAY)


class _Tunnel:
    """Two ends, and how they come to an end together.

    Attributes:
        ending: nothing passes any more.
    """

    __slots__ = ("_left_over", "_on_error", "_over", "_route", "_timer", "client", "ending", "upstream")

    def __init__(
        self, route: Destination, message_bytes: int, on_error: OnError, *, extensions: bool
    ) -> None:
        self._route = route
        self._on_error = on_error
        self._over: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._left_over: int | None = None
        self.ending = False
        self.client = _End(self, Frames(from_client=True, extensions=extensions, message_bytes=message_bytes))
        self.upstream = _End(
            self, Frames(from_client=False, extensions=extensions, message_bytes=message_bytes)
        )
        self.client.peer = self.upstream
        self.upstream.peer = self.client

    def begin(self, connection: Connection, upgrade: Upgrade, head: bytes) -> None:
        """Take both connections over.

        Raises:
            OSError: the client is gone; the upstream's connection is closed.
        """
        upstream, client = self.upstream, self.client
        upstream.transport, greeting = connection.hand_over(upstream)
        try:
            client.transport, early = upgrade.accept(head, client)
        except BaseException:
            # Nobody is there to hear of its end.
            self.ending = client.lost = True
            upstream.transport.abort()
            raise
        for end in (client, upstream):
            _notice_silent_death(end.transport)
        if greeting:
            upstream.data_received(greeting)
        if early:
            client.data_received(early)

    async def last(self) -> None:
        """Return when both ends are gone. When cancelled, end the tunnel first."""
        try:
            await self._gone()
        except asyncio.CancelledError:
            self.close(CLOSE_POLICY)
            try:
                await self._gone()
            except asyncio.CancelledError:
                self._abort()
            raise

    async def _gone(self) -> None:
        if not (self.client.lost and self.upstream.lost):
            self._over = asyncio.get_running_loop().create_future()
            await self._over

    def refuse(self, end: _End) -> None:
        """`end` has sent what is no frame, or too much."""
        fault = end.frames.fault
        assert fault is not None  # noqa: S101 - the reason for the call
        kind = Trouble.CLIENT_FRAMES if end is self.client else Trouble.UPSTREAM_FRAMES
        self._on_error(kind, self._route.upstream, fault)
        self.close(fault.close_code)

    def close(self, code: int) -> None:
        """End the tunnel from here: a last frame to either end, where it fits, and then nothing any more."""
        if self.ending:
            return
        self.ending = True
        for end in (self.client, self.upstream):
            if not end.transport.is_closing():
                fits = end.peer.frames.between_frames
                if fits:
                    mask = b"" if end is self.client else os.urandom(4)
                    end.transport.write(close_frame(code, mask=mask))
                self._let_go(end, answers=fits)
        self._timer = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._abort)

    def end_leaves(self, end: _End) -> None:
        """Nothing more will come from `end`; what it had still said is on its way to the other."""
        if self.ending:
            return
        self.ending = True
        if not end.peer.transport.is_closing():
            self._let_go(end.peer, answers=end.frames.closed)
        self._give_time()

    def end_is_gone(self, end: _End) -> None:
        """The connection of `end` is closed."""
        end.lost = True
        self.end_leaves(end)
        if not end.peer.lost:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    def _let_go(self, end: _End, *, answers: bool) -> None:
        """Nothing more will be written to `end`. What it still sends is dropped until it has heard so.

        Closing at once would do for the end itself. But where bytes of it are still on their way, its system
        would hear that they are not wanted, and throw away the last frame that it has not read yet.

        Args:
            end: whose connection is still open.
            answers: it was sent a Close frame, and so may say one too.
        """
        transport = end.transport
        transport.resume_reading()
        if end.frames.closed:
            transport.close()
        elif transport.can_write_eof():
            transport.write_eof()
        elif not answers:
            transport.close()

    def _give_time(self) -> None:
        """Wait for whoever is still there, as long as it goes on taking what was sent to it."""
        left = sum(
            [end.transport.get_write_buffer_size() for end in (self.client, self.upstream) if not end.lost]
        )
        if self._left_over is None or 0 < left < self._left_over:
            self._left_over = left
            self._timer = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._give_time)
        else:
            self._abort()

    def _abort(self) -> None:
        for end in (self.client, self.upstream):
            if not end.lost:
                end.transport.abort()


def _notice_silent_death(transport: asyncio.Transport) -> None:
    """Have the system ask a silent peer whether it is still there. A Unix socket needs no asking."""
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family != socket.AF_UNIX:
        with suppress(OSError):  # already gone, which is noticed anyway
            for option in _KEEPALIVE:
                connection.setsockopt(*option)

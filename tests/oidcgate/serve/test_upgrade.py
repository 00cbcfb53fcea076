"""A request to become a WebSocket: refused with any HTTP answer, or handed over whole."""

import asyncio
import logging
from typing import Any

import pytest

from oidcgate.serve.exchange import Message, Scope
from oidcgate.serve.service import ServerLimits
from tests.oidcgate.serve.wire import Clock, Receive, Recorder, Send, Wire, hello, run, settled

KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
VERSION = b"Sec-WebSocket-Version: 13\r\n"
OFFER = b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


def handshake(
    *, line: bytes = b"GET /ws?a=b HTTP/1.1", offer: bytes = OFFER, more: bytes = KEY + VERSION
) -> bytes:
    return line + b"\r\nHost: a\r\n" + offer + more + b"\r\n"


class Tunnel(asyncio.Protocol):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.over = asyncio.Event()
        self.told = False

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.over.set()

    def shutdown(self) -> None:
        self.told = True
        self.over.set()


class Tunnelling:
    """An app that takes the connection over."""

    def __init__(self) -> None:
        self.tunnel = Tunnel()
        self.early = b""
        self.decided = asyncio.Event()
        self.transport: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert await receive() == {"type": "websocket.connect"}
        await self.decided.wait()
        upgrade = scope["extensions"]["oidcgate.upgrade"]
        self.transport, self.early = upgrade.accept(SWITCHED, self.tunnel)
        await self.tunnel.over.wait()


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(handshake(), id="plain"),
        pytest.param(
            handshake(offer=b"upgrade: WebSocket\r\nconnection: keep-alive, upgrade\r\n"), id="any-case"
        ),
        pytest.param(handshake(offer=b"Upgrade: h2c, websocket\r\nConnection: Upgrade\r\n"), id="one-of-two"),
    ],
)
def test_the_scope_of_a_handshake(head: bytes) -> None:
    async def test() -> None:
        app = Recorder(Tunnelling())
        await Wire(app).feed(head.replace(VERSION, VERSION + b"Sec-WebSocket-Protocol: a, b\r\n"))

        [scope] = app.scopes
        assert scope["type"] == "websocket"
        assert scope["scheme"] == "ws"
        assert scope["raw_path"] == b"/ws"
        assert scope["query_string"] == b"a=b"
        assert scope["subprotocols"] == ["a", "b"]
        assert scope["extensions"]["websocket.http.response"] == {}

    run(test())


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(handshake(more=KEY), 426, id="no-version"),
        pytest.param(handshake(more=KEY + b"Sec-WebSocket-Version: 8\r\n"), 426, id="old-version"),
        pytest.param(handshake(more=KEY + VERSION + VERSION), 426, id="two-versions"),
        pytest.param(handshake(more=VERSION), 400, id="no-key"),
        pytest.param(handshake(more=KEY + KEY + VERSION), 400, id="two-keys"),
        pytest.param(handshake(more=VERSION + b"Sec-WebSocket-Key: short\r\n"), 400, id="short-key"),
        pytest.param(
            handshake(more=VERSION + b"Sec-WebSocket-Key: " + b"!" * 24 + b"\r\n"), 400, id="no-base64"
        ),
        pytest.param(handshake(line=b"POST /ws HTTP/1.1"), 400, id="post"),
        pytest.param(handshake(more=KEY + VERSION + b"Content-Length: 3\r\n") + b"abc", 400, id="body"),
        pytest.param(
            handshake(more=KEY + VERSION + b"Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n",
            400,
            id="chunked",
        ),
    ],
)
def test_a_handshake_that_is_none(head: bytes, status: int) -> None:
    async def test() -> None:
        app = Recorder()
        wire = await Wire(app).feed(head)

        [answer] = wire.answers()
        assert answer.status == status
        assert answer.field("sec-websocket-version") == ("13" if status == 426 else None)
        assert wire.ended
        assert app.scopes == []

    run(test())


def test_a_refused_one_gets_an_http_answer() -> None:
    async def test() -> None:
        async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
            headers = [(b"content-type", b"application/json"), (b"set-cookie", b"a=b")]
            await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
            await send({"type": "websocket.http.response.body", "body": b"{}", "more_body": True})
            await send({"type": "websocket.http.response.body", "body": b"[]"})

        wire = await Wire(refuse).feed(handshake() + b"\x81\x85early")
        [answer] = wire.answers()
        assert (answer.status, answer.body) == (401, b"{}[]")
        assert answer.field("set-cookie") == "a=b"
        assert answer.field("connection") == "close"
        # Its early frames are no request, and reading them is what lets the client read the answer.
        await wire.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert len(wire.answers()) == 1
        assert wire.transport.eof
        assert not wire.transport.paused

    run(test())


def test_closing_before_accepting_is_a_403() -> None:
    async def test() -> None:
        async def close(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "websocket.close", "code": 1008})

        wire = await Wire(close).feed(handshake())
        assert wire.statuses() == [403]
        assert wire.ended

    run(test())


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({"type": "websocket.accept"}, id="accept"),
        pytest.param({"type": "websocket.send", "text": "x"}, id="send"),
        pytest.param({"type": "http.response.start", "status": 200}, id="http"),
    ],
)
def test_frames_are_not_spoken_here(message: Message, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(message)

        wire = await Wire(app).feed(handshake())
        assert wire.statuses() == [500]

    with caplog.at_level(logging.CRITICAL, "oidcgate.serve"):
        run(test())


class TestHandedOver:
    def test_the_connection_with_all_that_was_sent_early(self) -> None:
        async def test() -> None:
            app = Tunnelling()
            wire = await Wire(app).feed(handshake() + b"ear", b"ly")
            assert wire.sent == b""
            assert wire.transport.paused, "more early frames would have to be kept"
            app.decided.set()
            await settled()
            assert wire.sent == SWITCHED
            assert app.early == b"early"
            assert app.transport is wire.transport
            assert not wire.transport.paused
            await wire.feed(b"later")
            assert app.tunnel.heard == b"later"

        run(test())

    def test_a_client_that_waits_for_the_answer_is_heard_leaving(self) -> None:
        async def test() -> None:
            heard: list[str] = []

            async def app(scope: Scope, receive: Receive, send: Send) -> None:
                heard.append((await receive())["type"])
                heard.append((await receive())["type"])

            wire = await Wire(app).feed(handshake())
            assert not wire.transport.paused
            await wire.leave()
            assert heard == ["websocket.connect", "websocket.disconnect"]
            assert not wire.service.connections

        run(test())

    def test_it_counts_until_it_ends(self) -> None:
        async def test() -> None:
            app = Tunnelling()
            app.decided.set()
            wire = await Wire(app).feed(handshake())
            assert len(wire.service.connections) == 1
            assert wire.service.upgraded == 1
            wire.transport.close()
            await settled()
            assert not wire.service.connections
            assert not wire.service.tasks

        run(test())

    def test_a_tunnel_that_ends_takes_the_connection_with_it(self) -> None:
        async def test() -> None:
            app = Tunnelling()
            app.decided.set()
            wire = await Wire(app).feed(handshake())
            app.tunnel.over.set()
            await settled()
            assert wire.transport.closed
            assert not wire.service.connections

        run(test())

    def test_a_client_that_takes_nothing_of_the_end_is_aborted(self) -> None:
        async def test() -> None:
            app, clock = Tunnelling(), Clock()
            app.decided.set()
            wire = await Wire(app, ServerLimits(), clock).feed(handshake())
            wire.transport.unsent = 7
            app.tunnel.over.set()
            await settled()
            assert len(wire.service.connections) == 1
            clock.now += 5
            await wire.service.sweep()
            assert wire.transport.aborted
            assert not wire.service.connections

        run(test())

    def test_a_client_that_takes_nothing_for_long_is_aborted(self) -> None:
        async def test() -> None:
            app, clock = Tunnelling(), Clock()
            app.decided.set()
            wire = await Wire(app, ServerLimits(), clock).feed(handshake())
            for _ in range(61):
                wire.transport.unsent = 7
                clock.now += 1
                await wire.service.sweep()
            assert wire.transport.aborted

        run(test())

    def test_an_idle_one_may_last(self) -> None:
        async def test() -> None:
            app, clock = Tunnelling(), Clock()
            app.decided.set()
            wire = await Wire(app, ServerLimits(), clock).feed(handshake())
            clock.now += 100_000
            await wire.service.sweep()
            assert not wire.ended

        run(test())

    def test_it_is_told_when_the_server_stops(self) -> None:
        async def test() -> None:
            app = Tunnelling()
            app.decided.set()
            wire = await Wire(app).feed(handshake())
            await wire.service.stop(30)
            assert app.tunnel.told
            assert wire.transport.closed

        run(test())

    @pytest.mark.parametrize("how", ["gone", "answered"])
    def test_too_late(self, how: str) -> None:
        async def test() -> None:
            raised: list[BaseException] = []
            go_on = asyncio.Event()

            async def app(scope: Scope, receive: Receive, send: Send) -> None:
                await go_on.wait()
                if how == "answered":
                    await send({"type": "websocket.close"})
                try:
                    scope["extensions"]["oidcgate.upgrade"].accept(SWITCHED, Tunnel())
                except (OSError, RuntimeError) as error:
                    raised.append(error)

            wire = await Wire(app).feed(handshake())
            if how == "gone":
                await wire.leave()
            go_on.set()
            await settled()
            assert len(raised) == 1
            assert SWITCHED not in wire.sent

        run(test())


def test_behind_a_request_that_is_still_answered_it_waits() -> None:
    async def test() -> None:
        go_on = asyncio.Event()
        tunnelling = Tunnelling()
        tunnelling.decided.set()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "websocket":
                return await tunnelling(scope, receive, send)
            await go_on.wait()
            return await hello(scope, receive, send)

        wire = await Wire(app).feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + handshake() + b"early")
        assert wire.sent == b""
        go_on.set()
        await settled()
        assert wire.sent.startswith(b"HTTP/1.1 200 OK")
        assert wire.sent.endswith(b"hello" + SWITCHED)
        assert tunnelling.early == b"early"

    run(test())

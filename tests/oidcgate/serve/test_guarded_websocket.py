"""A WebSocket through the sidecar as it is composed: gate, proxy and server, between real sockets.

How a tunnel works is shown in `tests/oidcgate/proxy/test_websocket.py`, whom a gate lets in and for how long
in `tests/oidcgate/gate/test_asgi_lasting.py`; here the two meet.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.http11 import Request, Response

from oidcgate.gate.watch import Watch
from oidcgate.serve.app import asgi_app
from oidcgate.serve.metrics import Counters
from oidcgate.serve.protocol import protocol_factory
from oidcgate.serve.service import ServerLimits, Service
from tests.oidcgate.gate.async_parts import World
from tests.oidcgate.gate.parts import PUBLIC_URL, cookie_of, record

DEADLINE_SECONDS = 20


class Meeting:
    """A running sidecar in front of an echo.

    Attributes:
        world: the gate's clock, sessions and directory.
        asked: the handshakes that reached the upstream.
        codes: with what the upstream's ends were closed.
    """

    def __init__(self) -> None:
        self.world: World
        self.port = 0
        self.asked: list[Request] = []
        self.codes: list[int | None] = []
        self.more = Headers()

    def open(self, cookie: str = "", origin: str | None = PUBLIC_URL) -> Any:
        headers = {"Cookie": f"{cookie}; own=1"} if cookie else {}
        return connect(
            f"ws://127.0.0.1:{self.port}/live?a=1",
            origin=origin,
            additional_headers={**headers, "X-Forwarded-User": "mallory"},
            proxy=None,
        )

    async def echo(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.asked.append(connection.request)
        with contextlib.suppress(ConnectionClosed):
            while True:
                await connection.send(await connection.recv())
        self.codes.append(connection.close_code)

    def answer(self, _connection: ServerConnection, _request: Request, response: Response) -> None:
        response.headers.update(self.more)


@asynccontextmanager
async def meeting() -> AsyncIterator[Meeting]:
    met = Meeting()
    async with serve(met.echo, "127.0.0.1", 0, process_response=met.answer) as upstream:
        url = f"http://127.0.0.1:{upstream.sockets[0].getsockname()[1]}"
        met.world = World(proxy={"upstream": url})
        app, _ = asgi_app(met.world.gate.parts, Counters())
        app._watch = Watch(app._may_go_on, look_seconds=0.05)
        service = Service(ServerLimits())
        server = await service.loop.create_server(protocol_factory(app, service), "127.0.0.1", 0)
        met.port = server.sockets[0].getsockname()[1]
        try:
            yield met
        finally:
            server.close()
            await service.stop(5)


def running(test: Callable[[Meeting], Any]) -> None:
    async def in_time() -> None:
        async with asyncio.timeout(DEADLINE_SECONDS), meeting() as met:
            await test(met)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(in_time())


@pytest.mark.row("T-01", "T-02")
def test_who_is_signed_in_gets_a_tunnel_under_the_own_name() -> None:
    async def test(met: Meeting) -> None:
        async with met.open(met.world.sign_in()) as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"
            assert met.world.gate.parts.names.session not in str(ws.response.headers)
        (asked,) = met.asked
        assert asked.path == "/live?a=1"
        assert asked.headers.get_all("X-Forwarded-User") == ["Alice"]
        assert asked.headers.get_all("Cookie") == ["own=1"]
        assert asked.headers["Host"] == "app.example.com"
        assert asked.headers["X-Forwarded-For"] == "127.0.0.1"

    running(test)


@pytest.mark.row("G-26")
@pytest.mark.parametrize(
    ("signed_in", "origin", "status"), [(False, PUBLIC_URL, 401), (True, "https://a.example", 403)]
)
def test_who_may_not_is_told_by_a_status_and_never_reaches_the_upstream(
    signed_in: bool, origin: str, status: int
) -> None:
    async def test(met: Meeting) -> None:
        with pytest.raises(InvalidStatus) as refused:
            await met.open(met.world.sign_in() if signed_in else "", origin)
        assert refused.value.response.status_code == status
        assert not met.asked

    running(test)


@pytest.mark.row("G-26", "G-23")
def test_a_tunnel_ends_with_its_session() -> None:
    async def test(met: Meeting) -> None:
        async with met.open(met.world.sign_in()) as ws, met.open(met.world.sign_in("s2", "Bob")) as other:
            await ws.send("hello")
            assert await ws.recv() == "hello"
            met.world.sessions.end(record(), met.world.clock.now)
            with pytest.raises(ConnectionClosedError) as closed:
                await ws.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
            await other.send("still here")
            assert await other.recv() == "still here"
        assert sorted(code or 0 for code in met.codes) == [1000, 1008]

    running(test)


def test_the_answer_that_opens_a_tunnel_sets_gate_cookies_only_for_the_gate() -> None:
    async def test(met: Meeting) -> None:
        session = met.world.gate.parts.names.session
        met.more = Headers([("Set-Cookie", f"{session}=forged; Path=/"), ("Set-Cookie", "app=1")])
        cookie = met.world.sign_in()
        async with met.open(cookie) as ws:
            assert ws.response.headers.get_all("Set-Cookie") == ["app=1"]
        met.world.clock.now += 60
        async with met.open(cookie) as ws:
            app, renewed = sorted(ws.response.headers.get_all("Set-Cookie"), key=len)
            assert app == "app=1"
            assert cookie_of([renewed]) != cookie
        met.world.clock.now += 28_790
        async with met.open(cookie_of([renewed])):
            pass

    running(test)

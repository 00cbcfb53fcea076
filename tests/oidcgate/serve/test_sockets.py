"""What only a socket shows: back-pressure, resets, what a client still gets to read, many at once."""

import asyncio
import contextlib
import gc
import resource
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import uvloop

from oidcgate.serve.exchange import Scope
from oidcgate.serve.protocol import protocol_factory
from oidcgate.serve.service import ServerLimits, Service
from oidcgate.serve.upgrade import Handshake
from tests.oidcgate.serve.wire import App, Receive, Send, echo, hello, parsed

DEADLINE = 20
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

Runner = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["uvloop", "asyncio"])
def run(request: pytest.FixtureRequest) -> Runner:
    """Both loops: the worker has uvloop, and whatever holds only there is no property of the protocol."""
    runner: Runner = uvloop.run if request.param == "uvloop" else asyncio.run

    def limited(test: Coroutine[Any, Any, None]) -> None:
        async def within() -> None:
            async with asyncio.timeout(DEADLINE):
                await test

        runner(within())

    return limited


class Served:
    """A server on a port of its own."""

    def __init__(self, service: Service, address: Any) -> None:
        self.service = service
        self.address = address

    async def connect(self, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.address, str):
            return await asyncio.open_unix_connection(self.address, **options)
        return await asyncio.open_connection(*self.address[:2], **options)

    async def ask(self, data: bytes) -> bytes:
        """All that comes back until the connection ends."""
        reader, writer = await self.connect()
        writer.write(data)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer


@contextlib.asynccontextmanager
async def serving(app: App, limits: ServerLimits | None = None, *, path: str = "") -> AsyncIterator[Served]:
    service = Service(limits or ServerLimits())
    factory = protocol_factory(app, service)
    loop = asyncio.get_running_loop()
    if path:
        server = await loop.create_unix_server(factory, path)
    else:
        server = await loop.create_server(factory, "127.0.0.1", 0)
    sweeping = asyncio.ensure_future(service.sweep_for_ever())
    try:
        yield Served(service, server.sockets[0].getsockname())
    finally:
        server.close()
        sweeping.cancel()
        await service.stop(0)
        await asyncio.sleep(0.01)


async def until(true: Callable[[], object]) -> None:
    while not true():
        await asyncio.sleep(0.005)


def test_a_request_over_a_unix_socket(run: Runner, tmp_path: Any) -> None:
    async def test() -> None:
        scopes: list[Scope] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scopes.append(scope)
            await hello(scope, receive, send)

        async with serving(app, path=str(tmp_path / "s")) as server:
            [answer] = parsed(await server.ask(GET[:-2] + b"Connection: close\r\n\r\n"))
            assert answer.body == b"hello"
            assert scopes[0]["client"] is None

    run(test())


@pytest.mark.row("G-27")
def test_an_upload_that_nobody_reads_stays_with_the_client(run: Runner) -> None:
    async def test() -> None:
        async def never(scope: Scope, receive: Receive, send: Send) -> None:
            await asyncio.Event().wait()

        async with serving(never) as server:
            _, writer = await server.connect()
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
            sent = 0
            with contextlib.suppress(TimeoutError):
                while sent < 100_000_000:
                    writer.write(b"x" * 65_536)
                    sent += 65_536
                    await asyncio.wait_for(writer.drain(), 1)
            # What both kernels hold, which is some megabytes on loopback; of it, we hold one reading.
            assert sent < 32_000_000
            [connection] = server.service.connections
            assert connection.exchange is not None
            assert connection.exchange.buffered < 1_000_000
            writer.close()

    run(test())


@pytest.mark.row("G-27")
def test_a_long_answer_waits_for_its_reader(run: Runner) -> None:
    async def test() -> None:
        sent = 0

        async def stream(scope: Scope, receive: Receive, send: Send) -> None:
            nonlocal sent
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(2000):
                await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
                sent += 65_536
            await send({"type": "http.response.body"})

        async with serving(stream) as server:
            reader, writer = await server.connect(limit=65_536)
            writer.write(GET)
            await reader.readuntil(b"\r\n\r\n")
            [connection] = server.service.connections
            await until(lambda: connection.flow.write_paused)
            assert sent < 32_000_000
            received = 0
            while received < 2000 * 65_536:
                received += len(await reader.read(1 << 20))
            writer.close()

    run(test())


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"POST /%zz HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n", id="refused-head"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n", id="refused-by-the-app"
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz", id="refused-body"
        ),
    ],
)
def test_a_client_that_is_still_sending_can_read_the_refusal(run: Runner, head: bytes) -> None:
    async def test() -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if b"chunked" in head:
                await echo(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"no"})

        async with serving(app) as server:
            reader, writer = await server.connect()
            writer.write(head)
            for _ in range(20):
                writer.write(b"x" * 100_000)
                await asyncio.sleep(0.001)
            [answer] = parsed(await reader.read())
            assert answer.status in (400, 401)
            assert answer.field("connection") == "close"
            writer.close()

    run(test())


def test_a_client_that_leaves_is_noticed(run: Runner) -> None:
    async def test() -> None:
        left = asyncio.Event()

        async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            assert (await receive())["type"] == "http.disconnect"
            left.set()

        async with serving(waiting) as server:
            _, writer = await server.connect()
            writer.write(GET)
            await until(lambda: server.service.tasks)
            writer.close()
            await left.wait()
            await until(lambda: not server.service.connections)

    run(test())


def test_a_slow_head_is_answered_and_closed(run: Runner) -> None:
    async def test() -> None:
        async with serving(hello, ServerLimits(head_seconds=0.2)) as server:
            reader, writer = await server.connect()
            writer.write(GET[:-2])
            [answer] = parsed(await reader.read())
            assert answer.status == 408
            writer.close()

            reader, writer = await server.connect()
            assert await reader.read() == b""
            writer.close()

    run(test())


def test_an_idle_connection_is_closed(run: Runner) -> None:
    async def test() -> None:
        async with serving(hello, ServerLimits(keepalive_seconds=0.2)) as server:
            reader, writer = await server.connect()
            writer.write(GET)
            [answer] = parsed(await reader.read())
            assert answer.status == 200
            writer.close()

    run(test())


def test_a_client_that_takes_nothing_is_dropped(run: Runner) -> None:
    async def test() -> None:
        over = asyncio.Event()

        async def stream(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            try:
                while True:
                    await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
            finally:
                over.set()

        async with serving(stream, ServerLimits(client_idle_seconds=0.3)) as server:
            with socket.socket() as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.connect(server.address)
                client.sendall(GET)
                await over.wait()
                await until(lambda: not server.service.connections)

    run(test())


def test_a_tunnel_gets_the_bytes_of_a_socket(run: Runner) -> None:
    class Echo(asyncio.Protocol):
        def __init__(self) -> None:
            self.over = asyncio.Event()
            self.transport: Any = None

        def data_received(self, data: bytes) -> None:
            self.transport.write(data)

        def connection_lost(self, exc: Exception | None) -> None:
            self.over.set()

        def shutdown(self) -> None:
            self.transport.close()

    async def test() -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            tunnel = Echo()
            [connection] = server.service.connections
            reading = connection.reading
            assert isinstance(reading, Handshake)
            await until(lambda: reading.held)
            head = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
            tunnel.transport, early = scope["extensions"]["oidcgate.upgrade"].accept(head, tunnel)
            tunnel.transport.write(early)
            await tunnel.over.wait()

        async with serving(app) as server:
            reader, writer = await server.connect()
            writer.write(
                b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nearly"
            )
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
            assert await reader.readexactly(5) == b"early"
            writer.write(b"x" * 1_000_000)
            assert await reader.readexactly(1_000_000) == b"x" * 1_000_000
            writer.close()
            await until(lambda: not server.service.connections and not server.service.tasks)

    run(test())


def _memory() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("kind", ["idle", "stream"])
def test_a_thousand_connections_cost_little_and_disturb_nobody(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten thousand are for the benchmark; the clients' ends are in this process and are counted as well."""
    number = 1000

    async def test() -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["path"] == "/":
                await hello(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while (await receive())["type"] != "http.disconnect":
                pass

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        try:
            async with serving(app) as server, asyncio.timeout(60):
                gc.collect()
                before = _memory()
                clients = []
                for _ in range(number):
                    client = socket.create_connection(server.address)
                    client.sendall(GET if kind == "idle" else GET.replace(b"/ ", b"/stream "))
                    clients.append(client)
                    await asyncio.sleep(0)
                await until(lambda: len(server.service.connections) == number)
                if kind == "stream":
                    await until(lambda: len(server.service.tasks) == number)
                else:
                    await until(lambda: server.service.total_requests == number)
                gc.collect()
                each = (_memory() - before) / number
                with capsys.disabled():
                    print(f"\n{kind}: {each / 1024:.1f} KB for each connection")
                assert each < 40 * 1024
                loop = asyncio.get_running_loop()
                begun = loop.time()
                [answer] = parsed(await server.ask(GET[:-2] + b"Connection: close\r\n\r\n"))
                assert answer.body == b"hello"
                assert loop.time() - begun < 1
                for client in clients:
                    client.close()
                await until(lambda: not server.service.connections and not server.service.tasks)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    uvloop.run(test())

"""`Proxy` behind real servers: uvicorn as it is, and the sidecar's own. What a client sees on the wire."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import uvicorn

from oidcgate.proxy.http import Proxy
from oidcgate.proxy.troubles import Trouble
from oidcgate.serve.protocol import protocol_factory
from oidcgate.serve.service import ServerLimits, Service
from tests.oidcgate.proxy.calls import Fronted, Line, Played, fronted, played
from tests.oidcgate.proxy.conftest import Run

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET /x?y HTTP/1.1\r\nHost: app.example.com\r\n\r\n"
MEGABYTE = 2**20

Serve = Callable[[Proxy], AbstractAsyncContextManager[int]]


@asynccontextmanager
async def by_uvicorn(proxy: Proxy) -> AsyncIterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(
            proxy, http="httptools", lifespan="on", log_level="critical", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            await task


@asynccontextmanager
async def by_sidecar(proxy: Proxy) -> AsyncIterator[int]:
    service = Service(ServerLimits())
    server = await asyncio.get_running_loop().create_server(protocol_factory(proxy, service), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await service.stop(0.0)


@pytest.fixture(params=[by_uvicorn, by_sidecar])
def serve(request: pytest.FixtureRequest) -> Serve:
    chosen: Serve = request.param
    return chosen


@asynccontextmanager
async def fronted_by(serve: Serve) -> AsyncIterator[tuple[Fronted, Played, Line]]:
    """A proxy behind a server, the upstream behind it, and a client's connection."""
    async with played() as upstream, fronted(upstream.url) as proxy, serve(proxy) as port:
        browser = Line(*await asyncio.open_connection("127.0.0.1", port))
        try:
            yield proxy, upstream, browser
        finally:
            browser.reset()


def test_requests_on_one_connection(run: Run, serve: Serve) -> None:
    async def test() -> None:
        async with fronted_by(serve) as (_, upstream, browser):
            for number in range(3):
                browser.say(GET)
                line = line if number else await upstream.line()  # noqa: F821
                assert (await line.answers(HELLO)).startswith(
                    b"GET /x?y HTTP/1.1\r\nhost: app.example.com\r\n"
                )
                head = await browser.request()
                assert head.startswith(b"HTTP/1.1 200")
                assert b"content-length: 5\r\n" in head
                assert await browser.read(5) == b"hello"
            assert upstream.opened == 1

    run(test())


def test_an_upload_in_chunks(run: Run, serve: Serve) -> None:
    async def test() -> None:
        async with fronted_by(serve) as (_, upstream, browser):
            browser.say(
                b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
            )
            assert await browser.request() == b"HTTP/1.1 100 Continue\r\n\r\n"
            browser.say(b"3\r\nabc\r\n")
            line = await upstream.line()
            head = await line.request()
            assert b"\r\ntransfer-encoding: chunked\r\n" in head
            assert b"expect" not in head
            assert await line.read(8) == b"3\r\nabc\r\n"
            browser.say(b"1;x=y\r\nd\r\n0\r\nX-Trailer: 1\r\n\r\n")
            assert await line.read(11) == b"1\r\nd\r\n0\r\n\r\n"
            line.say(HELLO)
            assert (await browser.request()).startswith(b"HTTP/1.1 200")

    run(test())


@pytest.mark.row("G-27")
def test_an_event_passes_within_one_round_trip(run: Run, serve: Serve) -> None:
    async def test() -> None:
        async with fronted_by(serve) as (_, upstream, browser):
            browser.say(GET)
            line = await upstream.line()
            await line.answers(CHUNKED)
            assert b"\r\ntransfer-encoding: chunked\r\n" in await browser.request()
            for _ in range(3):
                line.say(b"9\r\ndata: x\n\n\r\n")
                assert await browser.read(14) == b"9\r\ndata: x\n\n\r\n"

    run(test())


@pytest.mark.parametrize(
    ("wire", "seen"),
    [
        pytest.param(CHUNKED + b"5\r\nhello\r\n", b"5\r\nhello\r\n", id="chunks"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", b"hello", id="length"),
    ],
)
def test_a_truncated_answer_does_not_look_complete(run: Run, serve: Serve, wire: bytes, seen: bytes) -> None:
    async def test() -> None:
        async with fronted_by(serve) as (_, upstream, browser):
            browser.say(GET)
            line = await upstream.line()
            await line.answers(wire)
            await browser.request()
            assert await browser.read(len(seen)) == seen
            line.close()
            assert await browser.closed() == b""

    run(test())


@pytest.mark.parametrize("answer", [b"", CHUNKED + b"5\r\nhello\r\n"], ids=["waiting", "streaming"])
def test_a_client_that_leaves_frees_the_upstream(run: Run, serve: Serve, answer: bytes) -> None:
    async def test() -> None:
        async with fronted_by(serve) as (proxy, upstream, browser):
            browser.say(GET)
            line = await upstream.line()
            await line.answers(answer)
            if answer:
                await browser.request()
            browser.close()
            await line.closed()
            assert proxy.troubles == []

    run(test())


def test_a_page_in_place_of_an_answer(run: Run, serve: Serve) -> None:
    async def test() -> None:
        async with played() as upstream:
            gone = upstream.url
        async with fronted(gone) as proxy, serve(proxy) as port:
            browser = Line(*await asyncio.open_connection("127.0.0.1", port))
            # What stood behind the head of the first would be taken for the answer to the second.
            for method in ("HEAD", "GET"):
                browser.say(b"%b / HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n" % method.encode())
                head = await browser.request()
                assert head.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
                length = int(head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
            page = await browser.read(length)
            assert b'id="page-app-down"' in page
            assert page.endswith(b"</html>")
            browser.close()
            assert proxy.troubles == [Trouble.UNREACHABLE] * 2

    run(test())


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.slow
@pytest.mark.row("G-27")
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_hundred_megabytes_each_way_in_flat_memory(run: Run, serve: Serve, framing: str) -> None:
    size = 100 * MEGABYTE
    piece = bytes(MEGABYTE)
    chunk = b"%x\r\n%b\r\n" % (MEGABYTE, piece)
    said = b"Content-Length: %d" % size if framing == "length" else b"Transfer-Encoding: chunked"

    async def pour(line: Line) -> None:
        for _ in range(size // MEGABYTE):
            line.say(piece if framing == "length" else chunk)
            await line.writer.drain()
        if framing == "chunked":
            line.say(b"0\r\n\r\n")

    async def drink(line: Line) -> int:
        """Read a body to its end, and say the most memory there was meanwhile."""
        read, most, tail = 0, 0, b""
        while read < size or (framing == "chunked" and not tail.endswith(b"\r\n0\r\n\r\n")):
            data = await line.reader.read(MEGABYTE)
            assert data, f"closed after {read}"
            read += len(data)
            tail = (tail + data)[-16:]
            most = max(most, resident())
        return most

    async def test() -> None:
        async with fronted_by(serve) as (_, upstream, browser):
            for number in range(2):
                before = resident()
                browser.say(b"POST / HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n" % said)
                pouring = asyncio.create_task(pour(browser))
                line = line if number else await upstream.line()  # noqa: F821
                await line.request()
                up = await drink(line)
                await pouring
                line.say(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % said)
                pouring = asyncio.create_task(pour(line))
                await browser.request()
                down = await drink(browser)
                await pouring
                # The first round pays for the pieces that are poured and for what the loops keep.
                print(f"{framing}: up +{(up - before) >> 10} KB, down +{(down - before) >> 10} KB")
            assert max(up, down) - before < 16 * MEGABYTE

    run(test())

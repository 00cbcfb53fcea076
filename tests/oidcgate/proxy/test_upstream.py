"""Connections to an upstream, one by one: what is held, what is handed over, what is lent again.

What whole exchanges make of them is in test_http*.py.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from oidcgate.proxy.dial import connect
from oidcgate.proxy.routes import Limits, Upstream
from oidcgate.proxy.troubles import Trouble, UpstreamTrouble
from oidcgate.proxy.upstream import Connection, Pool
from tests.oidcgate.proxy.calls import Line, Played, played
from tests.oidcgate.proxy.conftest import Run
from tests.oidcgate.proxy.sockets import until

ASK = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
SWITCH = b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"


@asynccontextmanager
async def pooled(limits: Limits | None = None) -> AsyncIterator[tuple[Pool, Played]]:
    async with played() as upstream:
        pool = Pool(Upstream(upstream.url), limits or Limits())
        try:
            yield pool, upstream
        finally:
            pool.close()


async def opened(pool: Pool, upstream: Played) -> tuple[Connection, Line]:
    """A connection that has been asked, and its other end."""
    connection = await pool.connection()
    line = await upstream.line()
    connection.begin("GET", ASK)
    assert await line.request() == ASK
    return connection, line


async def completed(connection: Connection, line: Line, wire: bytes = HELLO) -> None:
    line.say(wire)
    while not connection.answer.complete:
        await connection.news()


class Other(asyncio.Protocol):
    """The protocol that a connection is handed over to."""

    def __init__(self) -> None:
        self.heard = b""
        self.lost = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


@pytest.mark.parametrize("size", [0, 5, 300_000])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_connection_is_handed_over_with_what_came_behind_the_switch(
    run: Run, size: int, at_once: bool
) -> None:
    greeting = b"g" * size

    async def test() -> None:
        async with pooled() as (pool, upstream):
            lost: list[Connection] = []
            _, connection = await connect(
                pool.upstream, lambda: Connection(Limits(), lost.append), seconds=10
            )
            line = await upstream.line()
            connection.begin("GET", ASK, upgrade=True)
            await line.request()
            line.say(SWITCH, greeting) if at_once else line.say(SWITCH)
            while not connection.answer.head_complete:
                await connection.news()
            assert connection.answer.status == 101
            if not at_once:
                line.say(greeting)
                held = min(size, 64 * 1024)
                await until(lambda: len(connection.answer.switched) >= held)
            other = Other()
            transport, early = connection.hand_over(other)
            transport.write(b"ours")
            assert await line.read(4) == b"ours"
            line.say(b"more")
            line.close()
            await other.lost.wait()
            assert early + other.heard == greeting + b"more"
            assert len(early) <= 600_000
            assert connection.trouble is None

    run(test())


def test_a_switch_that_nobody_asked_for(run: Run) -> None:
    async def test() -> None:
        async with pooled() as (pool, upstream):
            connection, line = await opened(pool, upstream)
            line.say(SWITCH)
            await connection.news()
            assert connection.trouble is not None
            assert connection.trouble.kind is Trouble.MALFORMED
            pool.give_back(connection, 0.0)
            await line.closed()

    run(test())


class Told(asyncio.Transport):
    """A transport that remembers whether it is to read."""

    reading = True

    def write(self, data: object) -> None:
        """Nobody is there to read it."""

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


def test_what_nobody_takes_is_not_read(run: Run) -> None:
    async def test() -> None:
        connection, transport = Connection(Limits(), lambda _: None), Told()
        connection.connection_made(transport)
        connection.begin("GET", ASK)
        connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
        sent = 0
        while transport.reading:
            assert sent < 1024 * 1024
            connection.data_received(bytes(10_000))
            sent += 10_000
        assert sent > 64 * 1024
        # What was on its way comes nevertheless.
        connection.data_received(bytes(10_000))
        assert len(connection.take()) == sent + 10_000
        # Taking alone does not begin to read again; asking for more does.
        assert not transport.reading
        connection.news()
        assert transport.reading

    run(test())


def test_what_was_not_read_comes_when_it_is_asked_for(run: Run) -> None:
    async def test() -> None:
        async with pooled() as (pool, upstream):
            connection, line = await opened(pool, upstream)
            line.say(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n", bytes(50_000_000))
            held = 0
            while not connection.answer.complete:
                await connection.news()
                held += len(connection.take())
            assert held == 50_000_000
            assert connection.finish()

    run(test())


def test_an_answer_before_the_request_is_sent_ends_the_connection(run: Run) -> None:
    async def test() -> None:
        async with pooled() as (pool, upstream):
            connection = await pool.connection()
            line = await upstream.line()
            # More than the buffers take: the end of it is still here when the answer comes.
            connection.begin("POST", ASK, bytes(20_000_000))
            assert connection.writing_paused
            await line.request()
            await completed(connection, line)
            pool.give_back(connection, 0.0)
            assert pool.idle == 0
            assert len(await line.closed()) < 20_000_000

    run(test())


def test_what_is_closed_is_not_lent(run: Run) -> None:
    async def test() -> None:
        async with pooled() as (pool, upstream):
            connection, line = await opened(pool, upstream)
            await completed(connection, line)
            pool.give_back(connection, 0.0)
            assert (pool.idle, pool.open) == (1, 1)
            connection.close()
            assert pool.idle_connection() is None
            await line.closed()
            while pool.open:
                await asyncio.sleep(0)

    run(test())


def test_a_sweep_closes_what_is_unused_for_too_long(run: Run) -> None:
    async def test() -> None:
        async with pooled(Limits(pooled_seconds=30)) as (pool, upstream):
            pairs = [await opened(pool, upstream) for _ in range(3)]
            for now, (connection, line) in enumerate(pairs):
                await completed(connection, line)
                pool.give_back(connection, float(now))
            pool.sweep(29.9)
            assert pool.idle == 3
            pool.sweep(31.0)
            assert pool.idle == 1
            for _, line in pairs[:2]:
                await line.closed()
            assert pool.idle_connection() is pairs[2][0]

    run(test())


def test_a_closed_pool_keeps_nothing(run: Run) -> None:
    async def test() -> None:
        async with pooled() as (pool, upstream):
            (unused, one), (used, other) = [await opened(pool, upstream) for _ in range(2)]
            await completed(unused, one)
            pool.give_back(unused, 0.0)
            pool.close()
            await one.closed()
            await completed(used, other)
            pool.give_back(used, 0.0)
            await other.closed()
            assert pool.idle == 0

    run(test())


def test_a_connection_given_to_who_waits_may_be_closed_by_then(run: Run) -> None:
    async def test() -> None:
        async with pooled(Limits(upstream_connections=1)) as (pool, upstream):
            connection, line = await opened(pool, upstream)
            waiting = asyncio.create_task(pool.connection())
            await asyncio.sleep(0)
            await completed(connection, line)
            pool.give_back(connection, 0.0)
            connection.abort()
            fresh = await waiting
            assert fresh is not connection
            assert not fresh.closing
            assert pool.open == 1

    run(test())


def test_who_gives_up_in_the_moment_it_is_served_passes_it_on(run: Run) -> None:
    async def test() -> None:
        async with pooled(Limits(upstream_connections=1)) as (pool, upstream):
            connection, line = await opened(pool, upstream)
            waiting = [asyncio.create_task(pool.connection()) for _ in range(2)]
            await asyncio.sleep(0)
            await completed(connection, line)
            pool.give_back(connection, 0.0)
            waiting[0].cancel()
            assert await waiting[1] is connection
            with pytest.raises(asyncio.CancelledError):
                await waiting[0]
            # The same with the place of one that is gone.
            waiting = [asyncio.create_task(pool.connection()) for _ in range(2)]
            await asyncio.sleep(0)
            connection.abort()
            while not connection.lost:
                await asyncio.sleep(0)
            waiting[0].cancel()
            assert not (await waiting[1]).closing
            assert pool.open == 1

    run(test())


def test_nobody_waits_longer_than_for_a_connection(run: Run) -> None:
    async def test() -> None:
        async with pooled(Limits(upstream_connections=1, connect_seconds=0.5)) as (pool, _):
            await pool.connection()
            with pytest.raises(UpstreamTrouble) as trouble:
                await pool.connection()
            assert trouble.value.kind is Trouble.TOO_MANY

    run(test())

"""Slow and leaving clients and upstreams: who is waited for, how long, and what is held in the meantime.

Here are `exchanges` and `upload` seen through a `Proxy`; the first by itself is in `test_exchanges`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from oidcgate.proxy.exchanges import Waits
from oidcgate.proxy.routes import Limits
from oidcgate.proxy.troubles import Trouble
from tests.oidcgate.proxy.calls import Call, Fronted, Played, fronted, played
from tests.oidcgate.proxy.conftest import Run
from tests.oidcgate.proxy.sockets import until

OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"Content-Length: 5\r\n\r\nhello"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
UPLOAD = [(b"transfer-encoding", b"chunked")]
#: So long is short; what must not run out is `LONG`.
SHORT = 0.1
LONG = 20.0
#: What the buffers of two sockets and of the event loop take, many times over.
PLENTY = 64 * 1024 * 1024
#: More than the same take once.
BOUND = 16 * 1024 * 1024


def limits(**short: float) -> Limits:
    others = ("connect_seconds", "head_seconds", "idle_seconds", "client_idle_seconds")
    return Limits(**{**dict.fromkeys(others, LONG), **short})


async def later(proxy: Fronted, seconds: float) -> None:
    """Have the proxy look at its exchanges as if this much time had passed; nobody else makes it look."""
    await proxy._exchanges.look(proxy._exchanges.now + seconds)


@asynccontextmanager
async def told_the_time(**seconds: float | None) -> AsyncIterator[tuple[Played, Fronted]]:
    """An upstream, and a proxy for which time passes only `later`; other limits are a minute."""
    patience = Limits(**{"head_seconds": 60, "idle_seconds": 60, "client_idle_seconds": 60, **seconds})
    async with played() as upstream, fronted(upstream.url, limits=patience, look_seconds=3600) as proxy:
        yield upstream, proxy


class TestTimeOuts:
    def test_the_proxy_looks_by_itself(self, run: Run) -> None:
        async def test() -> None:
            async with (
                played() as upstream,
                fronted(upstream.url, limits=limits(head_seconds=SHORT)) as proxy,
            ):
                assert (await Call(proxy).done()).status == 504
                assert proxy.troubles == [Trouble.HEAD_TIMEOUT]

        run(test())

    def test_no_head(self, run: Run) -> None:
        async def test() -> None:
            async with told_the_time(head_seconds=10) as (upstream, proxy):
                call = Call(proxy)
                line = await upstream.line()
                await line.answers(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
                await later(proxy, 11)
                await call.done()
                assert (call.status, call.body) == (504, b'{"error": "gateway_timeout"}')
                assert proxy.troubles == [Trouble.HEAD_TIMEOUT]
                await line.closed()

        run(test())

    @pytest.mark.parametrize(("seconds", "status"), [(9, 200), (11, 504)])
    def test_the_time_for_the_head_begins_when_the_request_is_there(
        self, run: Run, seconds: float, status: int
    ) -> None:
        async def test() -> None:
            async with told_the_time(head_seconds=10) as (upstream, proxy):
                call = Call(proxy, "POST", headers=UPLOAD, body=None)
                for _ in range(12):
                    await call.feed(b"x")
                    await call.until(lambda call: call.unread == 0)
                    await later(proxy, 5)
                await call.feed(b"", more=False)
                line = await upstream.line()
                await line.request()
                await line.reader.readuntil(b"\r\n0\r\n\r\n")
                await later(proxy, seconds)
                line.say(HELLO)
                assert (await call.done()).status == status

        run(test())

    @pytest.mark.parametrize("body", [b"", b"1\r\nx\r\n"])
    def test_nothing_more_of_the_body(self, run: Run, body: bytes) -> None:
        async def test() -> None:
            async with told_the_time(idle_seconds=10) as (upstream, proxy):
                call = Call(proxy)
                line = await upstream.line()
                await line.answers(CHUNKED + body)
                await call.until(lambda call: len(call.sent) == 1 + bool(body))
                await later(proxy, 11)
                await call.done()
                assert call.status == 200
                assert call.cut
                assert proxy.troubles == [Trouble.IDLE]
                await line.closed()

        run(test())

    @pytest.mark.row("G-27")
    def test_a_stream_may_last_as_long_as_it_goes_on(self, run: Run) -> None:
        async def test() -> None:
            every = {"head_seconds": 10, "idle_seconds": 10, "client_idle_seconds": 10}
            async with told_the_time(**every) as (upstream, proxy):
                call = Call(proxy)
                line = await upstream.line()
                await line.answers(CHUNKED)
                for number in range(15):
                    line.say(b"1\r\nx\r\n")
                    await call.until(lambda call, number=number: len(call.body) > number)
                    await later(proxy, 9)
                line.say(b"0\r\n\r\n")
                await call.done()
                assert (call.body, call.complete) == (b"x" * 15, True)

        run(test())

    def test_a_client_that_stops_sending(self, run: Run) -> None:
        async def test() -> None:
            async with told_the_time(client_idle_seconds=10) as (upstream, proxy):
                call = Call(proxy, "POST", headers=UPLOAD, body=None)
                await call.feed(b"x")
                line = await upstream.line()
                # It is waited for more.
                await call.until(lambda call: call.asked > 1)
                await later(proxy, 11)
                await call.done()
                assert (call.status, call.body) == (408, b'{"error": "request_timeout"}')
                assert call.header(b"connection") == [b"close"]
                assert proxy.troubles == [Trouble.CLIENT_IDLE]
                assert not (await line.closed()).endswith(b"0\r\n\r\n")

        run(test())

    def test_a_client_that_does_not_begin_to_send(self, run: Run) -> None:
        async def test() -> None:
            async with told_the_time(client_idle_seconds=10) as (upstream, proxy):
                call = Call(proxy, "POST", headers=UPLOAD, body=None)
                await call.until(lambda call: call.asked > 0)
                await later(proxy, 11)
                assert (await call.done()).status == 408
                assert upstream.opened == 0

        run(test())

    def test_a_client_whose_patience_is_the_server_s_to_keep(self, run: Run) -> None:
        async def test() -> None:
            async with told_the_time(client_idle_seconds=None) as (upstream, proxy):
                call = Call(proxy, "POST", headers=UPLOAD, body=None)
                await call.until(lambda call: call.asked > 0)
                await later(proxy, 100_000)
                await call.feed(b"x")
                line = await upstream.line()
                await call.until(lambda call: call.asked > 1)
                await later(proxy, 100_000)
                await call.feed(b"", more=False)
                await line.request()
                call.takes.clear()
                line.say(HELLO)
                await call.until(lambda call: call.offered > 0)
                await later(proxy, 100_000)
                call.takes.set()
                assert (await call.done()).body == b"hello"
                assert proxy.troubles == []

        run(test())

    def test_a_client_that_takes_nothing(self, run: Run) -> None:
        async def test() -> None:
            async with told_the_time(client_idle_seconds=10) as (upstream, proxy):
                call = Call(proxy)
                line = await upstream.line()
                await line.answers(CHUNKED)
                await call.until(lambda call: call.status == 200)
                call.takes.clear()
                line.say(b"1\r\nx\r\n")
                await call.until(lambda call: call.offered > 1)
                await later(proxy, 11)
                await call.done()
                assert call.cut
                assert proxy.troubles == [Trouble.CLIENT_IDLE]
                await line.closed()

        run(test())

    def test_a_client_that_does_not_take_the_end_keeps_no_connection(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                slow = Call(proxy)
                slow.takes.clear()
                line = await upstream.line()
                await line.answers(HELLO)
                await slow.until(lambda slow: slow.offered > 0)
                # The same connection serves others in the meantime.
                call = Call(proxy)
                await line.answers(HELLO)
                await call.done()
                assert not slow.task.done()
                slow.takes.set()
                assert (await slow.done()).body == b"hello"

        run(test())

    def test_an_upstream_that_does_not_take_the_body(self, run: Run) -> None:
        async def test() -> None:
            async with (
                played() as upstream,
                fronted(upstream.url, limits=limits(idle_seconds=SHORT)) as proxy,
            ):
                call = Call(proxy, "POST", headers=UPLOAD, body=None)
                for _ in range(PLENTY // 2**20):
                    await call.feed(bytes(2**20))
                await call.done()
                assert call.status == 502
                assert call.unread
                assert proxy.troubles == [Trouble.IDLE]

        run(test())

    def test_an_upstream_that_accepts_and_says_nothing(self, run: Run) -> None:
        async def test() -> None:
            # A TCP connection is there at once; the TLS handshake never comes to an end.
            async with played() as upstream:
                url = upstream.url.replace("http:", "https:")
                async with fronted(url, limits=limits(connect_seconds=SHORT)) as proxy:
                    call = await Call(proxy).done()
                assert (call.status, call.body) == (504, b'{"error": "gateway_timeout"}')
                assert proxy.troubles == [Trouble.CONNECT_TIMEOUT]

        run(test())


class TestClientsThatLeave:
    def test_while_the_upstream_thinks(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy)
                line = await upstream.line()
                await line.request()
                await call.leave()
                await line.closed()
                await call.done()
                assert (call.sent, proxy.troubles) == ([], [])

        run(test())

    @pytest.mark.parametrize("upload", [True, False])
    def test_in_the_middle_of_the_answer(self, run: Run, upload: bool) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy, "POST", headers=UPLOAD, body=None) if upload else Call(proxy)
                if upload:
                    await call.feed(b"x")
                    await call.feed(b"", more=False)
                line = await upstream.line()
                await line.answers(CHUNKED + b"1\r\nx\r\n")
                await call.until(lambda call: call.body == b"x")
                await call.leave()
                await line.closed()
                await call.done()
                assert not call.complete
                assert proxy.troubles == []

        run(test())

    def test_who_takes_nothing_any_more(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy)
                line = await upstream.line()
                await line.answers(CHUNKED)
                await call.until(lambda call: call.status == 200)
                call.takes.clear()
                line.say(b"1\r\nx\r\n")
                await call.leave()
                await line.closed()
                await call.done()
                assert proxy.troubles == []

        run(test())

    @pytest.mark.parametrize("first", [True, False])
    def test_in_the_middle_of_the_body(self, run: Run, first: bool) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy, "POST", headers=UPLOAD, body=None)
                if not first:
                    await call.feed(b"abc")
                    line = await upstream.line()
                    await line.request()
                await call.leave()
                await call.done()
                assert (call.sent, proxy.troubles) == ([], [])
                if first:
                    assert upstream.opened == 0
                else:
                    # No last chunk: half a body is not a whole one.
                    assert await line.closed() == b"3\r\nabc\r\n"

        run(test())

    def test_while_a_connection_is_opened(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream:
                url = upstream.url.replace("http:", "https:")
                async with fronted(url, limits=limits()) as proxy:
                    call = Call(proxy)
                    line = await upstream.line()
                    await call.leave()
                    await call.done()
                    await line.closed()
                    assert (call.sent, proxy.troubles) == ([], [])

        run(test())

    def test_a_server_that_says_so_when_it_is_sent_to(self, run: Run) -> None:
        """As ASGI 2.4 has it: `send` raises an OSError."""

        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:

                async def receive() -> dict[str, object]:
                    await asyncio.Event().wait()
                    raise AssertionError

                async def send(message: object) -> None:
                    raise ConnectionResetError

                call = Call(proxy)
                call.task.cancel()
                task = asyncio.ensure_future(proxy(call.scope, receive, send))
                line = await upstream.line()
                await line.answers(CHUNKED)
                with pytest.raises(ConnectionResetError):
                    await task
                await line.closed()

        run(test())

    def test_a_cancelled_task_lets_go_of_the_upstream(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                for answer in (b"", CHUNKED):
                    call = Call(proxy)
                    line = await upstream.line()
                    await line.answers(answer)
                    await call.until(lambda call, answer=answer: bool(call.status) == bool(answer))
                    call.task.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await call.task
                    await line.closed()
                assert proxy.troubles == []

        run(test())


class TestBackpressure:
    """Whoever takes nothing slows the other side down; nothing is held in between but what is on its way."""

    @pytest.mark.row("G-27")
    def test_a_client_that_takes_nothing_stops_the_upstream(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy)
                line = await upstream.line()
                await line.answers(OK + b"Content-Length: %d\r\n\r\n" % PLENTY)
                await call.until(lambda call: call.status == 200)
                call.takes.clear()
                written = 0

                async def fill() -> None:
                    nonlocal written
                    while written < PLENTY:
                        line.say(bytes(2**18))
                        written += 2**18
                        await line.writer.drain()

                filling = asyncio.create_task(fill())
                [exchange] = proxy._exchanges._active
                assert exchange.connection is not None
                transport = exchange.connection._transport
                # Nothing is read until the client takes some of it, so all that can move soon has.
                await until(lambda: filling.done() or not transport.is_reading())
                await until(lambda: filling.done() or line.writer.transport.get_write_buffer_size() > 0)
                assert 0 < written < BOUND
                call.takes.set()
                await filling
                await call.done()
                assert (len(call.body), call.complete) == (PLENTY, True)

        run(test())

    @pytest.mark.row("G-27")
    def test_an_upstream_that_takes_nothing_stops_the_client(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                headers = [(b"content-length", b"%d" % PLENTY)]
                call = Call(proxy, "POST", headers=headers, body=None)
                pieces = PLENTY // 2**18
                for number in range(pieces):
                    await call.feed(bytes(2**18), more=number < pieces - 1)
                line = await upstream.line()
                await line.request()
                [exchange] = proxy._exchanges._active
                # The upstream has read ahead all it will, and the proxy waits for it.
                await until(lambda: not line.writer.transport.is_reading())
                await until(lambda: exchange.upload is Waits.UPSTREAM or call.unread == 0)
                assert 0 < (pieces - call.unread) * 2**18 < BOUND
                read = 0
                while read < PLENTY:
                    read += len(await line.reader.read(2**18))
                line.say(HELLO)
                assert (await call.done()).status == 200

        run(test())


def test_nothing_is_left_behind(run: Run) -> None:
    async def test() -> None:
        async with played() as upstream, fronted(upstream.url) as proxy:
            calls = [Call(proxy) for _ in range(20)]
            for _ in calls:
                line = await upstream.line()
                await line.answers(HELLO)
            for call in calls:
                assert (await call.done()).body == b"hello"
            assert not proxy._exchanges._active
            assert upstream.opened == 20

    run(test())

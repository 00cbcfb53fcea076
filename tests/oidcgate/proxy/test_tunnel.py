"""Open WebSockets between real sockets: what passes, how they end, and what they cost."""

import asyncio
import contextlib
import gc
import random
import socket
import tracemalloc

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK

from oidcgate.proxy import tunnel
from oidcgate.proxy.frames import close_frame
from oidcgate.proxy.routes import Destination, Limits, Upstream
from oidcgate.proxy.troubles import Trouble, no_report
from tests.oidcgate.proxy.conftest import Run
from tests.oidcgate.proxy.sockets import (
    SWITCH,
    client,
    echo,
    front,
    raw_client,
    raw_tunnel,
    raw_upstream,
    until,
    url_of,
)

MASK = b"\x01\x02\x03\x04"
HELLO = b"\x81\x05hello"
MASKED_HELLO = b"\x81\x85" + MASK + bytes(a ^ b for a, b in zip(b"hello", MASK + MASK, strict=False))


# ---- what passes


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_messages_pass_both_ways(run: Run, compression: str | None) -> None:
    async def test() -> None:
        async with (
            serve(echo, "127.0.0.1", 0, compression=compression, max_size=None) as server,
            front(url_of(server)) as running,
            client(running, compression=compression) as ws,
        ):
            assert bool(ws.protocol.extensions) is bool(compression)
            for message in ("", "hello", b"\x00\xff", "x" * 125, "x" * 126, "ä" * 70_000):
                await ws.send(message)
                assert await ws.recv() == message
            await ws.ping()

    run(test())


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_large_messages_pass_whole_and_in_order(run: Run, compression: str | None) -> None:
    async def test() -> None:
        async with (
            serve(echo, "127.0.0.1", 0, compression=compression, max_size=None) as server,
            front(url_of(server)) as running,
            client(running, compression=compression) as ws,
        ):
            messages = [bytes([number]) * (1 << 20) for number in range(10)]

            async def send() -> None:
                for message in messages:
                    await ws.send([message[: 1 << 19], message[1 << 19 :]] if message[0] % 2 else message)

            sending = asyncio.create_task(send())
            for message in messages:
                assert await ws.recv() == message
            await sending

    run(test())


def test_early_bytes_are_not_lost(run: Run) -> None:
    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url) as running:
            asking = await raw_client(running, behind=MASKED_HELLO)
            got = await upstream.connection()
            got.write(SWITCH.encode() + b"\r\n" + HELLO + b"\x81\x05")
            assert await got.read(len(MASKED_HELLO)) == MASKED_HELLO
            got.write(b"world")
            await asking.read_head()
            assert await asking.read(14) == HELLO + b"\x81\x05world"

    run(test())


def test_a_message_in_single_bytes_passes(run: Run) -> None:
    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url) as running:
            asking, got = await raw_tunnel(running, upstream)
            for byte in MASKED_HELLO:
                asking.write(bytes([byte]))
                await asking.writer.drain()
                await asyncio.sleep(0)
            assert await got.read(len(MASKED_HELLO)) == MASKED_HELLO

    run(test())


# ---- how it ends


def test_the_closing_handshake_of_the_client_passes(run: Run) -> None:
    async def test() -> None:
        codes: list[int | None] = []

        async def note(connection: ServerConnection) -> None:
            with contextlib.suppress(ConnectionClosed):
                await connection.recv()
            codes.append(connection.close_code)

        async with serve(note, "127.0.0.1", 0) as server, front(url_of(server)) as running:
            async with client(running) as ws:
                await ws.close(4001, "done")
                assert ws.close_code == 4001
            await until(lambda: running.ended == 1)
            assert codes == [4001]
            assert not running.service.connections
            assert not running.troubles

    run(test())


def test_the_closing_handshake_of_the_upstream_passes(run: Run) -> None:
    async def test() -> None:
        async def leave(connection: ServerConnection) -> None:
            await connection.close(4002, "enough")

        async with (
            serve(leave, "127.0.0.1", 0) as server,
            front(url_of(server)) as running,
            client(running) as ws,
        ):
            with pytest.raises(ConnectionClosedError) as closed:
                await ws.recv()
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4002, "enough")
            await until(lambda: running.ended == 1)

    run(test())


def test_a_client_that_is_gone_frees_the_upstream(run: Run) -> None:
    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url) as running:
            asking, got = await raw_tunnel(running, upstream)
            asking.write(MASKED_HELLO)
            asking.close()
            assert await got.rest() == MASKED_HELLO
            got.close()
            await until(lambda: running.ended == 1)
            assert not running.service.connections

    run(test())


def test_an_upstream_that_is_gone_ends_the_connection_of_the_client(run: Run) -> None:
    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url) as running:
            asking, got = await raw_tunnel(running, upstream)
            got.write(HELLO)
            got.close()
            assert await asking.rest() == HELLO
            asking.close()
            await until(lambda: running.ended == 1)

    run(test())


def test_an_end_that_does_not_go_is_cut_after_a_while(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel, "LINGER_SECONDS", 0.1)

    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url) as running:
            asking, got = await raw_tunnel(running, upstream)
            got.writer.transport.abort()
            assert await asking.rest() == b""
            # It has heard of the end and does not answer it.
            await until(lambda: running.ended == 1)
            assert not running.service.connections
            asking.close()

    run(test())


class Taking(asyncio.Transport):
    """The connection of an end that takes what waits for it little by little: so much is `left` each time."""

    def __init__(self, left: list[int]) -> None:
        super().__init__()
        self.left = left
        self.aborted = asyncio.Event()

    def get_write_buffer_size(self) -> int:
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]

    def is_closing(self) -> bool:
        return False

    def resume_reading(self) -> None:
        pass

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        pass

    def abort(self) -> None:
        self.aborted.set()


@pytest.mark.parametrize(
    ("left", "unseen"),
    [
        pytest.param([300, 200, 100, 0, 0], [0], id="takes-all"),
        pytest.param([300, 200, 200, 100], [100], id="stops-taking"),
        pytest.param([0, 0], [0], id="nothing-left"),
    ],
)
def test_an_end_is_given_time_as_long_as_it_takes_what_is_left(
    run: Run, monkeypatch: pytest.MonkeyPatch, left: list[int], unseen: list[int]
) -> None:
    monkeypatch.setattr(tunnel, "LINGER_SECONDS", 0.001)

    async def test() -> None:
        route = Destination(Upstream("http://127.0.0.1:1"), b"h", b"http")
        opened = tunnel.Tunnel(route, 1000, no_report, extensions=False)
        slow = opened.client.transport = Taking(list(left))
        opened.upstream.transport = Taking([0])
        opened.end_is_gone(opened.upstream)
        await slow.aborted.wait()
        assert slow.left == unseen
        opened.end_is_gone(opened.client)
        await opened.last()

    run(test())


def test_a_slow_client_still_gets_what_was_sent_before_the_upstream_left(run: Run) -> None:
    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url) as running:
            asking, got = await raw_tunnel(running, upstream)
            asking.writer.transport.pause_reading()
            size = 8 << 20
            got.write(b"\x82\x7f" + size.to_bytes(8, "big") + bytes(size))
            got.writer.write_eof()
            (connection,) = running.service.connections
            await until(lambda: connection.tunnel.transport.get_write_buffer_size() > 0)
            asking.writer.transport.resume_reading()
            left = size + 10
            while left and (chunk := await asking.reader.read(1 << 16)):
                left -= len(chunk)
            assert not left
            asking.close()
            await until(lambda: running.ended == 1)

    run(test())


@pytest.mark.row("G-26")
def test_a_cancelled_task_closes_both_ends_with_1008(run: Run) -> None:
    async def test() -> None:
        codes: list[int | None] = []

        async def note(connection: ServerConnection) -> None:
            with contextlib.suppress(ConnectionClosed):
                await connection.recv()
            codes.append(connection.close_code)

        async with (
            serve(note, "127.0.0.1", 0) as server,
            front(url_of(server)) as running,
            client(running) as ws,
        ):
            running.tasks[0].cancel()
            with pytest.raises(ConnectionClosedError) as closed:
                await ws.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
            await until(lambda: running.ended == 1)
            assert codes == [1008]
            assert not running.service.connections

    run(test())


@pytest.mark.row("G-26")
def test_nothing_passes_after_a_cancellation(run: Run) -> None:
    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url) as running:
            asking, got = await raw_tunnel(running, upstream)
            running.tasks[0].cancel()
            assert await asking.read(4) == close_frame(1008)
            asking.write(MASKED_HELLO)
            got.write(HELLO)
            # Said behind our Close, so the answer to it: dropped like everything else.
            asking.write(close_frame(1008, mask=MASK))
            got.write(close_frame(1008))
            assert await asking.rest() == b""
            last = await got.rest()
            assert (last[:2], len(last)) == (b"\x88\x82", 8)
            await until(lambda: running.ended == 1)

    run(test())


def test_a_frame_that_is_under_way_is_cut_without_a_close(run: Run) -> None:
    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url) as running:
            asking, got = await raw_tunnel(running, upstream)
            got.write(b"\x82\x7e\x10\x00half")
            assert await asking.read(8) == b"\x82\x7e\x10\x00half"
            running.tasks[0].cancel()
            assert await asking.rest() == b""
            assert len(await got.rest()) == 8  # between frames in this direction
            asking.close()
            got.close()
            await until(lambda: running.ended == 1)

    run(test())


def test_half_a_head_is_not_in_the_way_of_a_close(run: Run) -> None:
    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url) as running:
            asking, got = await raw_tunnel(running, upstream)
            got.write(HELLO + b"\x82")
            assert await asking.read(7) == HELLO
            running.tasks[0].cancel()
            assert await asking.rest() == close_frame(1008)

    run(test())


def test_a_task_that_is_cancelled_twice_does_not_wait(run: Run) -> None:
    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url) as running:
            await raw_tunnel(running, upstream)
            task = running.tasks[0]
            task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not task.done()  # waits for answers
            task.cancel()
            await until(lambda: running.ended == 1)
            await until(lambda: not running.service.connections)

    run(test())


def test_a_server_that_stops_closes_with_1001(run: Run) -> None:
    async def test() -> None:
        async with (
            serve(echo, "127.0.0.1", 0) as server,
            front(url_of(server)) as running,
            client(running) as ws,
        ):
            stopping = asyncio.create_task(running.service.stop(10))
            with pytest.raises(ConnectionClosedOK) as closed:
                await ws.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
            await stopping
            assert running.ended == 1

    run(test())


# ---- limits and malformed frames


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_a_message_over_the_limit_closes_both_ends_with_1009(run: Run, compression: str | None) -> None:
    async def test() -> None:
        codes: list[int | None] = []
        got: list[int] = []

        async def note(connection: ServerConnection) -> None:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    got.append(len(await connection.recv()))
            codes.append(connection.close_code)

        noise = random.Random(1).randbytes(4000)  # noqa: S311 - so that it cannot be compressed
        async with (
            serve(note, "127.0.0.1", 0, compression=compression) as server,
            front(url_of(server), limits=Limits(message_bytes=1100)) as running,
            client(running, compression=compression) as ws,
        ):
            await ws.send(noise[:1000])
            await ws.send([noise[1000:1600], noise[1600:2000]])
            with contextlib.suppress(ConnectionClosed):
                await ws.send([noise[2000:2600], noise[2600:3200]])
            with pytest.raises(ConnectionClosedError) as closed:
                await ws.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009
            await until(lambda: running.ended == 1)
            assert (codes, got) == ([1009], [1000, 1000])
            assert running.troubles == [(Trouble.CLIENT_FRAMES, "message_too_big")]

    run(test())


@pytest.mark.parametrize(
    ("bad", "detail"),
    [
        pytest.param(b"\x83\x80" + MASK, "reserved_opcode", id="opcode"),
        pytest.param(b"\xc1\x80" + MASK, "reserved_bit_without_extension", id="reserved bit"),
        pytest.param(b"\x81\x05hello", "frame_of_client_not_masked", id="unmasked"),
        pytest.param(b"\x09\x80" + MASK, "control_frame_fragmented", id="fragmented ping"),
        pytest.param(b"\x82\xff\x80" + bytes(7) + MASK, "length_with_high_bit", id="length"),
    ],
)
def test_malformed_frames_of_a_client_close_both_ends_with_1002(run: Run, bad: bytes, detail: str) -> None:
    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url) as running:
            asking, got = await raw_tunnel(running, upstream)
            asking.write(MASKED_HELLO + bad + b"and more")
            assert await asking.rest() == close_frame(1002)
            passed = await got.rest()
            assert passed.startswith(MASKED_HELLO)
            assert passed[11:13] == b"\x88\x82"
            assert bytes(a ^ b for a, b in zip(passed[17:], passed[13:17], strict=False)) == b"\x03\xea"
            assert running.troubles == [(Trouble.CLIENT_FRAMES, detail)]

    run(test())


@pytest.mark.parametrize(
    ("bad", "code", "detail"),
    [
        pytest.param(b"\x81\x85" + MASK + b"hello", 1002, "frame_of_server_masked", id="masked"),
        pytest.param(b"\x80\x00", 1002, "continuation_without_message", id="continuation"),
        pytest.param(b"\x89\x7e\x00\x7e", 1002, "control_frame_too_long", id="long ping"),
        pytest.param(b"\x82\x7f" + (1 << 40).to_bytes(8, "big"), 1009, "message_too_big", id="too big"),
    ],
)
def test_malformed_frames_of_an_upstream_close_both_ends(
    run: Run, bad: bytes, code: int, detail: str
) -> None:
    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url) as running:
            asking, got = await raw_tunnel(running, upstream)
            got.write(HELLO + bad + b"and more")
            assert await asking.rest() == HELLO + close_frame(code)
            assert (await got.rest())[:2] == b"\x88\x82"
            assert running.troubles == [(Trouble.UPSTREAM_FRAMES, detail)]

    run(test())


# ---- backpressure


@pytest.mark.parametrize("reader", ["client", "upstream"])
def test_who_does_not_read_stops_the_other_one(run: Run, reader: str) -> None:
    async def test() -> None:
        size = 64 << 20
        limits = Limits(message_bytes=size)
        async with raw_upstream() as upstream, front(upstream.url, limits=limits) as running:
            asking, got = await raw_tunnel(running, upstream)
            slow, fast = (asking, got) if reader == "client" else (got, asking)
            slow.writer.transport.pause_reading()
            opening = b"\x82\x7f" if fast is got else b"\x82\xff"
            fast.write(opening + size.to_bytes(8, "big") + (MASK if fast is asking else b""))
            chunk = bytes(1 << 16)
            sent = 0
            with contextlib.suppress(TimeoutError):
                while sent < size:
                    fast.write(chunk)
                    sent += len(chunk)
                    async with asyncio.timeout(0.5):
                        await fast.writer.drain()
            # What fits into the buffers of the system and ours, and then no more.
            assert sent < size // 2
            (connection,) = running.service.connections
            for end in (connection.tunnel, connection.tunnel.peer):
                assert end.transport.get_write_buffer_size() < 1 << 20
            slow.writer.transport.resume_reading()
            await slow.read(sent)  # and on it goes
            await fast.writer.drain()

    run(test())


# ---- what it costs


def test_silent_ends_are_asked_by_the_system_whether_they_are_there(run: Run) -> None:
    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url) as running:
            await raw_tunnel(running, upstream)
            (connection,) = running.service.connections
            end = connection.tunnel
            for transport in (end.transport, end.peer.transport):
                own = transport.get_extra_info("socket")
                assert own.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                assert own.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 60

    run(test())


def test_an_idle_tunnel_is_small_and_has_no_timer(run: Run) -> None:
    """Only what Python allocates is seen here; benchmarks/sidecar/idle_websockets.py measures processes."""
    number = 500

    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url) as running:
            await raw_tunnel(running, upstream)
            tasks = len(asyncio.all_tasks())
            ends = []
            gc.collect()
            tracemalloc.start()
            try:
                before = tracemalloc.take_snapshot()
                for _ in range(number):
                    ends.append(await raw_tunnel(running, upstream))
                gc.collect()
                after = tracemalloc.take_snapshot()
            finally:
                tracemalloc.stop()
            mine = tracemalloc.Filter(True, "*/oidcgate/*")
            grown = after.filter_traces([mine]).compare_to(before.filter_traces([mine]), "filename")
            assert sum(stat.size_diff for stat in grown) / number < 12_000
            assert len(asyncio.all_tasks()) <= tasks + number  # the server's own
            # uvloop does not tell. One is the deadline of the test.
            timers = getattr(asyncio.get_running_loop(), "_scheduled", ())
            assert sum(not timer.cancelled() for timer in timers) <= 1
            for asking, got in ends:
                asking.close()
                got.close()
            await until(lambda: running.ended == number)

    run(test())

"""Tunnels between real sockets: `oidcgate.proxy.websocket`."""

import asyncio
import contextlib
import gc
import random
import socket
import ssl
import tracemalloc
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve, unix_serve
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK, InvalidStatus
from websockets.http11 import Request, Response

from oidcgate.proxy import websocket
from oidcgate.proxy.frames import close_frame
from oidcgate.proxy.routes import Destination, Limits, Upstream
from oidcgate.proxy.troubles import Trouble
from oidcgate.proxy.websocket import accept_value, tunnel
from tests.oidcgate.proxy.conftest import Run
from tests.oidcgate.proxy.sockets import (
    ACCEPT,
    SWITCH,
    Front,
    front,
    raw_client,
    raw_tunnel,
    raw_upstream,
    until,
)
from tests.support.servers import free_port
from tests.support.tls import Authority

MASK = b"\x01\x02\x03\x04"
HELLO = b"\x81\x05hello"
MASKED_HELLO = b"\x81\x85" + MASK + bytes(a ^ b for a, b in zip(b"hello", MASK + MASK, strict=False))


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


def client(running: Front, path: str = "/", **options: Any) -> Any:
    options.setdefault("compression", None)
    return connect(running.url + path, proxy=None, max_size=None, **options)


def url_of(server: Any) -> str:
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


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


def test_a_subprotocol_is_agreed_between_the_ends(run: Run) -> None:
    async def test() -> None:
        async with (
            serve(echo, "127.0.0.1", 0, subprotocols=["second", "third"]) as server,  # type: ignore[list-item]
            front(url_of(server)) as running,
            client(running, subprotocols=["first", "second"]) as ws,
        ):
            assert ws.subprotocol == "second"

    run(test())


def test_a_unix_socket_is_an_upstream_too(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        path = tmp_path / "app.sock"
        async with (
            unix_serve(echo, str(path)),
            front(f"unix:{path}") as running,
            client(running) as ws,
        ):
            await ws.send("hello")
            assert await ws.recv() == "hello"

    run(test())


def test_both_sides_may_be_encrypted(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        authority = Authority.create(tmp_path)
        issued = authority.issue("localhost")
        server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server_side.load_cert_chain(issued.certificate, issued.key)
        client_side = ssl.create_default_context(cafile=authority.certificate)
        async with serve(echo, "127.0.0.1", 0, ssl=server_side, max_size=None) as server:
            port = server.sockets[0].getsockname()[1]
            upstream = Upstream(f"https://localhost:{port}", ca_file=authority.certificate)
            async with front("", upstream=upstream, certificate=server_side) as running:
                url = f"wss://localhost:{running.port}/"
                async with connect(url, proxy=None, ssl=client_side, max_size=None) as ws:
                    await ws.send(b"x" * (1 << 20))
                    assert await ws.recv() == b"x" * (1 << 20)
                await until(lambda: running.ended == 1)
                async with connect(url, proxy=None, ssl=client_side) as ws:
                    running.tasks[0].cancel()
                    with pytest.raises(ConnectionClosedError) as closed:
                        await ws.recv()
                    assert closed.value.rcvd is not None
                    assert closed.value.rcvd.code == 1008
                await until(lambda: running.ended == 2)

    run(test())


def test_the_upstream_gets_the_handshake_and_our_word_on_the_way(run: Run) -> None:
    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url, own=[(b"x-user", b"alice")]) as running:
            fields = [
                "X-User: mallory",
                "X-Forwarded-For: 1.2.3.4",
                "Origin: https://app.example.com",
                "Cookie: a=1",
            ]
            offers = ["Sec-WebSocket-Protocol: a, b", "Sec-WebSocket-Extensions: permessage-deflate"]
            asking = await raw_client(running, *fields, *offers, path="/chat%20room?a=1&b=%2F%2F")
            got = await upstream.connection()
            line, *lines = got.head.rstrip().split("\r\n")
            assert line == "GET /chat%20room?a=1&b=%2F%2F HTTP/1.1"
            sent = [tuple(one.split(": ", 1)) for one in lines]
            names = [name.lower() for name, _ in sent]
            assert len(names) == len(set(names))
            values = {name.lower(): value for name, value in sent}
            assert values["host"] == "app.example.com"
            assert values["connection"].lower() == "upgrade"
            assert values["upgrade"].lower() == "websocket"
            assert values["x-user"] == "alice"
            assert values["sec-websocket-protocol"] == "a, b"
            assert values["sec-websocket-extensions"] == "permessage-deflate"
            assert values["sec-websocket-version"] == "13"
            assert values["cookie"] == "a=1"
            assert "x-forwarded-for" not in values
            assert "content-length" not in values
            assert "transfer-encoding" not in values
            asking.close()

    run(test())


def test_the_head_of_the_answer_obeys_the_rules_of_answers(run: Run) -> None:
    async def test() -> None:
        async with (
            raw_upstream() as upstream,
            front(upstream.url, drop_cookie=lambda value: value.startswith(b"__Host-")) as running,
        ):
            asking = await raw_client(running)
            got = await upstream.connection()
            got.write(
                SWITCH + "Set-Cookie: app=1; Path=/\r\nSet-Cookie: __Host-gate=forged; Path=/\r\n"
                "Keep-Alive: timeout=5\r\nContent-Length: 0\r\nX-App: yes\r\n\r\n"
            )
            lines = (await asking.read_head()).rstrip().split("\r\n")
            assert lines[0] == "HTTP/1.1 101 Switching Protocols"
            assert sorted(line.lower() for line in lines[1:]) == [
                "connection: upgrade",
                f"sec-websocket-accept: {ACCEPT}".lower(),
                "set-cookie: __host-gate=renewed",
                "set-cookie: app=1; path=/",
                "upgrade: websocket",
                "x-app: yes",
            ]

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


def test_interim_answers_before_the_switch_are_passed_over(run: Run) -> None:
    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url) as running:
            asking = await raw_client(running)
            got = await upstream.connection()
            got.write("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + SWITCH + "\r\n")
            assert "early" not in (await asking.read_head()).lower()
            assert asking.status == 101

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
    monkeypatch.setattr(websocket, "LINGER_SECONDS", 0.1)

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


def test_a_slow_client_still_gets_what_was_sent_before_the_upstream_left(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "LINGER_SECONDS", 0.3)

    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url) as running:
            asking, got = await raw_tunnel(running, upstream)
            asking.writer.transport.pause_reading()  # type: ignore[attr-defined]
            size = 8 << 20
            got.write(b"\x82\x7f" + size.to_bytes(8, "big") + bytes(size))
            await asyncio.sleep(0.05)
            asking.writer.transport.resume_reading()  # type: ignore[attr-defined]
            got.close()
            left = size + 10
            while left and (chunk := await asking.reader.read(1 << 16)):
                left -= len(chunk)
                await asyncio.sleep(0.003)
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
            slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
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
            slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
            await slow.read(sent)  # and on it goes
            await fast.writer.drain()

    run(test())


# ---- what is no tunnel


def test_a_refusal_of_the_upstream_is_relayed_with_its_body(run: Run) -> None:
    async def test() -> None:
        def refuse(connection: ServerConnection, request: Request) -> Response:
            response = connection.respond(HTTPStatus.FORBIDDEN, "not for you\n")
            response.headers["X-App"] = "yes"
            return response

        async with (
            serve(echo, "127.0.0.1", 0, process_request=refuse) as server,
            front(url_of(server)) as running,
        ):
            with pytest.raises(InvalidStatus) as refused:
                await client(running)
            response = refused.value.response
            assert (response.status_code, response.body) == (403, b"not for you\n")
            assert response.headers["X-App"] == "yes"
            assert not running.troubles
            await until(lambda: running.ended == 1)

    run(test())


def test_an_answer_that_is_no_upgrade_is_streamed(run: Run) -> None:
    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url) as running:
            asking = await raw_client(running)
            got = await upstream.connection()
            got.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            assert "chunked" in await asking.read_head()
            assert await asking.reader.readuntil(b"first\r\n")
            got.write("6\r\nsecond\r\n0\r\n\r\n")
            assert await asking.rest() == b"6\r\nsecond\r\n0\r\n\r\n"
            assert await got.rest() == b""

    run(test())


@pytest.mark.parametrize(
    ("answer", "rest"),
    [
        pytest.param("Content-Length: 0\r\n\r\n", b"", id="empty"),
        pytest.param("Content-Length: 4\r\n\r\nbody", b"body", id="length"),
        pytest.param("Connection: close\r\n\r\nbody", b"body", id="until close"),
    ],
)
def test_any_framing_of_a_refusal_passes(run: Run, answer: str, rest: bytes) -> None:
    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url) as running:
            asking = await raw_client(running)
            got = await upstream.connection()
            got.write("HTTP/1.1 426 Upgrade Required\r\nUpgrade: h2c\r\n" + answer)
            got.close()
            head = await asking.read_head()
            assert asking.status == 426
            assert "h2c" not in head
            body = await asking.rest()
            assert body == rest if "chunked" not in head else rest in body

    run(test())


def test_a_refusal_that_breaks_off_does_not_look_complete(run: Run) -> None:
    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url) as running:
            asking = await raw_client(running)
            got = await upstream.connection()
            got.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nhalf")
            await asking.read_head()
            assert await asking.read(4) == b"half"
            got.close()
            assert await asking.rest() == b""
            assert running.kinds == [Trouble.TRUNCATED]

    run(test())


WRONG = [
    pytest.param(SWITCH.replace(ACCEPT, ACCEPT.lower()), id="accept of another key"),
    pytest.param(SWITCH.replace(f"Sec-WebSocket-Accept: {ACCEPT}\r\n", ""), id="no accept"),
    pytest.param(SWITCH + f"Sec-WebSocket-Accept: {ACCEPT}\r\n", id="accept twice"),
    pytest.param(SWITCH.replace("Upgrade: websocket", "Upgrade: h2c"), id="another protocol"),
    pytest.param(SWITCH.replace("Upgrade: websocket\r\n", ""), id="no upgrade"),
    pytest.param(SWITCH.replace("Connection: Upgrade\r\n", ""), id="no connection"),
    pytest.param("HTTP/1.1 101 Switching Protocols\r\n", id="nothing of it"),
    pytest.param(SWITCH + "X App: yes\r\n", id="malformed"),
    pytest.param(SWITCH + "X-App: " + "x" * 70_000 + "\r\n", id="too large"),
    pytest.param("HTTP/1.1 103 Early Hints\r\n\r\n" * 30 + SWITCH, id="too many hints"),
    pytest.param("nonsense\r\n", id="no HTTP"),
]


@pytest.mark.parametrize("switch", WRONG)
def test_a_wrong_switch_is_a_bad_gateway(run: Run, switch: str) -> None:
    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url) as running:
            asking = await raw_client(running)
            got = await upstream.connection()
            got.write(switch + "\r\n")
            await asking.read_head()
            assert asking.status == 502
            assert await asking.rest() == b'{"error": "bad_gateway"}'
            assert await got.rest() == b""
            assert len(running.troubles) == 1

    run(test())


def test_an_upstream_that_is_not_there_is_a_bad_gateway(run: Run) -> None:
    async def test() -> None:
        async with front(f"http://127.0.0.1:{free_port()}") as running:
            asking = await raw_client(running)
            await asking.read_head()
            assert asking.status == 502
            assert running.kinds == [Trouble.UNREACHABLE]

    run(test())


def test_an_upstream_that_closes_without_a_word_is_a_bad_gateway(run: Run) -> None:
    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url) as running:
            asking = await raw_client(running)
            (await upstream.connection()).close()
            await asking.read_head()
            assert asking.status == 502
            assert running.kinds == [Trouble.CLOSED]

    run(test())


def test_an_upstream_that_says_nothing_is_a_gateway_timeout(run: Run) -> None:
    async def test() -> None:
        async with (
            raw_upstream() as upstream,
            front(upstream.url, limits=Limits(head_seconds=0.1)) as running,
        ):
            asking = await raw_client(running)
            got = await upstream.connection()
            await asking.read_head()
            assert asking.status == 504
            assert running.kinds == [Trouble.HEAD_TIMEOUT]
            assert await got.rest() == b""

    run(test())


def test_a_client_that_leaves_during_the_handshake_frees_the_upstream(run: Run) -> None:
    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url) as running:
            asking = await raw_client(running)
            got = await upstream.connection()
            asking.close()
            assert await got.rest() == b""
            await until(lambda: running.ended == 1)
            assert not running.troubles
            assert not running.service.connections

    run(test())


def test_a_cancelled_handshake_frees_the_upstream(run: Run) -> None:
    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url) as running:
            await raw_client(running)
            got = await upstream.connection()
            running.tasks[0].cancel()
            assert await got.rest() == b""
            await until(lambda: running.ended == 1)

    run(test())


@pytest.mark.parametrize("can_refuse", [True, False], ids=["with a status", "with a no"])
def test_a_server_that_cannot_hand_over_refuses_clearly(can_refuse: bool) -> None:
    said: list[Any] = []
    troubles: list[Trouble] = []

    async def send(message: Any) -> None:
        said.append(message)

    async def receive() -> Any:
        raise AssertionError("not asked")

    scope = {"type": "websocket", "extensions": {"websocket.http.response": {}} if can_refuse else None}
    route = Destination(Upstream("http://127.0.0.1:1"), b"h", b"http")
    asyncio.run(
        tunnel(
            scope,
            receive,
            send,
            route=route,
            limits=Limits(),
            on_error=lambda kind, *_: troubles.append(kind),
        )
    )
    assert troubles == [Trouble.NO_UPGRADE]
    if can_refuse:
        assert [message["type"] for message in said] == [
            "websocket.http.response.start",
            "websocket.http.response.body",
        ]
        assert said[0]["status"] == 501
        assert b"websocket_not_supported" in said[1]["body"]
    else:
        assert said == [{"type": "websocket.close", "code": 1011}]


def test_the_accept_value_is_that_of_the_specification() -> None:
    # RFC 6455 1.3
    assert accept_value(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


# ---- what an open tunnel costs


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

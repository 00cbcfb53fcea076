"""Handshakes of WebSockets between real sockets, and what is answered in place of a tunnel."""

import asyncio
import ssl
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve, unix_serve
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.http11 import Request, Response

from oidcgate.handover import DROP_COOKIE, UPGRADE
from oidcgate.proxy.routes import Destination, Limits, Upstream
from oidcgate.proxy.troubles import Trouble
from oidcgate.proxy.websocket import accept_value, carry
from tests.oidcgate.proxy.conftest import Run
from tests.oidcgate.proxy.sockets import (
    ACCEPT,
    SWITCH,
    client,
    echo,
    front,
    raw_client,
    raw_upstream,
    until,
    url_of,
)
from tests.support.servers import free_port
from tests.support.tls import Authority

# ---- what the upstream is asked, and what the client hears


def test_a_subprotocol_is_agreed_between_the_ends(run: Run) -> None:
    async def test() -> None:
        async with (
            serve(echo, "127.0.0.1", 0, subprotocols=["second", "third"]) as server,
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


def test_interim_answers_before_the_switch_are_passed_over(run: Run) -> None:
    async def test() -> None:
        async with raw_upstream() as upstream, front(upstream.url) as running:
            asking = await raw_client(running)
            got = await upstream.connection()
            got.write("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + SWITCH + "\r\n")
            assert "early" not in (await asking.read_head()).lower()
            assert asking.status == 101

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


def test_a_refusal_under_a_server_that_does_not_say_how_the_path_came(run: Run) -> None:
    """Its cookies are the gate's to sort, as of every answer that does not open a tunnel."""
    said: list[Any] = []

    async def send(message: Any) -> None:
        said.append(message)

    async def receive() -> Any:
        await asyncio.Event().wait()

    def never(_value: bytes) -> bool:
        raise AssertionError("asked about an answer that opens no tunnel")

    async def test() -> None:
        async with raw_upstream() as upstream:
            extensions = {UPGRADE: object(), "websocket.http.response": {}}
            scope = {
                "type": "websocket",
                "path": "/a b",
                "query_string": b"q=1",
                "headers": [],
                "extensions": extensions,
                DROP_COOKIE: never,
            }
            route = Destination(Upstream(upstream.url), b"h", b"http")
            carrying = asyncio.create_task(carry(scope, receive, send, route=route, limits=Limits()))
            got = await upstream.connection()
            got.write("HTTP/1.1 401 No\r\nSet-Cookie: __Host-gate=x\r\nContent-Length: 2\r\n\r\nno")
            await carrying
            assert got.head.startswith("GET /a%20b?q=1 HTTP/1.1\r\n")
            assert said[0]["status"] == 401
            assert (b"set-cookie", b"__Host-gate=x") in said[0]["headers"]
            assert b"".join(message["body"] for message in said[1:]) == b"no"

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
        carry(
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

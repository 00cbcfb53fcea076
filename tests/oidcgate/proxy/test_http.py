"""One exchange through `Proxy`: what passes, what ends it, and who is told."""

import asyncio
import gzip
import socket
from pathlib import Path

import pytest

from oidcgate.proxy.routes import Limits
from oidcgate.proxy.troubles import Trouble
from oidcgate.web.forwarded import parse_trusted_peers
from tests.oidcgate.proxy.calls import Call, Fronted, Line, Played, fronted, played
from tests.oidcgate.proxy.conftest import Run
from tests.support.servers import free_port

OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"Content-Length: 5\r\n\r\nhello"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def fields(head: bytes) -> dict[bytes, bytes]:
    lines = head.split(b"\r\n")[1:-2]
    found = {name: value for name, _, value in (line.partition(b": ") for line in lines)}
    assert len(found) == len(lines)
    return found


class TestWhatPasses:
    @pytest.mark.row("G-18")
    def test_a_request(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(
                    proxy,
                    path="/a%20b",
                    query=b"c=d&e=%2f",
                    headers=[
                        (b"accept", b"*/*"),
                        (b"x-forwarded-for", b"127.0.0.1"),
                        (b"x_forwarded_user", b"mallory"),
                        (b"connection", b"keep-alive, x-forwarded-user"),
                    ],
                    forward=[(b"x-forwarded-user", b"alice")],
                )
                line = await upstream.line()
                head = await line.answers(HELLO)
                await call.done()

            assert head.startswith(b"GET /a%20b?c=d&e=%2f HTTP/1.1\r\n")
            assert fields(head) == {
                b"host": b"app.example.com",
                b"accept": b"*/*",
                b"x-forwarded-user": b"alice",
                b"x-forwarded-for": b"192.0.2.1",
                b"x-forwarded-proto": b"https",
                b"x-forwarded-host": b"app.example.com",
                b"x-forwarded-port": b"443",
                b"x-real-ip": b"192.0.2.1",
                b"forwarded": b'for=192.0.2.1;host="app.example.com";proto=https',
            }
            assert (call.status, call.body, call.complete) == (200, b"hello", True)
            assert call.body_follows
            assert proxy.troubles == []

        run(test())

    @pytest.mark.row("G-18")
    @pytest.mark.parametrize("claimed", [b"198.51.100.7", b"198.51.100.7" + b", 10.0.0.2" * 60])
    def test_a_listed_proxy_is_believed(self, run: Run, claimed: bytes) -> None:
        async def test() -> None:
            trusted = parse_trusted_peers(["10.0.0.0/8"])
            async with played() as upstream, fronted(upstream.url, trusted=trusted) as proxy:
                headers = [(b"x-forwarded-for", claimed)]
                call = Call(proxy, headers=headers, client=("10.0.0.1", 1))
                line = await upstream.line()
                head = await line.answers(HELLO)
                await call.done()
                stranger = Call(proxy, headers=headers)
                other = await line.answers(HELLO)
                await stranger.done()

            assert fields(head)[b"x-forwarded-for"].endswith(b"10.0.0.1")
            assert fields(head)[b"x-real-ip"] == (b"198.51.100.7" if len(claimed) < 20 else b"10.0.0.2")
            assert fields(other)[b"x-forwarded-for"] == b"192.0.2.1"

        run(test())

    def test_a_server_that_does_not_say_how_the_path_came(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy, path="/")
                call.scope |= {"path": "/a b/ä%", "raw_path": None}
                head = await (await upstream.line()).answers(HELLO)
                await call.done()

            assert head.startswith(b"GET /a%20b/%C3%A4%25 HTTP/1.1\r\n")

        run(test())

    def test_an_answer(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy)
                await (await upstream.line()).answers(
                    b"HTTP/1.1 201 Made\r\nServer: x\r\nSet-Cookie: a=1\r\nKeep-Alive: timeout=5\r\n"
                    b"Set-Cookie: b=2; Path=/\r\nConnection: X-Hop\r\nX-Hop: 1\r\nContent-Length: 2\r\n\r\nok"
                )
                await call.done()

            assert call.status == 201
            assert call.headers == [
                (b"server", b"x"),
                (b"set-cookie", b"a=1"),
                (b"set-cookie", b"b=2; Path=/"),
                (b"content-length", b"2"),
            ]
            assert call.body == b"ok"

        run(test())

    @pytest.mark.parametrize("step", [1, 7, 10_000])
    @pytest.mark.parametrize(
        ("wire", "status", "length", "body"),
        [
            pytest.param(HELLO, 200, [b"5"], b"hello", id="length"),
            pytest.param(
                CHUNKED + b"3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nX-Sum: 1\r\n\r\n", 200, [], b"hello", id="chunks"
            ),
            pytest.param(OK + b"Content-Length: 0\r\n\r\n", 200, [b"0"], b"", id="nothing"),
            pytest.param(b"HTTP/1.1 204 No\r\n\r\n", 204, [], b"", id="204"),
            pytest.param(b"HTTP/1.1 304 No\r\n\r\n", 304, [], b"", id="304"),
            pytest.param(b"HTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\nx", 404, [b"1"], b"x", id="404"),
            pytest.param(
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Wait\r\nContent-Length: 0\r\n\r\n"
                b"HTTP/1.1 103 Early\r\nLink: </x>\r\n\r\n" + HELLO,
                200,
                [b"5"],
                b"hello",
                id="interim-answers",
            ),
        ],
    )
    def test_bodies(
        self, run: Run, wire: bytes, status: int, length: list[bytes], body: bytes, step: int
    ) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                for _ in range(2):
                    call = Call(proxy)
                    line = line if upstream.opened else await upstream.line()  # noqa: F821
                    await line.request()
                    for start in range(0, len(wire), step):
                        line.say(wire[start : start + step])
                        await asyncio.sleep(0)
                    await call.done()
                    assert (call.status, call.body, call.complete) == (status, body, True)
                    assert call.header(b"content-length") == length
                    assert {name for name, _ in call.headers} <= {b"content-length"}

                # Both went over one connection.
                assert upstream.opened == 1

        run(test())

    def test_an_answer_that_ends_with_its_connection(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                for version in (b"HTTP/1.1", b"HTTP/1.0"):
                    call = Call(proxy)
                    line = await upstream.line()
                    await line.answers(version + b" 200 OK\r\n\r\nhello")
                    line.close()
                    await call.done()
                    assert (call.status, call.body, call.complete) == (200, b"hello", True)

        run(test())

    @pytest.mark.parametrize(
        "wire", [b"Content-Length: 5\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n", b"\r\n"]
    )
    def test_head(self, run: Run, wire: bytes) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy, "HEAD")
                line = await upstream.line()
                await line.answers(OK + wire)
                await call.done()
                assert (call.status, call.body, call.complete) == (200, b"", True)
                assert call.header(b"content-length") == ([b"5"] if b"5" in wire else [])

                # The next answer has a body again. It comes over another connection: an upstream that sends
                # the body it speaks of all the same would have it read as this answer.
                call = Call(proxy)
                line = await upstream.line()
                await line.answers(HELLO)
                assert (await call.done()).body == b"hello"

        run(test())

    @pytest.mark.row("G-27")
    def test_an_event_stream_passes_at_once(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy)
                line = await upstream.line()
                await line.answers(CHUNKED)
                await call.until(lambda call: call.status == 200)
                assert len(call.sent) == 1
                assert not call.body_follows

                for number in range(3):
                    line.say(b"8\r\ndata: %d\n\r\n" % number)
                    await call.until(lambda call, number=number: call.body.endswith(b"data: %d\n" % number))
                    assert not call.complete
                line.say(b"0\r\n\r\n")
                await call.done()
                assert call.complete

        run(test())

    def test_compressed_data_is_not_opened(self, run: Run) -> None:
        bomb = gzip.compress(bytes(50_000_000))

        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy)
                await (await upstream.line()).answers(
                    OK, b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb), bomb
                )
                await call.done()

            assert call.body == bomb
            assert call.header(b"content-encoding") == [b"gzip"]

        run(test())


class TestUploads:
    @pytest.mark.parametrize("method", ["POST", "PUT", "PROPFIND", "GET"])
    def test_a_body_that_is_there(self, run: Run, method: str) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy, method, body=b"abc")
                line = await upstream.line()
                head = await line.request()
                assert fields(head)[b"content-length"] == b"3"
                assert await line.read(3) == b"abc"
                line.say(HELLO)
                assert (await call.done()).status == 200

        run(test())

    def test_no_body_at_all(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy, "POST", headers=[(b"content-length", b"0")])
                head = await (await upstream.line()).answers(HELLO)
                assert fields(head)[b"content-length"] == b"0"
                assert (await call.done()).status == 200

        run(test())

    @pytest.mark.parametrize("chunked", [True, False])
    def test_a_body_in_pieces_goes_on_as_it_comes(self, run: Run, chunked: bool) -> None:
        framing = (b"transfer-encoding", b"chunked") if chunked else (b"content-length", b"6")

        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy, "POST", headers=[framing], body=None)
                for number, piece in enumerate((b"abc", b"", b"d", b"ef")):
                    await call.feed(piece)
                    if number == 0:
                        line = await upstream.line()
                        assert framing in fields(await line.request()).items()
                    expected = b"%x\r\n%b\r\n" % (len(piece), piece) if chunked and piece else piece
                    assert await line.read(len(expected)) == expected
                await call.feed(b"", more=False)
                if chunked:
                    assert await line.read(5) == b"0\r\n\r\n"
                line.say(HELLO)
                assert (await call.done()).body == b"hello"

                # Nothing else was sent: the connection serves the next request.
                call = Call(proxy)
                assert (await line.answers(HELLO)).startswith(b"GET / ")
                await call.done()

        run(test())

    def test_the_body_is_not_asked_for_when_the_request_is_refused(self, run: Run) -> None:
        async def test() -> None:
            async with fronted("http://127.0.0.1:1") as proxy:
                headers = [(b"content-length", b"3"), (b"transfer-encoding", b"chunked")]
                call = await Call(proxy, "POST", headers=headers, body=None).done()

            assert (call.status, call.asked) == (400, 0)
            assert call.header(b"connection") == [b"close"]
            assert proxy.troubles == [Trouble.BAD_REQUEST]

        run(test())

    @pytest.mark.parametrize("pieces", [[b"abcd"], [b"ab", b"cd"], [b"ab"], []], ids=repr)
    def test_a_body_of_another_length_than_it_said(self, run: Run, pieces: list[bytes]) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy, "POST", headers=[(b"content-length", b"3")], body=None)
                for piece in pieces:
                    await call.feed(piece)
                await call.feed(b"", more=False)
                await call.done()
                assert call.status == 400
                assert proxy.troubles == [Trouble.BODY_MALFORMED]
                if upstream.opened:
                    rest = await (await upstream.line()).closed()
                    assert len(rest.partition(b"\r\n\r\n")[2]) < 3

        run(test())

    def test_an_early_answer_stops_the_upload(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy, "POST", headers=[(b"content-length", b"1000000")], body=None)
                await call.feed(b"x" * 1000)
                line = await upstream.line()
                await line.request()
                line.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
                await call.done()
                assert (call.status, call.body, call.complete) == (413, b"big", True)
                assert call.header(b"connection") == [b"close"]
                for _ in range(5):
                    await call.feed(b"x" * 1000)
                assert len(await line.closed()) <= 1000
                assert call.unread >= 4

                # Half a request went over it: the next one goes over another.
                again = Call(proxy)
                await (await upstream.line()).answers(HELLO)
                assert (await again.done()).status == 200

        run(test())

    def test_an_early_answer_of_an_upstream_that_closes_at_once(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy, "POST", headers=[(b"transfer-encoding", b"chunked")], body=None)
                await call.feed(b"x")
                line = await upstream.line()
                await line.request()
                line.say(b"HTTP/1.1 401 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
                line.close()
                await call.done()
                assert (call.status, call.body, call.complete) == (401, b"no", True)
                assert call.header(b"connection") == [b"close"]

        run(test())

    def test_an_upstream_that_fails_before_it_has_read_everything(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy, "POST", headers=[(b"transfer-encoding", b"chunked")], body=None)
                await call.feed(b"x")
                line = await upstream.line()
                await line.request()
                line.close()
                assert (await call.done()).status == 502
                # What follows on the client's connection is the rest of a body that nobody reads.
                assert call.header(b"connection") == [b"close"]

                call = Call(proxy, "POST", body=b"all of it")
                (await upstream.line()).close()
                assert (await call.done()).status == 502
                assert call.header(b"connection") == []

        run(test())

    def test_both_directions_at_once(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy, "POST", headers=[(b"transfer-encoding", b"chunked")], body=None)
                await call.feed(b"0")
                line = await upstream.line()
                await line.request()
                line.say(CHUNKED)
                for number in range(5):
                    assert await line.read(6) == b"1\r\n%d\r\n" % number
                    line.say(b"1\r\n%d\r\n" % number)
                    await call.until(lambda call, number=number: call.body.endswith(b"%d" % number))
                    await call.feed(b"%d" % (number + 1), more=number < 4)
                assert await line.read(6 + 5) == b"1\r\n5\r\n0\r\n\r\n"
                line.say(b"0\r\n\r\n")
                await call.done()
                assert (call.body, call.complete, call.cut) == (b"01234", True, False)

        run(test())


class TestUpstreamsThatFail:
    @pytest.mark.parametrize(
        "wire",
        [
            pytest.param(b"nonsense\r\n\r\n", id="no-http"),
            pytest.param(b"\x16\x03\x01\x02\x00\x01", id="tls"),
            pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", id="bare-lf"),
            pytest.param(OK + b"A: b\r\n c\r\n\r\n", id="folded"),
            pytest.param(OK + b"A : b\r\n\r\n", id="blank-before-colon"),
            pytest.param(OK + b"A: b\0\r\n\r\n", id="nul"),
            pytest.param(OK + b"A: b\rB: c\r\n\r\n", id="cr"),
            pytest.param(OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", id="length-twice"),
            pytest.param(OK + b"Content-Length: 5, 5\r\n\r\nhello", id="length-list"),
            pytest.param(OK + b"Content-Length: +5\r\n\r\nhello", id="length-signed"),
            pytest.param(OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="both"),
            pytest.param(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", id="coding"),
            pytest.param(OK + b"Transfer-Encoding: identity\r\n\r\nx", id="identity"),
            pytest.param(CHUNKED + b"zz\r\n", id="chunk-size"),
            pytest.param(b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", id="101"),
            pytest.param(b"HTTP/1.1 600 S\r\nContent-Length: 0\r\n\r\n", id="600"),
            pytest.param(b"HTTP/1.1 099 S\r\nContent-Length: 0\r\n\r\n", id="99"),
        ],
    )
    def test_a_malformed_answer(self, run: Run, wire: bytes) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy, path="/secret", query=b"canary", headers=[(b"cookie", b"canary")])
                line = await upstream.line()
                await line.answers(wire)
                await call.done()
                assert (call.status, call.body, call.complete) == (502, b'{"error": "bad_gateway"}', True)
                assert call.header(b"cache-control") == [b"no-store"]
                assert proxy.troubles == [Trouble.MALFORMED]
                assert "canary" not in repr(proxy.details)
                assert "secret" not in repr(proxy.details)
                await line.closed()

        run(test())

    @pytest.mark.parametrize(
        ("wire", "kind"),
        [
            pytest.param(OK + b"A: " + b"x" * 1_000_000, Trouble.HEAD_TOO_LARGE, id="one-field"),
            pytest.param(OK + b"A: x\r\n" * 150_000, Trouble.HEAD_TOO_LARGE, id="many-fields"),
            pytest.param(OK + b"A: x\r\n" * 201 + b"\r\n", Trouble.HEAD_TOO_LARGE, id="201-fields"),
            pytest.param(
                OK + b"A: " + b"x" * 70_000 + b"\r\nContent-Length: 0\r\n\r\n",
                Trouble.HEAD_TOO_LARGE,
                id="complete",
            ),
            pytest.param(b"HTTP/1.1 100 C\r\n\r\n" * 21 + HELLO, Trouble.TOO_MANY_INTERIM, id="interim"),
            pytest.param(b"HTTP/1.1 103 C\r\nA: b\r\n\r\n" * 50_000, Trouble.TOO_MANY_INTERIM, id="flood"),
        ],
    )
    def test_a_head_without_end(self, run: Run, wire: bytes, kind: Trouble) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy)
                line = await upstream.line()
                await line.answers(wire)
                assert (await call.done()).status == 502
                assert proxy.troubles == [kind]
                await line.closed()

        run(test())

    def test_a_large_head_within_the_limit_passes(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy)
                value = b"x" * 60_000
                body = b"y" * 200_000
                await (await upstream.line()).answers(
                    OK + b"A: " + value + b"\r\nContent-Length: %d\r\n\r\n" % len(body), body
                )
                await call.done()
                assert call.header(b"a") == [value]
                assert call.body == body

        run(test())

    @pytest.mark.parametrize(
        ("wire", "body"),
        [
            pytest.param(OK + b"Content-Length: 9\r\n\r\nhello", b"hello", id="length"),
            pytest.param(CHUNKED + b"5\r\nhello\r\n", b"hello", id="chunks"),
            pytest.param(CHUNKED + b"5\r\nhel", b"hel", id="in-a-chunk"),
            pytest.param(CHUNKED + b"5\r\nhello\r\n0\r\n", b"hello", id="before-the-last-line"),
            pytest.param(OK + b"Content-Length: 9\r\n\r\n", b"", id="no-body-at-all"),
        ],
    )
    def test_a_truncated_answer_is_cut(self, run: Run, wire: bytes, body: bytes) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy)
                line = await upstream.line()
                await line.answers(wire)
                await call.until(lambda call: call.status == 200 and call.body == body)
                line.close()
                await call.done()
                assert call.cut
                assert not call.complete
                assert proxy.troubles == [Trouble.TRUNCATED]

        run(test())

    @pytest.mark.parametrize("wire", [b"\r\nhello", b"Content-Length: 9\r\n\r\nhello"])
    def test_an_answer_that_breaks_off_is_cut(self, run: Run, wire: bytes) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy)
                line = await upstream.line()
                await line.answers(OK + wire)
                await call.until(lambda call: call.body == b"hello")
                # Unread bytes make the system send a reset instead of an end.
                line.writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0"
                )
                line.reset()
                await call.done()
                assert call.cut
                assert proxy.troubles == [Trouble.TRUNCATED]

        run(test())

    def test_a_malformed_body_is_cut(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy)
                line = await upstream.line()
                await line.answers(CHUNKED + b"5\r\nhello\r\n")
                await call.until(lambda call: call.body == b"hello")
                line.say(b"zz\r\n")
                await call.done()
                assert call.cut
                assert proxy.troubles == [Trouble.MALFORMED]
                await line.closed()

        run(test())

    @pytest.mark.parametrize(
        "noise", [b"0\r\nA: " + b"x" * 300_000, b"5;" + b"x" * 300_000], ids=["trailers", "ext"]
    )
    def test_what_is_neither_head_nor_body_is_bounded(self, run: Run, noise: bytes) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy)
                line = await upstream.line()
                await line.answers(CHUNKED)
                await call.until(lambda call: call.status == 200)
                line.say(noise)
                await call.done()
                assert call.cut
                assert proxy.troubles == [Trouble.MALFORMED]

        run(test())

    @pytest.mark.parametrize(
        "more", [b"x", b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", HELLO, b"x" * 100_000]
    )
    def test_more_than_was_asked_for_is_nobody_s_answer(self, run: Run, more: bytes) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                for wire in (HELLO + more, HELLO, b"HTTP/1.1 204 No\r\n\r\n" + more):
                    call = Call(proxy)
                    line = await upstream.line()
                    await line.answers(wire)
                    await call.done()
                    assert call.body == (b"hello" if wire.startswith(HELLO) else b"")
                    assert call.complete
                    if wire == HELLO:
                        # Later, when the connection waits for the next request.
                        line.say(more)
                    await line.closed()
                assert upstream.opened == 3
                assert proxy.troubles == []

        run(test())

    def test_a_body_of_an_answer_to_head(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy, "HEAD")
                line = await upstream.line()
                await line.answers(HELLO)
                await call.done()
                assert (call.body, call.complete) == (b"", True)
                await line.closed()

        run(test())

    @pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-"])
    def test_no_answer(self, run: Run, said: bytes) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                call = Call(proxy)
                line = await upstream.line()
                await line.answers(said)
                line.close()
                assert (await call.done()).status == 502
                assert proxy.troubles == [Trouble.CLOSED]
                # A new connection that is closed says something about the request: it is not asked again.
                assert upstream.opened == 1

        run(test())

    def test_nobody_listens(self, run: Run, tmp_path: Path) -> None:
        async def test() -> None:
            async with played() as upstream:
                dead = upstream.url
            for url in (dead, f"unix:{tmp_path}/none.sock"):
                async with fronted(url) as proxy:
                    call = await Call(proxy).done()
                assert (call.status, call.body) == (502, b'{"error": "bad_gateway"}')
                assert proxy.troubles == [Trouble.UNREACHABLE]

        run(test())

    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
    def test_a_person_gets_a_page(self, run: Run, method: str) -> None:
        async def test() -> None:
            url = f"http://127.0.0.1:{free_port()}"
            async with fronted(url) as proxy:
                call = await Call(proxy, method, headers=[(b"accept", b"text/html")]).done()
                assert (call.status, call.complete) == (502, True)
                assert call.header(b"content-type") == [b"text/html; charset=utf-8"]
                length = int(call.header(b"content-length")[0])
                if method == "HEAD":
                    assert (call.body, length > 0) == (b"", True)
                else:
                    assert len(call.body) == length
                    assert b'id="page-app-down"' in call.body
                    assert b"app.example.com" in call.body
                    assert b"127.0.0.1" not in call.body
                assert proxy.troubles == [Trouble.UNREACHABLE]

        run(test())

    def test_a_person_who_waited_too_long_gets_a_page(self, run: Run) -> None:
        async def test() -> None:
            async with (
                played() as upstream,
                fronted(upstream.url, limits=Limits(head_seconds=0.1)) as proxy,
            ):
                call = Call(proxy, headers=[(b"accept", b"text/html")])
                line = await upstream.line()
                await line.request()
                await call.done()
                assert call.status == 504
                assert b'id="page-app-down"' in call.body
                await line.closed()

        run(test())


async def used(proxy: Fronted, upstream: Played) -> Line:
    """A connection that has carried an exchange."""
    call = Call(proxy)
    line = await upstream.line()
    await line.answers(HELLO)
    assert (await call.done()).status == 200
    return line


class TestStaleConnections:
    @pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
    @pytest.mark.parametrize("reset", [True, False])
    def test_what_can_be_asked_twice_is_asked_again(self, run: Run, method: str, reset: bool) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                line = await used(proxy, upstream)
                call = Call(proxy, method, path="/again")
                await line.request()
                line.reset() if reset else line.close()
                request = await (await upstream.line()).answers(b"HTTP/1.1 204 No\r\n\r\n")
                assert request.startswith(method.encode() + b" /again ")
                assert (await call.done()).status == 204
                assert proxy.troubles == []

        run(test())

    @pytest.mark.parametrize(
        ("method", "body"),
        [("POST", b"x"), ("POST", b""), ("PUT", b"x"), ("DELETE", b""), ("PATCH", b"x"), ("GET", b"x")],
    )
    def test_what_an_app_may_count_is_not(self, run: Run, method: str, body: bytes) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                line = await used(proxy, upstream)
                call = Call(proxy, method, body=body)
                await line.request()
                line.close()
                assert (await call.done()).status == 502
                assert proxy.troubles == [Trouble.CLOSED]
                assert upstream.opened == 1

        run(test())

    def test_it_is_asked_again_once(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                line = await used(proxy, upstream)
                call = Call(proxy)
                for _ in range(2):
                    await line.request()
                    line.close()
                    if upstream.opened == 1:
                        line = await upstream.line()
                assert (await call.done()).status == 502
                assert upstream.opened == 2
                assert proxy.troubles == [Trouble.CLOSED]

        run(test())

    def test_not_after_a_single_byte_of_an_answer(self, run: Run) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                line = await used(proxy, upstream)
                call = Call(proxy)
                await line.answers(b"H")
                line.close()
                assert (await call.done()).status == 502
                assert upstream.opened == 1

        run(test())

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_a_connection_that_was_closed_while_unused_is_not_used(self, run: Run, method: str) -> None:
        async def test() -> None:
            async with played() as upstream, fronted(upstream.url) as proxy:
                line = await used(proxy, upstream)
                line.close()
                await line.closed()
                call = Call(proxy, method, body=b"x" if method == "POST" else b"")
                await (await upstream.line()).answers(HELLO)
                assert (await call.done()).status == 200

        run(test())

"""One request and its answer: what the app reads, and how what it says is written."""

import asyncio
import logging

import pytest

from oidcgate.handover import BODY_FOLLOWS
from oidcgate.serve.exchange import Message, Scope
from tests.oidcgate.serve.wire import Receive, Recorder, Send, Wire, echo, hello, run, settled

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
GET_1_0 = b"GET / HTTP/1.0\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


class Says:
    """An app that answers the given messages."""

    def __init__(self, *messages: Message) -> None:
        self._messages = messages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for message in self._messages:
            await send(message)


def start(*headers: tuple[bytes, bytes], status: int = 200, follows: bool = False) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers, BODY_FOLLOWS: follows}


def body(data: bytes = b"", more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


LENGTH_5 = (b"content-length", b"5")


class TestScope:
    def test_it_is_the_request_as_it_came(self) -> None:
        async def test() -> None:
            app = Recorder()
            await Wire(app).feed(
                b"PROPFIND /caf%C3%A9/%2e?q=%20&r HTTP/1.1\r\nHost: a:81\r\nX-Tag: one \r\nX-TAG:two\r\n\r\n"
            )

            [scope] = app.scopes
            assert scope["type"] == "http"
            assert scope["method"] == "PROPFIND"
            assert scope["http_version"] == "1.1"
            assert scope["raw_path"] == b"/caf%C3%A9/%2e"
            assert scope["path"] == "/café/."
            assert scope["query_string"] == b"q=%20&r"
            assert scope["headers"][0] == (b"host", b"a:81")
            assert [name for name, _ in scope["headers"]] == [b"host", b"x-tag", b"x-tag"]
            assert scope["client"] == ("192.0.2.7", 50000)
            assert scope["server"] == ("192.0.2.1", 80)
            assert scope["scheme"] == "http"

        run(test())

    def test_forwarded_fields_change_nothing(self) -> None:
        async def test() -> None:
            app = Recorder()
            await Wire(app).feed(GET[:-2] + b"X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\n\r\n")

            assert app.scopes[0]["client"] == ("192.0.2.7", 50000)
            assert app.scopes[0]["scheme"] == "http"

        run(test())

    def test_trailers_never_become_fields(self) -> None:
        async def test() -> None:
            app = Recorder(echo)
            wire = await Wire(app).feed(
                POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
                b"0\r\nX-Forwarded-User: mallory\r\nHost: evil\r\nCookie: a=b\r\n\r\n",
                GET,
            )

            assert [answer.body for answer in wire.answers()] == [b"abc", b""]
            for scope in app.scopes:
                assert [name for name, _ in scope["headers"] if name != b"transfer-encoding"] == [b"host"]

        run(test())


class TestRequestBody:
    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(b"Content-Length: 6\r\n\r\nabcdef", id="length"),
            pytest.param(
                b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n4\r\ncdef\r\n0\r\n\r\n", id="chunked"
            ),
            pytest.param(b"Transfer-Encoding: Chunked \r\n\r\n6\r\nabcdef\r\n0\r\n\r\n", id="any-case"),
            pytest.param(
                b"Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 6\r\n\r\nabcdef", id="declined-offer"
            ),
            pytest.param(
                b"Upgrade: h2c\r\nConnection: Upgrade\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"6\r\nabcdef\r\n0\r\n\r\n",
                id="declined-offer-chunked",
            ),
        ],
    )
    @pytest.mark.parametrize("step", [1000, 1], ids=["whole", "bytes"])
    def test_it_is_read_and_another_request_follows(self, data: bytes, step: int) -> None:
        async def test() -> None:
            sent = POST + data + GET
            wire = await Wire(echo).feed(*[sent[at : at + step] for at in range(0, len(sent), step)])

            assert [(answer.status, answer.body) for answer in wire.answers()] == [
                (200, b"abcdef"),
                (200, b""),
            ]
            assert not wire.ended

        run(test())

    def test_what_nobody_reads_stays_outside(self) -> None:
        async def test() -> None:
            async def idle(scope: Scope, receive: Receive, send: Send) -> None:
                await asyncio.Event().wait()

            wire = await Wire(idle).feed(POST + b"Content-Length: 1000000\r\n\r\n")
            assert not wire.transport.paused
            while not wire.transport.paused:
                await wire.feed(b"x" * 8192)
            assert wire.protocol.exchange is not None
            assert wire.protocol.exchange.buffered <= 65_536 + 8192

        run(test())

    def test_reading_it_asks_for_more(self) -> None:
        async def test() -> None:
            read: list[int] = []
            go_on = asyncio.Event()

            async def slow(scope: Scope, receive: Receive, send: Send) -> None:
                while True:
                    await go_on.wait()
                    go_on.clear()
                    read.append(len((await receive())["body"]))

            wire = await Wire(slow).feed(POST + b"Content-Length: 1000000\r\n\r\n", b"x" * 70_000)
            assert wire.transport.paused
            go_on.set()
            await settled()
            assert not wire.transport.paused
            assert read == [70_000]

        run(test())

    def test_100_is_said_when_the_body_is_asked_for_and_not_before(self) -> None:
        async def test() -> None:
            decided = asyncio.Event()

            async def deciding(scope: Scope, receive: Receive, send: Send) -> None:
                await decided.wait()
                await echo(scope, receive, send)

            wire = await Wire(deciding).feed(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            assert wire.sent == b""
            decided.set()
            await settled()
            assert wire.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
            await wire.feed(b"ok")
            assert wire.sent.endswith(b"2\r\nok\r\n0\r\n\r\n")
            assert wire.sent.count(b"100 Continue") == 1
            assert not wire.ended

        run(test())

    @pytest.mark.parametrize(
        "head",
        [
            pytest.param(b"Expect: 100-continue\r\n\r\n", id="no-body"),
            pytest.param(b"Expect: 100-continue\r\nContent-Length: 0\r\n\r\n", id="empty-body"),
            pytest.param(b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\nok", id="body-there"),
        ],
    )
    def test_100_is_not_said_without_need(self, head: bytes) -> None:
        async def test() -> None:
            wire = await Wire(echo).feed(POST + head)

            assert wire.statuses() == [200]
            assert b"100 Continue" not in wire.sent

        run(test())

    def test_a_refusal_comes_instead_of_100(self) -> None:
        async def test() -> None:
            refuse = Says(start((b"content-length", b"0"), status=401), body())
            wire = await Wire(refuse).feed(POST + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n")

            [answer] = wire.answers()
            assert answer.status == 401
            assert answer.field("connection") == "close"
            assert b"100 Continue" not in wire.sent
            assert wire.ended

        run(test())

    @pytest.mark.parametrize("part", [b"", b"abc"], ids=["none", "some"])
    def test_a_client_that_leaves_is_told_to_the_app(self, part: bytes) -> None:
        async def test() -> None:
            heard: list[str] = []

            async def reading(scope: Scope, receive: Receive, send: Send) -> None:
                while heard[-1:] != ["http.disconnect"]:
                    heard.append((await receive())["type"])

            wire = await Wire(reading).feed(POST + b"Content-Length: 6\r\n\r\n" + part)
            await wire.leave()
            assert heard[-1] == "http.disconnect"
            assert "http.request" not in heard or part
            assert not wire.service.connections
            assert not wire.service.tasks

        run(test())

    def test_two_may_wait_and_one_may_give_up(self) -> None:
        async def test() -> None:
            got: list[Message] = []

            async def twice(scope: Scope, receive: Receive, send: Send) -> None:
                first = asyncio.ensure_future(receive())
                second = asyncio.ensure_future(receive())
                await asyncio.sleep(0)
                first.cancel()
                got.append(await second)

            await Wire(twice).feed(POST + b"Content-Length: 2\r\n\r\n", b"ok")
            assert got == [{"type": "http.request", "body": b"ok", "more_body": False}]

        run(test())


class TestAnswer:
    @pytest.mark.parametrize("follows", [False, True], ids=["head-at-once", "head-with-body"])
    @pytest.mark.parametrize(
        ("request_", "messages", "expected"),
        [
            pytest.param(GET, [start(LENGTH_5), body(b"hello")], (b"hello", None), id="length"),
            pytest.param(GET, [start(), body(b"hel", True), body(b"lo")], (b"hello", None), id="chunked"),
            pytest.param(
                GET, [start(), body(b"hello", True), body()], (b"hello", None), id="chunked-end-apart"
            ),
            pytest.param(GET, [start(), body()], (b"", None), id="chunked-empty"),
            pytest.param(
                GET,
                [start((b"content-length", b"40000")), body(b"x" * 40_000)],
                (b"x" * 40_000, None),
                id="long",
            ),
            pytest.param(GET, [start(), body(b"x" * 40_000)], (b"x" * 40_000, None), id="long-chunked"),
            pytest.param(GET, [start(status=204), body()], (b"", None), id="204"),
            pytest.param(GET, [start(LENGTH_5, status=304), body()], (b"", None), id="304"),
            pytest.param(HEAD, [start(LENGTH_5), body(b"hello")], (b"", None), id="head"),
            pytest.param(HEAD, [start(), body(b"hello")], (b"", None), id="head-without-length"),
            pytest.param(GET_1_0, [start(LENGTH_5), body(b"hello")], (b"hello", "close"), id="1.0"),
            pytest.param(
                GET_1_0, [start(), body(b"hel", True), body(b"lo")], (b"hello", "close"), id="1.0-no-length"
            ),
            pytest.param(
                GET[:-2] + b"Connection: close\r\n\r\n",
                [start(LENGTH_5), body(b"hello")],
                (b"hello", "close"),
                id="close-asked",
            ),
            pytest.param(
                GET,
                [start(LENGTH_5, (b"connection", b"close")), body(b"hello")],
                (b"hello", "close"),
                id="close-answered",
            ),
        ],
    )
    def test_framing(
        self, request_: bytes, messages: list[Message], expected: tuple[bytes, str | None], follows: bool
    ) -> None:
        async def test() -> None:
            first, *rest = messages
            wire = await Wire(Says({**first, BODY_FOLLOWS: follows}, *rest)).feed(request_)

            [answer] = wire.answers("HEAD" if request_ == HEAD else "GET")
            assert answer.status == first["status"]
            assert (answer.body, answer.field("connection")) == expected
            assert answer.field("date") == "Thu, 01 Jan 1970 00:00:00 GMT"
            assert wire.ended is (expected[1] == "close")
            if not wire.ended:
                before = wire.sent
                await wire.feed(request_)
                assert wire.sent == before * 2

        run(test())

    def test_the_head_of_a_stream_goes_out_at_once(self) -> None:
        async def test() -> None:
            go_on = asyncio.Event()

            async def stream(scope: Scope, receive: Receive, send: Send) -> None:
                await send(start((b"content-type", b"text/event-stream")))
                await go_on.wait()
                await send(body(b"data: 1\n\n", True))
                await asyncio.Event().wait()

            wire = await Wire(stream).feed(GET)
            assert wire.sent.endswith(b"\r\n\r\n")
            assert b"text/event-stream" in wire.sent
            go_on.set()
            await settled()
            assert wire.sent.endswith(b"9\r\ndata: 1\n\n\r\n")

        run(test())

    def test_a_head_that_is_held_goes_out_with_the_body_in_one_piece(self) -> None:
        async def test() -> None:
            wire = Wire(Says(start(LENGTH_5, follows=True), body(b"hello")))
            writes: list[bytes] = []
            wire.transport.write = writes.append
            await wire.feed(GET)

            assert len(writes) == 1

        run(test())

    def test_repeated_fields_stay_apart_and_in_order(self) -> None:
        async def test() -> None:
            cookies = [(b"set-cookie", b"a=1"), (b"x", b"y"), (b"set-cookie", b"b=2")]
            wire = await Wire(Says(start(*cookies, LENGTH_5), body(b"hello"))).feed(GET)

            [answer] = wire.answers()
            assert [value for name, value in answer.headers if name == "set-cookie"] == ["a=1", "b=2"]

        run(test())

    def test_what_is_about_the_connection_is_ours_to_say(self) -> None:
        async def test() -> None:
            said = [(b"Transfer-Encoding", b"gzip"), (b"keep-alive", b"timeout=9"), (b"connection", b"x-y")]
            wire = await Wire(Says(start(*said, (b"date", b"today")), body(b"hello"))).feed(GET)

            [answer] = wire.answers()
            assert answer.field("transfer-encoding") == "chunked"
            assert answer.field("keep-alive") is None
            assert answer.field("connection") is None
            assert answer.field("date") == "today"

        run(test())

    @pytest.mark.parametrize(
        "messages",
        [
            pytest.param([start((b"x", b"a\r\nSet-Cookie: b=c"))], id="crlf-in-value"),
            pytest.param([start((b"x", b"a\nb"))], id="lf-in-value"),
            pytest.param([start((b"x", b"a\rb"))], id="cr-in-value"),
            pytest.param([start((b"x", b"a\0b"))], id="nul-in-value"),
            pytest.param([start((b"x\r\ny", b"a"))], id="crlf-in-name"),
            pytest.param([start((b"x: a", b"b"))], id="colon-in-name"),
            pytest.param([start((b"", b"b"))], id="empty-name"),
            pytest.param([start((b"content-length", b"-1"))], id="length-minus"),
            pytest.param([start((b"content-length", b"1, 1"))], id="length-list"),
            pytest.param([start(LENGTH_5, LENGTH_5)], id="length-twice"),
            pytest.param([start(status=101)], id="status-101"),
            pytest.param([start(status=99)], id="status-99"),
            pytest.param([start(status=600)], id="status-600"),
            pytest.param([body(b"x")], id="body-first"),
            pytest.param([{"type": "websocket.accept"}], id="websocket"),
            pytest.param([], id="nothing"),
            pytest.param([start(LENGTH_5, follows=True), body(b"too long")], id="too-long-at-once"),
            pytest.param([start(LENGTH_5, follows=True), body(b"four")], id="too-short-at-once"),
        ],
    )
    def test_an_answer_that_cannot_be_written_is_a_500(
        self, messages: list[Message], caplog: pytest.LogCaptureFixture
    ) -> None:
        async def test() -> None:
            wire = await Wire(Says(*messages)).feed(GET)

            [answer] = wire.answers()
            assert answer.status == 500
            assert answer.field("connection") == "close"
            assert wire.ended
            assert b"et-Cookie" not in wire.sent

        with caplog.at_level(logging.CRITICAL, "oidcgate.serve"):
            run(test())

    @pytest.mark.parametrize(
        ("request_", "messages", "aborted"),
        [
            pytest.param(GET, [start(LENGTH_5), body(b"hel", True)], False, id="length"),
            pytest.param(GET, [start(LENGTH_5), body(b"hel")], False, id="length-less"),
            pytest.param(GET, [start(LENGTH_5), body(b"hello!")], False, id="length-more"),
            pytest.param(GET, [start(), body(b"hel", True)], False, id="chunked"),
            pytest.param(GET, [start()], False, id="head-only"),
            # An orderly end would make it look whole.
            pytest.param(GET_1_0, [start(), body(b"hel", True)], True, id="until-close"),
        ],
    )
    def test_an_answer_that_ends_too_early_is_seen_to(
        self, request_: bytes, messages: list[Message], aborted: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def test() -> None:
            wire = await Wire(Says(*messages)).feed(request_)

            assert wire.sent.startswith(b"HTTP/1.1 200 OK\r\n")
            assert not wire.sent.endswith(b"0\r\n\r\n")
            assert b"hello" not in wire.sent
            assert wire.transport.closed
            assert wire.transport.aborted is aborted

        with caplog.at_level(logging.CRITICAL, "oidcgate.serve"):
            run(test())

    def test_an_app_that_fails_is_logged_and_the_next_connection_is_served(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def test() -> None:
            async def broken(scope: Scope, receive: Receive, send: Send) -> None:
                if scope["path"] == "/broken":
                    raise ZeroDivisionError("on purpose")
                await hello(scope, receive, send)

            wire = await Wire(broken).feed(GET.replace(b"/ ", b"/broken "))
            assert wire.statuses() == [500]
            other = await Wire(broken, service=wire.service).feed(GET)
            assert other.statuses() == [200]
            assert not wire.service.tasks

        with caplog.at_level(logging.ERROR, "oidcgate.serve"):
            run(test())
        assert "on purpose" in caplog.text

    def test_who_writes_to_nobody_is_told(self) -> None:
        async def test() -> None:
            go_on = asyncio.Event()
            raised: list[type[BaseException]] = []

            async def stream(scope: Scope, receive: Receive, send: Send) -> None:
                await send(start())
                await go_on.wait()
                try:
                    await send(body(b"x", True))
                except OSError as error:
                    raised.append(type(error))
                    raise

            wire = await Wire(stream).feed(GET)
            await wire.leave()
            go_on.set()
            await settled()
            assert len(raised) == 1
            assert not wire.service.tasks

        run(test())

    def test_a_client_that_takes_nothing_holds_the_app_back(self) -> None:
        async def test() -> None:
            written: list[int] = []

            async def stream(scope: Scope, receive: Receive, send: Send) -> None:
                await send(start())
                for number in range(1000):
                    await send(body(b"x" * 1024, True))
                    written.append(number)

            wire = Wire(stream)
            wire.protocol.pause_writing()
            await wire.feed(GET)
            assert written == []
            wire.protocol.resume_writing()
            await settled()
            assert written

        run(test())

    def test_an_answer_before_the_end_of_the_upload_ends_the_connection(self) -> None:
        async def test() -> None:
            wire = await Wire(hello).feed(POST + b"Content-Length: 1000000\r\n\r\n", b"x" * 1000)

            [answer] = wire.answers()
            assert answer.status == 200
            assert answer.field("connection") == "close"
            # Not closed yet: the rest is read for a while, so that the answer is not lost in a reset.
            assert wire.transport.eof
            assert not wire.transport.closed
            await wire.feed(b"x" * 100_000, GET)
            assert len(wire.answers()) == 1

        run(test())

    def test_the_rest_of_an_upload_is_not_read_without_end(self) -> None:
        async def test() -> None:
            wire = await Wire(hello).feed(POST + b"Content-Length: 99999999\r\n\r\n")
            for _ in range(100):
                await wire.feed(b"x" * 65_536)
            assert wire.transport.aborted

        run(test())

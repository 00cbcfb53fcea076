"""One connection from its first byte to its last: keep-alive, pipelining, patience and its end."""

import asyncio
import dataclasses

import pytest

from oidcgate.serve.exchange import Message, Scope
from oidcgate.serve.service import ServerLimits, Service
from tests.oidcgate.serve.wire import Clock, Receive, Recorder, Send, Wire, echo, hello, run, settled

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
UPLOAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"

LIMITS = ServerLimits(head_seconds=10, keepalive_seconds=75, client_idle_seconds=60, linger_seconds=5)


class Timed:
    """A wire whose time is moved by the test."""

    def __init__(self, app: object = hello, limits: ServerLimits = LIMITS) -> None:
        self.clock = Clock()
        self.wire = Wire(app, limits, self.clock)

    async def after(self, seconds: float) -> Wire:
        """So much time passes, a sweep each second."""
        for _ in range(int(seconds)):
            self.clock.now += 1
            await self.wire.service.sweep()
            await settled()
        return self.wire


async def never(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers nothing."""
    await asyncio.Event().wait()


class TestKeepAlive:
    def test_one_request_after_another(self) -> None:
        async def test() -> None:
            wire = await Wire(hello).feed(GET, GET, GET)

            assert wire.statuses() == [200, 200, 200]
            assert not wire.ended
            assert wire.service.total_requests == 3

        run(test())

    @pytest.mark.parametrize(
        "head",
        [
            pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", id="asked"),
            pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n", id="asked-in-a-list"),
            pytest.param(b"GET / HTTP/1.0\r\n\r\n", id="1.0"),
            pytest.param(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", id="1.0-keep-alive"),
        ],
    )
    def test_a_last_request_is_the_last(self, head: bytes) -> None:
        async def test() -> None:
            app = Recorder()
            wire = await Wire(app).feed(head + GET, GET)

            [answer] = wire.answers()
            assert answer.field("connection") == "close"
            assert wire.ended
            assert len(app.scopes) == 1

        run(test())

    def test_an_idle_connection_keeps_nothing_of_what_was(self) -> None:
        async def test() -> None:
            wire = await Wire(echo).feed(UPLOAD.replace(b"10", b"60000") + b"x" * 60_000)

            assert wire.statuses() == [200]
            assert wire.protocol.exchange is None
            assert wire.protocol.reading is None
            kept = [value for value in vars(wire.protocol).values() if isinstance(value, bytes)]
            assert sum(map(len, kept)) < 100

        run(test())

    @pytest.mark.parametrize(
        "offer",
        [
            pytest.param(b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n", id="h2c"),
            pytest.param(b"Upgrade: websocket\r\n", id="websocket-not-nominated"),
            pytest.param(b"Upgrade: TLS/1.2\r\nConnection: upgrade\r\n", id="tls"),
        ],
    )
    def test_another_protocol_that_is_offered_is_declined(self, offer: bytes) -> None:
        async def test() -> None:
            app = Recorder()
            wire = await Wire(app).feed(GET[:-2] + offer + b"\r\n" + GET, GET)

            assert wire.statuses() == [200, 200, 200]
            assert [scope["type"] for scope in app.scopes] == ["http"] * 3

        run(test())

    def test_an_offer_in_1_0_is_none(self) -> None:
        async def test() -> None:
            app = Recorder()
            offer = b"Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n"
            wire = await Wire(app).feed(b"GET / HTTP/1.0\r\n" + offer + b"\r\n")

            assert wire.statuses() == [200]
            assert app.scopes[0]["type"] == "http"

        run(test())


class TestPipelining:
    def test_answers_come_in_the_order_of_requests(self) -> None:
        async def test() -> None:
            gates = {b"/1": asyncio.Event(), b"/2": asyncio.Event()}

            async def app(scope: Scope, receive: Receive, send: Send) -> None:
                await gates[scope["raw_path"]].wait()
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": scope["raw_path"]})

            requests = [GET.replace(b"/ ", path + b" ") for path in gates]
            wire = await Wire(app).feed(b"".join(requests))
            gates[b"/2"].set()
            await settled()
            assert wire.sent == b""
            gates[b"/1"].set()
            await settled()
            assert [answer.body for answer in wire.answers()] == [b"/1", b"/2"]

        run(test())

    def test_bodies_stay_with_their_requests(self) -> None:
        async def test() -> None:
            wire = await Wire(echo).feed(
                UPLOAD + b"0123456789" + UPLOAD + b"9876", b"543210" + GET + UPLOAD, b"abcdefghij"
            )

            bodies = [answer.body for answer in wire.answers()]
            assert bodies == [b"0123456789", b"9876543210", b"", b"abcdefghij"]

        run(test())

    def test_while_some_wait_nothing_more_is_read(self) -> None:
        async def test() -> None:
            wire = await Wire(never).feed(GET)
            assert not wire.transport.paused
            await wire.feed(GET)
            assert wire.transport.paused

        run(test())

    def test_their_number_is_limited(self) -> None:
        async def test() -> None:
            app = Recorder()
            wire = await Wire(app, dataclasses.replace(LIMITS, pipelined=3)).feed(GET * 100)

            answers = wire.answers()
            assert [answer.status for answer in answers] == [200] * 4
            assert [answer.field("connection") for answer in answers] == [None] * 3 + ["close"]
            assert wire.ended
            assert len(app.scopes) == 4

        run(test())

    def test_one_that_breaks_off_is_dropped_with_its_connection(self) -> None:
        async def test() -> None:
            go_on = asyncio.Event()

            async def app(scope: Scope, receive: Receive, send: Send) -> None:
                await go_on.wait()
                await hello(scope, receive, send)

            chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
            wire = await Wire(app).feed(GET + chunked)
            go_on.set()
            await settled()
            assert wire.statuses() == [200, 400]
            assert wire.ended

        run(test())


class TestPatience:
    """Time is moved by hand; a sweep comes each second."""

    def test_a_first_byte_that_does_not_come(self) -> None:
        async def test() -> None:
            timed = Timed()
            assert not (await timed.after(9)).ended
            wire = await timed.after(1)
            assert wire.transport.closed
            # Browsers connect in advance: they would take this for the answer to what they ask next.
            assert wire.sent == b""

        run(test())

    @pytest.mark.parametrize("first", [b"", GET], ids=["first-request", "second-request"])
    def test_a_head_that_does_not_end(self, first: bytes) -> None:
        async def test() -> None:
            timed = Timed()
            await timed.wire.feed(first, b"GET / HT")
            for piece in (b"TP/1.1\r\n", b"Host: a\r\n", b"X: y"):
                # However often a byte comes: the head has to come to an end.
                await timed.after(3)
                assert not timed.wire.ended
                await timed.wire.feed(piece)
            wire = await timed.after(1)
            assert wire.statuses() == ([200, 408] if first else [408])
            assert wire.ended
            assert timed.wire.protocol.exchange is None

        run(test())

    def test_a_head_in_time_is_served(self) -> None:
        async def test() -> None:
            timed = Timed()
            await timed.wire.feed(GET[:10])
            await timed.after(9)
            await timed.wire.feed(GET[10:])
            assert timed.wire.statuses() == [200]

        run(test())

    def test_an_idle_connection(self) -> None:
        async def test() -> None:
            timed = Timed()
            await timed.wire.feed(GET)
            await timed.after(74)
            await timed.wire.feed(GET)
            assert not (await timed.after(74)).ended
            wire = await timed.after(1)
            assert wire.transport.closed
            assert wire.statuses() == [200, 200]

        run(test())

    def test_empty_lines_keep_nothing_open(self) -> None:
        async def test() -> None:
            timed = Timed()
            await timed.wire.feed(b"\r\n")
            await timed.after(5)
            await timed.wire.feed(b"\r\n")
            assert (await timed.after(5)).transport.closed

        run(test())

    def test_a_body_that_stands_still(self) -> None:
        async def test() -> None:
            timed = Timed(echo)
            await timed.wire.feed(UPLOAD, b"0")
            await timed.after(59)
            await timed.wire.feed(b"1")
            assert not (await timed.after(59)).ended
            wire = await timed.after(1)
            [answer] = wire.answers()
            assert answer.status == 408
            assert answer.field("connection") == "close"
            assert not wire.service.tasks

        run(test())

    def test_a_body_that_stands_still_behind_an_answer_that_has_begun(self) -> None:
        async def test() -> None:
            async def both(scope: Scope, receive: Receive, send: Send) -> None:
                await send({"type": "http.response.start", "status": 200, "headers": []})
                message: Message = {"more_body": True}
                while message.get("more_body"):
                    message = await receive()

            timed = Timed(both)
            await timed.wire.feed(UPLOAD)
            wire = await timed.after(60)
            assert wire.transport.aborted
            assert wire.sent.count(b"HTTP/1.1") == 1

        run(test())

    def test_an_app_that_does_not_read_is_no_fault_of_the_client(self) -> None:
        async def test() -> None:
            timed = Timed(never)
            await timed.wire.feed(UPLOAD)
            assert not (await timed.after(1000)).ended

        run(test())

    def test_an_app_that_thinks_is_waited_for(self) -> None:
        async def test() -> None:
            timed = Timed(never)
            await timed.wire.feed(GET)
            assert not (await timed.after(1000)).ended

        run(test())

    def test_a_client_that_takes_nothing(self) -> None:
        async def test() -> None:
            async def stream(scope: Scope, receive: Receive, send: Send) -> None:
                await send({"type": "http.response.start", "status": 200, "headers": []})
                while True:
                    await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
                    await asyncio.sleep(0)
                    if timed.wire.protocol.flow.write_paused:
                        continue
                    timed.wire.transport.unsent = len(timed.wire.sent)
                    timed.wire.protocol.pause_writing()

            timed = Timed(stream)
            await timed.wire.feed(GET)
            await timed.after(58)
            timed.wire.transport.unsent -= 1
            assert not (await timed.after(59)).ended
            wire = await timed.after(2)
            assert wire.transport.aborted
            assert not wire.service.tasks

        run(test())

    def test_a_client_that_does_not_take_the_last_of_an_answer(self) -> None:
        async def test() -> None:
            timed = Timed()
            await timed.wire.feed(GET[:-2] + b"Connection: close\r\n\r\n")
            # The transport closes when all is sent, and this client takes nothing of it.
            timed.wire.service.connections.add(timed.wire.protocol)
            timed.wire.transport.unsent = 5
            assert (await timed.after(62)).transport.aborted

        run(test())

    def test_a_client_that_does_not_leave_after_a_last_word(self) -> None:
        async def test() -> None:
            timed = Timed()
            await timed.wire.feed(b"GARBAGE\r\n\r\n")
            assert not (await timed.after(4)).transport.closed
            wire = await timed.after(1)
            assert wire.transport.aborted
            assert not wire.service.connections

        run(test())


class TestNumber:
    def test_one_connection_too_many(self) -> None:
        async def test() -> None:
            limits = dataclasses.replace(LIMITS, connections=2)
            first = Wire(hello, limits)
            second = Wire(hello, service=first.service)
            third = Wire(hello, service=first.service)
            await third.feed(GET)

            [answer] = third.answers()
            assert answer.status == 503
            assert answer.field("retry-after") == "1"
            assert answer.field("connection") == "close"
            assert third.ended
            await second.feed(GET)
            assert second.statuses() == [200]

            await second.leave()
            await third.leave()
            fourth = await Wire(hello, service=first.service).feed(GET)
            assert fourth.statuses() == [200]

        run(test())

    def test_far_too_many_are_not_even_answered(self) -> None:
        async def test() -> None:
            first = Wire(hello, dataclasses.replace(LIMITS, connections=2))
            for _ in range(11):
                Wire(hello, service=first.service)
            last = Wire(hello, service=first.service)
            await settled()
            assert last.transport.aborted
            assert last.sent == b""
            assert len(first.service.connections) == 12

        run(test())


class TestStop:
    async def _stopping(self, service: Service, seconds: float = 30) -> "asyncio.Task[None]":
        task = asyncio.ensure_future(service.stop(seconds))
        await settled()
        return task

    def test_idle_connections_are_closed(self) -> None:
        async def test() -> None:
            wire = await Wire(hello).feed(GET)
            await (await self._stopping(wire.service))
            assert wire.transport.closed
            assert not wire.transport.aborted

        run(test())

    def test_who_has_just_connected_may_ask_once(self) -> None:
        async def test() -> None:
            timed, other = Timed(), Timed()
            for wire in (timed.wire, other.wire):
                stopping = await self._stopping(wire.service)
                assert not wire.ended
                stopping.cancel()
            await timed.wire.feed(GET)
            [answer] = timed.wire.answers()
            assert answer.field("connection") == "close"
            assert timed.wire.ended
            assert (await other.after(1)).ended

        run(test())

    def test_an_answer_under_way_may_end_and_the_connection_with_it(self) -> None:
        async def test() -> None:
            go_on = asyncio.Event()

            async def app(scope: Scope, receive: Receive, send: Send) -> None:
                await go_on.wait()
                await hello(scope, receive, send)

            wire = await Wire(app).feed(GET)
            stopping = await self._stopping(wire.service)
            assert not wire.ended
            go_on.set()
            await stopping
            [answer] = wire.answers()
            assert answer.field("connection") == "close"
            assert wire.ended

        run(test())

    def test_a_head_under_way_may_end(self) -> None:
        async def test() -> None:
            wire = await Wire(hello).feed(GET[:10])
            stopping = await self._stopping(wire.service)
            await wire.feed(GET[10:])
            await stopping
            assert wire.statuses() == [200]

        run(test())

    def test_what_lasts_is_cut_when_the_time_is_over(self) -> None:
        async def test() -> None:
            cancelled = asyncio.Event()

            async def stream(scope: Scope, receive: Receive, send: Send) -> None:
                await send({"type": "http.response.start", "status": 200, "headers": []})
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    cancelled.set()
                    raise

            wire = await Wire(stream).feed(GET)
            await wire.service.stop(0.1)
            assert cancelled.is_set()
            assert wire.transport.closed
            assert not wire.sent.endswith(b"0\r\n\r\n")
            assert not wire.service.tasks

        run(test())

    def test_who_comes_late_is_sent_away(self) -> None:
        async def test() -> None:
            wire = Wire(hello)
            await wire.service.stop(0)
            late = Wire(hello, service=wire.service)
            assert late.transport.closed

        run(test())

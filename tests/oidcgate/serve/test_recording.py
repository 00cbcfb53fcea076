"""Which request is told as what, by either engine."""

import asyncio
import dataclasses
import json
from collections.abc import Iterable
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from oidcgate.handover import OUTCOME, AnswerCut, Outcome
from oidcgate.serve.access_log import AccessLog
from oidcgate.serve.exchange import Scope
from oidcgate.serve.metrics import Counters
from oidcgate.serve.recording import RecordedWSGI, Recorder
from oidcgate.serve.service import ServerLimits, Service
from oidcgate.web.forwarded import TrustedPeers, parse_trusted_peers
from tests.oidcgate.serve.wire import App, Receive, Send, Wire, echo, hello, run, settled

GET = b"GET /x?secret=s3cret HTTP/1.1\r\nHost: a\r\nCookie: s3cret=1\r\n\r\n"


class Records:
    def __init__(self, trusted: TrustedPeers | None = None) -> None:
        self.pieces: list[bytes] = []
        self.counters = Counters()
        self._log = AccessLog(self.pieces.append)
        self.recorder = Recorder(self.counters, self._log, trusted)

    def told(self) -> list[dict[str, Any]]:
        self._log.flush()
        text = b"".join(self.pieces).decode()
        assert "s3cret" not in text
        return [json.loads(line) for line in text.splitlines()]

    def counted(self) -> dict[str, int]:
        counts: dict[str, int] = self.counters.numbers({})["counts"]["requests"]
        return counts


class Recorded(Records):
    """A wire whose requests are recorded."""

    def __init__(
        self, app: App, limits: ServerLimits | None = None, trusted: TrustedPeers | None = None
    ) -> None:
        super().__init__(trusted)
        service = Service(
            limits or ServerLimits(), on_finished=self.recorder.finished, on_refused=self.recorder.refused
        )
        self.wire = Wire(app, service=service)


def test_an_answer() -> None:
    async def test() -> None:
        records = Recorded(hello)
        await records.wire.feed(GET)
        [line] = records.told()
        assert (line["client"], line["method"], line["path"]) == ("192.0.2.7", "GET", "/x")
        assert (line["status"], line["bytes"], line["user"], line["outcome"]) == (200, 5, "", "refused")
        assert 0 <= line["seconds"] < 5
        assert records.counted() == {"refused 2xx": 1}

    run(test())


def test_what_somebody_knows_of_it() -> None:
    async def test() -> None:
        async def knows(scope: Scope, receive: Receive, send: Send) -> None:
            copy = dict(scope)
            copy["oidcgate.exchange"].outcome = "passed"
            copy["oidcgate.exchange"].user = "Ålice"
            await hello(scope, receive, send)

        records = Recorded(knows)
        await records.wire.feed(GET)
        [line] = records.told()
        assert (line["user"], line["outcome"]) == ("Ålice", "passed")

    run(test())


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        pytest.param(GET.replace(b"/x", b"/.oidcgate/login"), ("GET", 200, "gate"), id="gate"),
        pytest.param(b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", ("", 400, "malformed"), id="no-request"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz",
            ("POST", 400, "malformed"),
            id="no-body",
        ),
    ],
)
def test_the_outcome(request_: bytes, expected: tuple[str, int, str]) -> None:
    async def test() -> None:
        records = Recorded(echo)
        await records.wire.feed(request_)
        [line] = records.told()
        assert (line["method"], line["status"], line["outcome"]) == expected

    run(test())


FORWARDED = GET.replace(b"Host", b"X-Forwarded-For: 203.0.113.9, 198.51.100.4\r\nHost")


@pytest.mark.parametrize(
    ("trusted", "expected"),
    [
        ([], "192.0.2.7"),
        (["10.0.0.0/8"], "192.0.2.7"),
        (["192.0.2.7"], "198.51.100.4"),
        (["192.0.2.7", "198.51.100.4"], "203.0.113.9"),
    ],
)
def test_the_client_is_whom_a_trusted_proxy_vouches_for(trusted: list[str], expected: str) -> None:
    async def test() -> None:
        records = Recorded(hello, trusted=parse_trusted_peers(trusted))
        await records.wire.feed(FORWARDED)
        assert [line["client"] for line in records.told()] == [expected]

    run(test())


def test_an_answer_in_the_place_of_the_app() -> None:
    async def test() -> None:
        async def fails(scope: Scope, receive: Receive, send: Send) -> None:
            scope["oidcgate.exchange"].outcome = "passed"
            await send({"type": "http.response.start", "status": 502, OUTCOME: Outcome.FAILED})
            await send({"type": "http.response.body"})

        records = Recorded(fails)
        await records.wire.feed(GET)
        assert [(line["status"], line["outcome"]) for line in records.told()] == [(502, "failed")]

    run(test())


def test_an_answer_that_breaks_off() -> None:
    async def test() -> None:
        async def breaks(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"hel", "more_body": True})
            raise AnswerCut

        records = Recorded(breaks)
        await records.wire.feed(GET)
        [line] = records.told()
        assert (line["status"], line["bytes"], line["outcome"]) == (200, 3, "failed")

    run(test())


def test_a_client_that_left() -> None:
    async def test() -> None:
        async def waits(scope: Scope, receive: Receive, send: Send) -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        records = Recorded(waits)
        await records.wire.feed(GET)
        await records.wire.leave()
        [line] = records.told()
        assert (line["status"], line["outcome"]) == (0, "left")

    run(test())


def test_one_too_many() -> None:
    async def test() -> None:
        limits = dataclasses.replace(ServerLimits(), connections=0)
        records = Recorded(hello, limits)
        await settled()
        assert [(line["status"], line["outcome"]) for line in records.told()] == [(503, "malformed")]
        assert records.counters.numbers({})["counts"]["malformed"] == {"503": 1}

    run(test())


def test_a_tunnel_when_it_is_over() -> None:
    class Tunnel(asyncio.Protocol):
        def shutdown(self) -> None:
            """Nothing to end."""

    async def test() -> None:
        over = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope["extensions"]["oidcgate.upgrade"].accept(b"HTTP/1.1 101 x\r\n\r\n", Tunnel())
            await over.wait()

        records = Recorded(app)
        await records.wire.feed(
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert records.told() == []
        over.set()
        await settled()
        assert [(line["status"], line["bytes"]) for line in records.told()] == [(101, 0)]

    run(test())


class TestThreads:
    """The same requests as gunicorn's threads have them."""

    def _ask(self, records: Records, app: Any, **more: str) -> bytes:
        environ: dict[str, Any] = {
            "SCRIPT_NAME": "",
            "PATH_INFO": "/x",
            "QUERY_STRING": "secret=s3cret",
            "REMOTE_ADDR": "192.0.2.7",
            **more,
        }
        setup_testing_defaults(environ)
        recorded: Any = validator(RecordedWSGI(app, records.recorder))
        body: Any = recorded(environ, lambda status, headers, exc_info=None: lambda data: None)
        try:
            return b"".join(body)
        finally:
            body.close()

    def test_an_answer(self) -> None:
        def app(environ: Any, start_response: Any) -> Iterable[bytes]:
            environ["oidcgate.outcome"] = "passed"
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b"hel", b"lo"]

        records = Records()
        assert self._ask(records, app) == b"hello"
        [line] = records.told()
        assert (line["client"], line["path"], line["status"], line["bytes"]) == ("192.0.2.7", "/x", 200, 5)
        assert line["outcome"] == "passed"

    def test_an_answer_in_the_place_of_the_app(self) -> None:
        def app(environ: Any, start_response: Any) -> Iterable[bytes]:
            environ[OUTCOME] = Outcome.FAILED
            start_response("502 Bad Gateway", [("Content-Type", "text/plain")])
            return [b"no"]

        records = Records()
        self._ask(records, app)
        assert [line["outcome"] for line in records.told()] == ["failed"]

    def test_an_answer_that_breaks_off(self) -> None:
        def app(environ: Any, start_response: Any) -> Iterable[bytes]:
            def body() -> Iterable[bytes]:
                yield b"hel"
                raise AnswerCut

            start_response("200 OK", [("Content-Type", "text/plain")])
            return body()

        records = Records()
        with pytest.raises(AnswerCut):
            self._ask(records, app)
        assert [(line["bytes"], line["outcome"]) for line in records.told()] == [(3, "failed")]

    def test_the_client_is_whom_a_trusted_proxy_vouches_for(self) -> None:
        def app(environ: Any, start_response: Any) -> Iterable[bytes]:
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b""]

        records = Records(parse_trusted_peers(["192.0.2.7"]))
        self._ask(records, app, HTTP_X_FORWARDED_FOR="203.0.113.9")
        assert [line["client"] for line in records.told()] == ["203.0.113.9"]

    def test_an_app_that_fails(self) -> None:
        def app(environ: Any, start_response: Any) -> Iterable[bytes]:
            raise ZeroDivisionError

        records = Records()
        with pytest.raises(ZeroDivisionError):
            self._ask(records, app)
        assert [line["status"] for line in records.told()] == [0]

    def test_an_app_that_fails_in_the_middle_is_told_once(self) -> None:
        def app(environ: Any, start_response: Any) -> Iterable[bytes]:
            start_response("200 OK", [("Content-Type", "text/plain")])

            def body() -> Iterable[bytes]:
                yield b"hel"
                raise ZeroDivisionError

            return body()

        records = Records()
        with pytest.raises(ZeroDivisionError):
            self._ask(records, app)
        assert [(line["status"], line["bytes"]) for line in records.told()] == [(200, 3)]

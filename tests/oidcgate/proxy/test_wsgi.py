"""`ReverseProxy` as a WSGI app, over real sockets to upstreams that say exactly what a test wants."""

import contextlib
import io
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from oidcgate.handover import FORWARD, AnswerCut
from oidcgate.handover import PUBLIC_URL as PUBLIC_URL_KEY
from oidcgate.proxy.routes import Limits, Route, Upstream
from oidcgate.proxy.troubles import Trouble
from oidcgate.proxy.wsgi import ReverseProxy
from tests.oidcgate.net.peer import Conversation, Peer, Script, answer
from tests.oidcgate.proxy.scripts import DEADLINE_SECONDS, Heard, dead_port, once, read_request
from tests.oidcgate.proxy.wsgi_calls import EMPTY, OK, PUBLIC_URL, Begun, ask, environ_of, proxied

CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

#: So short that a test waits for it gladly, so long that no busy machine reaches it by accident.
SHORT = Limits(connect_seconds=2, head_seconds=0.3, idle_seconds=0.3)


@pytest.mark.parametrize(
    ("method", "data", "status", "headers", "body"),
    [
        pytest.param(
            "GET",
            OK + b"Content-Length: 3\r\n\r\nabc",
            "200 OK",
            [("content-length", "3")],
            b"abc",
            id="length",
        ),
        pytest.param(
            "GET", CHUNKED + b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", "200 OK", [], b"abcd", id="chunked"
        ),
        pytest.param("GET", CHUNKED + b"1\r\na\r\n0\r\nX-Late: 1\r\n\r\n", "200 OK", [], b"a", id="trailers"),
        pytest.param("GET", OK + b"\r\nabc", "200 OK", [], b"abc", id="until-close"),
        pytest.param(
            "GET", b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nabc", "200 OK", [], b"abc", id="1.0"
        ),
        pytest.param(
            "HEAD", OK + b"Content-Length: 9\r\n\r\n", "200 OK", [("content-length", "9")], b"", id="head"
        ),
        pytest.param("HEAD", CHUNKED, "200 OK", [], b"", id="head-chunked"),
        pytest.param("DELETE", b"HTTP/1.1 204 Gone\r\n\r\n", "204 No Content", [], b"", id="204"),
        pytest.param(
            "GET",
            b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 9\r\n\r\n',
            "304 Not Modified",
            [("etag", '"a"')],
            b"",
            id="304",
        ),
        pytest.param(
            "GET",
            b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + EMPTY,
            "200 OK",
            [("content-length", "0")],
            b"",
            id="early-hints",
        ),
        pytest.param(
            "POST",
            b"HTTP/1.1 100 Continue\r\n\r\n" + EMPTY,
            "200 OK",
            [("content-length", "0")],
            b"",
            id="continue",
        ),
        pytest.param(
            "GET",
            OK
            + b"Set-Cookie: a=1; Expires=Thu, 01 Jan 2026 00:00:00 GMT\r\nSet-Cookie: b=2\r\n"
            + b"Content-Length: 0\r\n\r\n",
            "200 OK",
            [
                ("set-cookie", "a=1; Expires=Thu, 01 Jan 2026 00:00:00 GMT"),
                ("set-cookie", "b=2"),
                ("content-length", "0"),
            ],
            b"",
            id="cookies",
        ),
        pytest.param(
            "GET",
            OK
            + b"Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
            + b"Proxy-Authenticate: x\r\nUpgrade: h2\r\nTrailer: a\r\nX-End: 2\r\nContent-Length: 0\r\n\r\n",
            "200 OK",
            [("x-end", "2"), ("content-length", "0")],
            b"",
            id="hop-by-hop",
        ),
        pytest.param(
            "GET",
            b"HTTP/1.1 299 <b>\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n",
            "299 Unknown",
            [("content-length", "0")],
            b"",
            id="unknown-status",
        ),
        pytest.param(
            "GET",
            OK + b"X-Name: Zo\xc3\xab\r\nContent-Length: 0\r\n\r\n",
            "200 OK",
            [("x-name", "Zo\xc3\xab"), ("content-length", "0")],
            b"",
            id="bytes-beyond-ascii",
        ),
        pytest.param(
            "GET",
            OK + b"Content-Encoding: gzip\r\nContent-Length: 6\r\n\r\n\x1f\x8b\x08bad",
            "200 OK",
            [("content-encoding", "gzip"), ("content-length", "6")],
            b"\x1f\x8b\x08bad",
            id="compressed-and-never-opened",
        ),
    ],
)
def test_an_answer_passes(
    method: str, data: bytes, status: str, headers: list[tuple[str, str]], body: bytes
) -> None:
    with proxied(once(data)) as (app, _):
        answered = ask(app, method)

    assert answered.status == status
    assert [pair for pair in answered.headers if pair[0] != "content-type"] == headers
    assert answered.body == body


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        pytest.param(b"", Trouble.CLOSED, id="no-answer"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Ty", Trouble.CLOSED, id="half-a-head"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", Trouble.CLOSED, id="only-interim"),
        pytest.param(b"220 mail.example ESMTP\r\n", Trouble.MALFORMED, id="another-protocol"),
        pytest.param(b"HTTP/1.1 200 OK\nA: b\n\n", Trouble.MALFORMED, id="bare-lf"),
        pytest.param(
            OK + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na", Trouble.MALFORMED, id="two-lengths"
        ),
        pytest.param(OK + b"A b: c\r\n\r\n", Trouble.MALFORMED, id="blank-in-a-name"),
        pytest.param(
            OK + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\na",
            Trouble.MALFORMED,
            id="coding-and-length",
        ),
        pytest.param(b"HTTP/1.1 101 Switching\r\n\r\n", Trouble.MALFORMED, id="switch"),
        pytest.param(b"HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n", Trouble.MALFORMED, id="status-600"),
        pytest.param(b"HTTP/1.1 000 Odd\r\nContent-Length: 0\r\n\r\n", Trouble.MALFORMED, id="status-000"),
        pytest.param(b"HTTP/1.1 102 Processing\r\n\r\n" * 50 + EMPTY, Trouble.TOO_MANY_INTERIM, id="interim"),
        pytest.param(
            OK + b"A: " + b"b" * 1_000_000 + b"\r\n\r\n", Trouble.HEAD_TOO_LARGE, id="megabyte-of-head"
        ),
        pytest.param(OK + b"A: b\r\n" * 300 + b"\r\n", Trouble.HEAD_TOO_LARGE, id="300-fields"),
    ],
)
def test_what_is_no_answer_is_a_bad_gateway(data: bytes, kind: Trouble) -> None:
    said: list[tuple[Trouble, str]] = []

    def hear(kind: Trouble, upstream: Upstream | None, _: str) -> None:
        said.append((kind, upstream.url if upstream else ""))

    with proxied(once(data), on_error=hear) as (app, peer):
        answered = ask(app, "POST")

    assert (answered.status, answered.error()) == ("502 Bad Gateway", "bad_gateway")
    assert answered.field("cache-control") == ["no-store"]
    assert said == [(kind, f"http://127.0.0.1:{peer.port}")]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(OK + b"Content-Length: 9\r\n\r\nabc", id="length"),
        pytest.param(CHUNKED + b"3\r\nabc\r\n", id="no-last-chunk"),
        pytest.param(CHUNKED + b"9\r\nabc", id="half-a-chunk"),
        pytest.param(CHUNKED + b"3\r\nabc\r\nxyz\r\n", id="no-chunk"),
        pytest.param(CHUNKED + b"3\r\nabc\r\n0\r\nA: " + b"b" * 500_000, id="trailers-without-end"),
    ],
)
def test_an_answer_that_breaks_off_never_looks_complete(data: bytes) -> None:
    came = threading.Event()

    def script(conversation: Conversation) -> None:
        read_request(conversation)
        head, _, rest = data.partition(b"abc")
        conversation.send(head + b"abc")
        came.wait(DEADLINE_SECONDS)
        conversation.send(rest)

    reports: list[Trouble] = []
    with proxied(script, on_error=lambda kind, *_: reports.append(kind)) as (app, _):
        begun = Begun(app, environ_of())
        blocks = iter(begun.blocks)
        body = next(blocks) or next(blocks)
        came.set()
        with pytest.raises(AnswerCut):
            list(blocks)
        begun.close()

    assert body == b"abc"
    assert reports in ([Trouble.TRUNCATED], [Trouble.MALFORMED])


def test_an_answer_longer_than_it_says_is_cut_there_and_its_connection_not_used_again() -> None:
    heard = Heard(
        OK + b"Content-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", EMPTY
    )
    with proxied(heard) as (app, peer):
        assert ask(app).body == b"abc"
        assert ask(app).body == b""

        assert peer.connections == 2


def test_the_first_byte_of_a_stream_passes_before_the_second_is_there() -> None:
    first, second = threading.Event(), threading.Event()

    def script(conversation: Conversation) -> None:
        read_request(conversation)
        conversation.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        first.wait(DEADLINE_SECONDS)
        conversation.send(b"9\r\ndata: 1\n\n\r\n")
        second.wait(DEADLINE_SECONDS)
        conversation.send(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")

    with proxied(script) as (app, _):
        begun = Begun(app, environ_of())
        blocks = iter(begun.blocks)
        # The head is there before any event; the empty block makes servers send it.
        assert begun.status == "200 OK"
        assert next(blocks) == b""
        first.set()
        assert next(blocks) == b"data: 1\n\n"
        second.set()
        assert list(blocks) == [b"data: 2\n\n"]
        begun.close()


def test_a_client_that_leaves_frees_the_connection_to_the_upstream() -> None:
    freed = threading.Event()

    def script(conversation: Conversation) -> None:
        read_request(conversation)
        conversation.send(OK + b"Content-Length: 100000000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                conversation.send(b"a" * 65_536)
        freed.set()

    with proxied(script) as (app, _):
        begun = Begun(app, environ_of())
        blocks = iter(begun.blocks)
        next(blocks)
        next(blocks)
        begun.close()
        begun.close()

        assert freed.wait(DEADLINE_SECONDS)


def test_what_start_response_raises_passes_and_frees_the_connection() -> None:
    freed = threading.Event()

    def script(conversation: Conversation) -> None:
        read_request(conversation)
        conversation.send(OK + b"Content-Length: 10\r\n\r\n")
        assert conversation.connection.recv(1) == b""
        freed.set()

    def refuse(*_: Any) -> Any:
        raise ValueError("not with me")

    with proxied(script) as (app, _):
        with pytest.raises(ValueError, match="not with me"):
            app(environ_of(), refuse)
        assert freed.wait(DEADLINE_SECONDS)


@pytest.mark.parametrize(
    ("software", "expected"),
    [
        ("gunicorn/27.0.1", []),
        ("waitress", ["date", "server"]),
    ],
)
def test_date_and_server_are_left_to_a_server_that_writes_its_own(software: str, expected: list[str]) -> None:
    data = OK + b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nServer: x\r\nContent-Length: 0\r\n\r\n"
    with proxied(once(data)) as (app, _):
        answered = ask(app, SERVER_SOFTWARE=software)

    assert [name for name, _ in answered.headers if name in ("date", "server")] == expected


# Time


def _hang_before_the_head(conversation: Conversation) -> None:
    read_request(conversation)
    conversation.hang()


def _drip_the_head(conversation: Conversation) -> None:
    read_request(conversation)
    conversation.drip(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 10_000)


def _interim_without_end(conversation: Conversation) -> None:
    read_request(conversation)
    conversation.drip(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)


def _take_nothing(conversation: Conversation) -> None:
    conversation.request()
    conversation.hang()


@pytest.mark.parametrize("script", [_hang_before_the_head, _drip_the_head, _interim_without_end])
def test_an_upstream_that_does_not_answer_in_time_is_a_gateway_timeout(script: Script) -> None:
    with proxied(script, limits=SHORT) as (app, _):
        answered = ask(app)

    assert (answered.status, answered.error()) == ("504 Gateway Timeout", "gateway_timeout")


def test_an_upstream_that_does_not_take_the_request_is_a_gateway_timeout() -> None:
    with proxied(_take_nothing, limits=SHORT) as (app, _):
        answered = ask(app, "PUT", body=b"a" * 50_000_000)

    assert (answered.status, answered.error()) == ("504 Gateway Timeout", "gateway_timeout")


def test_a_body_that_stands_still_is_cut() -> None:
    def script(conversation: Conversation) -> None:
        read_request(conversation)
        conversation.send(OK + b"Content-Length: 10\r\n\r\nabc")
        conversation.hang()

    reports: list[Trouble] = []
    with (
        proxied(script, limits=Limits(idle_seconds=0.3), on_error=lambda kind, *_: reports.append(kind)) as (
            app,
            _,
        ),
        pytest.raises(AnswerCut),
    ):
        ask(app)

    assert reports == [Trouble.IDLE]


def test_a_slow_body_is_no_trouble_as_long_as_it_moves() -> None:
    def script(conversation: Conversation) -> None:
        read_request(conversation)
        conversation.send(OK + b"Content-Length: 75\r\n\r\n")
        conversation.drip(b"a" * 75)

    # All of it takes longer than that, each byte a small part.
    with proxied(script, limits=Limits(idle_seconds=1)) as (app, _):
        assert ask(app).body == b"a" * 75


def test_nobody_there_is_a_bad_gateway() -> None:
    app = ReverseProxy(f"http://127.0.0.1:{dead_port()}")

    assert ask(app).status == "502 Bad Gateway"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("arguments", "more", "site"),
    [
        pytest.param({"public_url": PUBLIC_URL}, {}, b"app.example.com", id="public-url"),
        pytest.param({}, {PUBLIC_URL_KEY: "https://b.example"}, b"b.example", id="of-the-gate"),
    ],
)
def test_a_person_is_told_by_a_page_that_nobody_is_there(
    method: str, arguments: dict[str, Any], more: dict[str, Any], site: bytes
) -> None:
    port = dead_port()
    app = ReverseProxy(f"http://127.0.0.1:{port}", **arguments)

    answered = ask(app, method, HTTP_ACCEPT="text/html", HTTP_HOST="evil.example", **more)

    assert answered.status == "502 Bad Gateway"
    assert answered.field("content-type") == ["text/html; charset=utf-8"]
    if method == "HEAD":
        assert answered.body == b""
    else:
        assert b'id="page-app-down"' in answered.body
        assert site in answered.body
    assert b"evil.example" not in answered.body
    assert str(port).encode() not in answered.body


def test_a_page_that_could_only_name_the_upstream_is_none() -> None:
    answered = ask(ReverseProxy(f"http://127.0.0.1:{dead_port()}"), HTTP_ACCEPT="text/html")

    assert answered.error() == "bad_gateway"


# Upstreams


def test_over_a_unix_socket(tmp_path: Path) -> None:
    heard = Heard(answer(b"hello"))
    app = ReverseProxy(f"unix:{tmp_path}/app.sock", public_url=PUBLIC_URL)
    with Peer(heard, path=tmp_path / "app.sock") as peer, contextlib.closing(app):
        assert ask(app).body == b"hello"
        assert ask(app).body == b"hello"
        assert peer.connections == 1
    assert heard[0].fields["host"] == "app.example.com"


def test_several_upstreams_by_host_and_path() -> None:
    def named(name: bytes) -> Heard:
        return Heard(answer(name))

    with Peer(named(b"one")) as one, Peer(named(b"two")) as two, Peer(named(b"three")) as three:
        app = ReverseProxy(
            routes=[
                Route(Upstream(f"http://127.0.0.1:{one.port}"), path="/one"),
                Route(Upstream(f"http://127.0.0.1:{two.port}"), host="two.example.com"),
                Route(Upstream(f"http://127.0.0.1:{three.port}"), path="/caf\u00e9"),
            ],
            public_url=PUBLIC_URL,
        )
        served = [
            ask(app, path=path, HTTP_HOST=host).body
            for host, path in [
                ("app.example.com", "/one/x"),
                ("two.example.com", "/one/x"),
                ("Two.Example.com:443", "/"),
                ("app.example.com", "/caf\xc3\xa9/x"),
            ]
        ]
        nowhere = ask(app, path="/onemore", HTTP_HOST="app.example.com")
        app.close()

    assert served == [b"one", b"two", b"two", b"three"]
    assert (nowhere.status, nowhere.error()) == ("421 Misdirected Request", "misdirected_request")


@pytest.mark.row("A-25")
def test_each_upstream_is_told_what_is_meant_for_it() -> None:
    all_of_it, some, nothing = Heard(EMPTY), Heard(EMPTY), Heard(EMPTY)
    with Peer(all_of_it) as one, Peer(some) as two, Peer(nothing) as three:
        app = ReverseProxy(
            routes=[
                Route(Upstream(f"http://127.0.0.1:{one.port}")),
                Route(Upstream(f"http://127.0.0.1:{two.port}"), path="/two", own_headers=("X-User",)),
                Route(Upstream(f"http://127.0.0.1:{three.port}"), path="/three", own_headers=()),
            ],
            public_url=PUBLIC_URL,
        )
        for path in ("/", "/two", "/three"):
            ask(app, path=path, **{FORWARD: ((b"x-user", b"alice"), (b"x-salary", b"90000"))})
        app.close()
    told = [
        {name: heard[0].fields[name] for name in ("x-user", "x-salary") if name in heard[0].fields}
        for heard in (all_of_it, some, nothing)
    ]
    assert told == [{"x-user": "alice", "x-salary": "90000"}, {"x-user": "alice"}, {}]


@pytest.mark.row("A-05")
@pytest.mark.parametrize(
    ("public_url", "of_the_gate", "host", "proto"),
    [
        pytest.param(PUBLIC_URL, None, "app.example.com", "https", id="argument"),
        pytest.param(None, "https://b.example:8443", "b.example:8443", "https", id="gate"),
        pytest.param(PUBLIC_URL, "https://b.example:8443", "app.example.com", "https", id="argument-first"),
        pytest.param(None, None, "127.0.0.1:{port}", "http", id="nobody-says"),
    ],
)
def test_who_we_are_to_the_upstream_is_never_the_clients_word(
    public_url: str | None, of_the_gate: str | None, host: str, proto: str
) -> None:
    heard = Heard(EMPTY)
    with proxied(heard, public_url=public_url) as (app, peer):
        more: dict[str, Any] = {"oidcgate.public_url": of_the_gate} if of_the_gate else {}
        ask(app, HTTP_HOST="evil.example", HTTP_X_FORWARDED_HOST="evil.example", **more)

    fields = heard[0].fields
    host = host.format(port=peer.port)
    assert (fields["host"], fields["x-forwarded-host"], fields["x-forwarded-proto"]) == (host, host, proto)
    assert b"evil" not in heard[0].head


@pytest.mark.row("G-18")
@pytest.mark.parametrize(
    ("trusted", "peer_address", "claimed", "expected"),
    [
        pytest.param((), "10.0.0.1", "203.0.113.9", "10.0.0.1", id="nobody-trusted"),
        pytest.param(
            ("10.0.0.0/8",), "10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9, 10.0.0.1", id="trusted"
        ),
        pytest.param(("10.0.0.0/8",), "10.0.0.1", None, "10.0.0.1", id="trusted-and-silent"),
        pytest.param(("10.0.0.0/8",), "198.51.100.7", "203.0.113.9", "198.51.100.7", id="another-peer"),
        pytest.param(("unix",), "", "203.0.113.9", "203.0.113.9", id="unix"),
        pytest.param((), "", "203.0.113.9", None, id="unix-not-trusted"),
    ],
)
def test_forwarded_addresses_are_believed_from_trusted_peers_only(
    trusted: tuple[str, ...], peer_address: str, claimed: str | None, expected: str | None
) -> None:
    heard = Heard(EMPTY)
    with proxied(heard, trusted_proxies=trusted) as (app, _):
        more = {} if claimed is None else {"HTTP_X_FORWARDED_FOR": claimed}
        for _ in range(2):
            ask(app, REMOTE_ADDR=peer_address, **more)

    assert [request.fields.get("x-forwarded-for") for request in heard] == [expected, expected]


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"url": "http://a", "routes": [Route(Upstream("http://b"))]}, id="both"),
        pytest.param({"url": "ftp://a"}, id="scheme"),
        pytest.param({"url": "http://a/path"}, id="path"),
        pytest.param({"url": "http://a", "ca_file": "ca.pem"}, id="certificates-without-tls"),
        pytest.param(
            {"routes": [Route(Upstream("https://b"))], "ca_file": "ca.pem"}, id="whose-certificates"
        ),
        pytest.param({"url": "http://a", "trusted_proxies": ["everybody"]}, id="network"),
    ],
)
def test_what_cannot_work_is_said_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".{10}"):
        ReverseProxy(**arguments)


def test_a_missing_certificate_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - the system's words
        ReverseProxy("https://app.internal", ca_file=tmp_path / "none.pem")


# What it cannot do, and what it says


@pytest.mark.parametrize("connection", ["Upgrade", "keep-alive, upgrade"])
def test_a_websocket_is_told_where_to_go(connection: str) -> None:
    with proxied(Heard(EMPTY)) as (app, peer):
        answered = ask(app, HTTP_UPGRADE="WebSocket", HTTP_CONNECTION=connection)

        assert answered.status == "501 Not Implemented"
        assert b"oidcgate serve" in answered.body
        assert peer.connections == 0


def test_an_offer_to_upgrade_is_not_taken_up() -> None:
    heard = Heard(EMPTY)
    with proxied(heard) as (app, _):
        more = {
            "HTTP_UPGRADE": "h2c",
            "HTTP_CONNECTION": "Upgrade, HTTP2-Settings",
            "HTTP_HTTP2_SETTINGS": "AAMA",
        }
        assert ask(app, **more).status == "200 OK"

    assert not {"upgrade", "http2-settings", "connection"} & heard[0].fields.keys()


def test_the_log_names_the_trouble_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    port = dead_port()
    with caplog.at_level(logging.DEBUG):
        ask(
            ReverseProxy(f"http://127.0.0.1:{port}"),
            path="/canary",
            QUERY_STRING="code=canary",
            HTTP_COOKIE="canary",
            HTTP_AUTHORIZATION="canary",
        )

    assert [record.getMessage() for record in caplog.records] == [
        f"upstream_unreachable http://127.0.0.1:{port} ConnectionRefusedError: Connection refused"
    ]


def test_a_gate_around_leaves_identity_headers_to_it() -> None:
    assert ReverseProxy("http://127.0.0.1:1").forwards_identity


def test_bodies_are_never_held() -> None:
    """50 MB each way; what is in memory at any time is some blocks of it."""
    import tracemalloc

    size = 50_000_000
    block = b"a" * 50_000
    taken: list[int] = []

    def script(conversation: Conversation) -> None:
        data = conversation.request()
        taken.append(len(data.partition(b"\r\n\r\n")[2]))
        while sum(taken) < size:
            taken.append(len(conversation.connection.recv(65_536)))
        conversation.send(OK + b"Content-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(block)):
            conversation.send(block)

    class Source(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            assert size <= 65_536
            return b"b" * size

    with proxied(script) as (app, _):
        tracemalloc.start()
        try:
            begun = Begun(app, environ_of("PUT", CONTENT_LENGTH=str(size), **{"wsgi.input": Source()}))
            came = sum(len(data) for data in begun.blocks)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        begun.close()

    assert (came, sum(taken)) == (size, size)
    assert peak < 2_000_000

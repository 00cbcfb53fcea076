"""What of a WSGI environ reaches the upstream, over real sockets: target, fields, body."""

import io
import threading
from typing import Any

import pytest

from tests.oidcgate.net.peer import Conversation
from tests.oidcgate.proxy.scripts import DEADLINE_SECONDS, Heard, read_request
from tests.oidcgate.proxy.wsgi_calls import EMPTY, PUBLIC_URL, ask, proxied


def test_the_whole_head_of_a_request() -> None:
    heard = Heard(EMPTY)
    with proxied(heard, public_url=PUBLIC_URL) as (app, _):
        ask(
            app,
            "GET",
            "/a b",
            RAW_URI="/a%20b?x=%2F",
            QUERY_STRING="x=%2F",
            HTTP_HOST="evil.example",
            HTTP_ACCEPT_LANGUAGE="en",
            **{"oidcgate.forward": ((b"x-forwarded-user", b"Alice"), (b"x-forwarded-groups", b"a,b"))},
        )

    assert heard[0].head == (
        b"GET /a%20b?x=%2F HTTP/1.1\r\n"
        b"host: app.example.com\r\n"
        b"accept-language: en\r\n"
        b"x-forwarded-user: Alice\r\n"
        b"x-forwarded-groups: a,b\r\n"
        b"x-forwarded-proto: https\r\n"
        b"x-forwarded-host: app.example.com\r\n"
        b"x-forwarded-port: 443\r\n"
        b'forwarded: for=198.51.100.7;host="app.example.com";proto=https\r\n'
        b"x-forwarded-for: 198.51.100.7\r\n"
        b"x-real-ip: 198.51.100.7\r\n"
        b"\r\n"
    )


@pytest.mark.row("G-18", "G-20")
@pytest.mark.parametrize(
    "key",
    [
        "HTTP_CONNECTION",
        "HTTP_KEEP_ALIVE",
        "HTTP_PROXY",
        "HTTP_PROXY_AUTHORIZATION",
        "HTTP_PROXY_CONNECTION",
        "HTTP_TE",
        "HTTP_TRAILER",
        "HTTP_UPGRADE",
        "HTTP_EXPECT",
        "HTTP_FORWARDED",
        "HTTP_X_FORWARDED_FOR",
        "HTTP_X_FORWARDED_HOST",
        "HTTP_X_FORWARDED_PROTO",
        "HTTP_X_FORWARDED_ANYTHING",
        "HTTP_X_REAL_IP",
        "HTTP_X.REAL.IP",
    ],
)
def test_what_is_of_the_connection_or_claimed_stays_behind(key: str) -> None:
    heard = Heard(EMPTY)
    with proxied(heard, public_url=PUBLIC_URL) as (app, _):
        ask(app, **{key: "canary", "HTTP_X_OTHER": "stays"})

    assert b"canary" not in heard[0].head
    assert heard[0].fields["x-other"] == "stays"


def test_connection_cannot_name_what_the_gate_sends() -> None:
    heard = Heard(EMPTY)
    with proxied(heard, public_url=PUBLIC_URL) as (app, _):
        ask(
            app,
            HTTP_CONNECTION="close, x-forwarded-user, host, cookie, x-mine",
            HTTP_COOKIE="a=b",
            HTTP_X_MINE="canary",
            **{"oidcgate.forward": [(b"x-forwarded-user", b"Alice")]},
        )

    fields = heard[0].fields
    assert (fields["x-forwarded-user"], fields["host"], fields["cookie"]) == (
        "Alice",
        "app.example.com",
        "a=b",
    )
    assert "x-mine" not in fields


def test_what_the_gate_sends_stands_alone() -> None:
    heard = Heard(EMPTY)
    with proxied(heard) as (app, _):
        ask(
            app,
            **{"HTTP_X_REMOTE_USER": "mallory", "HTTP_X.REMOTE.USER": "mallory"},
            **{"oidcgate.forward": [(b"x-remote-user", "Zoë".encode())]},
        )

    assert b"mallory" not in heard[0].head
    assert heard[0].fields["x-remote-user"].encode("latin-1").decode() == "Zoë"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param({"PATH_INFO": "/a b;c"}, "/a%20b;c", id="quoted-anew"),
        pytest.param({"PATH_INFO": "/100%", "QUERY_STRING": "a=%zz&b"}, "/100%25?a=%zz&b", id="percent"),
        pytest.param({"PATH_INFO": "/caf\xc3\xa9"}, "/caf%C3%A9", id="utf-8"),
        pytest.param({"SCRIPT_NAME": "/app", "PATH_INFO": "/x"}, "/app/x", id="script-name"),
        pytest.param({"SCRIPT_NAME": "", "PATH_INFO": ""}, "/", id="nothing"),
        pytest.param({"PATH_INFO": "/a+b", "RAW_URI": "/%61+b"}, "/%61+b", id="as-on-the-wire"),
        pytest.param(
            {"PATH_INFO": "/x", "REQUEST_URI": "/%78?q", "QUERY_STRING": "q"}, "/%78?q", id="request-uri"
        ),
        pytest.param({"PATH_INFO": "/x", "RAW_URI": "/x?", "QUERY_STRING": ""}, "/x", id="empty-query"),
        pytest.param({"PATH_INFO": "/" + "a" * 3000}, "/" + "a" * 3000, id="long"),
    ],
)
def test_the_path_that_is_judged_is_asked_for(more: dict[str, str], expected: str) -> None:
    heard = Heard(EMPTY)
    with proxied(heard) as (app, _):
        ask(app, **more)

    assert heard[0].line == f"GET {expected} HTTP/1.1"


@pytest.mark.row("G-21")
@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"PATH_INFO": "/public", "RAW_URI": "/admin"}, id="another-path"),
        pytest.param({"PATH_INFO": "/a/b", "RAW_URI": "/a%2Fb"}, id="encoded-slash"),
        pytest.param({"PATH_INFO": "/x", "RAW_URI": "http://evil.example/x"}, id="absolute-form"),
        pytest.param({"PATH_INFO": "//evil.example/x"}, id="two-slashes"),
        pytest.param({"PATH_INFO": "/a/../b"}, id="dots"),
        pytest.param({"PATH_INFO": "/a\r\nX: y"}, id="line-break"),
        pytest.param({"PATH_INFO": "/x", "QUERY_STRING": "a b HTTP/1.1\r\nX: y"}, id="line-break-in-query"),
        pytest.param({"PATH_INFO": "/x", "QUERY_STRING": "a#b"}, id="fragment"),
        pytest.param({"PATH_INFO": "*", "RAW_URI": "*"}, id="asterisk"),
        pytest.param({"REQUEST_METHOD": "CONNECT"}, id="connect"),
        pytest.param({"REQUEST_METHOD": "get"}, id="method-in-lower-case"),
        pytest.param({"REQUEST_METHOD": "GET /admin HTTP/1.1\r\nX:"}, id="method-with-more"),
        pytest.param({"HTTP_X": "a\r\nx-forwarded-user: mallory"}, id="line-break-in-a-value"),
        pytest.param({"HTTP_X": "a\nb"}, id="bare-lf-in-a-value"),
        pytest.param({"HTTP_X": "a\0b"}, id="nul"),
        pytest.param({"HTTP_X Y": "a"}, id="blank-in-a-name"),
        pytest.param({"HTTP_X": "\u20ac"}, id="not-latin-1"),
        pytest.param({"HTTP_CONTENT_LENGTH": "5"}, id="length-under-another-name"),
        pytest.param({"CONTENT_TYPE": "a/b", "HTTP_CONTENT_TYPE": "c/d"}, id="type-under-another-name"),
        pytest.param({"CONTENT_LENGTH": "+5"}, id="signed-length"),
        pytest.param({"CONTENT_LENGTH": "5, 5"}, id="two-lengths"),
        pytest.param({"CONTENT_LENGTH": "5", "HTTP_TRANSFER_ENCODING": "chunked"}, id="length-and-coding"),
        pytest.param({"HTTP_TRANSFER_ENCODING": "gzip, chunked", "wsgi.input_terminated": True}, id="coding"),
        pytest.param(
            {
                "HTTP_TRANSFER_ENCODING": "chunked",
                "wsgi.input_terminated": True,
                "SERVER_PROTOCOL": "HTTP/1.0",
            },
            id="coding-in-http-1.0",
        ),
    ],
)
def test_what_two_readers_could_take_for_two_things_reaches_nobody(more: dict[str, Any]) -> None:
    with proxied(Heard(EMPTY)) as (app, peer):
        answered = ask(app, valid=False, **more)

        assert (answered.status, answered.error()) == ("400 Bad Request", "bad_request")
        assert peer.connections == 0


# Bodies of requests


def test_a_server_may_give_the_type_and_length_twice() -> None:
    heard = Heard(EMPTY)
    with proxied(heard) as (app, _):
        more = {"CONTENT_TYPE": "a/b", "HTTP_CONTENT_TYPE": "a/b", "HTTP_CONTENT_LENGTH": "3"}
        ask(app, "POST", valid=False, body=b"abc", **more)

    fields = heard[0].fields
    assert (fields["content-type"], fields["content-length"], heard[0].body) == ("a/b", "3", b"abc")


@pytest.mark.parametrize(
    ("method", "more", "framing", "body"),
    [
        pytest.param("GET", {}, None, b"", id="none"),
        pytest.param("GET", {"CONTENT_LENGTH": "", "CONTENT_TYPE": ""}, None, b"", id="empty-values"),
        pytest.param("GET", {"wsgi.input_terminated": True}, None, b"", id="terminated-but-none"),
        pytest.param("POST", {"CONTENT_LENGTH": "0"}, ("content-length", "0"), b"", id="zero"),
        pytest.param("POST", {"body": b"abc"}, ("content-length", "3"), b"abc", id="length"),
        pytest.param(
            "PUT",
            {"body": b"d" * 200_000},
            ("content-length", "200000"),
            b"d" * 200_000,
            id="more-than-a-block",
        ),
        pytest.param("GET", {"body": b"abc"}, ("content-length", "3"), b"abc", id="of-a-get"),
        pytest.param(
            "POST",
            {
                "wsgi.input": io.BytesIO(b"abc"),
                "HTTP_TRANSFER_ENCODING": "chunked",
                "wsgi.input_terminated": True,
            },
            ("transfer-encoding", "chunked"),
            b"3\r\nabc\r\n0\r\n\r\n",
            id="chunked",
        ),
        pytest.param(
            "POST",
            {"wsgi.input": io.BytesIO(), "HTTP_TRANSFER_ENCODING": "Chunked", "wsgi.input_terminated": True},
            ("transfer-encoding", "chunked"),
            b"0\r\n\r\n",
            id="chunked-and-empty",
        ),
        pytest.param(
            "POST",
            {"wsgi.input": io.BytesIO(b"abc"), "SERVER_PROTOCOL": "HTTP/2", "wsgi.input_terminated": True},
            ("transfer-encoding", "chunked"),
            b"3\r\nabc\r\n0\r\n\r\n",
            id="not-announced",
        ),
        pytest.param(
            "GET",
            {"SERVER_PROTOCOL": "HTTP/2", "wsgi.input_terminated": True},
            None,
            b"",
            id="not-announced-none",
        ),
    ],
)
def test_a_body_arrives_as_it_is(
    method: str, more: dict[str, Any], framing: tuple[str, str] | None, body: bytes
) -> None:
    heard = Heard(EMPTY)
    with proxied(heard) as (app, _):
        answered = ask(app, method, **more)

    assert answered.status == "200 OK"
    fields = heard[0].fields
    said = [(name, fields[name]) for name in ("content-length", "transfer-encoding") if name in fields]
    assert said == ([framing] if framing else [])
    assert heard[0].body == body


def test_a_body_that_ends_early_is_never_sent_as_complete() -> None:
    ended = threading.Event()

    def script(conversation: Conversation) -> None:
        with pytest.raises(ConnectionError):
            read_request(conversation)
        ended.set()

    with proxied(script) as (app, _):
        answered = ask(app, "POST", body=b"a" * 100_000, CONTENT_LENGTH="200000")

        assert (answered.status, answered.error()) == ("400 Bad Request", "bad_request")
        assert ended.wait(DEADLINE_SECONDS)


def test_what_reading_the_body_raises_is_the_servers_and_ends_the_upstreams_connection() -> None:
    ended = threading.Event()

    def script(conversation: Conversation) -> None:
        with pytest.raises(ConnectionError):
            read_request(conversation)
        ended.set()

    class Gone(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 50_000:
                raise OSError("the client is gone")
            return super().read1(size)

    with proxied(script) as (app, _):
        with pytest.raises(OSError, match="the client is gone"):
            ask(app, "POST", valid=False, CONTENT_LENGTH="200000", **{"wsgi.input": Gone(b"a" * 100_000)})
        assert ended.wait(DEADLINE_SECONDS)


def test_a_chunked_request_needs_a_server_that_knows_its_end() -> None:
    with proxied(Heard(EMPTY)) as (app, peer):
        answered = ask(app, "POST", HTTP_TRANSFER_ENCODING="chunked")

        assert (answered.status, answered.error()) == ("411 Length Required", "length_required")
        assert peer.connections == 0


@pytest.mark.row("G-27")
def test_an_answer_before_the_end_of_the_request_is_passed_on_and_the_rest_not_read() -> None:
    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(
            b"HTTP/1.1 413 Too Large\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nbig"
        )
        conversation.hang()

    source = io.BytesIO(b"a" * 50_000_000)
    with proxied(script) as (app, _):
        answered = ask(app, "POST", CONTENT_LENGTH="50000000", **{"wsgi.input": source})

    assert (answered.status, answered.body) == ("413 Request Entity Too Large", b"big")
    assert source.tell() < 40_000_000


def test_an_answer_of_one_who_hangs_up_is_passed_on() -> None:
    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(
            b"HTTP/1.1 401 No\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"
        )

    with proxied(script) as (app, _):
        answered = ask(app, "POST", body=b"a" * 20_000_000)

    assert (answered.status, answered.body) == ("401 Unauthorized", b"no")

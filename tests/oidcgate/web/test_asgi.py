"""Between ASGI and the werkzeug world: a scope read as WSGI code reads it, an answer sent as it was made."""

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug import Request, Response

from oidcgate.web.asgi import (
    Answered,
    answered,
    check_path,
    head_environ,
    read_body,
    send_answer,
    whole_environ,
)
from oidcgate.web.canonical_path import PathFault
from oidcgate.web.facts import BadRequest, RequestKind, facts_from_environ
from tests.support.asgi import run, scope_of


def head(kind: str = "http", target: str = "/a", **more: Any) -> dict[str, Any]:
    scope = scope_of(kind, target, **more)
    return head_environ(scope, scope["headers"])


# -- the head, as far as a decision reads it


def test_the_head_of_a_request() -> None:
    headers = [("Cookie", "a=1"), ("Accept", "text/html"), ("X-Custom", "x"), ("User-Agent", "test")]
    assert head("http", "/a%20b?c=%20", method="POST", headers=headers) == {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/a b",
        "RAW_URI": "/a%20b",
        "QUERY_STRING": "c=%20",
        "HTTP_HOST": "app.example.com",
        "HTTP_COOKIE": "a=1",
        "HTTP_ACCEPT": "text/html",
    }


def test_a_websocket_is_an_upgrade_whatever_its_headers_say() -> None:
    for headers in ([], [("Upgrade", "h2c"), ("Connection", "close")], [("Sec-Fetch-Mode", "navigate")]):
        environ = head("websocket", headers=headers)
        assert environ["REQUEST_METHOD"] == "GET"
        assert facts_from_environ(environ).kind is RequestKind.UPGRADE


@pytest.mark.parametrize(
    ("name", "values", "key", "joined"),
    [
        ("Cookie", ["a=1", "b=2"], "HTTP_COOKIE", "a=1; b=2"),
        ("Origin", ["https://a", "https://b"], "HTTP_ORIGIN", "https://a,https://b"),
        ("Accept", ["text/html", "*/*"], "HTTP_ACCEPT", "text/html,*/*"),
        ("Cookie", [b"a=\xff"], "HTTP_COOKIE", "a=\xff"),
    ],
)
def test_what_is_said_twice_is_read_as_wsgi_servers_read_it(
    name: str, values: list[str], key: str, joined: str
) -> None:
    assert head(headers=[(name, value) for value in values])[key] == joined


def test_two_hosts_are_no_host() -> None:
    with pytest.raises(BadRequest):
        facts_from_environ(head(headers=[("Host", "other.example")]))


@pytest.mark.row("G-21")
@pytest.mark.parametrize("raw_path", [b"/a%2Fb", b"/a%00", b"/a%zz", b"/%2e%2e/a", b"/a//b", b"a"])
def test_the_form_on_the_wire_is_judged_where_there_is_one(raw_path: bytes) -> None:
    with pytest.raises(BadRequest):
        facts_from_environ(head(path="/a", raw_path=raw_path))


@pytest.mark.parametrize("path", ["/a", "/\u017e\u00e1", "/a b", "/100%", "/"])
def test_a_server_that_gives_no_form_on_the_wire_gives_the_path(path: str) -> None:
    environ = head(path=path, raw_path=None)
    assert "RAW_URI" not in environ
    facts = facts_from_environ(environ)
    assert facts.path == path
    check_path({"path": path}, facts.path)
    scope = scope_of("http", path=path)
    del scope["raw_path"]
    assert facts_from_environ(head_environ(scope, [])).path == path


def test_bytes_that_are_no_text_are_refused_in_either_form() -> None:
    for more in ({"path": "/\udcff", "raw_path": None}, {"path": "/\ufffd", "raw_path": b"/%FF"}):
        with pytest.raises(BadRequest) as caught:
            facts_from_environ(head(**more))
        assert caught.value.reason is PathFault.NOT_UTF8


def test_a_query_that_a_server_left_in_the_form_on_the_wire_is_no_path() -> None:
    environ = head("http", "/a?x=1", raw_path=b"/a?x=1")
    assert facts_from_environ(environ)[1:3] == ("/a", "x=1")


_PATHS = st.text(alphabet="/abz.%25;~ \u017e+é\\", max_size=12).map("/".__add__)


@pytest.mark.row("G-21")
@given(_PATHS)
def test_whatever_path_is_let_through_is_the_one_that_the_app_reads(target: str) -> None:
    raw = target.encode()
    # As servers do it: decoded once.
    scope = scope_of("http", path=unquote(target, errors="replace"), raw_path=raw)
    try:
        facts = facts_from_environ(head_environ(scope, []))
        check_path(scope, facts.path)
    except BadRequest:
        return
    assert facts.path == scope["path"] == unquote(target)


@pytest.mark.row("G-21")
@pytest.mark.parametrize("path", ["/b", "/a/", "/A", "", "/a\u0301"])
def test_a_path_that_the_app_reads_otherwise_is_refused(path: str) -> None:
    check_path({"path": "/a"}, "/a")
    with pytest.raises(BadRequest) as caught:
        check_path({"path": path}, "/a")
    assert caught.value.reason is PathFault.RAW_MISMATCH


# -- the whole of it


def test_a_whole_environ_is_what_a_werkzeug_request_reads() -> None:
    headers = [
        ("Content-Type", "text/plain"),
        ("Content-Length", "999"),
        ("X-A", "1"),
        ("X-A", "2"),
        ("Cookie", "a=1"),
        ("Cookie", "b=2"),
    ]
    scope = scope_of("http", "/%C5%BE?q=%C5%BE", method="POST", headers=headers)
    environ = whole_environ(scope, scope["headers"], b"body")
    request = Request(environ)
    assert (request.method, request.path, request.args["q"]) == ("POST", "/\u017e", "\u017e")
    # The length of what was read, and not what the client said of it.
    assert (request.get_data(), request.content_length, request.content_type) == (b"body", 4, "text/plain")
    assert dict(request.cookies) == {"a": "1", "b": "2"}
    assert request.headers["X-A"] == "1,2"
    assert request.remote_addr == "203.0.113.7"
    assert request.url == "https://app.example.com/ž?q=ž"


@pytest.mark.parametrize("missing", ["client", "server", "http_version", "scheme"])
def test_what_servers_may_leave_out_is_not_needed(missing: str) -> None:
    for scope in (scope_of("http"), scope_of("http")):
        scope[missing] = None
        if missing not in ("client", "server"):
            del scope[missing]
        environ = whole_environ(scope, scope["headers"], b"")
        assert Request(environ).path == "/"
    scope = scope_of("http", server=("/run/app.sock", None))
    assert whole_environ(scope, [], b"")["SERVER_PORT"] == ""


@pytest.mark.row("G-20")
def test_no_header_reaches_a_key_that_is_not_its_own() -> None:
    headers = [("PATH_INFO", "/x"), ("wsgi.input", "x"), ("REMOTE_ADDR", "127.0.0.1"), ("Script-Name", "/x")]
    scope = scope_of("http", "/a", headers=headers)
    environ = whole_environ(scope, scope["headers"], b"")
    assert (environ["PATH_INFO"], environ["SCRIPT_NAME"]) == ("/a", "")
    assert environ["REMOTE_ADDR"] == "203.0.113.7"
    assert environ["wsgi.input"].read() == b""


# -- bodies


class Client:
    """Says what it is told to say, and counts how much of it was heard."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.messages = list(messages)
        self.heard = 0

    async def __call__(self) -> dict[str, Any]:
        self.heard += 1
        return self.messages[self.heard - 1]


def part(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.parametrize(
    ("messages", "body", "heard"),
    [
        pytest.param([part(b"abc", False)], b"abc", 1, id="whole"),
        pytest.param([part(b"a"), part(b"b"), part(b"cde", False)], b"abcde", 3, id="in parts, to the limit"),
        pytest.param([part(b"abc"), part(b"def", False)], None, 2, id="beyond"),
        pytest.param([part(b"abcdef"), part(b"", False)], None, 1, id="beyond at once"),
        pytest.param([part(b"a"), {"type": "http.disconnect"}], None, 2, id="client left"),
        pytest.param([{"type": "http.request"}], b"", 1, id="nothing said"),
    ],
)
def test_a_body_is_read_to_its_end_or_its_limit(
    messages: list[dict[str, Any]], body: bytes | None, heard: int
) -> None:
    client = Client(*messages)
    assert run(read_body(client, 5)) == body
    assert client.heard == heard


# -- answers


def test_a_response_becomes_an_answer_with_every_header_in_lower_case() -> None:
    response = Response("žlté".encode(), status=418, content_type="text/plain; charset=utf-8")
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    answer = answered(response, whole_environ(scope_of("http"), [], b""))
    assert answer.status == 418
    assert answer.headers == [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"6"),
        (b"set-cookie", b"a=1; Path=/"),
        (b"set-cookie", b"b=2; Path=/"),
    ]
    assert answer.body.decode() == "žlté"


def test_to_head_goes_no_body() -> None:
    scope = scope_of("http", method="HEAD")
    answer = answered(Response("body"), whole_environ(scope, [], b""))
    assert (answer.body, dict(answer.headers)[b"content-length"]) == (b"", b"4")


ANSWER = Answered(403, [(b"x-a", b"1")], b"no")


@pytest.mark.parametrize(
    ("scope", "types"),
    [
        pytest.param(scope_of("http"), ["http.response.start", "http.response.body"], id="http"),
        pytest.param(
            scope_of("websocket"),
            ["websocket.http.response.start", "websocket.http.response.body"],
            id="websocket",
        ),
        pytest.param(scope_of("websocket", extensions={}), ["websocket.close"], id="cannot"),
        pytest.param(scope_of("websocket", extensions=None), ["websocket.close"], id="no extensions"),
    ],
)
def test_an_answer_is_said_as_far_as_the_server_can_say_it(scope: dict[str, Any], types: list[str]) -> None:
    said: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        said.append(message)

    run(send_answer(ANSWER, scope, send))
    assert [message["type"] for message in said] == types
    if len(said) == 2:
        assert (said[0]["status"], said[0]["headers"]) == (403, [(b"x-a", b"1")])
        assert (said[1]["body"], said[1]["more_body"]) == (b"no", False)
    else:
        assert said[0]["code"] == 1008

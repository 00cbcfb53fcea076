"""The requests adapter over an app of this process."""

import json
import threading
from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.validate import validator

import pytest
import requests

from oidcgate.net.wsgi import WSGIAdapter


def session(app: Any) -> requests.Session:
    made = requests.Session()
    made.trust_env = False
    for scheme in ("http://", "https://"):
        made.mount(scheme, WSGIAdapter(app))
    return made


def echo(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer with what was heard."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    heard = {name: value for name, value in environ.items() if isinstance(value, str)}
    heard["body"] = environ["wsgi.input"].read(length).decode("latin-1")
    heard["thread"] = str(threading.get_ident())
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(heard).encode()]


@pytest.mark.row("T-06")
def test_the_app_hears_the_request_as_over_a_socket() -> None:
    heard = (
        session(validator(echo))
        .post(
            "https://id.example.com:8443/a%20b/%C3%A4?x=1&y=%20",
            data={"k": "ü"},
            headers={"X-One": "1", "Authorization": "Basic eDp5"},
            cookies={"c": "1"},
        )
        .json()
    )
    assert {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b/\u00c3\u00a4",
        "QUERY_STRING": "x=1&y=%20",
        "RAW_URI": "/a%20b/%C3%A4?x=1&y=%20",
        "SERVER_NAME": "id.example.com",
        "SERVER_PORT": "8443",
        "HTTP_HOST": "id.example.com:8443",
        "wsgi.url_scheme": "https",
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "CONTENT_LENGTH": "8",
        "HTTP_X_ONE": "1",
        "HTTP_AUTHORIZATION": "Basic eDp5",
        "HTTP_COOKIE": "c=1",
        "REMOTE_ADDR": "127.0.0.1",
        "body": "k=%C3%BC",
        "thread": str(threading.get_ident()),
    }.items() <= heard.items()


@pytest.mark.parametrize(
    ("url", "port", "scheme"), [("https://id.test", "443", "https"), ("http://id.test", "80", "http")]
)
def test_defaults(url: str, port: str, scheme: str) -> None:
    heard = session(validator(echo)).get(url).json()
    assert (heard["PATH_INFO"], heard["SERVER_PORT"], heard["wsgi.url_scheme"]) == ("/", port, scheme)
    assert heard["HTTP_HOST"] == "id.test"


def test_cookies_and_repeated_headers_pass_whole() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response(
            "200 Fine",
            [
                ("Content-Type", "text/plain; charset=utf-8"),
                ("Set-Cookie", "a=1; Path=/; HttpOnly; Expires=Thu, 01 Jan 2099 00:00:00 GMT"),
                ("Set-Cookie", "b=2; Path=/only"),
                ("Link", "<a>"),
                ("Link", "<b>"),
            ],
        )
        return ["ä ".encode(), environ.get("HTTP_COOKIE", "").encode()]

    browser = session(validator(app))
    response = browser.get("http://id.test/only")
    assert (response.reason, response.text, response.headers["Link"]) == ("Fine", "ä ", "<a>, <b>")
    assert response.raw.headers.getlist("Set-Cookie")[1] == "b=2; Path=/only"
    assert browser.cookies.get_dict() == {"a": "1", "b": "2"}
    assert browser.get("http://id.test/only").text == "ä b=2; a=1"
    assert browser.get("http://id.test/else").text == "ä a=1"


def test_redirects_are_the_sessions_to_follow() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/a":
            start_response("303 See Other", [("Location", "/b"), ("Content-Type", "text/plain")])
            return [b""]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["REQUEST_METHOD"].encode()]

    browser = session(app)
    assert browser.post("http://id.test/a", data="x").text == "GET"
    assert browser.post("http://id.test/a", data="x", allow_redirects=False).status_code == 303


def test_a_head_request_gets_no_body() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", "3")])
        return [b"abc"]

    response = session(app).head("http://id.test/")
    assert (response.content, response.headers["Content-Length"]) == (b"", "3")


def test_write_and_a_late_start_are_honoured_and_close_is_called() -> None:
    closed: list[bool] = []

    class Body:
        def __init__(self, start_response: Any) -> None:
            self._start_response = start_response

        def __iter__(self) -> Iterator[bytes]:
            write = self._start_response("200 OK", [])
            write(b"a")
            yield b"b"

        def close(self) -> None:
            closed.append(True)

    response = session(lambda environ, start_response: Body(start_response)).get("http://id.test/")
    assert (response.content, closed) == (b"ab", [True])


def test_an_error_after_the_start_replaces_the_answer() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        try:
            raise KeyError("x")
        except KeyError as error:
            start_response("500 Oh", [], (type(error), error, error.__traceback__))
        return [b"sorry"]

    response = session(app).get("http://id.test/")
    assert (response.status_code, response.text) == (500, "sorry")


def raises(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    raise KeyError("canary")


def never_starts(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    return [b"x"]


def starts_twice(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])
    start_response("200 OK", [])
    return []


def fails_late(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    write = start_response("200 OK", [])
    write(b"x")
    error = KeyError("canary")
    start_response("500 Oh", [], (KeyError, error, None))
    return []


@pytest.mark.parametrize("app", [raises, never_starts, starts_twice, fails_late])
def test_an_app_that_breaks_is_a_connection_that_breaks(app: Any) -> None:
    with pytest.raises(requests.ConnectionError, match="the app raised") as caught:
        session(app).get("http://id.test/")
    assert "canary" not in str(caught.value)
    assert isinstance(caught.value.__cause__, KeyError | RuntimeError)


def test_an_app_may_ask_itself() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        inner = b"" if environ["PATH_INFO"] == "/b" else session(app).get("http://id.test/b").content
        start_response("200 OK", [])
        return [environ["PATH_INFO"].encode(), inner]

    assert session(app).get("http://id.test/a").text == "/a/b"

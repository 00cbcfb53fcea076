"""The guard around any transport: answers that lie, and URLs that are never called."""

import ssl
import threading
from typing import Any

import pytest
import requests
import requests_mock
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.net.fetch import AddressRules, Fetcher, FetchError, FetchFailure
from oidcgate.net.wsgi import WSGIAdapter

URL = "https://id.example.com/x"


def fetcher(adapter: requests_mock.Adapter, **changes: Any) -> Fetcher:
    return Fetcher(AddressRules(), adapter=adapter, **changes)


@pytest.mark.row("T-07")
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(
            {"exc": requests.exceptions.ConnectTimeout}, FetchFailure.TIMEOUT, id="connect-time-out"
        ),
        pytest.param({"exc": requests.exceptions.ReadTimeout}, FetchFailure.TIMEOUT, id="read-time-out"),
        pytest.param({"exc": requests.exceptions.SSLError}, FetchFailure.TLS, id="tls"),
        pytest.param(
            {
                "exc": requests.exceptions.SSLError(
                    ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version")
                )
            },
            FetchFailure.NOT_TLS,
            id="http-on-that-port",
        ),
        pytest.param({"exc": requests.exceptions.ConnectionError}, FetchFailure.CONNECTION, id="connection"),
        pytest.param({"exc": requests.exceptions.InvalidHeader}, FetchFailure.CONNECTION, id="header"),
        pytest.param(
            {"status_code": 301, "headers": {"Location": URL}}, FetchFailure.REDIRECT, id="redirect-to-itself"
        ),
        pytest.param({"status_code": 500, "json": {}}, FetchFailure.STATUS, id="error"),
        pytest.param({"status_code": 700, "json": {}}, FetchFailure.STATUS, id="no-such-status"),
        pytest.param({"status_code": 401, "json": {}}, FetchFailure.STATUS, id="unauthorized"),
        pytest.param({"status_code": 204}, FetchFailure.STATUS, id="no-content"),
        pytest.param({"text": "nothing"}, FetchFailure.NOT_JSON, id="text"),
        pytest.param({"json": [1]}, FetchFailure.NOT_JSON, id="array"),
        pytest.param({"content": b'{"a":NaN}'}, FetchFailure.NOT_JSON, id="nan"),
        pytest.param({"content": b"\x00" * 1001}, FetchFailure.TOO_LARGE, id="too-large"),
    ],
)
def test_an_answer_that_is_none_is_named(answer: dict[str, Any], reason: FetchFailure) -> None:
    adapter = requests_mock.Adapter()
    adapter.register_uri("GET", URL, **answer)
    with pytest.raises(FetchError) as caught:
        fetcher(adapter, max_bytes=1000).get_json(f"{URL}?secret=canary")
    assert caught.value.reason is reason
    assert caught.value.status == answer.get("status_code", None if "exc" in answer else 200)
    assert caught.value.url_without_query == URL
    assert "canary" not in f"{caught.value} {caught.value!r}"
    assert adapter.call_count == 1


@pytest.mark.row("P-09")
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param({"exc": requests.exceptions.ReadTimeout}, FetchFailure.TIMEOUT, id="time-out"),
        pytest.param(
            {"status_code": 302, "headers": {"Location": URL}}, FetchFailure.REDIRECT, id="redirect"
        ),
        pytest.param({"status_code": 500, "text": "a"}, FetchFailure.STATUS, id="error"),
        pytest.param({"status_code": 404, "text": "a"}, FetchFailure.STATUS, id="not-found"),
        pytest.param({"status_code": 204}, FetchFailure.STATUS, id="no-content"),
        pytest.param({"content": b"\x00" * 1001}, FetchFailure.TOO_LARGE, id="too-large"),
    ],
)
def test_content_is_behind_the_same_guard(answer: dict[str, Any], reason: FetchFailure) -> None:
    adapter = requests_mock.Adapter()
    adapter.register_uri("GET", URL, **answer)
    with pytest.raises(FetchError) as caught:
        fetcher(adapter, max_bytes=1000).get_content(URL, "text/plain")
    assert caught.value.reason is reason
    assert adapter.call_count == 1


@pytest.mark.parametrize("content", [b"a.b.c", b"", b"\xff", b"[1]", b'{"a":1,"a":2}'])
def test_content_is_whatever_it_is(content: bytes) -> None:
    adapter = requests_mock.Adapter()
    adapter.register_uri("GET", URL, content=content, headers={"Set-Cookie": "a=b"})
    fetch = fetcher(adapter)
    assert [fetch.get_content(URL, "text/plain") for _ in range(2)] == [content, content]
    assert [request.headers["Accept"] for request in adapter.request_history] == ["text/plain"] * 2
    assert not any("Cookie" in request.headers for request in adapter.request_history)


@pytest.mark.row("P-09")
@pytest.mark.parametrize(
    "url",
    [
        "http://id.example.com/x",
        "http://localhost/x",
        "ftp://id.example.com/x",
        "file:///etc/passwd",
        "https://user:canary@id.example.com/x",
        "https:///x",
        "https://[::1/x",
        "//id.example.com/x",
        "id.example.com",
        "",
    ],
)
def test_a_url_that_may_not_be_called_is_not(url: str) -> None:
    adapter = requests_mock.Adapter()
    adapter.register_uri(requests_mock.ANY, requests_mock.ANY, json={})
    with pytest.raises(FetchError) as caught:
        fetcher(adapter).get_json(url)
    assert caught.value.reason is FetchFailure.REFUSED_URL
    assert "canary" not in f"{caught.value} {caught.value!r}"
    with pytest.raises(FetchError):
        fetcher(adapter).get_content(url, "text/plain")
    assert adapter.call_count == 0


@given(st.text(max_size=30) | st.text(max_size=20).map("https://{}".format))
def test_any_url_is_fetched_or_refused_by_the_declared_error(url: str) -> None:
    adapter = requests_mock.Adapter()
    adapter.register_uri(requests_mock.ANY, requests_mock.ANY, json={"a": 1})
    try:
        fetched = fetcher(adapter).get_json(url)
    except FetchError:
        return
    assert fetched.document == {"a": 1}


@given(st.binary(max_size=60), st.integers(100, 999))
def test_any_answer_is_an_object_or_the_declared_error(body: bytes, status: int) -> None:
    adapter = requests_mock.Adapter()
    adapter.register_uri("GET", URL, content=body, status_code=status)
    try:
        fetched = fetcher(adapter).get_json(URL)
    except FetchError:
        return
    assert status == 200
    assert isinstance(fetched.document, dict)


def test_one_fetcher_serves_many_threads() -> None:
    adapter = requests_mock.Adapter()
    adapter.register_uri("GET", requests_mock.ANY, json=lambda request, _: {"path": request.path})
    fetch = fetcher(adapter)
    barrier = threading.Barrier(8)
    answers: list[bool] = []

    def ask(number: int) -> None:
        barrier.wait(10)
        answers.extend(
            fetch.get_json(f"https://id.example.com/{number}-{turn}").document
            == {"path": f"/{number}-{turn}"}
            for turn in range(20)
        )

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert answers == [True] * 160


@pytest.mark.row("T-06")
def test_an_app_of_this_process_is_behind_the_same_guard() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        status, body = {
            "/good": ("200 OK", b'{"a":1}'),
            "/huge": ("200 OK", b" " * 2000),
            "/else": ("302 Found", b""),
        }[environ["PATH_INFO"]]
        start_response(status, [("Location", "/good")])
        return [body]

    fetch = Fetcher(AddressRules(), adapter=WSGIAdapter(app), max_bytes=1000)
    assert fetch.get_json("https://id.example.com/good").document == {"a": 1}
    for path, reason in (
        ("huge", FetchFailure.TOO_LARGE),
        ("else", FetchFailure.REDIRECT),
        ("raises-key-error", FetchFailure.CONNECTION),
    ):
        with pytest.raises(FetchError) as caught:
            fetch.get_json(f"https://id.example.com/{path}")
        assert caught.value.reason is reason

"""What a client is told in place of an answer: JSON to a program, a page to a person."""

import json
from typing import Any

import pytest

from oidcgate.proxy.pages import proxy_pages
from oidcgate.proxy.short_answers import Reader, reader_of, short_answer
from oidcgate.proxy.troubles import Trouble

PAGES = proxy_pages()
READER = Reader("app.example.com", "en", PAGES)
BROWSER = {"HTTP_ACCEPT": "text/html,*/*;q=0.8", "HTTP_ACCEPT_LANGUAGE": "de, en;q=0.5"}


@pytest.mark.parametrize(
    ("kind", "status", "error"),
    [
        (Trouble.UNREACHABLE, 502, "bad_gateway"),
        (Trouble.CLOSED, 502, "bad_gateway"),
        (Trouble.MALFORMED, 502, "bad_gateway"),
        (Trouble.HEAD_TIMEOUT, 504, "gateway_timeout"),
        (Trouble.CONNECT_TIMEOUT, 504, "gateway_timeout"),
        (Trouble.TOO_MANY, 503, "unavailable"),
        (Trouble.CLIENT_IDLE, 408, "request_timeout"),
        (Trouble.BAD_REQUEST, 400, "bad_request"),
        (Trouble.NO_LENGTH, 411, "length_required"),
        (Trouble.NO_ROUTE, 421, "misdirected_request"),
        (Trouble.NO_UPGRADE, 501, "websocket_not_supported"),
    ],
)
def test_a_program_is_told_in_json(kind: Trouble, status: int, error: str) -> None:
    answer = short_answer(kind)
    fields = dict(answer.headers)

    assert (answer.status, json.loads(answer.body)["error"]) == (status, error)
    assert fields[b"content-type"] == b"application/json"
    assert fields[b"content-length"] == b"%d" % len(answer.body)
    assert fields[b"cache-control"] == b"no-store"
    assert (b"retry-after" in fields) is (status == 503)
    assert (b"connection" in fields) is (status in (400, 408))


@pytest.mark.parametrize("kind", [kind for kind in Trouble if kind.is_of_the_upstream])
def test_a_person_gets_a_page_when_the_app_is_at_fault(kind: Trouble) -> None:
    told, shown = short_answer(kind), short_answer(kind, reader=READER)
    fields = dict(shown.headers)

    assert shown.status == told.status
    assert b'id="page-app-down"' in shown.body
    assert b"app.example.com" in shown.body
    assert str(shown.status).encode() in shown.body
    assert fields[b"content-type"] == b"text/html; charset=utf-8"
    assert fields[b"content-length"] == b"%d" % len(shown.body)
    assert fields[b"cache-control"] == b"no-store"
    assert b"default-src 'none'" in fields[b"content-security-policy"]
    assert fields.get(b"retry-after") == dict(told.headers).get(b"retry-after")
    # Neither what went wrong nor where.
    assert kind.value.encode() not in shown.body


@pytest.mark.parametrize("kind", [kind for kind in Trouble if not kind.is_of_the_upstream])
def test_what_a_request_is_at_fault_for_is_json_to_everybody(kind: Trouble) -> None:
    assert short_answer(kind, reader=READER) == short_answer(kind)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_only_what_can_be_asked_twice_is_offered_again(method: str) -> None:
    body = short_answer(Trouble.UNREACHABLE, method=method, reader=READER).body

    assert (b'id="retry"' in body) is (method == "GET")
    assert (b"may have arrived" in body) is (method == "POST")


@pytest.mark.parametrize("reader", [None, READER])
def test_an_answer_to_head_says_the_length_and_has_no_body(reader: Reader | None) -> None:
    asked = short_answer(Trouble.UNREACHABLE, reader=reader)
    answer = short_answer(Trouble.UNREACHABLE, method="HEAD", reader=reader)

    assert answer == (asked.status, asked.headers, b"")


def test_a_request_that_nobody_reads_to_its_end_ends_the_connection() -> None:
    for reader in (None, READER):
        fields = dict(short_answer(Trouble.UNREACHABLE, reader=reader, unread=True).headers)
        assert fields[b"connection"] == b"close"
        # What is remembered of a page is not touched by that.
        assert b"connection" not in dict(short_answer(Trouble.UNREACHABLE, reader=reader).headers)


def test_the_name_of_the_site_is_text() -> None:
    body = short_answer(Trouble.UNREACHABLE, reader=Reader("<b>&", "", PAGES)).body

    assert b"<b>&" not in body
    assert b"&lt;b&gt;&amp;" in body


@pytest.mark.parametrize(
    ("environ", "person"),
    [
        pytest.param(BROWSER, True, id="asks-for-a-page"),
        pytest.param({**BROWSER, "HTTP_SEC_FETCH_MODE": "navigate"}, True, id="navigates"),
        pytest.param({**BROWSER, "HTTP_SEC_FETCH_MODE": "cors"}, False, id="script"),
        pytest.param({**BROWSER, "HTTP_X_REQUESTED_WITH": "XMLHttpRequest"}, False, id="old-script"),
        pytest.param({"HTTP_ACCEPT": "*/*"}, False, id="curl"),
        pytest.param({}, False, id="says-nothing"),
    ],
)
def test_who_is_a_person(environ: dict[str, Any], person: bool) -> None:
    reader = reader_of({"REQUEST_METHOD": "GET", **environ}, "app.example.com", PAGES)

    assert reader == (
        Reader("app.example.com", environ.get("HTTP_ACCEPT_LANGUAGE", ""), PAGES) if person else None
    )

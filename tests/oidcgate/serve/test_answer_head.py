"""The head of an answer as a table: what an app says, and what goes out of it."""

from typing import Any

import pytest

from oidcgate.proxy.fields import HeaderPair
from oidcgate.serve.answer_head import AnswerHead, answer_head

DATE = b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
LENGTH = (b"Content-Length", b"5")
CLOSE = b"connection: close\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"


def head(
    *headers: HeaderPair, status: int = 200, method: str = "GET", version: str = "1.1", keep: bool = True
) -> AnswerHead:
    return answer_head(status, headers, method, version, keep, DATE)


@pytest.mark.parametrize(
    ("found", "lines", "rest"),
    [
        # rest: keep_alive, mute, chunked, length
        pytest.param(head(LENGTH), [b"Content-Length: 5\r\n", DATE], (True, False, False, 5), id="length"),
        pytest.param(
            head((b"content-length", b"0")),
            [b"content-length: 0\r\n", DATE],
            (True, False, False, 0),
            id="length-0",
        ),
        pytest.param(head(), [DATE, CHUNKED], (True, False, True, None), id="no-length"),
        pytest.param(head(version="1.0"), [DATE, CLOSE], (False, False, False, None), id="no-length-1.0"),
        pytest.param(
            head(LENGTH, keep=False),
            [b"Content-Length: 5\r\n", DATE, CLOSE],
            (False, False, False, 5),
            id="last",
        ),
        pytest.param(head(keep=False), [DATE, CHUNKED, CLOSE], (False, False, True, None), id="last-chunked"),
        pytest.param(
            head(LENGTH, method="HEAD"),
            [b"Content-Length: 5\r\n", DATE],
            (True, True, False, None),
            id="head",
        ),
        pytest.param(head(method="HEAD"), [DATE], (True, True, False, None), id="head-without-length"),
        pytest.param(
            head(method="HEAD", version="1.0"),
            [DATE],
            (True, True, False, None),
            id="head-without-length-1.0",
        ),
        pytest.param(
            head((b"connection", b"Close"), (b"Keep-Alive", b"timeout=5"), LENGTH),
            [b"Content-Length: 5\r\n", DATE, CLOSE],
            (False, False, False, 5),
            id="the-app-wants-an-end",
        ),
        pytest.param(
            head((b"connection", b"keep-alive"), keep=False),
            [DATE, CHUNKED, CLOSE],
            (False, False, True, None),
            id="the-app-wants-none",
        ),
        pytest.param(
            head((b"transfer-encoding", b"gzip, chunked")),
            [DATE, CHUNKED],
            (True, False, True, None),
            id="coding-of-the-app",
        ),
        pytest.param(
            head((b"Date", b"today"), LENGTH),
            [b"Date: today\r\n", b"Content-Length: 5\r\n"],
            (True, False, False, 5),
            id="date-of-the-app",
        ),
        pytest.param(
            head((b"set-cookie", b"a=1"), (b"set-cookie", b"b=\xff"), LENGTH),
            [b"set-cookie: a=1\r\n", b"set-cookie: b=\xff\r\n", b"Content-Length: 5\r\n", DATE],
            (True, False, False, 5),
            id="fields-pass-in-order",
        ),
    ],
)
def test_a_head_says_what_the_app_says_and_how_the_body_is_framed(
    found: AnswerHead, lines: list[bytes], rest: tuple[Any, ...]
) -> None:
    said, *others = found

    assert said == b"".join((b"HTTP/1.1 200 OK\r\n", *lines, b"\r\n"))
    assert tuple(others) == rest


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("length", [b"5", b"0", b"none"])
def test_a_status_without_body_says_nothing_of_one(status: int, length: bytes) -> None:
    said, keep_alive, mute, chunked, announced = head((b"content-length", length), status=status)

    assert b"length" not in said
    assert b"chunked" not in said
    assert (keep_alive, mute, chunked, announced) == (True, True, False, None)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        pytest.param([LENGTH, LENGTH], "twice", id="two-lengths"),
        pytest.param([(b"content-length", b"-1")], "no length", id="negative"),
        pytest.param([(b"content-length", b"")], "no length", id="empty"),
        pytest.param([(b"x", b"a\r\nb: c")], "line break", id="line-break"),
        pytest.param([(b"x", b"a\nb")], "line break", id="half-a-line-break"),
        pytest.param([(b"x", b"a\0")], "NUL", id="nul"),
        pytest.param([(b"x y", b"a")], "no token", id="name"),
    ],
)
def test_what_would_be_read_as_something_else_is_an_error(headers: list[HeaderPair], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        head(*headers)


@pytest.mark.parametrize("status", [99, 100, 101, 199, 600])
def test_a_status_that_ends_no_request_is_an_error(status: int) -> None:
    with pytest.raises(RuntimeError, match=str(status)):
        head(status=status)

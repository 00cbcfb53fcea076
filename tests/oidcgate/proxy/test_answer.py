"""Answers of an upstream, byte by byte: where they end, and what is refused."""

import gc

import pytest

from oidcgate.proxy.answer import AnswerReader
from oidcgate.proxy.routes import Limits
from oidcgate.proxy.troubles import Trouble, UpstreamTrouble

LIMITS = Limits()
LONGEST = LIMITS.response_head_bytes
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def read(
    data: bytes, *, method: str = "GET", step: int = 0, closed: bool = False
) -> tuple[AnswerReader, bytes]:
    """Feed an answer in pieces of `step` bytes; all at once when 0."""
    reader = AnswerReader(method, LIMITS)
    body = b""
    step = step or len(data)
    for start in range(0, len(data), step):
        reader.feed(data[start : start + step])
        body += reader.take()
    if closed:
        reader.end()
    return reader, body


@pytest.mark.parametrize("step", [0, 1, 2, 7], ids=lambda step: f"step-{step}")
@pytest.mark.parametrize(
    ("data", "method", "closed", "body", "reusable"),
    [
        pytest.param(OK + b"Content-Length: 3\r\n\r\nabc", "GET", False, b"abc", True, id="length"),
        pytest.param(OK + b"Content-Length: 0\r\n\r\n", "GET", False, b"", True, id="empty"),
        pytest.param(
            OK + b"Content-Length: 3\r\nConnection: close\r\n\r\nabc", "GET", False, b"abc", False, id="close"
        ),
        pytest.param(CHUNKED + b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", "GET", False, b"abcd", True, id="chunked"),
        pytest.param(
            CHUNKED + b"3;a=b\r\nabc\r\n0\r\nTrailer: x\r\nX: y\r\n\r\n",
            "GET",
            False,
            b"abc",
            True,
            id="trailers",
        ),
        pytest.param(OK + b"\r\nabc", "GET", True, b"abc", False, id="until-close"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\nabc", "GET", True, b"abc", False, id="http-1.0"),
        pytest.param(
            OK + b"Upgrade: h2,h2c\r\nConnection: Upgrade\r\nContent-Length: 1\r\n\r\na",
            "GET",
            False,
            b"a",
            True,
            id="upgrade-offered",
        ),
        pytest.param(OK + b"Content-Length: 9\r\n\r\n", "HEAD", False, b"", False, id="head"),
        pytest.param(CHUNKED, "HEAD", False, b"", False, id="head-chunked"),
        pytest.param(OK + b"Content-Length: 0\r\n\r\n", "HEAD", False, b"", True, id="head-of-nothing"),
        pytest.param(
            OK + b"Content-Length: 0\r\nX-Frame-Option: 9\r\n\r\n", "HEAD", False, b"", True, id="head-other"
        ),
        pytest.param(
            b"HTTP/1.1 204 N\r\nContent-Length: 9\r\n\r\n", "GET", False, b"", False, id="204-with-length"
        ),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", "GET", False, b"", True, id="204"),
        pytest.param(
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "GET", False, b"", False, id="304"
        ),
        pytest.param(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
            + OK
            + b"Content-Length: 1\r\n\r\na",
            "POST",
            False,
            b"a",
            True,
            id="interim",
        ),
    ],
)
def test_an_answer_ends_where_it_says(
    data: bytes, method: str, closed: bool, body: bytes, reusable: bool, step: int
) -> None:
    reader, got = read(data, method=method, step=step, closed=closed)

    assert (reader.complete, got, reader.reusable) == (True, body, reusable)
    assert reader.status in (200, 204, 304)
    assert not any(name == b"Link" for name, _ in reader.headers)


def test_fields_stay_as_they_came_and_trailers_are_none() -> None:
    reader, _ = read(
        OK + b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Late: 1\r\n\r\n"
    )

    assert reader.headers == [
        (b"Set-Cookie", b"a=1"),
        (b"Set-Cookie", b"b=2"),
        (b"Transfer-Encoding", b"chunked"),
    ]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        pytest.param(OK + b"Content-Length: 3\r\n\r\nab", Trouble.TRUNCATED, id="length"),
        pytest.param(CHUNKED + b"3\r\nabc\r\n", Trouble.TRUNCATED, id="no-last-chunk"),
        pytest.param(CHUNKED + b"3\r\nabc\r\n0\r\n", Trouble.TRUNCATED, id="no-end-of-trailers"),
        pytest.param(OK + b"Content-Type: a", Trouble.CLOSED, id="in-the-head"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", Trouble.CLOSED, id="after-an-interim-answer"),
    ],
)
def test_an_answer_that_is_cut_short_is_not_complete(data: bytes, kind: Trouble) -> None:
    reader, _ = read(data)

    with pytest.raises(UpstreamTrouble) as bad:
        reader.end()
    assert bad.value.kind is kind
    assert not reader.complete


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize(
    ("data", "kind"),
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", Trouble.MALFORMED, id="another-protocol"),
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 1\n\na", Trouble.MALFORMED, id="bare-lf"),
        pytest.param(OK + b"A: b\r\n c\r\n\r\n", Trouble.MALFORMED, id="folded"),
        pytest.param(OK + b"A : b\r\n\r\n", Trouble.MALFORMED, id="blank-before-colon"),
        pytest.param(OK + b"Content-Length: +1\r\n\r\na", Trouble.MALFORMED, id="signed-length"),
        pytest.param(OK + b"Content-Length: 1, 1\r\n\r\na", Trouble.MALFORMED, id="list-of-lengths"),
        pytest.param(CHUNKED + b"g\r\n", Trouble.MALFORMED, id="chunk-size"),
        pytest.param(CHUNKED + b"1\r\nab\r\n", Trouble.MALFORMED, id="chunk-longer-than-it-says"),
        pytest.param(
            OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Trouble.MALFORMED, id="coding"
        ),
        pytest.param(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            Trouble.MALFORMED,
            id="upgrade",
        ),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", Trouble.MALFORMED, id="bare-101"),
        pytest.param(
            b"HTTP/1.1 103 E\r\nContent-Length: 2\r\n\r\nhi", Trouble.MALFORMED, id="interim-with-length"
        ),
        pytest.param(
            b"HTTP/1.1 199 E\r\nTransfer-Encoding: chunked\r\n\r\n",
            Trouble.MALFORMED,
            id="interim-with-coding",
        ),
        pytest.param(
            b"HTTP/1.1 100 Continue\r\n\r\n" * 21, Trouble.TOO_MANY_INTERIM, id="interim-without-end"
        ),
    ],
)
def test_what_cannot_be_believed_is_refused(data: bytes, kind: Trouble, step: int) -> None:
    with pytest.raises(UpstreamTrouble) as bad:
        read(data, step=step)

    assert bad.value.kind is kind


def test_twenty_interim_answers_pass() -> None:
    reader, _ = read(b"HTTP/1.1 102 Processing\r\n\r\n" * 20 + OK + b"Content-Length: 0\r\n\r\n")

    assert reader.complete


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        pytest.param(OK + b"A: " + b"b" * LONGEST, Trouble.HEAD_TOO_LARGE, id="one-field"),
        pytest.param(
            OK + b"A: b\r\n" * (LIMITS.response_fields + 1) + b"\r\n", Trouble.HEAD_TOO_LARGE, id="fields"
        ),
        pytest.param(OK + b"A: %b\r\n\r\n" % (b"b" * LONGEST), Trouble.HEAD_TOO_LARGE, id="complete"),
        pytest.param(
            b"HTTP/1.1 103 Early Hints\r\nA: %b\r\n\r\n" % (b"b" * 40_000) * 2,
            Trouble.HEAD_TOO_LARGE,
            id="two-interim-heads",
        ),
        pytest.param(CHUNKED + b"0\r\nA: " + b"b" * 2 * LONGEST, Trouble.MALFORMED, id="trailers"),
        pytest.param(CHUNKED + b"1;" + b"b" * 2 * LONGEST, Trouble.MALFORMED, id="chunk-extension"),
    ],
)
def test_nothing_but_a_body_goes_on_without_end(data: bytes, kind: Trouble) -> None:
    with pytest.raises(UpstreamTrouble) as bad:
        read(data, step=16_384)

    assert bad.value.kind is kind


def test_a_head_just_below_the_limit_and_a_body_far_above_pass() -> None:
    field = b"b" * (LONGEST - 100)
    reader, body = read(
        OK + b"A: %b\r\nContent-Length: 1000000\r\n\r\n" % field + b"c" * 1_000_000, step=16_384
    )

    assert reader.complete
    assert len(body) == 1_000_000


@pytest.mark.parametrize(
    ("data", "method"),
    [
        pytest.param(OK + b"Content-Length: 1\r\n\r\na" + OK, "GET", id="two-answers"),
        pytest.param(OK + b"Content-Length: 1\r\n\r\nabc", "GET", id="longer-than-it-says"),
        pytest.param(OK + b"Content-Length: 3\r\n\r\nabc", "HEAD", id="body-after-head"),
        pytest.param(b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc", "GET", id="body-after-204"),
        pytest.param(CHUNKED + b"0\r\n\r\n0\r\n\r\n", "GET", id="two-last-chunks"),
    ],
)
@pytest.mark.parametrize("step", [0, 1])
def test_a_connection_on_which_more_came_is_not_used_again(data: bytes, method: str, step: int) -> None:
    reader, body = read(data, method=method, step=step)

    assert reader.complete
    assert not reader.reusable
    assert reader.status in (200, 204)
    assert len(body) <= 1


def test_bytes_after_the_end_are_not_the_answer() -> None:
    reader, _ = read(OK + b"Content-Length: 1\r\n\r\na")
    assert reader.reusable

    reader.feed(OK)

    assert not reader.reusable
    assert reader.take() == b""


def test_a_complete_answer_is_free_at_once() -> None:
    gc.collect()
    gc.disable()
    try:
        reader, _ = read(OK + b"Content-Length: 1\r\n\r\na")
        del reader
        left = sum(isinstance(thing, AnswerReader) for thing in gc.get_objects())
    finally:
        gc.enable()

    assert left == 0


def test_a_large_head_leaves_the_body_its_own_limit() -> None:
    reader = AnswerReader("GET", LIMITS)
    reader.feed(OK + b"A: " + b"x" * 60_000 + b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    reader.feed(b"5;" + b"x" * 60_000)
    reader.feed(b"\r\nhello\r\n0\r\n\r\n")

    assert (reader.take(), reader.complete) == (b"hello", True)

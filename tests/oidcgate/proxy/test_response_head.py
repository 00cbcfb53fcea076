"""The fields of an answer that a client gets, and the answers that are refused by name."""

import pytest

from oidcgate.proxy.fields import BadHead, HeaderPair, HeadFault
from oidcgate.proxy.response_head import response_headers


def test_what_passes() -> None:
    assert response_headers(
        200,
        [
            (b"Content-Type", b"text/plain"),
            (b"Connection", b"keep-alive, X-Hop"),
            (b"Keep-Alive", b"timeout=5"),
            (b"X-Hop", b"1"),
            (b"Set-Cookie", b"a=1"),
            (b"Set-Cookie", b"b=2"),
            (b"Set-Cookie", b"gate=3"),
            (b"Trailer", b"X-Sum"),
            (b"Upgrade", b"h2c"),
            (b"Content-Length", b"3"),
            (b"Content-Encoding", b"gzip"),
        ],
        drop_cookie=lambda value: value.startswith(b"gate="),
    ) == [
        (b"content-type", b"text/plain"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"content-length", b"3"),
        (b"content-encoding", b"gzip"),
    ]


def test_connection_cannot_take_what_describes_the_body() -> None:
    headers = [(b"Connection", b"content-type, content-length"), (b"Content-Type", b"text/html")]
    assert response_headers(200, headers) == [(b"content-type", b"text/html")]


@pytest.mark.parametrize("status", [204, 304])
def test_no_length_where_there_is_no_body(status: int) -> None:
    assert response_headers(status, [(b"Content-Length", b"7"), (b"ETag", b'"x"')]) == [(b"etag", b'"x"')]


@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 600, 999])
def test_no_final_status(status: int) -> None:
    with pytest.raises(BadHead) as refusal:
        response_headers(status, [])
    assert (refusal.value.fault, refusal.value.status) == (HeadFault.STATUS, 502)


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ((b"a b", b"x"), HeadFault.NAME),
        ((b"", b"x"), HeadFault.NAME),
        ((b"location", b"/\r\nset-cookie: a=b"), HeadFault.VALUE),
        ((b"location", b"/\nx"), HeadFault.VALUE),
        ((b"location", b"/\0x"), HeadFault.VALUE),
    ],
)
def test_what_could_be_two_fields_is_refused(header: HeaderPair, fault: HeadFault) -> None:
    with pytest.raises(BadHead) as refusal:
        response_headers(200, [header])
    assert (refusal.value.fault, refusal.value.status) == (fault, 502)


def test_a_thousand_invented_names_change_no_verdict() -> None:
    for number in range(3000):
        name = b"x-invented-%d" % number
        assert response_headers(200, [(name.upper(), b"1")]) == [(name, b"1")]

    assert response_headers(200, [(b"Keep-Alive", b"1"), (b"X-Late", b"1")]) == [(b"x-late", b"1")]

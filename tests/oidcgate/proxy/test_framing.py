"""Where the bodies of requests and answers end, and which of them are refused because that is open."""

import pytest

from oidcgate.proxy.fields import BadHead, HeaderPair, HeadFault
from oidcgate.proxy.framing import CHUNKED, NO_BODY, Framing, request_framing, response_framing


@pytest.mark.parametrize(
    ("headers", "framing"),
    [
        pytest.param([], NO_BODY, id="none"),
        pytest.param([(b"content-length", b"0")], Framing(0), id="zero"),
        pytest.param([(b"content-length", b"12")], Framing(12), id="length"),
        pytest.param([(b"transfer-encoding", b"chunked")], CHUNKED, id="chunked"),
        pytest.param([(b"transfer-encoding", b"Chunked")], CHUNKED, id="chunked-in-another-case"),
    ],
)
def test_the_framing_of_a_request(headers: list[HeaderPair], framing: Framing) -> None:
    assert request_framing(headers) == framing
    assert framing.has_body == (framing not in (NO_BODY, Framing(0)))


@pytest.mark.parametrize(
    ("headers", "version", "fault"),
    [
        pytest.param([(b"content-length", value)], "1.1", HeadFault.LENGTH, id=repr(value)[2:-1] or "empty")
        for value in (b"", b"+3", b"-3", b"3 ", b" 3", b"3,3", b"3_0", b"0x3", b"3.0", b"\xb2", b"9" * 19)
    ]
    + [
        pytest.param([(b"content-length", b"3")] * 2, "1.1", HeadFault.LENGTH_REPEATED, id="same-twice"),
        pytest.param(
            [(b"content-length", b"3"), (b"content-length", b"4")],
            "1.1",
            HeadFault.LENGTH_REPEATED,
            id="two-lengths",
        ),
        pytest.param(
            [(b"content-length", b"3"), (b"transfer-encoding", b"chunked")],
            "1.1",
            HeadFault.LENGTH_AND_CODING,
            id="both",
        ),
        pytest.param(
            [(b"transfer-encoding", b"chunked"), (b"content-length", b"3")],
            "1.1",
            HeadFault.LENGTH_AND_CODING,
            id="both-the-other-way",
        ),
        pytest.param([(b"transfer-encoding", b"chunked")] * 2, "1.1", HeadFault.CODING, id="coding-twice"),
        pytest.param(
            [(b"transfer-encoding", b"chunked")], "1.0", HeadFault.CODING_IN_1_0, id="coding-in-1.0"
        ),
    ]
    + [
        pytest.param([(b"transfer-encoding", value)], "1.1", HeadFault.CODING, id=f"coding-{value!r}")
        for value in (
            b"",
            b"gzip",
            b"identity",
            b"gzip, chunked",
            b"chunked, gzip",
            b"chunked, chunked",
            b"xchunked",
            b"chunked;q=1",
            b"\x0bchunked",
            b"chunked\xa0",
        )
    ],
)
def test_a_request_that_is_ambiguous(headers: list[HeaderPair], version: str, fault: HeadFault) -> None:
    with pytest.raises(BadHead) as refusal:
        request_framing(headers, version)
    assert (refusal.value.fault, refusal.value.status) == (fault, 400)


@pytest.mark.parametrize(
    ("method", "status", "headers", "framing"),
    [
        pytest.param("GET", 200, [(b"Content-Length", b"7")], Framing(7), id="length"),
        pytest.param("GET", 200, [(b"Transfer-Encoding", b"chunked")], CHUNKED, id="chunked"),
        pytest.param("GET", 200, [], Framing(until_close=True), id="until-close"),
        pytest.param("HEAD", 200, [(b"Content-Length", b"7")], NO_BODY, id="head"),
        pytest.param("HEAD", 200, [(b"Transfer-Encoding", b"chunked")], NO_BODY, id="head-chunked"),
        pytest.param("GET", 204, [], NO_BODY, id="204"),
        pytest.param("GET", 304, [(b"content-length", b"7")], NO_BODY, id="304"),
    ],
)
def test_the_framing_of_an_answer(
    method: str, status: int, headers: list[HeaderPair], framing: Framing
) -> None:
    assert response_framing(method, status, headers) == framing


@pytest.mark.parametrize(
    "headers",
    [
        [(b"Content-Length", b"3"), (b"content-length", b"3")],
        [(b"Content-Length", b"3"), (b"Transfer-Encoding", b"chunked")],
        [(b"Transfer-Encoding", b"gzip, chunked")],
        [(b"Content-Length", b"-1")],
    ],
)
def test_an_answer_that_is_ambiguous(headers: list[HeaderPair]) -> None:
    for method in ("GET", "HEAD"):
        with pytest.raises(BadHead):
            response_framing(method, 200, headers)

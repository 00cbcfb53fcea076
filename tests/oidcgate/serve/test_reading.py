"""Whatever bytes come, and however they are cut: no failure of ours, and always the same requests.

Which heads are refused is in `test_request_head`, how much of a body is read ahead in `test_exchange`.
"""

import logging
from collections.abc import Callable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.oidcgate.serve.wire import Recorder, Wire, echo, run

LINES = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n",
        b"POST /a%20b?c=d HTTP/1.1\r\n",
        b"HEAD / HTTP/1.0\r\n",
        b"OPTIONS * HTTP/1.1\r\n",
        b"GET http://a/ HTTP/1.1\r\n",
        b"Host: a\r\n",
        b"Host: a\n",
        b"Connection: close\r\n",
        b"Connection: upgrade\r\n",
        b"Upgrade: h2c\r\n",
        b"Upgrade: websocket\r\n",
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: 0\r\n",
        b"Content-Length: +5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"X: y\r\n z\r\n",
        b"\r\n",
        b"\n",
        b"hello",
        b"5\r\nhello\r\n",
        b"5;a=b\r\nhello\r\n",
        b"0\r\n",
        b"0\r\n\r\n",
        b"zz\r\n",
    ]
)
WHOLE = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n"
        b"Content-Length: 5\r\n\r\nhello",
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nearly",
    ]
)


@st.composite
def conversations(draw: st.DrawFn) -> bytes:
    """Requests, things that look like some, and bytes changed in either."""
    data = bytearray(b"".join(draw(st.lists(st.one_of(WHOLE, WHOLE, LINES), min_size=1, max_size=12))))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data) - 1))
        data[at] = draw(st.one_of(st.integers(0, 255), st.sampled_from(b"\r\n\t :;,%\0")))
    return bytes(data)


async def outcome(
    pieces: list[bytes],
) -> tuple[list[tuple[str, bytes, list[tuple[bytes, bytes]]]], bytes, bool]:
    """The requests that the app heard of, all that was answered, and whether that was all."""
    app = Recorder(echo)
    wire = await Wire(app).feed(*pieces)
    heard = [(scope["type"], scope["raw_path"], scope["headers"]) for scope in app.scopes]
    sent, ended = wire.sent, wire.ended
    await wire.leave()
    assert not wire.service.connections
    assert not wire.service.tasks
    return heard, sent, ended


@given(conversations(), st.lists(st.integers(0, 400), max_size=6))
def test_how_bytes_are_cut_changes_nothing(data: bytes, cuts: list[int]) -> None:
    async def test() -> None:
        whole = await outcome([data])
        edges = [0, *sorted({cut for cut in cuts if cut < len(data)}), len(data)]
        pieces = [data[start:end] for start, end in pairwise(edges) if start < end]
        single = [data[at : at + 1] for at in range(len(data))]
        for other in (await outcome(pieces), await outcome(single)):
            less, more = sorted((whole[0], other[0]), key=len)
            # The app may have heard of one whose body then was none, or it was found out before its turn.
            assert less == more[: len(less)]
            assert len(more) - len(less) <= (b"HTTP/1.1 400" in whole[1])
            # Who waits for 100 is told so, unless the body is there already.
            interim = b"HTTP/1.1 100 Continue\r\n\r\n"
            assert other[1].replace(interim, b"") == whole[1].replace(interim, b"")
            assert other[2] == whole[2]

    with_log_silenced(lambda: run(test()))


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_any_bytes_at_all(pieces: list[bytes]) -> None:
    async def test() -> None:
        heard, sent, _ = await outcome(pieces)
        assert heard == [] or b"HTTP/1." in b"".join(pieces)
        assert b"HTTP/1.1 500" not in sent

    with_log_silenced(lambda: run(test()))


def with_log_silenced(call: Callable[[], None]) -> None:
    """The app answers no WebSocket, which is its failure and would be logged a thousand times."""
    log = logging.getLogger("oidcgate.serve")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        call()
    finally:
        log.setLevel(level)

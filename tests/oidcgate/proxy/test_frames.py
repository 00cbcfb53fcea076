"""The frames of a WebSocket, followed without being held: `oidcgate.proxy.frames`."""

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode

from oidcgate.proxy.frames import FrameFault, Frames, close_frame

LIMIT = 1000
KEY = b"mask"


def client(limit: int = LIMIT, *, extensions: bool = False) -> Frames:
    return Frames(from_client=True, extensions=extensions, message_bytes=limit)


def server(limit: int = LIMIT, *, extensions: bool = False) -> Frames:
    return Frames(from_client=False, extensions=extensions, message_bytes=limit)


def fed(frames: Frames, chunks: Iterable[bytes]) -> bytes:
    return b"".join([frames.feed(chunk) for chunk in chunks])


def head(first: int, length: int, *, masked: bool = False, form: int | None = None) -> bytes:
    """A frame's head, whether or not a frame may have it; `form` forces how the length is written."""
    if form is None:
        form = length if length < 126 else 126 if length < 65536 else 127
    mask = 0x80 if masked else 0
    written = b"" if form < 126 else length.to_bytes(2 if form == 126 else 8, "big")
    return bytes([first, form | mask]) + written + (KEY if masked else b"")


def frame(first: int, payload: bytes, *, masked: bool = False) -> bytes:
    return head(first, len(payload), masked=masked) + payload


PASSES = [
    pytest.param(frame(0x81, b""), id="empty text"),
    pytest.param(frame(0x82, b"x" * 125), id="one byte of length, longest"),
    pytest.param(frame(0x82, b"x" * 126), id="two bytes of length, shortest"),
    pytest.param(frame(0x82, b"x" * LIMIT), id="as long as allowed"),
    pytest.param(frame(0x01, b"a") + frame(0x80, b"b"), id="two frames"),
    pytest.param(frame(0x01, b"") + frame(0x00, b"") + frame(0x80, b""), id="three empty frames"),
    pytest.param(frame(0x02, b"x" * (LIMIT - 1)) + frame(0x80, b"x"), id="as long as allowed, in two frames"),
    pytest.param(frame(0x01, b"a") + frame(0x89, b"ping") + frame(0x80, b"b"), id="ping within a message"),
    pytest.param((frame(0x02, b"x" * 600) + frame(0x80, b"x" * 400)) * 3, id="the sum begins anew"),
    pytest.param(frame(0x8A, b"x" * 125), id="longest pong"),
    pytest.param(frame(0x89, b"x" * 125) * 20, id="control frames are no message"),
    pytest.param(frame(0x88, b""), id="close without a code"),
    pytest.param(frame(0x88, b"\x03\xe8"), id="close with a code"),
    pytest.param(frame(0x01, b"a") + frame(0x88, b""), id="close within a message"),
]


@pytest.mark.parametrize("stream", PASSES)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100000])
def test_what_is_well_formed_passes(stream: bytes, size: int) -> None:
    frames = server()
    chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert fed(frames, chunks) == stream
    assert frames.fault is None


BAD = [
    pytest.param(head(0xC1, 1), FrameFault.RESERVED_BIT, id="first reserved bit"),
    pytest.param(head(0xA1, 1), FrameFault.RESERVED_BIT, id="second reserved bit"),
    pytest.param(head(0x91, 1), FrameFault.RESERVED_BIT, id="third reserved bit"),
    pytest.param(head(0xC9, 1), FrameFault.RESERVED_BIT, id="reserved bit of a ping"),
    *[
        pytest.param(head(0x80 | opcode, 1), FrameFault.RESERVED_OPCODE, id=f"opcode {opcode}")
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    ],
    pytest.param(head(0x81, 1, masked=True), FrameFault.MASK_FORBIDDEN, id="masked by a server"),
    pytest.param(head(0x88, 2, masked=True), FrameFault.MASK_FORBIDDEN, id="close masked by a server"),
    pytest.param(head(0x82, 1 << 63, form=127), FrameFault.LENGTH_HIGH_BIT, id="length with high bit"),
    pytest.param(head(0x82, (1 << 64) - 1, form=127), FrameFault.LENGTH_HIGH_BIT, id="longest number"),
    pytest.param(head(0x82, (1 << 63) - 1, form=127), FrameFault.MESSAGE_TOO_BIG, id="longest length"),
    pytest.param(head(0x82, 125, form=126), FrameFault.LENGTH_NOT_MINIMAL, id="two bytes for 125"),
    pytest.param(head(0x82, 0, form=126), FrameFault.LENGTH_NOT_MINIMAL, id="two bytes for 0"),
    pytest.param(head(0x82, 126, form=127), FrameFault.LENGTH_NOT_MINIMAL, id="eight bytes for 126"),
    pytest.param(head(0x82, 65535, form=127), FrameFault.LENGTH_NOT_MINIMAL, id="eight bytes for 65535"),
    pytest.param(head(0x82, 65536), FrameFault.MESSAGE_TOO_BIG, id="eight bytes for 65536 are right"),
    pytest.param(head(0x09, 1), FrameFault.CONTROL_FRAGMENTED, id="ping without FIN"),
    pytest.param(head(0x08, 2), FrameFault.CONTROL_FRAGMENTED, id="close without FIN"),
    pytest.param(head(0x89, 126), FrameFault.CONTROL_TOO_LONG, id="ping of 126"),
    pytest.param(head(0x88, 70000), FrameFault.CONTROL_TOO_LONG, id="close of 70000"),
    pytest.param(head(0x88, 1), FrameFault.CLOSE_TOO_SHORT, id="close of one byte"),
    pytest.param(head(0x80, 1), FrameFault.NOTHING_TO_CONTINUE, id="continuation first"),
    pytest.param(head(0x00, 1), FrameFault.NOTHING_TO_CONTINUE, id="open continuation first"),
    pytest.param(head(0x82, LIMIT + 1), FrameFault.MESSAGE_TOO_BIG, id="one byte too long"),
]

# After each of these, well-formed itself, each bad frame is as bad; the last ones are bad only there.
BEFORE = [b"", frame(0x81, b"hello"), frame(0x82, b"x" * 300) + frame(0x89, b"")]


@pytest.mark.parametrize("size", [1, 3, 100000])
@pytest.mark.parametrize("before", BEFORE, ids=["first", "second", "third"])
@pytest.mark.parametrize(("bad", "fault"), BAD)
def test_nothing_of_a_bad_frame_passes(bad: bytes, fault: FrameFault, before: bytes, size: int) -> None:
    stream = before + bad + b"payload" + frame(0x81, b"more")
    frames = server()
    chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert fed(frames, chunks) == before
    assert frames.fault is fault
    assert frames.between_frames  # so a Close frame may follow what has passed


@pytest.mark.parametrize(
    ("started", "bad", "fault"),
    [
        pytest.param(frame(0x01, b"a"), head(0x81, 1), FrameFault.MESSAGE_UNFINISHED, id="text within text"),
        pytest.param(
            frame(0x02, b"a"), head(0x02, 1), FrameFault.MESSAGE_UNFINISHED, id="binary within binary"
        ),
        pytest.param(
            frame(0x02, b"x" * LIMIT),
            head(0x80, 1),
            FrameFault.MESSAGE_TOO_BIG,
            id="too big by the last frame",
        ),
        pytest.param(
            frame(0x02, b"x" * 600) + frame(0x89, b"") + frame(0x00, b"x" * 400),
            head(0x00, 1),
            FrameFault.MESSAGE_TOO_BIG,
            id="too big over frames",
        ),
    ],
)
def test_what_is_wrong_only_within_a_message(started: bytes, bad: bytes, fault: FrameFault) -> None:
    frames = server()
    assert frames.feed(started + bad + b"rest") == started
    assert frames.fault is fault


def test_the_limit_may_be_smaller_than_the_shortest_form_of_length() -> None:
    frames = server(10)
    assert frames.feed(frame(0x82, b"x" * 10)) != b""
    assert frames.feed(frame(0x82, b"x" * 11)) == b""
    assert frames.fault is FrameFault.MESSAGE_TOO_BIG


@pytest.mark.parametrize("first", [0x81, 0x02, 0x80, 0x88, 0x89])
def test_frames_of_a_client_must_be_masked(first: int) -> None:
    frames = client()
    assert frames.feed(head(first, 2) + b"ab") == b""
    assert frames.fault is FrameFault.MASK_MISSING


@pytest.mark.parametrize("first", [0x81, 0x82, 0x02, 0x88, 0x89])
def test_masked_frames_of_a_client_pass(first: int) -> None:
    frames = client()
    stream = frame(first, b"ab", masked=True)
    assert fed(frames, (stream[at : at + 1] for at in range(len(stream)))) == stream
    assert frames.fault is None


def test_an_extension_may_use_the_reserved_bits_and_nothing_else() -> None:
    frames = server(extensions=True)
    stream = frame(0xC1, b"deflated") + frame(0x41, b"de") + frame(0x80, b"flated") + frame(0xF2, b"any")
    assert frames.feed(stream) == stream
    assert frames.feed(head(0xC3, 1)) == b""
    assert frames.fault is FrameFault.RESERVED_OPCODE


def test_too_big_is_told_otherwise_than_malformed() -> None:
    codes = {fault: fault.close_code for fault in FrameFault}
    assert codes.pop(FrameFault.MESSAGE_TOO_BIG) == 1009
    assert set(codes.values()) == {1002}


@pytest.mark.parametrize(
    ("arrived", "passed", "between"),
    [
        pytest.param(b"", b"", True, id="nothing"),
        pytest.param(frame(0x81, b"a"), frame(0x81, b"a"), True, id="a whole frame"),
        pytest.param(head(0x81, 2), head(0x81, 2), False, id="a head"),
        pytest.param(head(0x81, 2) + b"a", head(0x81, 2) + b"a", False, id="half a payload"),
        pytest.param(b"\x81", b"", True, id="half a head is held"),
        pytest.param(b"\x81\x7e\x01", b"", True, id="half a length is held"),
        pytest.param(frame(0x81, b"a") + b"\x81", frame(0x81, b"a"), True, id="a frame and half a head"),
        pytest.param(frame(0x01, b"a"), frame(0x01, b"a"), True, id="a frame of a message"),
        pytest.param(frame(0x88, b""), frame(0x88, b""), False, id="nothing may follow a close"),
    ],
)
def test_where_a_frame_may_be_put_in(arrived: bytes, passed: bytes, between: bool) -> None:
    frames = server()
    assert frames.feed(arrived) == passed
    assert frames.between_frames is between


def test_half_a_mask_is_held() -> None:
    frames = client()
    whole = frame(0x81, b"a", masked=True)
    assert frames.feed(whole[:5]) == b""
    assert frames.between_frames
    assert frames.feed(whole[5:]) == whole


@pytest.mark.parametrize("size", [1, 2, 100])
def test_bytes_behind_a_close_are_dropped(size: int) -> None:
    closing = frame(0x81, b"a") + frame(0x88, b"\x03\xe8bye")
    stream = closing + frame(0x81, b"late") + b"\xff\xff"
    frames = server()
    assert fed(frames, [stream[at : at + size] for at in range(0, len(stream), size)]) == closing
    assert frames.fault is None
    assert frames.closed


def test_a_close_is_seen_when_all_of_it_has_passed() -> None:
    frames = server()
    frames.feed(head(0x88, 2))
    assert not frames.closed
    frames.feed(b"\x03")
    assert not frames.closed
    frames.feed(b"\xe8")
    assert frames.closed


def test_what_passes_whole_is_not_copied() -> None:
    frames = server(1 << 24)
    for chunk in (head(0x82, 300000), bytes(200000), bytes(100000), frame(0x81, b"a") * 3):
        assert frames.feed(chunk) is chunk


@pytest.mark.parametrize("code", [1001, 1002, 1008, 1009])
def test_a_close_frame_is_what_the_other_library_writes(code: int) -> None:
    expected = Frame(Opcode.CLOSE, Close(code, "").serialize())
    assert close_frame(code) == expected.serialize(mask=False)
    frames = client()
    masked = close_frame(code, mask=b"\x01\x02\x03\x04")
    assert frames.feed(masked) == masked
    assert frames.closed
    assert bytes(a ^ b for a, b in zip(masked[6:], b"\x01\x02", strict=True)) == code.to_bytes(2, "big")


# ---- any chunking gives the same


def _serialized(opcode: Opcode, payload: bytes, fin: bool, masked: bool) -> bytes:
    return Frame(opcode, payload, fin=fin).serialize(mask=masked)


_PAYLOADS = st.one_of(
    st.binary(max_size=20),
    st.sampled_from([125, 126, 127, 300]).map(bytes),
)


@st.composite
def _message(draw: st.DrawFn, masked: bool) -> bytes:
    parts = draw(st.lists(_PAYLOADS, min_size=1, max_size=3))
    control = draw(st.sampled_from([None, Opcode.PING, Opcode.PONG]))
    wire = b""
    for number, part in enumerate(parts):
        opcode = Opcode.CONT if number else draw(st.sampled_from([Opcode.TEXT, Opcode.BINARY]))
        wire += _serialized(opcode, part, number == len(parts) - 1, masked)
        if control is not None:
            wire += _serialized(control, b"now", True, masked)
    return wire


@st.composite
def _chunked(draw: st.DrawFn, stream: bytes) -> list[bytes]:
    cuts = draw(st.lists(st.integers(0, len(stream)), max_size=30))
    ends = sorted({*cuts, len(stream)} - {0})
    return [stream[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@st.composite
def _conversation(draw: st.DrawFn) -> tuple[bool, bytes, list[bytes]]:
    masked = draw(st.booleans())
    stream = b"".join(draw(st.lists(_message(masked), max_size=5)))
    return masked, stream, draw(_chunked(stream))


@given(_conversation())
def test_messages_pass_in_any_chunks(conversation: tuple[bool, bytes, list[bytes]]) -> None:
    masked, stream, chunks = conversation
    frames = client() if masked else server()
    assert fed(frames, chunks) == stream
    assert frames.fault is None
    assert frames.between_frames


@given(_conversation(), st.sampled_from([case.values for case in BAD]), st.data())
def test_a_bad_frame_stops_in_any_chunks(
    conversation: tuple[bool, bytes, list[bytes]], bad: Sequence[object], data: st.DataObject
) -> None:
    masked, before, _ = conversation
    wire, fault = bad
    assert isinstance(wire, bytes)
    if masked or fault is FrameFault.MASK_FORBIDDEN:
        wire, fault = (
            head(0x81, 1, masked=not masked),
            (FrameFault.MASK_MISSING if masked else FrameFault.MASK_FORBIDDEN),
        )
    frames = client() if masked else server()
    assert fed(frames, data.draw(_chunked(before + wire + b"behind"))) == before
    assert frames.fault is fault
    assert frames.between_frames


@given(
    st.binary(max_size=400).flatmap(lambda stream: st.tuples(st.just(stream), _chunked(stream))),
    st.booleans(),
)
def test_any_bytes_in_any_chunks_give_the_same(case: tuple[bytes, list[bytes]], from_client: bool) -> None:
    stream, chunks = case
    whole = client(50) if from_client else server(50)
    parts = client(50) if from_client else server(50)
    passed = whole.feed(stream)
    assert fed(parts, chunks) == passed
    assert stream.startswith(passed)
    assert (parts.fault, parts.closed, parts.between_frames) == (
        whole.fault,
        whole.closed,
        whole.between_frames,
    )

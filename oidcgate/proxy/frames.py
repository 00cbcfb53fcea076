"""Where the frames of a WebSocket begin and end, without holding or opening any of them. Pure.

Here live `Frames`, which follows one direction of a connection and says which of its bytes may pass,
`FrameFault`, what can be wrong with a frame's head, and `close_frame`. Payload is skipped by arithmetic: it
is neither unmasked nor inflated nor checked for UTF-8, because it belongs to the two endpoints, who
negotiated extensions that nobody here knows. Whose bytes these are, and what happens after a fault, is the
subject of `oidcgate.proxy.tunnel`.
"""

from enum import StrEnum
from typing import Final

__all__ = ["CLOSE_GOING_AWAY", "CLOSE_POLICY", "FrameFault", "Frames", "close_frame"]

# RFC 6455 7.4.1
CLOSE_GOING_AWAY: Final = 1001
CLOSE_PROTOCOL: Final = 1002
CLOSE_POLICY: Final = 1008
CLOSE_TOO_BIG: Final = 1009

_FIN: Final = 0x80
_RESERVED_BITS: Final = 0x70
_MASKED: Final = 0x80
_CONTINUATION: Final = 0x0
_BINARY: Final = 0x2
_CLOSE: Final = 0x8
_PONG: Final = 0xA
_CONTROL_LENGTH: Final = 125
_WHOLE: Final = (0x81, 0x82)  # FIN, text or binary


class FrameFault(StrEnum):
    """Why a stream of frames may not go on. Spec: RFC 6455 5.2 to 5.5."""

    RESERVED_BIT = "reserved_bit_without_extension"
    RESERVED_OPCODE = "reserved_opcode"
    MASK_MISSING = "frame_of_client_not_masked"
    MASK_FORBIDDEN = "frame_of_server_masked"
    LENGTH_HIGH_BIT = "length_with_high_bit"
    LENGTH_NOT_MINIMAL = "length_not_in_fewest_bytes"
    CONTROL_FRAGMENTED = "control_frame_fragmented"
    CONTROL_TOO_LONG = "control_frame_too_long"
    CLOSE_TOO_SHORT = "close_frame_of_one_byte"
    NOTHING_TO_CONTINUE = "continuation_without_message"
    MESSAGE_UNFINISHED = "message_within_message"
    MESSAGE_TOO_BIG = "message_too_big"

    @property
    def close_code(self) -> int:
        """The status code that tells both endpoints. Spec: RFC 6455 7.4.1."""
        return CLOSE_TOO_BIG if self is FrameFault.MESSAGE_TOO_BIG else CLOSE_PROTOCOL


class Frames:
    """One direction of one connection. What `feed` returns may be sent on; nothing else may.

    A head of which a part has not arrived yet is held back (13 bytes at most), so that what has been passed
    on always ends inside a payload or between two frames, never inside a head, and a bad frame is refused
    before a byte of it has passed.

    Attributes:
        fault: what was wrong; None while nothing is. After a fault nothing passes any more.
    """

    __slots__ = (
        "_close_seen",
        "_held",
        "_in_message",
        "_left",
        "_limit",
        "_mask",
        "_message",
        "_reserved",
        "fault",
    )

    def __init__(self, *, from_client: bool, extensions: bool, message_bytes: int) -> None:
        """
        Args:
            from_client: whether the frames must be masked; those of a server must not be (RFC 6455 5.1).
            extensions: whether the endpoints agreed on any; without, the three reserved bits must be 0.
            message_bytes: the most that one message may have on the wire, over all its frames.
        """
        self._mask = _MASKED if from_client else 0
        self._reserved = 0 if extensions else _RESERVED_BITS
        self._limit = message_bytes
        self._left = 0  # of the payload that is passing
        self._message = 0  # bytes announced so far of a message in several frames
        self._in_message = False
        self._close_seen = False
        self._held = b""
        self.fault: FrameFault | None = None

    @property
    def between_frames(self) -> bool:
        """Whether a frame may be put in behind what has passed: none is cut, and none was the last."""
        return not self._left and not self._close_seen

    @property
    def closed(self) -> bool:
        """Whether a whole Close frame has passed."""
        return self._close_seen and not self._left

    def feed(self, data: bytes) -> bytes:
        """Take what arrived and return what of it, and of what was held, may pass now.

        Nearly always this is `data` itself, not a copy. Bytes behind a Close frame are dropped: an endpoint
        must not send any (RFC 6455 5.5.1), and its peer would not read them.
        """
        left = self._left
        if left >= len(data):
            self._left = left - len(data)
            return data
        self._left = 0
        if self._close_seen or self.fault is not None:
            return data[:left]
        if self._held:
            data = self._held + data
            self._held = b""
        passes = self._skip_frames(data, left)
        if passes < len(data):
            if not self._close_seen and self.fault is None:
                self._held = data[passes:]
            return data[:passes]
        self._left = passes - len(data)
        return data

    def _skip_frames(self, data: bytes, start: int) -> int:
        """Where the last frame whose whole head is in `data` ends, which may be behind the end of `data`.

        Args:
            start: where a head begins.
        """
        end = len(data)
        mask = self._mask
        head = 6 if mask else 2
        short = min(self._limit, _CONTROL_LENGTH)
        whole_frame_bits = 0x8F | self._reserved
        while start + 1 < end:
            first = data[start]
            second = data[start + 1]
            # Most frames are a short message in one: judged here in one look, all others below.
            if second ^ mask <= short and first & whole_frame_bits in _WHOLE and not self._in_message:
                if start + head > end:
                    return start
                start += head + (second ^ mask)
                continue
            length = second & 0x7F
            payload = start + 2
            if length == 126:
                payload += 2
                length = int.from_bytes(data[start + 2 : payload], "big")
            elif length == 127:
                payload += 8
                length = int.from_bytes(data[start + 2 : payload], "big")
            fault = self._fault_of(first, second)
            if fault is None and payload <= end:
                fault = self._fault_of_length(first, second, length)
            if fault is not None:
                self.fault = fault
                return start
            if second & _MASKED:
                payload += 4
            if payload > end:
                return start
            opcode = first & 0x0F
            if opcode <= _BINARY:
                self._in_message = not first & _FIN
                self._message = self._message + length if self._in_message else 0
            elif opcode == _CLOSE:
                self._close_seen = True
                return payload + length
            start = payload + length
        return start

    def _fault_of(self, first: int, second: int) -> FrameFault | None:
        """What is wrong with the first two bytes of a head."""
        opcode = first & 0x0F
        if first & self._reserved:
            return FrameFault.RESERVED_BIT
        if (second ^ self._mask) & _MASKED:
            return FrameFault.MASK_MISSING if self._mask else FrameFault.MASK_FORBIDDEN
        if opcode <= _BINARY:
            if opcode == _CONTINUATION:
                return None if self._in_message else FrameFault.NOTHING_TO_CONTINUE
            return FrameFault.MESSAGE_UNFINISHED if self._in_message else None
        if not _CLOSE <= opcode <= _PONG:
            return FrameFault.RESERVED_OPCODE
        if not first & _FIN:
            return FrameFault.CONTROL_FRAGMENTED
        length = second & 0x7F
        if length > _CONTROL_LENGTH:
            return FrameFault.CONTROL_TOO_LONG
        if opcode == _CLOSE and length == 1:
            return FrameFault.CLOSE_TOO_SHORT
        return None

    def _fault_of_length(self, first: int, second: int, length: int) -> FrameFault | None:
        """What is wrong with a length, once all its bytes are there."""
        form = second & 0x7F
        if form == 126:
            if length < 126:
                return FrameFault.LENGTH_NOT_MINIMAL
        elif form == 127:
            if length >> 63:
                return FrameFault.LENGTH_HIGH_BIT
            if length < 1 << 16:
                return FrameFault.LENGTH_NOT_MINIMAL
        if first & 0x0F <= _BINARY and self._message + length > self._limit:
            return FrameFault.MESSAGE_TOO_BIG
        return None


def close_frame(code: int, *, mask: bytes = b"") -> bytes:
    """A Close frame without a reason text.

    Args:
        mask: four bytes that nobody can guess, in a frame from a client to a server; else none.

    Spec: RFC 6455 5.5.1, 5.3
    """
    payload = code.to_bytes(2, "big")
    if not mask:
        return b"\x88\x02" + payload
    return b"\x88\x82" + mask + bytes(byte ^ key for byte, key in zip(payload, mask, strict=False))

"""The intercom: what one says, everybody hears whose page is open. WebSockets, spelled out by hand.

Only what a browser sends: whole, masked text frames, ping and close. Spec: RFC 6455.
"""

import base64
import hashlib
import json
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedIOBase

MESSAGE_BYTES = 4096
_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10
_NORMAL, _PROTOCOL_ERROR, _NOT_UNDERSTOOD, _TOO_BIG = 1000, 1002, 1003, 1009


class _Ended(Exception):
    """The line ends, with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def answer_to(key: str) -> str:
    """What a server answers to the key of a handshake."""
    return base64.b64encode(hashlib.sha1((key + _MAGIC).encode()).digest()).decode()  # noqa: S324 (RFC 6455)


@dataclass
class Intercom:
    """Everybody who listens."""

    lines: set["Line"] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, line: "Line") -> None:
        """Stay on the line until it ends."""
        with self._lock:
            self.lines.add(line)
        try:
            self.tell({"who": line.name, "said": None})
            while (text := line.hear()) is not None:
                self.tell({"who": line.name, "said": text})
        finally:
            with self._lock:
                self.lines.discard(line)

    def tell(self, what: dict[str, str | None]) -> None:
        """Send to all; who has gone is found out by the thread that listens there."""
        with self._lock:
            lines = list(self.lines)
        for line in lines:
            # ValueError: a line that ended a moment ago, its file closed. Nobody else is to suffer for it.
            with suppress(OSError, ValueError):
                line.say(json.dumps(what))


@dataclass(eq=False)
class Line:
    """One open page."""

    name: str
    reader: BufferedIOBase
    writer: BufferedIOBase
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, text: str) -> None:
        self._send(_TEXT, text.encode())

    def hear(self) -> str | None:
        """The next thing said; None when the line has ended, which is then said to the other side."""
        try:
            while True:
                opcode, content = self._frame()
                if opcode == _TEXT:
                    return content.decode()
                if opcode == _PING:
                    self._send(_PONG, content)
                elif opcode == _CLOSE:
                    raise _Ended(_NORMAL)
                elif opcode != _PONG:
                    raise _Ended(_NOT_UNDERSTOOD)
        except _Ended as end:
            with suppress(OSError):
                self._send(_CLOSE, struct.pack("!H", end.code))
        except UnicodeDecodeError:
            with suppress(OSError):
                self._send(_CLOSE, struct.pack("!H", 1007))
        except (OSError, EOFError):
            pass
        return None

    def _frame(self) -> tuple[int, bytes]:
        first, second = self._read(2)
        if not first & 0x80 or first & 0x70:
            raise _Ended(_NOT_UNDERSTOOD)
        if not second & 0x80:
            raise _Ended(_PROTOCOL_ERROR)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self._read(2))
        if second & 0x7F == 127 or length > MESSAGE_BYTES:
            raise _Ended(_TOO_BIG)
        mask, content = self._read(4), self._read(length)
        return first & 0x0F, bytes(byte ^ mask[index % 4] for index, byte in enumerate(content))

    def _read(self, count: int) -> bytes:
        content = self.reader.read(count)
        if len(content) < count:
            raise EOFError
        return content

    def _send(self, opcode: int, content: bytes) -> None:
        length = bytes([len(content)]) if len(content) < 126 else struct.pack("!BH", 126, len(content))
        with self._lock:
            self.writer.write(bytes([0x80 | opcode]) + length + content)
            self.writer.flush()

"""HTTP by bytes: what is sent is sent as it is, and whatever comes back is read, however many answers.

For clients that no library lets one be. The answers are read strictly: an answer that no client could be sure
to understand is an error.
"""

import contextlib
import re
import socket
import time
from collections.abc import Sequence
from typing import NamedTuple

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?\r\n")
_ANY_STATUS = re.compile(rb"HTTP/[0-9.]+ ([1-5][0-9]{2})(?: [^\r\n]*)?\r\n")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\x00]*?)[ \t]*\r\n")


class BadAnswer(Exception):
    """What came back is no HTTP."""


class Response(NamedTuple):
    """One answer.

    Attributes:
        headers: names in lower case.
        whole: whether it came to its end.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    whole: bool = True

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]


class Heard(NamedTuple):
    """All that came back on one connection.

    Attributes:
        responses: the final ones, in order; 101 as well.
        closed: whether the server closed the connection; else nothing more came for a while.
        rest: what is no answer: bytes of a tunnel.
    """

    responses: list[Response]
    closed: bool
    rest: bytes = b""


def exchange(
    port: int,
    sent: bytes,
    *,
    heads: Sequence[bool] = (),
    awaited: int = 0,
    idle_seconds: float = 0.5,
    deadline_seconds: float = 20,
    strict: bool = True,
) -> Heard:
    """Send bytes on a new connection and hear what comes back.

    Args:
        heads: of each answer, whether it is one to HEAD, so without a body; those not named are not.
        awaited: how many answers are waited for up to the deadline, unless the connection is closed.
        idle_seconds: for how long nothing has to come after those until nothing more is awaited.
        strict: whether HTTP/1.1 is the only version that a server may answer in.

    Raises:
        BadAnswer: something came that is no HTTP, or not enough of it.
    """
    data = bytearray()
    closed = False
    with socket.create_connection(("127.0.0.1", port), timeout=deadline_seconds) as connection:
        # Refused before it was read to its end, the answer may be there all the same.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(sent)
        give_up = time.monotonic() + deadline_seconds
        while not closed:
            patient = data.count(b"HTTP/1.") < awaited
            connection.settimeout(max(0.01, give_up - time.monotonic()) if patient else idle_seconds)
            try:
                part = connection.recv(65_536)
            except TimeoutError:
                break
            except ConnectionResetError:
                part = b""
            closed = not part
            data += part
    return _read(bytes(data), heads, closed, strict)


def _read(data: bytes, heads: Sequence[bool], closed: bool, strict: bool) -> Heard:
    responses: list[Response] = []
    while data:
        bodiless = len(responses) < len(heads) and heads[len(responses)]
        response, rest = _one(data, bodiless, closed, strict)
        if bodiless and response.status >= 400 and closed and not rest.startswith(b"HTTP/"):
            # Who did not understand a request does not know that it was a HEAD.
            response, rest = response._replace(body=rest), b""
        data = rest
        if response.status == 101:
            return Heard([*responses, response], closed, data)
        if response.status >= 200:
            responses.append(response)
    return Heard(responses, closed)


def _one(data: bytes, bodiless: bool, closed: bool, strict: bool) -> tuple[Response, bytes]:
    status = (_STATUS if strict else _ANY_STATUS).match(data)
    if status is None:
        raise BadAnswer(f"no status line: {data[:200]!r}")
    code, at = int(status[1]), status.end()
    headers: list[tuple[str, str]] = []
    while data[at : at + 2] != b"\r\n":
        field = _FIELD.match(data, at)
        if field is None:
            raise BadAnswer(f"no header field: {data[at : at + 200]!r}")
        headers.append((field[1].decode().lower(), field[2].decode("latin-1")))
        at = field.end()
    rest = data[at + 2 :]
    response = Response(code, headers, b"")
    lengths, codings = response.all("content-length"), response.all("transfer-encoding")
    if code < 200 or code in (204, 304) or bodiless:
        return response, rest
    if codings:
        if codings != ["chunked"] or lengths:
            raise BadAnswer(f"framing: {codings}, {lengths}")
        return _chunks(response, rest)
    if lengths:
        if len(lengths) != 1 or not re.fullmatch("[0-9]+", lengths[0]):
            raise BadAnswer(f"framing: {lengths}")
        size = int(lengths[0])
        return response._replace(body=rest[:size], whole=len(rest) >= size), rest[size:]
    return response._replace(body=rest, whole=closed), b""


def _chunks(response: Response, data: bytes) -> tuple[Response, bytes]:
    body = b""
    while (line := re.match(rb"([0-9a-fA-F]+)\r\n", data)) is not None:
        size, start = int(line[1], 16), line.end()
        if size == 0:
            if data[start : start + 2] != b"\r\n":
                break
            return response._replace(body=body), data[start + 2 :]
        body += data[start : start + size]
        if data[start + size : start + size + 2] != b"\r\n":
            break
        data = data[start + size + 2 :]
    return response._replace(body=body, whole=False), b""

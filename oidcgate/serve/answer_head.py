"""The head of an answer, and what it says of the body behind it. Pure: bytes in, bytes out.

Here lives `answer_head`. How a body is framed, and whether the connection stays, is for the server alone to
say: an app's word on either is taken as a wish or dropped. Who writes head and body is `exchange` next door;
the answers to what is no request are `request_head`'s.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from oidcgate.proxy.fields import ByName, HeaderPair, is_token
from oidcgate.proxy.framing import STATUS_WITHOUT_BODY

__all__ = ["AnswerHead", "answer_head"]


#: A head with its empty line; whether another request may follow; whether nothing of the body is written
#: (`mute`); whether it is written in chunks; or else its announced length. Where there is none of the three,
#: the body ends with the connection. A plain tuple: to make one with names would take a tenth of the rest.
AnswerHead = tuple[bytes, bool, bool, bool, int | None]


class _Field(IntEnum):
    """What a field of an answer means for the way it is written."""

    PLAIN = 0
    LENGTH = 1
    CODING = 2
    CONNECTION = 3
    DATE = 4


_MEANINGS: Final = {
    b"content-length": _Field.LENGTH,
    b"transfer-encoding": _Field.CODING,
    b"connection": _Field.CONNECTION,
    b"keep-alive": _Field.CONNECTION,
    b"date": _Field.DATE,
}


def _meaning_of(name: bytes) -> _Field:
    if not is_token(name):
        raise ValueError("an answer has a field whose name is no token")
    return _MEANINGS.get(name.lower(), _Field.PLAIN)


_MEANING_OF = ByName(_meaning_of)
# A member of an Enum takes longer to find than the field takes to write.
_LENGTH, _CONNECTION, _DATE = _Field.LENGTH, _Field.CONNECTION, _Field.DATE


def answer_head(
    status: int, headers: Iterable[HeaderPair], method: str, http_version: str, keep_alive: bool, date: bytes
) -> AnswerHead:
    """The head that says what an app says, and no more than is true.

    Args:
        status: of the app.
        headers: of the app; names in any case.
        method: of the request; HEAD is answered without a body.
        http_version: of the request; only 1.1 knows chunks.
        keep_alive: whether another request may follow, as far as the request goes.
        date: a Date field with its line break, unless the app says one.

    Raises:
        RuntimeError: such a status ends no request.
        ValueError: a field would not be read as it was meant.
    """
    if not 200 <= status <= 599:
        raise RuntimeError(f"the app answers with status {status}, which ends no request")
    bare = status in STATUS_WITHOUT_BODY
    parts = [STATUS_LINE[status]]
    length: int | None = None
    dated = False
    for name, value in headers:
        meaning = _MEANING_OF[name]
        if meaning:
            if meaning is _LENGTH:
                if bare:
                    continue
                if length is not None or not value.isdigit():
                    raise ValueError("the app's Content-Length is no length, or is given twice")
                length = int(value)
            elif meaning is _DATE:
                dated = True
            else:
                if meaning is _CONNECTION and b"close" in value.lower():
                    keep_alive = False
                continue
        parts += (name, b": ", value, b"\r\n")
    # One for the status and one for the end, beside those of fields.
    lines = len(parts) // 4 + 2
    if not dated:
        parts.append(date)
        lines += 1
    mute = bare or method == "HEAD"
    chunked = False
    if mute:
        length = None
    elif length is None:
        if http_version == "1.1":
            chunked = True
            parts.append(b"transfer-encoding: chunked\r\n")
            lines += 1
        else:
            keep_alive = False
    if keep_alive:
        parts.append(b"\r\n")
    else:
        parts.append(b"connection: close\r\n\r\n")
        lines += 1
    head = b"".join(parts)
    # One look at the whole instead of one at each value: every line break must be one of ours.
    if head.count(b"\n") != lines or head.count(b"\r") != lines or b"\0" in head:
        raise ValueError("the app's answer has a field with a line break or NUL in its value")
    return head, keep_alive, mute, chunked, length

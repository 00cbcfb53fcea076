"""The fields of an upstream's answer that the client gets. Pure.

Here lives `response_headers`. Where the body of the answer ends is `framing`'s next door; how an answer is
read from bytes is `answer`'s, and writing it is the server's.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

from oidcgate.proxy.fields import (
    HOP_BY_HOP,
    PLAIN_CONNECTION,
    BadHead,
    ByName,
    HeaderPair,
    HeadFault,
    breaks_a_line,
    is_token,
    nominated_by,
)
from oidcgate.proxy.framing import STATUS_WITHOUT_BODY

__all__ = ["response_headers"]


class _Verdict(StrEnum):
    """What becomes of a field that does not simply pass, by its name alone."""

    DROP = "drop"
    BAD = "bad"
    CONNECTION = "connection"
    LENGTH = "length"
    COOKIE = "cookie"


# Looked up for every field of every answer.
_LENGTH, _COOKIE, _CONNECTION = _Verdict.LENGTH, _Verdict.COOKIE, _Verdict.CONNECTION
_SPECIAL: Final = {
    b"connection": _Verdict.CONNECTION,
    b"content-length": _Verdict.LENGTH,
    b"set-cookie": _Verdict.COOKIE,
}


def _judge(name: bytes) -> bytes | _Verdict:
    """The name in lower case, if the field passes."""
    lower = name.lower()
    if not is_token(name):
        return _Verdict.BAD
    if lower in _SPECIAL:
        return _SPECIAL[lower]
    return _Verdict.DROP if lower in HOP_BY_HOP else lower


_NAMES = ByName(_judge)


def response_headers(
    status: int,
    headers: Sequence[HeaderPair],
    *,
    drop_cookie: Callable[[bytes], bool] | None = None,
) -> list[HeaderPair]:
    """The fields of an upstream's answer that the client gets, names in lower case, repeated ones kept apart.

    Content-Length passes, except where the status has no body: a 304 may say the length of what it does not
    send, and servers disagree whether that is a promise.

    Args:
        status: of a final answer.
        headers: the upstream's, names in any case.
        drop_cookie: asked of each Set-Cookie value whether it must not pass.

    Raises:
        BadHead: the status is not that of a final answer (an upgrade that nobody asked for is none), or a
            name or value could be read as two.
    """
    if not 200 <= status <= 599:
        raise BadHead(HeadFault.STATUS, 502)
    passed: list[HeaderPair] = []
    names = _NAMES
    nominating = False
    for name, value in headers:
        lower = names[name]
        if type(lower) is bytes:
            passed.append((lower, value))
        elif lower is _LENGTH:
            if status not in STATUS_WITHOUT_BODY:
                passed.append((b"content-length", value))
        elif lower is _COOKIE:
            if drop_cookie is None or not drop_cookie(value):
                passed.append((b"set-cookie", value))
        elif lower is _CONNECTION:
            nominating = nominating or value.lower() not in PLAIN_CONNECTION
        elif lower is _Verdict.BAD:
            raise BadHead(HeadFault.NAME, 502)
    if nominating:
        nominated = nominated_by(headers)
        passed = [pair for pair in passed if pair[0] not in nominated]
    if breaks_a_line(b"".join([value for _, value in passed])):
        raise BadHead(HeadFault.VALUE, 502)
    return passed

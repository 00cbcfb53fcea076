"""Which request heads are refused, beyond those that llhttp refuses already. Pure: values in, `Refusal` out.

Here live `Refusal`, the answer to what is no request, and the checks of target, request line, fields and
WebSocket handshake. llhttp, below httptools, takes no bare LF, folded line, control character, blank before a
colon or body with two lengths; the tests say so of each, and what it lets through is refused here. How the
bytes arrive is `oidcgate.serve.protocol`; how a body is framed is `oidcgate.proxy.framing`.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Final

from oidcgate.proxy.fields import BadHead, HeaderPair
from oidcgate.proxy.framing import Framing, request_framing

__all__ = [
    "WATCHED",
    "Refusal",
    "check_handshake",
    "check_host",
    "check_line",
    "check_target",
    "expects_continue",
    "framing_of",
    "head_size",
    "is_token_in",
    "subprotocols",
]

#: Fields that say something about the body or the protocol: rarely there, and looked at when they are.
WATCHED: Final = frozenset({b"content-length", b"expect", b"transfer-encoding", b"upgrade"})


class Refusal(Exception):
    """An answer to what is no request that anybody could be asked to answer. The connection ends with it.

    Attributes:
        status: the status of the answer.
        text: one line that says why. It never holds a byte of the request.
    """

    def __init__(self, status: int, text: str, *, fields: Iterable[HeaderPair] = ()) -> None:
        self.status = status
        self.text = text
        self._fields = tuple(fields)
        super().__init__(text)

    def answer(self, date_line: bytes = b"", *, with_body: bool = True) -> bytes:
        """The whole response.

        Args:
            date_line: a Date field with its line break.
            with_body: false when HEAD was asked.
        """
        body = self.text.encode("ascii") + b"\n"
        fields = b"".join(b"%b: %b\r\n" % pair for pair in self._fields)
        phrase = HTTPStatus(self.status).phrase.encode("ascii")
        return (
            b"HTTP/1.1 %d %b\r\n%bcontent-type: text/plain\r\ncontent-length: %d\r\n"
            b"cache-control: no-store\r\nconnection: close\r\n%b\r\n%b"
        ) % (self.status, phrase, date_line, len(body), fields, body if with_body else b"")


# No blank, control character, fragment or byte beyond ASCII; escapes are looked at apart, being rare.
_PLAIN_TARGET = re.compile(rb"[!\"$&-~]+")
_ESCAPED_TARGET = re.compile(rb"(?:[!\"$&-~]|%[0-9A-Fa-f]{2})+")


# What gunicorn takes as well. Escapes are read several times before a decision.
_LONGEST_TARGET: Final = 8190


def check_target(target: bytes) -> None:
    """Make sure that a target is a path, with or without a query, that everybody reads alike.

    Raises:
        Refusal: it is too long, absolute (`http://…`), an authority, `*`, starts with two slashes, or holds
            what no target may.

    Spec: RFC 9112 3.2, RFC 3986 2.1.
    """
    if len(target) > _LONGEST_TARGET:
        raise Refusal(414, "the request target is too long")
    if target[:1] != b"/":
        raise Refusal(400, "the request target is not a path")
    if target[:2] == b"//":
        raise Refusal(400, "the request target starts with two slashes")
    if not _PLAIN_TARGET.fullmatch(target) and not _ESCAPED_TARGET.fullmatch(target):
        raise Refusal(400, "the request target has a malformed escape or a character that it cannot have")


def check_line(raw: bytes, method: bytes, target: bytes, version: str, *, inside: bool) -> None:
    """Make sure that the request line is the one that was understood: two blanks, and HTTP's own version.

    llhttp takes several blanks, and RTSP or ICE in the place of HTTP. It does not say where a request begins
    that came in one piece with something else; the line is then looked for everywhere, and another one may
    stand in for it: what was understood is the same, and that is what is passed on.

    Args:
        raw: the bytes in which the head began.
        method, target, version: what was understood.
        inside: whether something else stands before the line in `raw`.

    Raises:
        Refusal: it reads otherwise.
    """
    line = b"%b %b HTTP/%b\r\n" % (method, target, version.encode("ascii"))
    # Empty lines before it say nothing and are forgiven, as llhttp does. Spec: RFC 9112 2.2.
    if not (raw.startswith(line) or raw.lstrip(b"\r\n").startswith(line) or (inside and line in raw)):
        raise Refusal(400, "the request line is malformed")


def check_host(number: int, version: str) -> None:
    """Make sure that there is one Host. Spec: RFC 9112 3.2.

    Raises:
        Refusal: HTTP/1.1 without it, or several.
    """
    if number > 1 or (number == 0 and version != "1.0"):
        raise Refusal(400, "there is no Host field, or more than one")


def head_size(target: bytes, headers: Sequence[HeaderPair]) -> int:
    """Bytes of a head as it is usually written."""
    return len(target) + 20 + sum(len(name) + len(value) + 4 for name, value in headers)


def framing_of(watched: Sequence[HeaderPair], version: str) -> Framing:
    """How the body is framed.

    Raises:
        Refusal: two readers could find two ends of it.
    """
    try:
        return request_framing(watched, version)
    except BadHead as bad:
        raise Refusal(bad.status, f"the body is framed ambiguously: {bad.fault.value}") from None


def expects_continue(watched: Sequence[HeaderPair], version: str, framing: Framing) -> bool:
    """Whether the client waits for 100 (Continue) before it sends its body. Spec: RFC 9110 10.1.1.

    Raises:
        Refusal: it expects something else.
    """
    expected = [value.strip(b" \t").lower() for name, value in watched if name == b"expect"]
    if not expected or version == "1.0":
        return False
    if expected != [b"100-continue"]:
        raise Refusal(417, "the only expectation that can be met is 100-continue")
    return framing.has_body


def is_token_in(watched: Sequence[HeaderPair], field: bytes, token: bytes) -> bool:
    """Whether a field that is a list of words names `token`, in any case."""
    return any(
        token in [word.strip(b" \t").lower() for word in value.split(b",")]
        for name, value in watched
        if name == field
    )


def check_handshake(method: bytes, headers: Sequence[HeaderPair], framing: Framing) -> None:
    """Make sure that a request to become a WebSocket can become one.

    Raises:
        Refusal: 426 for another version than 13, 400 for the rest.

    Spec: RFC 6455 4.2.1, 4.4.
    """
    if method != b"GET" or framing.has_body:
        raise Refusal(400, "a WebSocket begins with a GET that has no body")
    versions = [value.strip(b" \t") for name, value in headers if name == b"sec-websocket-version"]
    if versions != [b"13"]:
        raise Refusal(
            426,
            "the only version of WebSocket here is 13",
            fields=[(b"upgrade", b"websocket"), (b"sec-websocket-version", b"13")],
        )
    keys = [value.strip(b" \t") for name, value in headers if name == b"sec-websocket-key"]
    if len(keys) != 1 or not _is_nonce(keys[0]):
        raise Refusal(400, "Sec-WebSocket-Key is missing, repeated or malformed")


def subprotocols(headers: Iterable[HeaderPair]) -> list[str]:
    """The words of Sec-WebSocket-Protocol. Spec: RFC 6455 11.3.4."""
    return [
        word.strip().decode("latin-1")
        for name, value in headers
        if name == b"sec-websocket-protocol"
        for word in value.split(b",")
        if word.strip()
    ]


def _is_nonce(key: bytes) -> bool:
    try:
        return len(key) == 24 and len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False

"""Header fields by name and value: which can be read as two, which end with a connection. Pure.

Here live `HeaderPair`, what is wrong with a head that is not passed on (`HeadFault`, `BadHead`), and what
requests and answers have in common about a single field. What becomes of each stands next door, in
`request_head` and `response_head`; where a body ends, in `framing`. The syntax of a head on the wire is
httptools' (a bare LF, a folded line or a blank before a colon gets no further than there).
"""

import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final, TypeVar

__all__ = [
    "HOP_BY_HOP",
    "PLAIN_CONNECTION",
    "BadHead",
    "ByName",
    "HeadFault",
    "HeaderPair",
    "breaks_a_line",
    "header_lines",
    "is_token",
    "line_of",
    "nominated_by",
]

HeaderPair = tuple[bytes, bytes]

#: Fields that are about one connection and end with it. Spec: RFC 9110 7.6.1, RFC 9113 3.1.
HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)


class HeadFault(StrEnum):
    """What makes a head impossible to pass on."""

    METHOD = "method_not_forwarded"
    TARGET = "target_malformed"
    NAME = "header_name_malformed"
    VALUE = "header_value_malformed"
    REPEATED = "header_repeated"
    LENGTH = "content_length_malformed"
    LENGTH_REPEATED = "content_length_repeated"
    LENGTH_AND_CODING = "content_length_with_transfer_encoding"
    CODING = "transfer_coding_unknown"
    CODING_IN_1_0 = "transfer_coding_in_http_1_0"
    STATUS = "status_not_final"


class BadHead(Exception):
    """A head that is not passed on.

    Attributes:
        fault: what is wrong with it.
        status: the answer to a client whose request it is. An upstream's bad head is a 502 whatever it says.
    """

    def __init__(self, fault: HeadFault, status: int = 400) -> None:
        self.fault = fault
        self.status = status
        super().__init__(fault.value)


_TOKEN = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def is_token(name: bytes) -> bool:
    """Whether this can be the name of a field. Spec: RFC 9110 5.6.2."""
    return _TOKEN.fullmatch(name) is not None


# A verdict is looked up by name and remembered, up to a number of names: a look costs a tenth of judging.
_REMEMBERED_NAMES: Final = 1024
_REMEMBERED_NAME_LENGTH: Final = 64
_Judged = TypeVar("_Judged")


class ByName(dict[bytes, _Judged]):
    """A function of a name that remembers: asked like a dict, since it is asked of each field."""

    def __init__(self, judge: Callable[[bytes], _Judged]) -> None:
        super().__init__()
        self._judge = judge

    def __missing__(self, name: bytes) -> _Judged:
        judged = self._judge(name)
        if len(self) < _REMEMBERED_NAMES and len(name) <= _REMEMBERED_NAME_LENGTH:
            self[name] = judged
        return judged


def line_of(name: bytes) -> bytes:
    """The beginning of a field's line, with the break of the line before.

    Raises:
        BadHead: the name is no token.
    """
    if not is_token(name):
        raise BadHead(HeadFault.NAME)
    return b"\r\n%b: " % name


def header_lines(pairs: Iterable[HeaderPair]) -> bytes:
    """Fields as they stand in a head, each with its line break.

    Raises:
        BadHead: a name is no token, or a value has a line break or NUL in it.
    """
    parts = []
    for name, value in pairs:
        if not is_token(name):
            raise BadHead(HeadFault.NAME)
        if breaks_a_line(value):
            raise BadHead(HeadFault.VALUE)
        parts.append(b"%b: %b\r\n" % (name, value))
    return b"".join(parts)


def breaks_a_line(value: bytes) -> bool:
    """Whether one of the characters stands in it that end a line, or a text, for some reader."""
    return b"\n" in value or b"\r" in value or b"\0" in value


# What `Connection` cannot take away, whoever put it there: without it the upstream would see another request
# than the one that was judged.
_NOT_NOMINATED: Final = frozenset({b"authorization", b"cookie", b"host"})
_NOT_NOMINATED_PREFIX: Final = b"content-"

#: Values of Connection, in lower case, that take no field with them.
PLAIN_CONNECTION: Final = (b"keep-alive", b"close", b"")


def nominated_by(headers: Iterable[HeaderPair]) -> frozenset[bytes]:
    """The fields that Connection declares to be about the connection, less those that cannot be."""
    tokens = {
        token.strip(b" \t").lower()
        for name, value in headers
        if name.lower() == b"connection"
        for token in value.split(b",")
    }
    return frozenset(
        token
        for token in tokens
        if token not in _NOT_NOMINATED and not token.startswith(_NOT_NOMINATED_PREFIX)
    )

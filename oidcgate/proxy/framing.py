"""Where the body of a message ends, and what leaves that open. Pure.

Here live `Framing` and the two functions that read it from the fields of a request and of an answer. Two
readers must not find two ends of one body, so nothing ambiguous passes. Single fields are the subject of
`fields` next door; who counts the bytes is `upload`, `environ` and `answer`.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from oidcgate.proxy.fields import BadHead, HeaderPair, HeadFault

__all__ = ["CHUNKED", "NO_BODY", "STATUS_WITHOUT_BODY", "Framing", "request_framing", "response_framing"]

#: Statuses whose answers have no body, whatever their fields say. Spec: RFC 9112 6.3.
STATUS_WITHOUT_BODY: Final = (204, 304)


class Framing(NamedTuple):
    """Where a body ends.

    Attributes:
        length: its bytes, where that is said in advance.
        chunked: it comes in chunks, the last of them empty.
        until_close: it ends with the connection; answers only.
    """

    length: int | None = None
    chunked: bool = False
    until_close: bool = False

    @property
    def has_body(self) -> bool:
        """Whether a byte of body can follow."""
        return self.chunked or self.until_close or bool(self.length)


#: A message that says nothing of a body and has none.
NO_BODY: Final = Framing()
#: A body in chunks.
CHUNKED: Final = Framing(chunked=True)
_UNTIL_CLOSE: Final = Framing(until_close=True)

# More digits are no length of anything; int() of thousands of them takes its time.
_LENGTH_DIGITS = 18


def request_framing(headers: Iterable[HeaderPair], http_version: str = "1.1") -> Framing:
    """How the body of a request is framed.

    Two readers must not find two ends of one body, so whatever some server reads differently is refused:
    both fields, a field twice (also with the same value), a sign, a list, a coding besides `chunked`.

    Args:
        headers: lower-case names and values.
        http_version: `1.0` has no transfer codings.

    Raises:
        BadHead: it is ambiguous.

    Spec: RFC 9112 6.1 to 6.3.
    """
    length = coding = None
    for name, value in headers:
        if name == b"content-length":
            if length is not None:
                raise BadHead(HeadFault.LENGTH_REPEATED)
            length = value
        elif name == b"transfer-encoding":
            if coding is not None:
                raise BadHead(HeadFault.CODING)
            coding = value
    if coding is None:
        return NO_BODY if length is None else Framing(_read_length(length))
    if length is not None:
        raise BadHead(HeadFault.LENGTH_AND_CODING)
    if coding.lower() != b"chunked":
        raise BadHead(HeadFault.CODING)
    if http_version == "1.0":
        raise BadHead(HeadFault.CODING_IN_1_0)
    return CHUNKED


def response_framing(method: str, status: int, headers: Iterable[HeaderPair]) -> Framing:
    """How the body of an answer is framed; as strict as `request_framing`, since the client counts on it.

    Args:
        method: of the request; the answer to HEAD has no body whatever it says.
        status: of a final answer.
        headers: names in any case.

    Raises:
        BadHead: it is ambiguous, or codes the body in a way that would be lost with Transfer-Encoding.

    Spec: RFC 9112 6.3.
    """
    length = coding = None
    for name, value in headers:
        # By length first: this looks at each field of each answer.
        size = len(name)
        if size == 14 and name.lower() == b"content-length":
            if length is not None:
                raise BadHead(HeadFault.LENGTH_REPEATED)
            length = _read_length(value)
        elif size == 17 and name.lower() == b"transfer-encoding":
            if coding is not None or value.lower() != b"chunked":
                raise BadHead(HeadFault.CODING)
            coding = value
    if coding is not None and length is not None:
        raise BadHead(HeadFault.LENGTH_AND_CODING)
    if method == "HEAD" or status in STATUS_WITHOUT_BODY:
        return NO_BODY
    if coding is not None:
        return CHUNKED
    return _UNTIL_CLOSE if length is None else Framing(length)


def _read_length(value: bytes) -> int:
    # isdigit() of bytes means ASCII digits: no sign, blank, comma or underscore passes.
    if not value.isdigit() or len(value) > _LENGTH_DIGITS:
        raise BadHead(HeadFault.LENGTH)
    return int(value)

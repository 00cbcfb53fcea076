"""Which header fields pass a proxy, how a body is framed, and what is refused. Pure: bytes in, bytes out.

Here live the head of the request that an upstream gets, the fields of the answer that the client gets, and
the framing of both. What is not here: identity (its names are deleted by the gate before, its values come in
as `own`), paths (`oidcgate.web.canonical_path`), sockets (`upstream` next door), and the syntax of a head on
the wire, which is httptools' (a bare LF, a folded line or a blank before a colon gets no further than there).

Names in `headers` are lower case, as ASGI has them; `response_headers` takes them in any case.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple, TypeVar

from oidcgate.web.forwarded import TrustedPeers, believed_hops

__all__ = [
    "HOP_BY_HOP",
    "NO_BODY",
    "REQUEST_FIELDS",
    "REQUEST_HEAD_BYTES",
    "RESPONSE_FIELDS",
    "RESPONSE_HEAD_BYTES",
    "BadHead",
    "Framing",
    "HeadFault",
    "HeaderPair",
    "forwarded",
    "header_lines",
    "request_framing",
    "request_head",
    "response_framing",
    "response_headers",
]

HeaderPair = tuple[bytes, bytes]

#: Size of a request head in all, and number of its fields: what the server lets in.
REQUEST_HEAD_BYTES: Final = 32 * 1024
REQUEST_FIELDS: Final = 100
#: The same of an answer, as defaults: an app may have reason to say more.
RESPONSE_HEAD_BYTES: Final = 64 * 1024
RESPONSE_FIELDS: Final = 200

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

# What a client says of the way it came. Apps and their frameworks believe these without being asked, so only
# we say them. X-Forwarded-* go as a whole.
_CLAIMS_OF_ORIGIN: Final = frozenset(
    {
        b"cf-connecting-ip",
        b"client-ip",
        b"forwarded",
        b"forwarded-for",
        b"front-end-https",
        b"true-client-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"x-forwarded",
        b"x-real-ip",
        b"x-scheme",
        b"x-url-scheme",
    }
)
# Written anew by us; answered by the server (Expect); read by CGI programs as the proxy to use (Proxy).
_REWRITTEN: Final = frozenset({b"content-length", b"expect", b"host", b"proxy"})

# What `Connection` cannot take away, whoever put it there: without it the upstream would see another request
# than the one that was judged.
_NOT_NOMINATED: Final = frozenset({b"authorization", b"cookie", b"host"})
_NOT_NOMINATED_PREFIX: Final = b"content-"


class HeadFault(StrEnum):
    """What makes a head impossible to pass on."""

    METHOD = "method_not_forwarded"
    TARGET = "target_malformed"
    NAME = "header_name_malformed"
    VALUE = "header_value_malformed"
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
_CHUNKED: Final = Framing(chunked=True)
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
    return _CHUNKED


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
    if method == "HEAD" or status in _STATUS_WITHOUT_BODY:
        return NO_BODY
    if coding is not None:
        return _CHUNKED
    return _UNTIL_CLOSE if length is None else Framing(length)


_STATUS_WITHOUT_BODY: Final = (204, 304)


def _read_length(value: bytes) -> int:
    # isdigit() of bytes means ASCII digits: no sign, blank, comma or underscore passes.
    if not value.isdigit() or len(value) > _LENGTH_DIGITS:
        raise BadHead(HeadFault.LENGTH)
    return int(value)


class _Verdict(StrEnum):
    """What becomes of a field that does not simply pass, by its name alone."""

    ODD = "odd"  # passes, but its name can be read as another one
    DROP = "drop"
    BAD = "bad"
    CONNECTION = "connection"
    LENGTH = "length"
    CODING = "coding"
    COOKIE = "cookie"


# Looked up for every field of every request.
_ODD, _DROP, _CONNECTION = _Verdict.ODD, _Verdict.DROP, _Verdict.CONNECTION
_LENGTH, _COOKIE = _Verdict.LENGTH, _Verdict.COOKIE

_TOKEN = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PLAIN_NAME = re.compile(rb"[a-z0-9-]+")
# Servers turn "-" into "_", some turn everything else into it too: `X.Real_IP` is an X-Real-IP to somebody.
_AS_READ: Final = bytes(
    ord("-") if not chr(byte).isalnum() or byte > 127 else ord(chr(byte).lower()) for byte in range(256)
)
_NEVER_FORWARDED: Final = HOP_BY_HOP | _CLAIMS_OF_ORIGIN | _REWRITTEN
_RESPONSE_SPECIAL: Final = {
    b"connection": _Verdict.CONNECTION,
    b"content-length": _Verdict.LENGTH,
    b"transfer-encoding": _Verdict.CODING,
    b"set-cookie": _Verdict.COOKIE,
}

# A verdict is looked up by name and remembered, up to a number of names: a look costs a tenth of judging.
_REMEMBERED_NAMES: Final = 1024
_REMEMBERED_NAME_LENGTH: Final = 64
_Judged = TypeVar("_Judged")


class _ByName(dict[bytes, _Judged]):
    """A function of a name that remembers."""

    def __init__(self, judge: Callable[[bytes], _Judged]) -> None:
        super().__init__()
        self._judge = judge

    def __missing__(self, name: bytes) -> _Judged:
        judged = self._judge(name)
        if len(self) < _REMEMBERED_NAMES and len(name) <= _REMEMBERED_NAME_LENGTH:
            self[name] = judged
        return judged


def _line_of(name: bytes) -> bytes:
    """The beginning of a line, with the break before it."""
    if not _TOKEN.fullmatch(name):
        raise BadHead(HeadFault.NAME)
    return b"\r\n%b: " % name


def _judge_request_name(name: bytes) -> bytes | _Verdict:
    """The beginning of its line, if the field passes."""
    if not _TOKEN.fullmatch(name):
        return _Verdict.BAD
    if name == b"connection":
        return _Verdict.CONNECTION
    read = name.translate(_AS_READ)
    if read in _NEVER_FORWARDED or read.startswith(b"x-forwarded-"):
        return _Verdict.DROP
    return _line_of(name) if _PLAIN_NAME.fullmatch(name) else _Verdict.ODD


def _judge_response_name(name: bytes) -> bytes | _Verdict:
    """The name in lower case, if the field passes."""
    lower = name.lower()
    if not _TOKEN.fullmatch(name):
        return _Verdict.BAD
    if lower in _RESPONSE_SPECIAL:
        return _RESPONSE_SPECIAL[lower]
    return _Verdict.DROP if lower in HOP_BY_HOP else lower


_REQUEST_NAMES = _ByName(_judge_request_name)
_OWN_NAMES = _ByName(_line_of)
_RESPONSE_NAMES = _ByName(_judge_response_name)
# Judged in advance, so that a client who invents a thousand names does not make everybody else's slow.
for _name in (
    b"accept accept-encoding accept-language authorization cache-control connection content-length "
    b"content-type cookie host if-modified-since if-none-match origin pragma priority range referer "
    b"sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site "
    b"sec-fetch-user te traceparent upgrade-insecure-requests user-agent x-csrf-token "
    b"x-forwarded-for x-request-id x-requested-with"
).split():
    _REQUEST_NAMES[_name] = _judge_request_name(_name)

_METHOD = re.compile(r"[A-Z][A-Z0-9_-]{0,31}", re.ASCII)
_COMMON_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# One leading slash: "//host/path" is another host to some readers. No blank, control character or fragment;
# bytes beyond ASCII only in a query, where old clients put them.
_TARGET = re.compile(rb"/(?!/)[!\"$->@-~]*(?:\?[!\"$-~\x80-\xff]*)?")


def request_head(
    method: str,
    target: bytes,
    headers: Sequence[HeaderPair],
    *,
    host: bytes,
    own: Sequence[HeaderPair],
    framing: Framing,
    own_lines: bytes = b"",
) -> bytes:
    """The head of the request to an upstream, complete with its empty line.

    The client's end-to-end fields keep their order and values. Gone are: what concerns its connection, what
    it says of the way it came (X-Forwarded-* and the like), Host, Expect, the framing, and every field that
    can be read as one of `own`. Those, the framing and Host are written by us.

    Args:
        method: upper case.
        target: path and query as received.
        headers: the client's, names in lower case; identity already stripped.
        host: of the Host field: never the client's word.
        own: our fields: identity, and for a tunnel Connection and Upgrade.
        framing: of the body that will be sent.
        own_lines: more of our fields, as `header_lines` wrote them; their names must be of the kind that is
            never taken from a client.

    Raises:
        BadHead: a method, target, name or value that two readers could take for two things. CONNECT is not
            forwarded.
    """
    if method not in _COMMON_METHODS and (not _METHOD.fullmatch(method) or method == "CONNECT"):
        raise BadHead(HeadFault.METHOD)
    if not _TARGET.fullmatch(target) and not (target == b"*" and method == "OPTIONS"):
        raise BadHead(HeadFault.TARGET)
    taken = dict(own)
    parts = [method.encode("ascii"), b" ", target, b" HTTP/1.1\r\nhost: ", host]
    names = _REQUEST_NAMES
    nominating = False
    for name, value in headers:
        line = names[name]
        if type(line) is bytes:
            if name not in taken:
                parts += (line, value)
        elif line is _DROP:
            pass
        elif line is _CONNECTION:
            nominating = nominating or value.lower() not in _PLAIN_CONNECTION
        elif line is _ODD:
            if name.translate(_AS_READ) not in {other.translate(_AS_READ) for other in taken}:
                parts += (_line_of(name), value)
        else:
            raise BadHead(HeadFault.NAME)
    if nominating:
        nominated = _nominated(headers)
        left = [pair for pair in headers if pair[0] not in nominated and pair[0] != b"connection"]
        return request_head(method, target, left, host=host, own=own, framing=framing, own_lines=own_lines)
    for name, value in own:
        parts += (_OWN_NAMES[name], value)
    length, chunked, _ = framing
    if chunked:
        parts += (b"\r\ntransfer-encoding: ", b"chunked")
    elif length is not None:
        parts += (b"\r\ncontent-length: ", b"%d" % length)
    # Three for the first line and one for each line after it.
    breaks = (len(parts) - 3) // 2
    head = b"".join(parts)
    # One look at the whole instead of one at each value: every line break must be one of ours.
    if head.count(b"\n") != breaks or head.count(b"\r") != breaks or b"\0" in head:
        raise BadHead(HeadFault.VALUE)
    return b"%b\r\n%b\r\n" % (head, own_lines)


_PLAIN_CONNECTION: Final = (b"keep-alive", b"close", b"")


def _nominated(headers: Iterable[HeaderPair]) -> frozenset[bytes]:
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


def header_lines(pairs: Iterable[HeaderPair]) -> bytes:
    """Fields as they stand in a head, each with its line break.

    Raises:
        BadHead: a name is no token, or a value has a line break or NUL in it.
    """
    parts = []
    for name, value in pairs:
        if not _TOKEN.fullmatch(name):
            raise BadHead(HeadFault.NAME)
        if _breaks_a_line(value):
            raise BadHead(HeadFault.VALUE)
        parts.append(b"%b: %b\r\n" % (name, value))
    return b"".join(parts)


def _breaks_a_line(value: bytes) -> bool:
    return b"\n" in value or b"\r" in value or b"\0" in value


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
    names = _RESPONSE_NAMES
    nominating = False
    for name, value in headers:
        lower = names[name]
        if type(lower) is bytes:
            passed.append((lower, value))
        elif lower is _LENGTH:
            if status not in _STATUS_WITHOUT_BODY:
                passed.append((b"content-length", value))
        elif lower is _COOKIE:
            if drop_cookie is None or not drop_cookie(value):
                passed.append((b"set-cookie", value))
        elif lower is _CONNECTION:
            nominating = nominating or value.lower() not in _PLAIN_CONNECTION
        elif lower is _Verdict.BAD:
            raise BadHead(HeadFault.NAME, 502)
    if nominating:
        nominated = _nominated(headers)
        passed = [pair for pair in passed if pair[0] not in nominated]
    if _breaks_a_line(b"".join([value for _, value in passed])):
        raise BadHead(HeadFault.VALUE, 502)
    return passed


def forwarded(
    peer: str | None,
    headers: Iterable[HeaderPair],
    *,
    trusted: TrustedPeers,
    proto: bytes,
    host: bytes,
) -> list[HeaderPair]:
    """Our own fields about the way a request came, in place of whatever the client said of it.

    Scheme, host and port are those of the public URL. The addresses are the peer's and, while hop after hop
    is trusted, those it names: what a stranger wrote into X-Forwarded-For is not passed on, not even in
    front.

    Args:
        peer: address of the connection's other end; None for a Unix socket.
        headers: the client's, names in lower case.
        trusted: who is believed.
        proto: `https` or `http`.
        host: as in a Host field: with a port where it is not the scheme's own.

    Spec: RFC 7239 for Forwarded.
    """
    claimed = b",".join([value for name, value in headers if name == b"x-forwarded-for"])
    hops = believed_hops(peer, claimed.decode("latin-1"), trusted)
    _, colon, port = host.rpartition(b":")
    if not colon or not port.isdigit():
        port = b"443" if proto == b"https" else b"80"
    way = [
        (b"x-forwarded-proto", proto),
        (b"x-forwarded-host", host),
        (b"x-forwarded-port", port),
    ]
    client = hops[0] if hops else "unknown"
    # An IPv6 address has colons in it, which a parameter has only in quotes.
    node = f'"[{client}]"' if ":" in client else client
    way.append((b"forwarded", b'for=%b;host="%b";proto=%b' % (node.encode("ascii"), host, proto)))
    if hops:
        way.append((b"x-forwarded-for", ", ".join(hops).encode("ascii")))
        way.append((b"x-real-ip", client.encode("ascii")))
    return way

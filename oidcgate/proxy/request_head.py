"""The head of the request that an upstream gets. Pure: bytes in, bytes out.

Here live which fields of a client's pass, the target as ASGI tells it, and `request_head`, which writes the
whole. What is not here: identity (its names are deleted by the gate before, its values come in as `own`),
which paths there are (`oidcgate.web.canonical_path`), our word on the client's way (`client_way` next door).
Names in `headers` are lower case, as ASGI has them.
"""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from oidcgate.proxy.fields import (
    HOP_BY_HOP,
    PLAIN_CONNECTION,
    BadHead,
    ByName,
    HeaderPair,
    HeadFault,
    is_token,
    line_of,
    nominated_by,
)
from oidcgate.proxy.framing import Framing
from oidcgate.web.canonical_path import quote_path

__all__ = ["ASKED_AGAIN", "request_head", "target_of"]

#: What may be sent again, when it has no body, over another connection: asking twice for the same thing asks
#: for nothing more, so a connection that turns out to be closed is no reason to fail. PUT and DELETE are
#: idempotent too, but an app may count them.
ASKED_AGAIN: Final = frozenset({"GET", "HEAD", "OPTIONS"})

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


class _Verdict(StrEnum):
    """What becomes of a field that does not simply pass, by its name alone."""

    ODD = "odd"  # passes, but its name can be read as another one
    ONCE = "once"  # passes, and there is no second one, in whatever spelling
    DROP = "drop"
    BAD = "bad"
    CONNECTION = "connection"


# Looked up for every field of every request.
_ODD, _ONCE, _DROP, _CONNECTION = _Verdict.ODD, _Verdict.ONCE, _Verdict.DROP, _Verdict.CONNECTION

_PLAIN_NAME = re.compile(rb"[a-z0-9-]+")
# Servers turn "-" into "_", some turn everything else into it too: `X.Real_IP` is an X-Real-IP to somebody.
_AS_READ: Final = bytes(
    ord("-") if not chr(byte).isalnum() or byte > 127 else ord(chr(byte).lower()) for byte in range(256)
)
# One value each, by which somebody is let in or a body is read: of two, one reader takes the first and
# another the last. Spec: RFC 9110 5.3, 8.3, 11.6.2, 13.1, 14.
_SINGLE: Final = frozenset(
    {
        b"authorization",
        b"content-range",
        b"content-type",
        b"if-modified-since",
        b"if-range",
        b"if-unmodified-since",
        b"range",
    }
)
_NEVER_FORWARDED: Final = HOP_BY_HOP | _CLAIMS_OF_ORIGIN | _REWRITTEN


def _judge(name: bytes) -> bytes | _Verdict:
    """The beginning of its line, if the field passes."""
    if not is_token(name):
        return _Verdict.BAD
    if name == b"connection":
        return _Verdict.CONNECTION
    read = name.translate(_AS_READ)
    if read in _NEVER_FORWARDED or read.startswith(b"x-forwarded-"):
        return _Verdict.DROP
    if read in _SINGLE:
        return _Verdict.ONCE
    return line_of(name) if _PLAIN_NAME.fullmatch(name) else _Verdict.ODD


_NAMES = ByName(_judge)
_OWN_NAMES = ByName(line_of)
# Judged in advance, so that a client who invents a thousand names does not make everybody else's slow.
for _name in (
    b"accept accept-encoding accept-language authorization cache-control connection content-length "
    b"content-type cookie host if-modified-since if-none-match origin pragma priority range referer "
    b"sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site "
    b"sec-fetch-user te traceparent upgrade-insecure-requests user-agent x-csrf-token "
    b"x-forwarded-for x-request-id x-requested-with"
).split():
    _NAMES[_name] = _judge(_name)

_METHOD = re.compile(r"[A-Z][A-Z0-9_-]{0,31}", re.ASCII)
_COMMON_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# One leading slash: "//host/path" is another host to some readers. No blank, control character or fragment;
# bytes beyond ASCII only in a query, where old clients put them.
_TARGET = re.compile(rb"/(?!/)[!\"$->@-~]*(?:\?[!\"$-~\x80-\xff]*)?")


def target_of(scope: Mapping[str, Any]) -> bytes:
    """Path and query as they came; servers that do not say how the path came had it decode to this one.

    Spec: ASGI HTTP 2.5, where `raw_path` is optional.
    """
    target: bytes = scope.get("raw_path") or quote_path(scope["path"]).encode("ascii")
    query: bytes = scope["query_string"]
    return target + b"?" + query if query else target


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
        BadHead: a method, target, name or value that two readers could take for two things, or two fields of
            which there is one. CONNECT is not forwarded.
    """
    if method not in _COMMON_METHODS and (not _METHOD.fullmatch(method) or method == "CONNECT"):
        raise BadHead(HeadFault.METHOD)
    if not _TARGET.fullmatch(target) and not (target == b"*" and method == "OPTIONS"):
        raise BadHead(HeadFault.TARGET)
    taken = dict(own)
    parts = [method.encode("ascii"), b" ", target, b" HTTP/1.1\r\nhost: ", host]
    names = _NAMES
    nominating = False
    single: tuple[bytes, ...] = ()
    for name, value in headers:
        line = names[name]
        if type(line) is bytes:
            if name not in taken:
                parts += (line, value)
        elif line is _DROP:
            pass
        elif line is _ONCE:
            read = name.translate(_AS_READ)
            if read in single:
                raise BadHead(HeadFault.REPEATED)
            single += (read,)
            if read not in {other.translate(_AS_READ) for other in taken}:
                parts += (line_of(name), value)
        elif line is _CONNECTION:
            nominating = nominating or value.lower() not in PLAIN_CONNECTION
        elif line is _ODD:
            if name.translate(_AS_READ) not in {other.translate(_AS_READ) for other in taken}:
                parts += (line_of(name), value)
        else:
            raise BadHead(HeadFault.NAME)
    if nominating:
        nominated = nominated_by(headers)
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

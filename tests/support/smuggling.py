"""Requests about whose end two readers are to disagree, and inside of which another travels. Pure.

The corpora of CL.TE, TE.CL, TE.TE, CL.CL and CL.0, lengths and codings in odd spellings, obsolete folds,
bare LF and CR, chunk extensions, blanks before a colon, other versions: each put together anew by chance.
What else is sent is :mod:`tests.support.request_generator`'s.
"""

from typing import Final

from tests.support.request_pieces import Case, Cookies, Rng, chunked, hidden_in, request_of, start_of

Framed = tuple[list[bytes], bytes]

# fmt: off
_LENGTHS: Final = (
    "%d", "+%d", "-%d", "0%d", "%d ", " %d", "\t%d", "%d,", ",%d", "%d;x", "%d.0", "%de0", "%d_0", "0x%x",
    "%d\x00", "%d\x0b", "%d\x0c", "%d %d", "%d, %d", '"%d"', "%d\r\n ", "\r\n %d", "\xb9%d", "%d\xa0",
    "000000000000000000%d",
)
_LENGTH_NAMES: Final = (
    b"Content-Length", b"content-length", b"Content_Length", b"Content-Length ", b"Content-Length\t",
)
_CODING_NAMES: Final = (
    b"Transfer-Encoding", b"Transfer-Encoding", b"transfer-encoding", b"Transfer_Encoding",
    b"Transfer-Encoding ",
)
_CODINGS: Final = (
    b"chunked", b"Chunked", b"xchunked", b"chunked, identity", b"identity, chunked", b"chunked, chunked",
    b"gzip, chunked", b"chunked;q=1", b" chunked", b"\tchunked", b"\x0bchunked", b"chunked\x00", b'"chunked"',
    b"identity", b"", b"cow", b"chunked,", b",chunked", b"\r\n chunked", b"chunked\r\n ", b"chun\xc5\x9bed",
)
_CHUNK_LINES: Final = (
    b"%x;a=b", b'%x;a="x', b"%x;\nx", b"%x\n", b"%x\r", b" %x", b"%x ", b"%x\t", b"0x%x", b"+%x", b"-%x",
    b"%x;" + b"a" * 5000, b"00000000000000000%x", b"1%x0000000000000000", b"%x\x00", b"%xg", b";%x", b"%x,1",
    b"%x\r\n\r\n", b"\r\n%x", b"%x ;a", b"%x;a\rb", b"%x\r\r",
)
_CHUNK_ENDS: Final = (
    b"\r\n0\r\n\r\n", b"0\r\n\r\n", b"\n0\n\n", b"\r\n0\r\n", b"\r\n0\n\r\n", b"\r\nx0\r\n\r\n",
    b"\r\n0 \r\n\r\n",
)
_TRAILERS: Final = (
    b"", b"", b"X-Forwarded-User: mallory\r\n", b"Content-Length: 5\r\nX-Remote-User: mallory\r\n",
)
_ODD_LINES: Final = (
    b"", b":", b": x", b"X", b"X Y: z", b"X\x00: y", b"X: y\x00z", b"X: y\x7f", b" X: y", b"X:\x80",
    b"(X): y", b"X: y\r", b"\nX: y", b"X: \n y", b"X" * 70_000 + b": y", b"X: " + b"y" * 70_000, b"X: y\x1c",
    b"\xc3\xa9: y",
)
_REQUEST_LINES: Final = (
    b"%s %s HTTP/1.0", b"%s %s HTTP/0.9", b"%s %s", b"%s %s HTTP/1.2", b"%s %s HTTP/2.0", b"%s %s http/1.1",
    b"%s  %s HTTP/1.1", b"%s\t%s\tHTTP/1.1", b"%s %s HTTP/1.1 ", b"%s %s  HTTP/1.1", b" %s %s HTTP/1.1",
    b"\r\n%s %s HTTP/1.1", b"\n%s %s HTTP/1.1", b"%s %s HTTP/1.1\r", b"%s %s HTTP/01.1", b"%s %s HTTP/1,1",
    b"%s %s HTTP/1.1 x", b"%s %s RTSP/1.0", b"\x00%s %s HTTP/1.1", b"%s %s HTTP/1.1\x00",
    b"%s\x0b%s HTTP/1.1",
)
# fmt: on


def smuggling(rng: Rng, id: str, cookies: Cookies) -> Case:
    """A case of this kind."""
    hidden = hidden_in(id)
    fields = start_of(rng, id, cookies, method=rng.choice(("POST", "POST", "PUT", "GET")))
    make = rng.choice((_lengths, _codings, _both, _chunks, _lines, _versions, _after))
    more, body = make(rng, hidden)
    at = rng.randint(2, len(fields))
    raw = request_of(*fields[:at], *more, *fields[at:], body=body)
    if make is _versions:
        raw = _other_version(rng, raw)
    elif make is _lines:
        raw = _other_lines(rng, raw)
    return Case(id, "smuggling", raw)


def _lengths(rng: Rng, hidden: bytes) -> Framed:
    """CL.CL, and one that is none."""
    size, small = len(hidden), rng.randint(0, 9)
    form = rng.choice(_LENGTHS)
    number = rng.choice((size, small, 10**18 + size, 2**64 + size))
    first = b"Content-Length: " + (form % ((number,) * form.count("%"))).encode("latin-1")
    second = rng.choice(_LENGTH_NAMES) + b": %d" % rng.choice((size, small, 0))
    return rng.choice(([first], [first, second], [second, first], [second])), hidden


def _codings(rng: Rng, hidden: bytes) -> Framed:
    """TE.TE, and one that is none."""
    field = rng.choice(_CODING_NAMES) + b": " + rng.choice(_CODINGS)
    fields = [field]
    if rng.random() < 0.3:
        fields = [b"X-Harmless: a" + rng.choice((b"\n", b"\r", b"\x00", b"\r\r\n")) + field]
    elif rng.random() < 0.5:
        fields.append(b"Transfer-Encoding: " + rng.choice((b"chunked", b"identity")))
    return fields, rng.choice((b"0\r\n\r\n" + hidden, chunked(rng, b"abc") + hidden, hidden))


def _both(rng: Rng, hidden: bytes) -> Framed:
    """CL.TE and TE.CL."""
    coding, _ = _codings(rng, hidden)
    if rng.random() < 0.5:
        body = b"0\r\n\r\n" + hidden
        length = len(body)
    else:
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(hidden), hidden)
        length = body.index(b"\r\n") + 2
    fields = [*coding, b"Content-Length: %d" % length]
    rng.shuffle(fields)
    return fields, body


def _chunks(rng: Rng, hidden: bytes) -> Framed:
    line = rng.choice(_CHUNK_LINES) % len(hidden)
    end, trailer = rng.choice(_CHUNK_ENDS), rng.choice(_TRAILERS)
    if trailer and end.endswith(b"\r\n\r\n"):
        end = end[:-2] + trailer + b"\r\n"
    body = line + b"\r\n" + hidden + end
    return [b"Transfer-Encoding: chunked"], body + (hidden if rng.random() < 0.5 else b"")


def _lines(rng: Rng, hidden: bytes) -> Framed:
    return [b"Content-Length: %d" % len(hidden)], hidden


def _other_lines(rng: Rng, raw: bytes) -> bytes:
    """The same with lines that end or begin otherwise."""
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    lines.insert(rng.randrange(1, len(lines)), rng.choice(_ODD_LINES))
    ends = rng.choice((b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r"))
    return ends.join(lines) + rng.choice((b"\r\n\r\n", b"\n\n", b"\r\n\n", b"\n\r\n", ends * 2)) + body


def _versions(rng: Rng, hidden: bytes) -> Framed:
    return rng.choice(
        (
            ([b"Transfer-Encoding: chunked"], b"0\r\n\r\n" + hidden),
            ([b"Content-Length: 0"], hidden),
            ([b"Connection: keep-alive"], hidden),
        )
    )


def _other_version(rng: Rng, raw: bytes) -> bytes:
    """The same in words of another version, or of none."""
    if rng.random() < 0.05:
        return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + raw
    line, _, rest = raw.partition(b"\r\n")
    method, target, _ = line.split(b" ")
    return rng.choice(_REQUEST_LINES) % (method, target) + b"\r\n" + rest


def _after(rng: Rng, hidden: bytes) -> Framed:
    """No disagreement: another request simply follows, or a body that does not come."""
    trailers = [b"Trailer: X-Forwarded-User", b"TE: trailers", b"Transfer-Encoding: chunked"]
    return rng.choice(
        (
            ([b"Content-Length: 3"], b"abc" + hidden),
            ([b"Transfer-Encoding: chunked"], chunked(rng, b"abc") + hidden),
            ([], hidden),
            ([b"Content-Length: %d" % (len(hidden) + 100)], hidden),
            ([b"Expect: 100-continue", b"Content-Length: %d" % len(hidden)], hidden),
            ([b"Expect: 200-ok", b"Content-Length: 3"], b"abc" + hidden),
            (trailers, b"0\r\nX-Forwarded-User: mallory\r\n\r\n"),
        )
    )

"""What generated requests are put together from: paths, fields, bodies, and what is said of each case. Pure.

The kinds of requests are :mod:`tests.support.request_generator`'s, and :mod:`tests.support.smuggling`'s.
"""

import random
import re
from typing import Final, NamedTuple

FORGED: Final = b"mallory"
#: In a path: this is nobody's to see who has no session, and no request that was judged leads there.
HIDDEN: Final = "private/smuggled"
CLOSE: Final = b"Connection: close"

Rng = random.Random

_SHOWN: Final = 1500


class Cookies(NamedTuple):
    """What a client may have in its jar.

    Attributes:
        name: of the session's cookie.
        good: a session that is good; `expired`: one that was; `foreign`: another gate's, under its name.
        transaction: the beginning of the names of sign-ins under way.
    """

    name: str
    good: str
    expired: str
    foreign: str
    transaction: str

    def header(self, value: str) -> bytes:
        return f"{self.name}={value}".encode()


class Arrival(NamedTuple):
    """What of a benign request has to arrive, and as whose.

    Attributes:
        headers: by their WSGI names.
    """

    case: str
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    signed_in: bool


class Case(NamedTuple):
    """What is sent on one connection.

    Attributes:
        id: what tells it from others wherever it arrives: in path and header.
        heads: of each request, whether it is a HEAD.
        arrivals: of a benign one; of any other nothing is promised.
    """

    id: str
    kind: str
    raw: bytes
    heads: tuple[bool, ...] = ()
    arrivals: tuple[Arrival, ...] = ()

    def __str__(self) -> str:
        shown = repr(self.raw)
        return f"{self.id} ({self.kind}) {shown if len(shown) < _SHOWN else shown[:_SHOWN] + '…'}"


_PCHARS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,=:@"
# fmt: off
_ESCAPED = (
    "%20", "%C5%BE", "%c3%a9", "%E5%A4%AA", "%F0%9F%98%80", "%25", "%3F", "%23", "%41", "%7E", "%2B", "%26",
)
# fmt: on
_QUERY = _PCHARS + '/?;[]|{}^`"<>'
BROWSER = (b"Sec-Fetch-Mode: navigate", b"Accept: text/html,*/*;q=0.8")
SCRIPT = (b"Sec-Fetch-Mode: cors", b"Accept: application/json")


def _segment(rng: Rng) -> str:
    while True:
        parts = [
            rng.choice(_ESCAPED) if rng.random() < 0.15 else rng.choice(_PCHARS)
            for _ in range(rng.randint(1, 8))
        ]
        segment = "".join(parts)
        if segment not in (".", "..") and not re.search(r"%25(2[EeFf]|5[Cc]|00)", segment):
            return segment


def path_of(rng: Rng, id: str, public: bool) -> str:
    segments = ["public"] if public else []
    segments += ["r", id, *(_segment(rng) for _ in range(rng.randint(0, 3)))]
    return "/" + "/".join(segments) + ("/" if rng.random() < 0.1 else "")


def query_of(rng: Rng) -> str:
    if rng.random() < 0.5:
        return ""
    parts = [
        rng.choice((*_ESCAPED, "%2F", "%00", "%2e")) if rng.random() < 0.1 else rng.choice(_QUERY)
        for _ in range(40)
    ]
    return "?" + "".join(parts[: rng.randint(1, 40)])


def chunked(rng: Rng, body: bytes) -> bytes:
    out, at = b"", 0
    while at < len(body):
        size = rng.randint(1, max(1, len(body) // 2))
        part = body[at : at + size]
        form = rng.choice((b"%x", b"%X", b"%04x"))
        out += form % len(part) + b"\r\n" + part + b"\r\n"
        at += size
    return out + b"0\r\n\r\n"


def request_of(line: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([line, *fields]) + b"\r\n\r\n" + body


def start_of(
    rng: Rng, id: str, cookies: Cookies, *, method: str = "GET", public: bool | None = None
) -> list[bytes]:
    """Request line and usual fields of somebody who is signed in, or asks for what is public, or neither."""
    state = rng.choice(("good", "public", "nobody")) if public is None else ("public" if public else "good")
    path = path_of(rng, id, state == "public")
    fields = [
        f"{method} {path}{query_of(rng)} HTTP/1.1".encode(),
        b"Host: app.example.com",
        b"X-Case: " + id.encode(),
    ]
    fields += rng.choice((BROWSER, SCRIPT, ()))
    if state == "good" or (state == "public" and rng.random() < 0.3):
        fields.append(b"Cookie: " + cookies.header(cookies.good))
    return fields


def hidden_in(id: str) -> bytes:
    """A request that nobody sends: it travels inside another."""
    return request_of(
        f"GET /{HIDDEN}/{id} HTTP/1.1".encode(),
        b"Host: app.example.com",
        b"X-Case: hidden-" + id.encode(),
        *(name.encode() + b": " + FORGED for name in ("X-Forwarded-User", "X-Remote-User", "Remote-User")),
    )

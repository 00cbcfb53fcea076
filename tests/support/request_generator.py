"""Requests as nobody should send them, and as everybody does: made of a seed, byte by byte. Pure.

Each kind is a function of a random source; `generate` draws them. Nothing here knows what should become of
one, but for the benign: those say what has to arrive. Who sends them, and what is made of what arrives, is
:mod:`tests.live.generated_requests`.

A forged identity is always `mallory`, the one real one never stands in a request: whatever arrives under the
real name was named by the gate, and whatever arrives as mallory was not.
"""

import random
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import quote

from tests.oidcgate.test_identity import HEADERS
from tests.support.request_pieces import (
    BROWSER,
    CLOSE,
    FORGED,
    HIDDEN,
    SCRIPT,
    Arrival,
    Case,
    Cookies,
    Rng,
    chunked,
    hidden_in,
    path_of,
    query_of,
    request_of,
    start_of,
)
from tests.support.smuggling import smuggling

__all__ = ["HIDDEN", "MIX", "Arrival", "Case", "Cookies", "generate"]

FORGED_NAMES: Final = (*HEADERS, "X-Remote-User")

# fmt: off
_METHODS: Final = (
    "GET", "GET", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "REPORT", "MKCOL",
)
_ODD_SEGMENTS: Final = (
    "..", ".", "..;", "..;x", ".;/..", "%2e%2e", "%2E.", "%2e", "%252e%252e", "..%2f", "%2f..", "..%5c",
    "\\..", "%00", "x%00.html", "a%0d%0aX-Forwarded-User:%20mallory", "%c0%ae%c0%ae", "%ff", "%u002e", "%zz",
    "%", "", ";x=1", "public;x", "%70ublic", "PUBLIC", "public%20", "public.", "public%09", "public\u0085",
    "~", "*", "a\\b", ".oidcgate", "%2eoidcgate", ".OIDCGATE", ".oidcgate;", "userinfo", "healthz", "?x",
    "#x", "a b", "\x7f", "\u017e",
)
_ODD_TARGETS: Final = (
    "http://app.example.com{}", "https://evil.example{}", "//evil.example{}", "*", "app.example.com:443",
    "{}?", "?{}", "{}#f", "x{}", "", "{}" + "a" * 9000, "http:{}", "/{}/..", "{} HTTP/1.1", "unix:{}",
)
_ODD_METHODS: Final = ("GET", "GET", "POST", "CONNECT", "OPTIONS", "get", "G T", "GET\t", "", "A" * 50)
# fmt: on
_BODY_METHODS: Final = frozenset({"POST", "PUT", "PATCH", "PROPFIND", "REPORT"})
_TEXT: Final = (*range(0x21, 0x7F), *range(0xA1, 0x100))


def _value(rng: Rng) -> bytes:
    """A header value that arrives as it is: nothing at its ends that anybody may cut off."""
    size = rng.choice((0, 1, 5, 20, 200))
    value = bytes(rng.choice([*_TEXT, 0x20]) for _ in range(size)).strip()
    # Readers that strip by Latin-1 take these for blanks.
    return value.strip(b"\xa0\x85")


def _name(rng: Rng) -> str:
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    name = "".join(rng.choice(letters) for _ in range(rng.randint(2, 9)))
    return f"X-T{name}" + (f"-{rng.randint(0, 99)}" if rng.random() < 0.5 else "")


def benign(rng: Rng, id: str, cookies: Cookies) -> Case:
    """One or two requests as any client sends them; both on one connection when there are two."""
    number = rng.choice((1, 1, 1, 2))
    raw, arrivals = b"", []
    for turn in range(number):
        one, arrival = _benign(rng, f"{id}{'ab'[turn]}", cookies, last=turn == number - 1)
        raw += one
        arrivals.append(arrival)
    return Case(id, "benign", raw, tuple(a.method == "HEAD" for a in arrivals), tuple(arrivals))


def _benign(rng: Rng, id: str, cookies: Cookies, *, last: bool) -> tuple[bytes, Arrival]:
    public = rng.random() < 0.4
    signed_in = not public or rng.random() < 0.4
    method = rng.choice(_METHODS) if last else rng.choice(("GET", "POST", "PUT"))
    target = path_of(rng, id, public) + query_of(rng)
    headers: dict[str, bytes] = {"X-Case": id.encode()}
    for _ in range(rng.randint(0, 8)):
        name = _name(rng)
        if name.upper() not in {known.upper() for known in headers}:
            headers[name] = _value(rng)
    usual = {
        "Accept": b"*/*",
        "User-Agent": b"generated/1.0 (\xe9)",
        "Authorization": b"Bearer " + bytes(rng.choices(b"abcdef0123456789._-~+/", k=20)) + b"==",
        "If-None-Match": b'W/"x,y"',
        "Range": b"bytes=0-99",
        "Referer": b"https://x.example/?a=%2F",
        "Accept-Language": b"sk,en;q=0.5",
        "Origin": b"https://app.example.com",
        "Content-Type": b"multipart/form-data; boundary=x",
        "Via": b"1.1 somewhere",
    }
    headers |= {name: usual[name] for name in rng.sample(sorted(usual), rng.randint(0, 5))}
    arrived = {name.upper().replace("-", "_"): value.decode("latin-1") for name, value in headers.items()}
    fields = [name.encode() + b": " + value for name, value in headers.items()]
    jar = [b"theme=dark", b'q="a b"'][: rng.randint(0, 2)]
    if jar:
        arrived["COOKIE"] = b"; ".join(jar).decode()
    if signed_in:
        jar.insert(rng.randint(0, len(jar)), cookies.header(cookies.good))
    if jar:
        fields.append(b"Cookie: " + b"; ".join(jar))
    body = b""
    if method in _BODY_METHODS and rng.random() < 0.8:
        body = rng.randbytes(rng.choice((0, 1, 10, 1000, 20_000)))
        if rng.random() < 0.4:
            fields.append(b"Transfer-Encoding: chunked")
            framed = chunked(rng, body)
        else:
            fields.append(b"Content-Length: %d" % len(body))
            framed = body
        if rng.random() < 0.1:
            fields.append(b"Expect: 100-continue")
    else:
        framed = b""
    if last:
        fields.append(CLOSE)
    rng.shuffle(fields)
    raw = request_of(f"{method} {target} HTTP/1.1".encode(), b"Host: app.example.com", *fields, body=framed)
    return raw, Arrival(id, method, target, arrived, body, signed_in)


def stranger(rng: Rng, id: str, cookies: Cookies) -> Case:
    """Somebody without a session, or with what looks like one, asks for what is not public."""
    method = rng.choice(("GET", "GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PROPFIND", "TRACE"))
    fields = [
        f"{method} {path_of(rng, id, False)}{query_of(rng)} HTTP/1.1".encode(),
        b"Host: app.example.com",
    ]
    fields += [b"X-Case: " + id.encode(), *rng.choice((BROWSER, SCRIPT, ()))]
    cookie = _no_session(rng, cookies)
    if cookie is not None:
        fields.append(b"Cookie: " + cookie)
    if rng.random() < 0.2:
        fields += [b"Origin: https://evil.example", b"Access-Control-Request-Method: PUT"]
    body = b""
    if method in ("POST", "PUT") or rng.random() < 0.05:
        body = rng.randbytes(rng.choice((0, 10, 500)))
        fields.append(b"Content-Length: %d" % len(body))
    return Case(id, "stranger", request_of(*fields, CLOSE, body=body), (method == "HEAD",))


def _no_session(rng: Rng, cookies: Cookies) -> bytes | None:
    good = cookies.good
    at = rng.randrange(len(good))
    other = good[:at] + rng.choice("ABCDEFabcdef0123456789-_") + good[at + 1 :]
    name = cookies.name
    return rng.choice(
        (
            None,
            cookies.header(cookies.expired),
            cookies.header(cookies.foreign),
            cookies.header(other) if other != good else None,
            cookies.header(good[: rng.randrange(len(good))]),
            cookies.header(good + rng.choice(("A", "=", "%00", "x" * 5000))),
            cookies.header(f'"{good}"'),
            f"{name}={good}; {name}={good}".encode(),
            f"{name}={other}; {name}={good}".encode(),
            f"{name.upper()}={good}".encode(),
            f"x{name}={good}; {name}x={good}".encode(),
            f"{name} ={good[::-1]}".encode(),
            f"{name}; {name}=".encode(),
            f"{cookies.transaction}x={good}".encode(),
            f"{name}={quote(good[:-1])}%41".encode(),
            rng.randbytes(60).replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b""),
            b"; ".join(b"c%d=%d" % (n, n) for n in range(rng.choice((1, 50, 400)))),
            b";;; ,=; =; a==;" + cookies.header(""),
        )
    )


def spoofed(rng: Rng, id: str, cookies: Cookies) -> Case:
    """Somebody says who they are, in some spelling."""
    fields = start_of(rng, id, cookies, method=rng.choice(("GET", "GET", "POST", "OPTIONS", "HEAD")))
    method = fields[0].split(b" ")[0]
    if method == b"POST":
        fields.append(b"Content-Length: 0")
    elif method == b"OPTIONS" and rng.random() < 0.5:
        fields += [b"Origin: https://x.example", b"Access-Control-Request-Method: PUT"]
    for _ in range(rng.randint(1, 10)):
        fields.insert(rng.randint(1, len(fields)), _spoof(rng))
    if rng.random() < 0.2:
        fields.append(b"Connection: close, " + rng.choice(FORGED_NAMES).encode())
    else:
        fields.append(CLOSE)
    return Case(id, "spoofed", request_of(*fields), (method == b"HEAD",))


def _spoof(rng: Rng) -> bytes:
    name = b"".join(
        rng.choice((b"-", b"_", b"-", b"_", b".", b"~", b"--", b"!"))
        if letter in "-_"
        else rng.choice((letter.lower(), letter.upper())).encode()
        for letter in rng.choice(FORGED_NAMES)
    )
    plain = name + b": " + FORGED
    if rng.random() < 0.7:
        return plain
    return rng.choice(
        (
            name + b" : " + FORGED,
            name + b"\t: " + FORGED,
            b" " + plain,
            b"\t" + plain,
            name + b":\r\n " + FORGED,
            b"X-Harmless: a\n" + plain,
            b"X-Harmless: a\r" + plain,
            b"X-Harmless: a\r\n" + plain,
            b"X-Harmless: a\x00\r\n" + plain,
            b"X-Harmless: a\x0b" + plain,
            b"X-Harmless: \xc2\x85" + plain,
            name + b"\x00: " + FORGED,
            name + b"\xa0: " + FORGED,
            b"\xef\xbb\xbf" + plain,
            name.replace(b"-", b"\xe2\x80\x90") + b": " + FORGED,
            name + b":" + FORGED,
            name + b": Alic\xc3\xa9, " + FORGED,
            b"HTTP-" + plain,
            plain + b"\r\n" + name + b": " + FORGED,
        )
    )


def odd_path(rng: Rng, id: str, cookies: Cookies) -> Case:
    """A path that readers understand differently, or a target that is none."""
    segments = ["public"] if rng.random() < 0.5 else []
    segments += ["r", id]
    for _ in range(rng.randint(1, 3)):
        segments.insert(rng.randint(0, len(segments)), rng.choice(_ODD_SEGMENTS))
    path = "/" + "/".join(segments)
    if rng.random() < 0.3:
        path = rng.choice(_ODD_TARGETS).format(path)
    fields = start_of(rng, id, cookies)
    method = rng.choice(_ODD_METHODS)
    fields[0] = method.encode() + b" " + path.encode("utf-8", "surrogateescape") + b" HTTP/1.1"
    return Case(id, "odd path", request_of(*fields, CLOSE))


def lying_host(rng: Rng, id: str, cookies: Cookies) -> Case:
    """Host says something else, several things, or nothing."""
    fields = start_of(rng, id, cookies)
    host = rng.choice(
        (
            [],
            [b"Host:"],
            [b"Host: evil.example"],
            [b"Host: app.example.com", b"Host: evil.example"],
            [b"Host: app.example.com", b"Host: app.example.com"],
            [b"Host: app.example.com, evil.example"],
            [b"Host: app.example.com@evil.example"],
            [b"Host: app.example.com/x"],
            [b"Host: app.example.com:99999999"],
            [b"Host: \xff\xfe"],
            [b"Host: a b"],
            [b"Host : app.example.com"],
            [b"Host: app.example.com\r\n evil.example"],
            [b"Host: [::1]:80"],
            [b"Host: evil.example", b"X-Forwarded-Host: app.example.com"],
            [
                b"X-Forwarded-Host: evil.example",
                b"Forwarded: host=evil.example;for=127.0.0.1",
                b"Host: localhost",
            ],
            [b"X-Forwarded-For: 127.0.0.1", b"X-Real-IP: 127.0.0.1", b"X-Forwarded-Proto: ftp", b"Host: x"],
        )
    )
    fields[1:2] = host
    return Case(id, "lying host", request_of(*fields, CLOSE))


def upgrade(rng: Rng, id: str, cookies: Cookies) -> Case:
    """Another protocol is asked for, and spoken at once."""
    fields = start_of(rng, id, cookies, method=rng.choice(("GET", "GET", "GET", "POST", "OPTIONS")))
    name = rng.choice(
        (b"websocket", b"websocket", b"websocket", b"WebSocket", b"h2c", b"TLS/1.0", b"x, websocket")
    )
    fields += [
        b"Upgrade: " + name,
        b"Connection: " + rng.choice((b"Upgrade", b"upgrade, close", b"keep-alive", b"close")),
    ]
    fields += rng.sample(
        [
            b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            b"Origin: " + rng.choice((b"https://app.example.com", b"https://evil.example", b"null")),
            b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
            b"Sec-WebSocket-Protocol: x",
        ],
        rng.randint(1, 5),
    )
    return Case(id, "upgrade", request_of(*fields, body=hidden_in(id) if rng.random() < 0.5 else b""))


def mutated(rng: Rng, id: str, cookies: Cookies) -> Case:
    """Any other, with some bytes changed."""
    kind = rng.choice((benign, spoofed, odd_path, smuggling, upgrade, stranger))
    case = kind(rng, id, cookies)
    raw = bytearray(case.raw)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(raw))
        odd = rng.choice(
            (b"\r", b"\n", b"\x00", b" ", b"\t", b":", b"\r\n", b"%", b"\xff", b";", b",", rng.randbytes(1))
        )
        match rng.randrange(4):
            case 0:
                raw[at : at + 1] = odd
            case 1:
                raw[at:at] = odd
            case 2:
                del raw[at : at + rng.randint(1, 20)]
            case 3:
                raw[at:at] = raw[max(0, at - 30) : at]
    return Case(id, "mutated", bytes(raw), (raw.lstrip().startswith(b"HEAD"),))


Kind = Callable[[Rng, str, Cookies], Case]

#: How many of a hundred.
MIX: Final[dict[Kind, int]] = {
    benign: 22,
    stranger: 14,
    spoofed: 16,
    odd_path: 12,
    lying_host: 5,
    upgrade: 6,
    smuggling: 19,
    mutated: 6,
}


def generate(seed: int, number: int, cookies: Cookies) -> Iterator[Case]:
    """That many cases; the same for the same seed and cookies."""
    for turn in range(number):
        # Each by a seed of its own, so that one can be made again by itself.
        rng = random.Random(f"{seed}/{turn}")  # noqa: S311 (to be repeated, not to be secret)
        (kind,) = rng.choices(list(MIX), list(MIX.values()))
        yield kind(rng, f"q{turn:06}", cookies)

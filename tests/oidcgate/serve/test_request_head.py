"""Every head that is no request gets a 4xx answer and the end of its connection; the app hears nothing.

Here are the limits of `reading` too, on heads and on what stands around a body.
"""

import pytest

from tests.oidcgate.serve.wire import Recorder, Wire, echo, run

HOST = b"Host: a\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def get(*lines: bytes, target: bytes = b"/", version: bytes = b"HTTP/1.1") -> bytes:
    return b"GET " + target + b" " + version + b"\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def with_host(*lines: bytes) -> bytes:
    return get(b"Host: a", *lines)


REFUSED = {
    # Line ends. Spec: RFC 9112 2.2.
    "bare-lf-everywhere": b"GET / HTTP/1.1\nHost: a\n\n",
    "bare-lf-request-line": b"GET / HTTP/1.1\nHost: a\r\n\r\n",
    "bare-lf-field": b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
    "bare-lf-end": b"GET / HTTP/1.1\r\nHost: a\r\n\n",
    "bare-cr-field": b"GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
    "bare-cr-value": with_host(b"X: a\rb"),
    "bare-cr-request-line": b"GET / HTTP/1.1\rHost: a\r\n\r\n",
    "bare-cr-end": b"GET / HTTP/1.1\r\nHost: a\r\n\rX",
    # Fields. Spec: RFC 9112 5.
    "obs-fold": with_host(b"X: a", b" b"),
    "obs-fold-tab": with_host(b"X: a", b"\tb"),
    "obs-fold-first": get(b" Host: a"),
    "obs-fold-empty": with_host(b"X:", b" b"),
    "obs-fold-transfer-encoding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "obs-fold-content-length": POST + b"Content-Length: 3\r\n 4\r\n\r\nabc",
    "blank-before-colon": get(b"Host : a"),
    "tab-before-colon": get(b"Host\t: a"),
    "no-colon": with_host(b"X"),
    "empty-name": with_host(b": a"),
    "nul-in-value": with_host(b"X: a\0b"),
    "control-in-value": with_host(b"X: a\x01b"),
    "delete-in-value": with_host(b"X: a\x7fb"),
    "parenthesis-in-name": with_host(b"X(: a"),
    "brace-in-name": with_host(b"X{}: a"),
    "blank-in-name": with_host(b"X Y: a"),
    "umlaut-in-name": with_host("Xä: a".encode()),
    # Host. Spec: RFC 9112 3.2.
    "no-host": get(),
    "two-hosts": get(b"Host: a", b"Host: a"),
    "two-hosts-in-1.0": get(b"Host: a", b"Host: b", version=b"HTTP/1.0"),
    # Body length. Spec: RFC 9112 6.
    "length-and-coding": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding-and-length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "two-lengths": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "two-different-lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "length-plus": POST + b"Content-Length: +3\r\n\r\nabc",
    "length-minus": POST + b"Content-Length: -3\r\n\r\nabc",
    "length-list": POST + b"Content-Length: 3, 3\r\n\r\nabc",
    "length-hex": POST + b"Content-Length: 0x3\r\n\r\nabc",
    "length-underscore": POST + b"Content-Length: 3_0\r\n\r\nabc",
    "length-empty": POST + b"Content-Length:\r\n\r\nabc",
    "length-blank-inside": POST + b"Content-Length: 3 3\r\n\r\nabc",
    "length-arabic": POST + "Content-Length: ٣\r\n\r\nabc".encode(),
    "length-overflow": POST + b"Content-Length: 18446744073709551616\r\n\r\nabc",
    "length-absurd": POST + b"Content-Length: 18446744073709551615\r\n\r\nabc",
    "coding-gzip-chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "coding-chunked-gzip": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "coding-chunked-chunked": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "coding-twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding-identity": POST + b"Transfer-Encoding: identity\r\n\r\n",
    "coding-identity-behind": POST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "coding-leading-comma": POST + b"Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
    "coding-trailing-comma": POST + b"Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n",
    "coding-xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "coding-vertical-tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "coding-quoted": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "coding-parameter": POST + b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    "coding-empty": POST + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n",
    "coding-in-1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    # Request line. Spec: RFC 9112 3.
    "version-0.9": get(b"Host: a", version=b"HTTP/0.9"),
    "version-1.2": get(b"Host: a", version=b"HTTP/1.2"),
    "version-1.10": get(b"Host: a", version=b"HTTP/1.10"),
    "version-2.0": get(b"Host: a", version=b"HTTP/2.0"),
    "version-1": get(b"Host: a", version=b"HTTP/1"),
    "version-lower-case": get(b"Host: a", version=b"http/1.1"),
    "version-none": b"GET /\r\n\r\n",
    "http2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "rtsp": b"OPTIONS / RTSP/1.0\r\nHost: a\r\n\r\n",
    "ice": b"SOURCE / ICE/1.0\r\nHost: a\r\n\r\n",
    "two-blanks": b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "two-blanks-behind": b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
    "tab-in-line": b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "blank-before": b" GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "blank-behind": b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
    "method-lower-case": b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
    "method-unknown": b"G3T / HTTP/1.1\r\nHost: a\r\n\r\n",
    "tls-hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    # Target. Spec: RFC 9112 3.2.
    "absolute": get(b"Host: a", target=b"http://a/"),
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "authority": b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    "connect-path": b"CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "two-slashes": get(b"Host: a", target=b"//a/b"),
    "no-slash": get(b"Host: a", target=b"a"),
    "query-only": get(b"Host: a", target=b"?a"),
    "escape-not-hex": get(b"Host: a", target=b"/%zz"),
    "escape-cut": get(b"Host: a", target=b"/%4"),
    "escape-alone": get(b"Host: a", target=b"/a%"),
    "escape-in-query": get(b"Host: a", target=b"/?a=%g0"),
    "escape-of-percent-u": get(b"Host: a", target=b"/%u0041"),
    "fragment": get(b"Host: a", target=b"/a#b"),
    "fragment-in-query": get(b"Host: a", target=b"/a?b#c"),
    "blank-in-target": get(b"Host: a", target=b"/a b"),
    "control-in-target": get(b"Host: a", target=b"/\x01"),
    "tab-in-target": get(b"Host: a", target=b"/a\tb"),
    "delete-in-target": get(b"Host: a", target=b"/\x7f"),
    "latin-1-in-target": get(b"Host: a", target=b"/\xe4"),
    "utf-8-in-query": get(b"Host: a", target="/?ä".encode()),
}

# Found while the body is read. The app has the head then, and is told that no more comes.
REFUSED_BODIES = {
    "chunk-extension-bare-lf": b"3;a\nabc\r\n0\r\n\r\n",
    "chunk-extension-bare-cr": b"3;a\rb\r\nabc\r\n0\r\n\r\n",
    "chunk-extension-nul": b"3;\0\r\nabc\r\n0\r\n\r\n",
    "chunk-extension-open-quote": b'3;a="\r\nabc\r\n0\r\n\r\n',
    "chunk-size-bare-lf": b"3\nabc\n0\n\n",
    "chunk-data-bare-lf": b"3\r\nabc\n0\r\n\r\n",
    "chunk-size-plus": b"+3\r\nabc\r\n0\r\n\r\n",
    "chunk-size-minus": b"-1\r\nabc\r\n0\r\n\r\n",
    "chunk-size-0x": b"0x3\r\nabc\r\n0\r\n\r\n",
    "chunk-size-blank": b"3 \r\nabc\r\n0\r\n\r\n",
    "chunk-size-leading-blank": b" 3\r\nabc\r\n0\r\n\r\n",
    "chunk-size-overflow": b"FFFFFFFFFFFFFFFFF\r\nabc",
    "chunk-size-empty": b"\r\nabc\r\n0\r\n\r\n",
    "chunk-too-long": b"3\r\nabcd\r\n0\r\n\r\n",
    "trailer-content-length": b"0\r\nContent-Length: 5\r\n\r\n",
    "trailer-transfer-encoding": b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "trailer-no-colon": b"0\r\nX y\r\n\r\n",
    "trailer-bare-lf": b"0\r\nX: y\n\r\n",
    "trailer-fold": b"0\r\nX: y\r\n z\r\n\r\n",
    "end-bare-lf": b"0\r\n\n",
    "end-bare-cr": b"0\r\n\rX",
    "too-many-trailers": b"0\r\n" + b"X: y\r\n" * 101 + b"\r\n",
}


@pytest.mark.parametrize("pieces", [1, 2, 1000], ids=["whole", "halves", "bytes"])
@pytest.mark.parametrize("head", REFUSED.values(), ids=REFUSED.keys())
def test_a_head_that_is_no_request(head: bytes, pieces: int) -> None:
    async def test() -> None:
        app = Recorder(echo)
        wire = Wire(app)
        step = max(1, len(head) // pieces)
        await wire.feed(*[head[at : at + step] for at in range(0, len(head), step)])
        await wire.feed(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")

        [answer] = wire.answers()
        assert 400 <= answer.status < 500
        assert answer.field("connection") == "close"
        assert answer.body.endswith(b"\n")
        assert wire.ended
        assert app.scopes == []

    run(test())


@pytest.mark.parametrize("pieces", [1, 1000], ids=["whole", "bytes"])
@pytest.mark.parametrize("body", REFUSED_BODIES.values(), ids=REFUSED_BODIES.keys())
def test_a_body_that_is_none(body: bytes, pieces: int) -> None:
    async def test() -> None:
        app = Recorder(echo)
        wire = Wire(app)
        data = CHUNKED + body
        step = max(1, len(data) // pieces)
        await wire.feed(*[data[at : at + step] for at in range(0, len(data), step)])
        await wire.feed(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")

        [answer] = wire.answers()
        assert 400 <= answer.status < 500
        assert answer.field("connection") == "close"
        assert wire.ended
        assert [scope["raw_path"] for scope in app.scopes] == [b"/"]

    run(test())


FIELD_BYTES = {
    "name": set(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
    "value": {9, *range(0x20, 0x7F), *range(0x80, 0x100)},
    "target": set(range(0x21, 0x7F)) - set(b"#%"),
}


@pytest.mark.parametrize("where", FIELD_BYTES)
def test_each_byte_where_it_may_stand_and_nowhere_else(where: str) -> None:
    async def test() -> None:
        passed = set()
        for byte in range(256):
            # A colon ends a name, and what follows it is the value.
            if where == "name" and byte == ord(":"):
                continue
            char = bytes([byte])
            head = {
                "name": with_host(b"X" + char + b"Y: v"),
                "value": with_host(b"X: v" + char + b"w"),
                "target": get(b"Host: a", target=b"/a" + char + b"b"),
            }[where]
            app = Recorder()
            wire = await Wire(app).feed(head)
            if app.scopes:
                passed.add(byte)
            else:
                assert wire.statuses() == [400]
        assert passed == FIELD_BYTES[where]

    run(test())


def test_the_refusal_says_why_and_nothing_of_the_request() -> None:
    async def test() -> None:
        wire = await Wire(Recorder()).feed(
            get(b"Host: a", b"Authorization: s3cret", target=b"/%zz?token=s3cret")
        )

        [answer] = wire.answers()
        assert answer.status == 400
        assert b"target" in answer.body
        assert b"s3cret" not in wire.sent
        assert answer.field("date") == "Thu, 01 Jan 1970 00:00:00 GMT"
        assert answer.field("cache-control") == "no-store"

    run(test())


@pytest.mark.parametrize(
    ("expectation", "status"),
    [
        pytest.param(b"100-continue", 200, id="continue"),
        pytest.param(b"100-Continue ", 200, id="continue-in-any-case"),
        pytest.param(b"200-ok", 417, id="unknown"),
        pytest.param(b"100-continue, x", 417, id="list"),
        pytest.param(b"", 417, id="empty"),
    ],
)
def test_what_is_expected(expectation: bytes, status: int) -> None:
    async def test() -> None:
        head = POST + b"Expect: " + expectation + b"\r\nContent-Length: 2\r\n\r\n"
        wire = await Wire(Recorder(echo)).feed(head, b"ok")

        sent = wire.sent.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert sent.startswith(b"HTTP/1.1 %d " % status)

    run(test())


def test_a_refusal_waits_for_the_answers_before_it() -> None:
    async def test() -> None:
        wire = await Wire(Recorder()).feed(with_host() + with_host() + get(b"Host: a", target=b"/%zz"))

        assert wire.statuses() == [200, 200, 400]
        assert wire.ended

    run(test())


class TestSize:
    """32 KB and 100 fields, however they arrive."""

    @pytest.mark.parametrize("step", [1 << 20, 1000], ids=["at-once", "in-pieces"])
    def test_a_head_at_the_limit_passes(self, step: int) -> None:
        async def test() -> None:
            head = with_host(b"X: " + b"a" * (32_768 - len(with_host(b"X: "))))
            assert len(head) == 32_768
            wire = await Wire(Recorder()).feed(*[head[at : at + step] for at in range(0, len(head), step)])

            assert wire.statuses() == [200]

        run(test())

    @pytest.mark.parametrize(
        ("where", "step"),
        [
            ("value", 1 << 20),
            ("value", 1000),
            ("name", 1 << 20),
            ("name", 1000),
            ("target", 1 << 20),
            ("target", 1000),
            # At once they are read, dropped and cost nothing.
            ("blanks", 1000),
        ],
    )
    def test_a_larger_one_does_not(self, where: str, step: int) -> None:
        async def test() -> None:
            much = b"a" * 100_000
            head = {
                "value": with_host(b"X: " + much),
                "name": with_host(much + b": x"),
                "target": get(b"Host: a", target=b"/" + much),
                "blanks": with_host(b"X: " + b" " * 100_000 + b"x"),
            }[where]
            app = Recorder()
            wire = await Wire(app).feed(*[head[at : at + step] for at in range(0, len(head), step)])

            assert wire.statuses() == [431]
            assert wire.ended
            assert app.scopes == []

        run(test())

    @pytest.mark.parametrize(("number", "status"), [(100, 200), (101, 431)])
    def test_the_number_of_fields(self, number: int, status: int) -> None:
        async def test() -> None:
            wire = await Wire(Recorder()).feed(with_host(*[b"X: y"] * (number - 1)))

            assert wire.statuses() == [status]

        run(test())

    @pytest.mark.parametrize(("length", "status"), [(8190, 200), (8191, 414)])
    def test_a_target(self, length: int, status: int) -> None:
        async def test() -> None:
            target = b"/" + b"a" * (length - 1)
            wire = await Wire(Recorder()).feed(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target)

            assert wire.statuses() == [status]

        run(test())

    def test_a_head_without_end_is_not_kept(self) -> None:
        async def test() -> None:
            wire = await Wire(Recorder()).feed(b"GET / HTTP/1.1\r\nHost: a\r\nX: ", *[b"a" * 4096] * 9)

            assert wire.statuses() == [431]
            kept = sum(len(value) for value in vars(wire.protocol).values() if isinstance(value, bytes))
            assert kept < 32_768

        run(test())

    def test_a_body_before_it_does_not_count(self) -> None:
        async def test() -> None:
            upload = POST + b"Content-Length: 50000\r\n\r\n" + b"b" * 50_000
            first, rest = with_host(b"X: " + b"a" * 20_000)[:100], with_host(b"X: " + b"a" * 20_000)[100:]
            wire = await Wire(Recorder(echo)).feed(upload + first, rest)

            assert wire.statuses() == [200, 200]

        run(test())


@pytest.mark.parametrize("pieces", [1, 1000], ids=["whole", "bytes"])
@pytest.mark.parametrize("empty", [b"\r\n", b"\r\n\r\n\r\n", b"\n"])
def test_empty_lines_before_a_request_are_forgiven(pieces: int, empty: bytes) -> None:
    """Nothing is said in them, and a connection on which nothing else is said is closed all the same."""

    async def test() -> None:
        data = empty + POST + b"Content-Length: 2\r\n\r\nok" + empty + with_host()
        step = max(1, len(data) // pieces)
        wire = await Wire(Recorder(echo)).feed(*[data[at : at + step] for at in range(0, len(data), step)])

        assert wire.statuses() == [200, 200]

    run(test())


def test_chunk_extensions_have_an_end() -> None:
    async def test() -> None:
        wire = await Wire(Recorder(echo)).feed(CHUNKED + b"3;", *[b"a" * 8192] * 6)

        assert wire.statuses() == [400]

    run(test())


def test_short_chunk_extensions_pass_and_are_dropped() -> None:
    async def test() -> None:
        wire = await Wire(Recorder(echo)).feed(CHUNKED + b'3;a=b;c="d e"\r\nabc\r\n0;x\r\n\r\n')

        assert [answer.body for answer in wire.answers()] == [b"abc"]

    run(test())

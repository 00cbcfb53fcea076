"""What passes the proxy, byte for byte, and what is refused by name."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.proxy.rules import (
    HOP_BY_HOP,
    NO_BODY,
    BadHead,
    Framing,
    HeaderPair,
    HeadFault,
    forwarded,
    header_lines,
    request_framing,
    request_head,
    response_framing,
    response_headers,
)
from oidcgate.web.forwarded import TrustedPeers, parse_trusted_peers

CHUNKED = Framing(chunked=True)


def head(
    *headers: HeaderPair,
    method: str = "GET",
    target: bytes = b"/",
    own: tuple[HeaderPair, ...] = (),
    framing: Framing = NO_BODY,
    own_lines: bytes = b"",
) -> bytes:
    return request_head(
        method,
        target,
        headers,
        host=b"app.example.com",
        own=own,
        framing=framing,
        own_lines=own_lines,
    )


def names_of(request: bytes) -> list[bytes]:
    return [line.partition(b":")[0] for line in request.split(b"\r\n")[1:-2]]


class TestRequestHead:
    def test_the_whole_of_it(self) -> None:
        assert head(
            (b"host", b"evil.example"),
            (b"user-agent", b"x"),
            (b"cookie", b"a=1"),
            (b"cookie", b"b=2"),
            (b"content-length", b"0005"),
            (b"x-custom", b"\xc3\xa4  two  blanks"),
            method="POST",
            target=b"/a%20b?q=%zz&r=[1]",
            own=((b"x-forwarded-user", b"alice"),),
            own_lines=b"x-real-ip: 192.0.2.1\r\n",
            framing=Framing(5),
        ) == (
            b"POST /a%20b?q=%zz&r=[1] HTTP/1.1\r\n"
            b"host: app.example.com\r\n"
            b"user-agent: x\r\n"
            b"cookie: a=1\r\n"
            b"cookie: b=2\r\n"
            b"x-custom: \xc3\xa4  two  blanks\r\n"
            b"x-forwarded-user: alice\r\n"
            b"content-length: 5\r\n"
            b"x-real-ip: 192.0.2.1\r\n"
            b"\r\n"
        )

    def test_chunks_are_announced_as_such(self) -> None:
        assert b"\r\ntransfer-encoding: chunked\r\n" in head(method="PUT", framing=CHUNKED)

    def test_a_length_of_nothing_is_still_said(self) -> None:
        assert b"\r\ncontent-length: 0\r\n" in head(method="POST", framing=Framing(0))

    @pytest.mark.parametrize("name", sorted(HOP_BY_HOP))
    def test_hop_by_hop_fields_go(self, name: bytes) -> None:
        assert names_of(head((name, b"x"), (b"accept", b"*/*"))) == [b"host", b"accept"]

    @pytest.mark.row("G-18")
    @pytest.mark.parametrize(
        "name",
        [
            b"x-forwarded-for",
            b"x-forwarded-host",
            b"x-forwarded-anything",
            b"x_forwarded_for",
            b"x.forwarded-proto",
            b"forwarded",
            b"x-real-ip",
            b"x_real_ip",
            b"client-ip",
            b"true-client-ip",
            b"proxy",
            b"expect",
            b"content_length",
            b"transfer_encoding",
        ],
    )
    def test_what_the_client_says_of_its_way_goes(self, name: bytes) -> None:
        assert names_of(head((name, b"198.51.100.1"))) == [b"host"]

    @pytest.mark.parametrize("name", [b"x-forwarded", b"x-forward", b"x-real", b"api_key", b"via", b"origin"])
    def test_others_pass(self, name: bytes) -> None:
        expected = [b"host"] if name == b"x-forwarded" else [b"host", name]
        assert names_of(head((name, b"1"))) == expected

    @pytest.mark.row("G-20")
    @pytest.mark.parametrize("name", [b"x-remote-user", b"x_remote_user", b"x.remote-user", b"x-remote~user"])
    def test_a_client_cannot_say_what_we_say(self, name: bytes) -> None:
        request = head((name, b"mallory"), own=((b"x-remote-user", b"alice"),))

        assert b"mallory" not in request
        assert request.count(b"alice") == 1

    def test_connection_takes_the_named_fields_with_it(self) -> None:
        request = head(
            (b"x-hop", b"1"),
            (b"connection", b"close, X-Hop ,\tx-other"),
            (b"x-other", b"2"),
            (b"x-stays", b"3"),
        )

        assert names_of(request) == [b"host", b"x-stays"]

    @pytest.mark.row("G-20")
    @pytest.mark.parametrize(
        "name", [b"cookie", b"authorization", b"content-type", b"content-encoding", b"content-language"]
    )
    def test_connection_cannot_take_what_was_judged(self, name: bytes) -> None:
        assert names_of(head((b"connection", name), (name, b"x"))) == [b"host", name]

    @pytest.mark.row("G-20")
    def test_connection_cannot_take_ours(self) -> None:
        request = head(
            (b"connection", b"x-remote-user, host, content-length, x-real-ip"),
            (b"content-length", b"3"),
            method="POST",
            own=((b"x-remote-user", b"alice"),),
            own_lines=b"x-real-ip: 192.0.2.1\r\n",
            framing=Framing(3),
        )

        assert names_of(request) == [b"host", b"x-remote-user", b"content-length", b"x-real-ip"]

    def test_repeated_connection_fields_are_all_read(self) -> None:
        request = head((b"connection", b"a"), (b"a", b"1"), (b"connection", b"b"), (b"b", b"2"), (b"c", b"3"))

        assert names_of(request) == [b"host", b"c"]
        request = head((b"connection", b"a"), (b"a", b"1"), (b"connection", b"keep-alive"))
        assert names_of(request) == [b"host"]

    def test_a_tunnel_says_upgrade(self) -> None:
        request = head(
            (b"connection", b"Upgrade"),
            (b"upgrade", b"websocket"),
            (b"sec-websocket-key", b"k"),
            own=((b"connection", b"upgrade"), (b"upgrade", b"websocket")),
        )

        assert names_of(request) == [b"host", b"sec-websocket-key", b"connection", b"upgrade"]

    @pytest.mark.parametrize(
        ("header", "fault"),
        [
            pytest.param((b"", b"x"), HeadFault.NAME, id="empty-name"),
            pytest.param((b"a b", b"x"), HeadFault.NAME, id="blank-in-name"),
            pytest.param((b"a:", b"x"), HeadFault.NAME, id="colon-in-name"),
            pytest.param((b"a\r\nb", b"x"), HeadFault.NAME, id="break-in-name"),
            pytest.param((b"\xc3\xa4", b"x"), HeadFault.NAME, id="name-beyond-ascii"),
            pytest.param((b"a", b"x\r\nb: y"), HeadFault.VALUE, id="crlf"),
            pytest.param((b"a", b"x\nb: y"), HeadFault.VALUE, id="lf"),
            pytest.param((b"a", b"x\ry"), HeadFault.VALUE, id="cr"),
            pytest.param((b"a", b"x\0y"), HeadFault.VALUE, id="nul"),
        ],
    )
    def test_what_could_be_two_fields_is_refused(self, header: HeaderPair, fault: HeadFault) -> None:
        for call in (lambda: head(header), lambda: head(own=(header,)), lambda: header_lines([header])):
            with pytest.raises(BadHead) as refusal:
                call()
            assert (refusal.value.fault, refusal.value.status) == (fault, 400)

    @pytest.mark.parametrize("method", ["", "get", "GE T", "GET\r\n", "CONNECT", "X" * 33, "GÉT"])
    def test_a_method_that_is_none_is_refused(self, method: str) -> None:
        with pytest.raises(BadHead) as refusal:
            head(method=method)
        assert refusal.value.fault is HeadFault.METHOD

    @pytest.mark.parametrize("method", ["PROPFIND", "M-SEARCH", "VERSION-CONTROL"])
    def test_any_other_method_passes(self, method: str) -> None:
        assert head(method=method).startswith(method.encode() + b" / HTTP/1.1\r\n")

    @pytest.mark.row("G-21")
    @pytest.mark.parametrize(
        "target",
        [
            b"",
            b"*",
            b"//evil.example/",
            b"http://evil.example/",
            b"evil.example:443",
            b"/a b",
            b"/a\tb",
            b"/a\r\nb: c",
            b"/a\0",
            b"/a\x7f",
            b"/\xc3\xa4",
            b"/a#b",
            b"/a?b#c",
            b"/a?b c",
            b"/a?\n",
        ],
    )
    def test_a_target_with_two_readings_is_refused(self, target: bytes) -> None:
        with pytest.raises(BadHead) as refusal:
            head(target=target)
        assert refusal.value.fault is HeadFault.TARGET

    @pytest.mark.parametrize("target", [b"/", b"/a/b;c=d/e%20f", b"/?", b"/a?b?c/../d", b"/q?\xc3\xa4=//"])
    def test_a_target_arrives_as_it_came(self, target: bytes) -> None:
        assert head(target=target).startswith(b"GET " + target + b" HTTP/1.1\r\n")

    def test_options_of_the_server_as_a_whole(self) -> None:
        assert head(method="OPTIONS", target=b"*").startswith(b"OPTIONS * HTTP/1.1\r\n")

    @given(
        st.lists(
            st.tuples(
                st.text(string.ascii_lowercase + string.digits + "-_.~: \n", min_size=1).map(str.encode),
                st.binary(max_size=30),
            ),
            max_size=8,
        )
    )
    def test_no_header_adds_a_line_or_ends_the_head(self, headers: list[HeaderPair]) -> None:
        try:
            request = head(*headers, own=((b"x-remote-user", b"alice"),))
        except BadHead:
            return

        lines = request.split(b"\r\n")
        assert request.endswith(b"\r\n\r\n")
        assert len(lines) - 3 <= len(headers) + 2
        assert all(b":" in line for line in lines[1:-2])
        assert [line for line in lines if line.lower().startswith(b"x-remote-user:")] == [
            b"x-remote-user: alice"
        ]


class TestRequestFraming:
    @pytest.mark.parametrize(
        ("headers", "framing"),
        [
            pytest.param([], NO_BODY, id="none"),
            pytest.param([(b"content-length", b"0")], Framing(0), id="zero"),
            pytest.param([(b"content-length", b"12")], Framing(12), id="length"),
            pytest.param([(b"transfer-encoding", b"chunked")], CHUNKED, id="chunked"),
            pytest.param([(b"transfer-encoding", b"Chunked")], CHUNKED, id="chunked-in-another-case"),
        ],
    )
    def test_clear(self, headers: list[HeaderPair], framing: Framing) -> None:
        assert request_framing(headers) == framing
        assert framing.has_body == (framing not in (NO_BODY, Framing(0)))

    @pytest.mark.parametrize(
        ("headers", "version", "fault"),
        [
            pytest.param(
                [(b"content-length", value)], "1.1", HeadFault.LENGTH, id=repr(value)[2:-1] or "empty"
            )
            for value in (b"", b"+3", b"-3", b"3 ", b" 3", b"3,3", b"3_0", b"0x3", b"3.0", b"\xb2", b"9" * 19)
        ]
        + [
            pytest.param([(b"content-length", b"3")] * 2, "1.1", HeadFault.LENGTH_REPEATED, id="same-twice"),
            pytest.param(
                [(b"content-length", b"3"), (b"content-length", b"4")],
                "1.1",
                HeadFault.LENGTH_REPEATED,
                id="two-lengths",
            ),
            pytest.param(
                [(b"content-length", b"3"), (b"transfer-encoding", b"chunked")],
                "1.1",
                HeadFault.LENGTH_AND_CODING,
                id="both",
            ),
            pytest.param(
                [(b"transfer-encoding", b"chunked"), (b"content-length", b"3")],
                "1.1",
                HeadFault.LENGTH_AND_CODING,
                id="both-the-other-way",
            ),
            pytest.param(
                [(b"transfer-encoding", b"chunked")] * 2, "1.1", HeadFault.CODING, id="coding-twice"
            ),
            pytest.param(
                [(b"transfer-encoding", b"chunked")], "1.0", HeadFault.CODING_IN_1_0, id="coding-in-1.0"
            ),
        ]
        + [
            pytest.param([(b"transfer-encoding", value)], "1.1", HeadFault.CODING, id=f"coding-{value!r}")
            for value in (
                b"",
                b"gzip",
                b"identity",
                b"gzip, chunked",
                b"chunked, gzip",
                b"chunked, chunked",
                b"xchunked",
                b"chunked;q=1",
                b"\x0bchunked",
                b"chunked\xa0",
            )
        ],
    )
    def test_ambiguous(self, headers: list[HeaderPair], version: str, fault: HeadFault) -> None:
        with pytest.raises(BadHead) as refusal:
            request_framing(headers, version)
        assert (refusal.value.fault, refusal.value.status) == (fault, 400)


class TestResponse:
    @pytest.mark.parametrize(
        ("method", "status", "headers", "framing"),
        [
            pytest.param("GET", 200, [(b"Content-Length", b"7")], Framing(7), id="length"),
            pytest.param("GET", 200, [(b"Transfer-Encoding", b"chunked")], CHUNKED, id="chunked"),
            pytest.param("GET", 200, [], Framing(until_close=True), id="until-close"),
            pytest.param("HEAD", 200, [(b"Content-Length", b"7")], NO_BODY, id="head"),
            pytest.param("HEAD", 200, [(b"Transfer-Encoding", b"chunked")], NO_BODY, id="head-chunked"),
            pytest.param("GET", 204, [], NO_BODY, id="204"),
            pytest.param("GET", 304, [(b"content-length", b"7")], NO_BODY, id="304"),
        ],
    )
    def test_framing(self, method: str, status: int, headers: list[HeaderPair], framing: Framing) -> None:
        assert response_framing(method, status, headers) == framing

    @pytest.mark.parametrize(
        "headers",
        [
            [(b"Content-Length", b"3"), (b"content-length", b"3")],
            [(b"Content-Length", b"3"), (b"Transfer-Encoding", b"chunked")],
            [(b"Transfer-Encoding", b"gzip, chunked")],
            [(b"Content-Length", b"-1")],
        ],
    )
    def test_ambiguous_framing(self, headers: list[HeaderPair]) -> None:
        for method in ("GET", "HEAD"):
            with pytest.raises(BadHead):
                response_framing(method, 200, headers)

    def test_what_passes(self) -> None:
        assert response_headers(
            200,
            [
                (b"Content-Type", b"text/plain"),
                (b"Connection", b"keep-alive, X-Hop"),
                (b"Keep-Alive", b"timeout=5"),
                (b"X-Hop", b"1"),
                (b"Set-Cookie", b"a=1"),
                (b"Set-Cookie", b"b=2"),
                (b"Set-Cookie", b"gate=3"),
                (b"Trailer", b"X-Sum"),
                (b"Upgrade", b"h2c"),
                (b"Content-Length", b"3"),
                (b"Content-Encoding", b"gzip"),
            ],
            drop_cookie=lambda value: value.startswith(b"gate="),
        ) == [
            (b"content-type", b"text/plain"),
            (b"set-cookie", b"a=1"),
            (b"set-cookie", b"b=2"),
            (b"content-length", b"3"),
            (b"content-encoding", b"gzip"),
        ]

    def test_connection_cannot_take_what_describes_the_body(self) -> None:
        headers = [(b"Connection", b"content-type, content-length"), (b"Content-Type", b"text/html")]
        assert response_headers(200, headers) == [(b"content-type", b"text/html")]

    @pytest.mark.parametrize("status", [204, 304])
    def test_no_length_where_there_is_no_body(self, status: int) -> None:
        assert response_headers(status, [(b"Content-Length", b"7"), (b"ETag", b'"x"')]) == [(b"etag", b'"x"')]

    @pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 600, 999])
    def test_no_final_status(self, status: int) -> None:
        with pytest.raises(BadHead) as refusal:
            response_headers(status, [])
        assert (refusal.value.fault, refusal.value.status) == (HeadFault.STATUS, 502)

    @pytest.mark.parametrize(
        ("header", "fault"),
        [
            ((b"a b", b"x"), HeadFault.NAME),
            ((b"", b"x"), HeadFault.NAME),
            ((b"location", b"/\r\nset-cookie: a=b"), HeadFault.VALUE),
            ((b"location", b"/\nx"), HeadFault.VALUE),
            ((b"location", b"/\0x"), HeadFault.VALUE),
        ],
    )
    def test_what_could_be_two_fields_is_refused(self, header: HeaderPair, fault: HeadFault) -> None:
        with pytest.raises(BadHead) as refusal:
            response_headers(200, [header])
        assert (refusal.value.fault, refusal.value.status) == (fault, 502)


def test_a_thousand_invented_names_change_no_verdict() -> None:
    for number in range(3000):
        assert b"x-invented-%d" % number in head((b"x-invented-%d" % number, b"1"))

    assert names_of(head((b"x_forwarded_late", b"1"), (b"x-late-name", b"1"))) == [b"host", b"x-late-name"]
    assert response_headers(200, [(b"Keep-Alive", b"1"), (b"X-Late", b"1")]) == [(b"x-late", b"1")]


NOBODY = TrustedPeers()
PROXIES = parse_trusted_peers(["10.0.0.0/8", "fd00::/8"])


def way(
    peer: str | None,
    claimed: bytes | None = None,
    trusted: TrustedPeers = NOBODY,
    proto: bytes = b"https",
    host: bytes = b"app.example.com",
) -> dict[bytes, bytes]:
    headers = [] if claimed is None else [(b"x-forwarded-for", claimed)]
    pairs = forwarded(peer, headers, trusted=trusted, proto=proto, host=host)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


class TestForwarded:
    def test_of_a_direct_client(self) -> None:
        assert way("192.0.2.1") == {
            b"x-forwarded-for": b"192.0.2.1",
            b"x-real-ip": b"192.0.2.1",
            b"x-forwarded-proto": b"https",
            b"x-forwarded-host": b"app.example.com",
            b"x-forwarded-port": b"443",
            b"forwarded": b'for=192.0.2.1;host="app.example.com";proto=https',
        }

    @pytest.mark.parametrize(
        ("proto", "host", "port"),
        [
            (b"https", b"app.example.com:8443", b"8443"),
            (b"http", b"localhost", b"80"),
            (b"http", b"[::1]:8080", b"8080"),
            (b"http", b"[::1]", b"80"),
        ],
    )
    def test_port(self, proto: bytes, host: bytes, port: bytes) -> None:
        assert way("192.0.2.1", proto=proto, host=host)[b"x-forwarded-port"] == port

    @pytest.mark.row("G-18")
    def test_a_stranger_s_claim_is_dropped(self) -> None:
        assert way("192.0.2.1", b"127.0.0.1", PROXIES)[b"x-forwarded-for"] == b"192.0.2.1"

    def test_a_listed_proxy_is_believed_and_what_its_client_claims_is_not(self) -> None:
        found = way("10.0.0.1", b"127.0.0.1, 198.51.100.7, 10.0.0.2", PROXIES)

        assert found[b"x-forwarded-for"] == b"198.51.100.7, 10.0.0.2, 10.0.0.1"
        assert found[b"x-real-ip"] == b"198.51.100.7"
        assert found[b"forwarded"].startswith(b"for=198.51.100.7;")

    def test_several_fields_are_one_chain(self) -> None:
        headers = [(b"x-forwarded-for", b"198.51.100.7"), (b"x-forwarded-for", b"10.0.0.2")]
        pairs = forwarded("10.0.0.1", headers, trusted=PROXIES, proto=b"https", host=b"h")

        assert dict(pairs)[b"x-forwarded-for"] == b"198.51.100.7, 10.0.0.2, 10.0.0.1"

    def test_ipv6_stands_in_quotes(self) -> None:
        assert way("2001:db8::1")[b"forwarded"].startswith(b'for="[2001:db8::1]";')

    @pytest.mark.parametrize(
        ("trusted", "client"),
        [
            pytest.param(NOBODY, None, id="unlisted"),
            pytest.param(PROXIES, None, id="networks-do-not-hold-it"),
            pytest.param(parse_trusted_peers(["unix"]), b"198.51.100.7", id="listed"),
        ],
    )
    def test_a_unix_socket_is_believed_only_when_listed(
        self, trusted: TrustedPeers, client: bytes | None
    ) -> None:
        found = way(None, b"198.51.100.7", trusted)

        assert found.get(b"x-real-ip") == client
        assert found.get(b"x-forwarded-for") == client
        assert found[b"forwarded"].startswith(b"for=" + (client or b"unknown") + b";")

    @given(st.binary())
    def test_any_claim_is_survived_in_one_line(self, claimed: bytes) -> None:
        for value in way("10.0.0.1", claimed, PROXIES).values():
            assert value.isascii()
            assert b"\n" not in value
            assert b"\r" not in value

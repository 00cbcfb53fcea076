"""The head of the request that an upstream gets, byte for byte, and what is refused by name."""

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.proxy.fields import HOP_BY_HOP, BadHead, HeaderPair, HeadFault
from oidcgate.proxy.framing import CHUNKED, NO_BODY, Framing
from oidcgate.proxy.request_head import request_head, target_of


@pytest.mark.parametrize(
    ("scope", "target"),
    [
        pytest.param({"path": "/a b", "raw_path": b"/a%20b"}, b"/a%20b", id="as-it-came"),
        pytest.param({"path": "/a/b", "raw_path": b"/a%2Fb"}, b"/a%2Fb", id="not-as-it-was-read"),
        pytest.param({"path": "/a b/ä%"}, b"/a%20b/%C3%A4%25", id="not-said"),
        pytest.param({"path": "/a", "raw_path": None}, b"/a", id="none"),
        pytest.param({"path": "/a", "query_string": b"q=%zz"}, b"/a?q=%zz", id="query"),
    ],
)
def test_the_target_is_the_client_s_or_one_that_means_the_same(scope: dict[str, Any], target: bytes) -> None:
    assert target_of({"query_string": b"", **scope}) == target


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


def fields_of(request: bytes) -> list[HeaderPair]:
    lines = (line.partition(b": ") for line in request.split(b"\r\n")[1:-2])
    return [(name, value) for name, _, value in lines]


def test_the_whole_of_it() -> None:
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


def test_chunks_are_announced_as_such() -> None:
    assert b"\r\ntransfer-encoding: chunked\r\n" in head(method="PUT", framing=CHUNKED)


def test_a_length_of_nothing_is_still_said() -> None:
    assert b"\r\ncontent-length: 0\r\n" in head(method="POST", framing=Framing(0))


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP))
def test_hop_by_hop_fields_go(name: bytes) -> None:
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
def test_what_the_client_says_of_its_way_goes(name: bytes) -> None:
    assert names_of(head((name, b"198.51.100.1"))) == [b"host"]


@pytest.mark.parametrize("name", [b"x-forwarded", b"x-forward", b"x-real", b"api_key", b"via", b"origin"])
def test_others_pass(name: bytes) -> None:
    expected = [b"host"] if name == b"x-forwarded" else [b"host", name]
    assert names_of(head((name, b"1"))) == expected


@pytest.mark.row("G-20")
@pytest.mark.parametrize("name", [b"x-remote-user", b"x_remote_user", b"x.remote-user", b"x-remote~user"])
def test_a_client_cannot_say_what_we_say(name: bytes) -> None:
    request = head((name, b"mallory"), own=((b"x-remote-user", b"alice"),))

    assert b"mallory" not in request
    assert request.count(b"alice") == 1


def test_connection_takes_the_named_fields_with_it() -> None:
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
def test_connection_cannot_take_what_was_judged(name: bytes) -> None:
    assert names_of(head((b"connection", name), (name, b"x"))) == [b"host", name]


@pytest.mark.row("G-20")
def test_connection_cannot_take_ours() -> None:
    request = head(
        (b"connection", b"x-remote-user, host, content-length, x-real-ip"),
        (b"content-length", b"3"),
        method="POST",
        own=((b"x-remote-user", b"alice"),),
        own_lines=b"x-real-ip: 192.0.2.1\r\n",
        framing=Framing(3),
    )

    assert names_of(request) == [b"host", b"x-remote-user", b"content-length", b"x-real-ip"]


def test_repeated_connection_fields_are_all_read() -> None:
    request = head((b"connection", b"a"), (b"a", b"1"), (b"connection", b"b"), (b"b", b"2"), (b"c", b"3"))

    assert names_of(request) == [b"host", b"c"]
    request = head((b"connection", b"a"), (b"a", b"1"), (b"connection", b"keep-alive"))
    assert names_of(request) == [b"host"]


def test_a_tunnel_says_upgrade() -> None:
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
def test_what_could_be_two_fields_is_refused(header: HeaderPair, fault: HeadFault) -> None:
    for call in (lambda: head(header), lambda: head(own=(header,))):
        with pytest.raises(BadHead) as refusal:
            call()
        assert (refusal.value.fault, refusal.value.status) == (fault, 400)


@pytest.mark.parametrize(
    "name",
    [
        b"authorization",
        b"content-range",
        b"content-type",
        b"if-modified-since",
        b"if-range",
        b"if-unmodified-since",
        b"range",
    ],
)
def test_of_what_has_one_value_there_is_one(name: bytes) -> None:
    assert (name, b"a") in fields_of(head((name, b"a"), (b"accept", b"b")))
    for other in (name, name.replace(b"-", b"_"), name.replace(b"-", b".")):
        with pytest.raises(BadHead) as refusal:
            head((name, b"a"), (b"accept", b"b"), (other, b"a"))
        assert (refusal.value.fault, refusal.value.status) == (HeadFault.REPEATED, 400)
    assert (name, b"ours") in fields_of(head((name, b"a"), own=((name, b"ours"),)))
    assert (name, b"a") not in fields_of(head((name, b"a"), own=((name, b"ours"),)))


@pytest.mark.parametrize("name", [b"accept", b"cookie", b"if-none-match", b"x-forwarding", b"x_odd"])
def test_of_others_there_may_be_several(name: bytes) -> None:
    sent = [(name, b"a"), (name, b"b")]
    assert [pair for pair in fields_of(head(*sent)) if pair[0] == name] == sent


@pytest.mark.parametrize("method", ["", "get", "GE T", "GET\r\n", "CONNECT", "X" * 33, "GÉT"])
def test_a_method_that_is_none_is_refused(method: str) -> None:
    with pytest.raises(BadHead) as refusal:
        head(method=method)
    assert refusal.value.fault is HeadFault.METHOD


@pytest.mark.parametrize("method", ["PROPFIND", "M-SEARCH", "VERSION-CONTROL"])
def test_any_other_method_passes(method: str) -> None:
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
def test_a_target_with_two_readings_is_refused(target: bytes) -> None:
    with pytest.raises(BadHead) as refusal:
        head(target=target)
    assert refusal.value.fault is HeadFault.TARGET


@pytest.mark.parametrize("target", [b"/", b"/a/b;c=d/e%20f", b"/?", b"/a?b?c/../d", b"/q?\xc3\xa4=//"])
def test_a_target_arrives_as_it_came(target: bytes) -> None:
    assert head(target=target).startswith(b"GET " + target + b" HTTP/1.1\r\n")


def test_options_of_the_server_as_a_whole() -> None:
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
def test_no_header_adds_a_line_or_ends_the_head(headers: list[HeaderPair]) -> None:
    try:
        request = head(*headers, own=((b"x-remote-user", b"alice"),))
    except BadHead:
        return

    lines = request.split(b"\r\n")
    assert request.endswith(b"\r\n\r\n")
    assert len(lines) - 3 <= len(headers) + 2
    assert all(b":" in line for line in lines[1:-2])
    assert [line for line in lines if line.lower().startswith(b"x-remote-user:")] == [b"x-remote-user: alice"]


def test_a_thousand_invented_names_change_no_verdict() -> None:
    for number in range(3000):
        assert b"x-invented-%d" % number in head((b"x-invented-%d" % number, b"1"))

    assert names_of(head((b"x_forwarded_late", b"1"), (b"x-late-name", b"1"))) == [b"host", b"x-late-name"]

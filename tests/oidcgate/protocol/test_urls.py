"""Issuers, endpoints and redirect URIs: what may be one, and what equals what."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.protocol.urls import (
    endpoint_problem,
    is_loopback_url,
    issuer_problem,
    link_problem,
    match_redirect_uri,
    origin,
    redirect_uri_problem,
    with_query,
)

REGISTERED = (
    "https://app.example.com/cb?a=1",
    "http://127.0.0.1/cb",
    "http://[::1]:8000/cb?x=1",
    "http://localhost:8000/cb",
)


@pytest.mark.row("P-01", "S-53", "F-11")
@pytest.mark.parametrize(
    "presented",
    [
        pytest.param("https://app.example.com/cb?a=1", id="byte-equal"),
        pytest.param("http://127.0.0.1/cb", id="loopback-equal"),
        pytest.param("http://127.0.0.1:51004/cb", id="loopback-v4-other-port"),
        pytest.param("http://127.0.0.1:1/cb", id="loopback-lowest-port"),
        pytest.param("http://127.0.0.1:65535/cb", id="loopback-highest-port"),
        pytest.param("http://[::1]:51004/cb?x=1", id="loopback-v6-other-port"),
        pytest.param("http://[::1]/cb?x=1", id="loopback-v6-without-port"),
        pytest.param("http://localhost:8000/cb", id="localhost-equal"),
    ],
)
def test_registered_uris_match(presented: str) -> None:
    assert match_redirect_uri(REGISTERED, presented)


@pytest.mark.row("S-53")
@pytest.mark.parametrize("rest", ["", "?x=1", "/", "/cb?x=1"])
def test_the_port_on_loopback_is_free_whatever_follows(rest: str) -> None:
    assert match_redirect_uri([f"http://127.0.0.1{rest}"], f"http://127.0.0.1:51004{rest}")
    assert not match_redirect_uri([f"http://127.0.0.1{rest}"], f"http://127.0.0.1:51004{rest}x")


@pytest.mark.row("P-01", "S-53", "F-11")
@pytest.mark.parametrize(
    "presented",
    [
        pytest.param("", id="empty"),
        pytest.param("https://app.example.com/cb", id="query-left-out"),
        pytest.param("https://app.example.com/cb?a=1&b=2", id="query-added"),
        pytest.param("https://app.example.com/cb;p?a=1", id="path-parameter"),
        pytest.param("https://app.example.com/cb/?a=1", id="slash-added"),
        pytest.param("https://app.example.com/cb/..;/cb?a=1", id="dot-dot-semicolon"),
        pytest.param("https://app.example.com/x/../cb?a=1", id="dot-dot"),
        pytest.param("https://app.example.com/cb?a=1#f", id="fragment"),
        pytest.param("https://app.example.com/cb?a=1#", id="empty-fragment"),
        pytest.param("https://APP.example.com/cb?a=1", id="host-in-other-case"),
        pytest.param("https://app.example.com:443/cb?a=1", id="default-port"),
        pytest.param("https://appXexample.com/cb?a=1", id="dot-is-a-dot"),
        pytest.param("https://app.example.com.evil.test/cb?a=1", id="host-as-prefix"),
        pytest.param("https://app.example.com@evil.test/cb?a=1", id="host-as-user"),
        pytest.param("https://app.example.com/%63b?a=1", id="percent-encoded"),
        pytest.param("http://app.example.com/cb?a=1", id="http"),
        pytest.param("https://app.example.com/cb?a=1\n", id="line-break"),
        pytest.param("https://app.example.com/cb?a=1 ", id="blank"),
        pytest.param("http://localhost:8001/cb", id="localhost-other-port"),
        pytest.param("http://127.0.0.1.evil.test/cb", id="loopback-as-prefix"),
        pytest.param("http://127.0.0.1:80@evil.test/cb", id="loopback-as-user"),
        pytest.param("http://127.0.0.1:8000@evil.test:80/cb", id="loopback-as-user-with-port"),
        pytest.param("http://127.0.0.1:99999/cb", id="loopback-no-port"),
        pytest.param("http://127.0.0.1:65536/cb", id="loopback-port-too-high"),
        pytest.param("http://127.0.0.1:008000/cb", id="loopback-port-of-six-digits"),
        pytest.param("http://127.0.0.1:0/cb", id="loopback-port-zero"),
        pytest.param("http://127.0.0.1:/cb", id="loopback-empty-port"),
        pytest.param("http://127.0.0.1:8000/cb#f", id="loopback-fragment"),
        pytest.param("http://127.0.0.1:8000/cb2", id="loopback-other-path"),
        pytest.param("http://127.0.0.1:8000/cb\t", id="loopback-control"),
        pytest.param("http://127.0.0.2:8000/cb", id="loopback-other-address"),
        pytest.param("http://127.1:8000/cb", id="loopback-abbreviated"),
        pytest.param("http://localhost:8000/cb?", id="empty-query"),
        pytest.param("https://127.0.0.1:8000/cb", id="loopback-other-scheme"),
        pytest.param("http://[::1]:8000/cb?x=2", id="loopback-other-query"),
        pytest.param("http://[::ffff:127.0.0.1]:8000/cb", id="loopback-mapped"),
    ],
)
def test_look_alikes_do_not_match(presented: str) -> None:
    assert not match_redirect_uri(REGISTERED, presented)


@given(
    st.sampled_from(REGISTERED[:1]),
    st.text(max_size=40) | st.from_regex(r"https://app\.example\.com/cb\?a=1.{1,5}"),
)
def test_nothing_else_matches_an_https_uri(registered: str, presented: str) -> None:
    assert match_redirect_uri([registered], presented) == (registered == presented)


@pytest.mark.row("S-53", "P-01")
@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example.com/cb",
        "https://app.example.com",
        "https://app.example.com:8443/a/b;c?x=%20&y=(1)",
        "https://192.0.2.1/cb",
        "https://[2001:db8::1]:8443/cb",
        "https://[2001:DB8::9:A]/cb",
        "https://[::ffff:192.0.2.1]/cb",
        "https://a/cb",
        "https://My-App.Example.COM:1/cb/",
        "https://app.example.com/a./b../..c/.d/...",
        "https://app.example.com/cb?next=/../x",
        "https://app.example.com:65535/cb",
        "https://app.example.com/" + "x" * 2024,
    ],
)
def test_web_redirect_uris_may_be_registered(uri: str) -> None:
    assert redirect_uri_problem(uri, allow_http_loopback=False) is None


@pytest.mark.row("S-53", "P-01", "P-03")
@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        pytest.param("http://app.example.com/cb", "https", id="http"),
        pytest.param("http://localhost/cb", "insecure switch", id="http-loopback-without-the-switch"),
        pytest.param("/cb", "absolute", id="relative"),
        pytest.param("//app.example.com/cb", "absolute", id="scheme-relative"),
        pytest.param("javascript:alert(1)", "absolute", id="javascript"),
        pytest.param("JaVaScRiPt://app.example.com/%0aalert(1)", "absolute", id="javascript-with-host"),
        pytest.param("data:text/html,x", "absolute", id="data"),
        pytest.param("HTTPS://app.example.com/cb", "absolute", id="scheme-in-capitals"),
        pytest.param("https:app.example.com/cb", "absolute", id="no-slashes"),
        pytest.param("https:///cb", "host", id="no-host"),
        pytest.param("https://:443/cb", "host", id="port-only"),
        pytest.param("https://*.example.com/cb", "host", id="wildcard"),
        pytest.param("https://app..example.com/cb", "host", id="empty-label"),
        pytest.param("https://-app.example.com/cb", "host", id="host-begins-with-hyphen"),
        pytest.param("https://app.example.com./cb", "host", id="trailing-dot"),
        pytest.param("https://[::g]/cb", "host", id="not-an-address"),
        pytest.param("https://[::12345]/cb", "host", id="not-an-address-by-one-digit"),
        pytest.param("https://[1.2.3.4]/cb", "host", id="v4-in-brackets"),
        pytest.param("https://app.example.com:0/cb", "host", id="port-zero"),
        pytest.param("https://app.example.com:123456/cb", "host", id="port-of-six-digits"),
        pytest.param("https://app.example.com:65536/cb", "port", id="port-too-high"),
        pytest.param("https://user@app.example.com/cb", "user info", id="user"),
        pytest.param("https://user:pw@app.example.com/cb", "user info", id="user-and-password"),
        pytest.param("https://a@b@app.example.com/cb", "user info", id="two-ats"),
        pytest.param("https://app.example.com#f", "fragment", id="fragment-without-path"),
        pytest.param("https://app.example.com/cb#f", "fragment", id="fragment"),
        pytest.param("https://app.example.com/cb#", "fragment", id="empty-fragment"),
        pytest.param("https://app.example.com/a/../cb", "dot segments", id="dot-dot"),
        pytest.param("https://app.example.com/a/%2E%2e", "dot segments", id="dot-dot-encoded"),
        pytest.param("https://app.example.com/./cb", "dot segments", id="dot"),
        pytest.param("https://app.example.com\\@evil.test/cb", "characters", id="backslash"),
        pytest.param("https://app.example.com/c b", "characters", id="blank"),
        pytest.param("https://app.example.com/cb\n", "characters", id="line-break"),
        pytest.param("https://app.example.com/cb\x00", "characters", id="nul"),
        pytest.param("https://äpp.example.com/cb", "characters", id="not-ascii"),
        pytest.param("https://app.example.com/%zz", "characters", id="broken-escape"),
        pytest.param("https://app.example.com/" + "x" * 2025, "longer", id="oversized"),
        pytest.param("", "absolute", id="empty"),
    ],
)
def test_what_may_not_be_registered_is_told_why(uri: str, problem: str) -> None:
    told = redirect_uri_problem(uri, allow_http_loopback=False)
    assert told is not None
    assert problem in told


def test_each_character_of_a_url() -> None:
    # RFC 3986 2.2 and 2.3; "%" only as an escape, "#" begins a fragment.
    legal = string.ascii_letters + string.digits + "-._~:/?[]@!$&'()*+,;="
    for character in map(chr, range(0x100)):
        told = redirect_uri_problem(f"https://app.example.com/x{character}y", allow_http_loopback=False)
        assert (told is None) is (character in legal), ascii(character)


@pytest.mark.parametrize(
    ("escape", "sound"),
    [
        ("%0a", True),
        ("%fF", True),
        ("%9A", True),
        ("%", False),
        ("%a", False),
        ("%g0", False),
        ("%0g", False),
    ],
)
def test_an_escape_is_two_digits(escape: str, sound: bool) -> None:
    assert (redirect_uri_problem(f"https://a.example/{escape}", allow_http_loopback=False) is None) is sound


@pytest.mark.row("S-53")
@pytest.mark.parametrize(
    ("uri", "allowed"),
    [
        ("http://localhost:8000/cb", True),
        ("http://127.0.0.1:8000/cb", True),
        ("http://127.9.9.9/cb", True),
        ("http://[::1]:8000/cb", True),
        ("http://localhost.evil.test/cb", False),
        ("http://127.0.0.1.evil.test/cb", False),
        ("http://X127.0.0.1/cb", False),
        ("http://10.0.0.1/cb", False),
        ("http://127.1/cb", False),
    ],
)
def test_the_named_switch_opens_http_on_loopback_only(uri: str, allowed: bool) -> None:
    assert (redirect_uri_problem(uri, allow_http_loopback=True) is None) is allowed


@pytest.mark.row("F-04")
@pytest.mark.parametrize(
    ("issuer", "problem"),
    [
        pytest.param("https://id.example.com", None, id="host"),
        pytest.param("https://id.example.com/", None, id="slash"),
        pytest.param("https://id.example.com:8443/a/b", None, id="path"),
        pytest.param("https://id.example.com?x", "query", id="query"),
        pytest.param("https://id.example.com/a?x", "query", id="query-after-a-path"),
        pytest.param("https://id.example.com/#x", "fragment", id="fragment"),
        pytest.param("http://id.example.com", "https", id="http"),
        pytest.param("http://localhost:9000", "insecure switch", id="http-loopback"),
        pytest.param("id.example.com", "absolute", id="no-scheme"),
    ],
)
def test_issuers(issuer: str, problem: str | None) -> None:
    told = issuer_problem(issuer)
    assert told is None if problem is None else problem in (told or "")


def test_the_switch_opens_http_for_issuer_and_endpoint_on_loopback() -> None:
    assert issuer_problem("http://localhost:9000/op", insecure_allow_http_loopback=True) is None
    assert endpoint_problem("http://[::1]:9000/token?x=1", insecure_allow_http_loopback=True) is None
    assert endpoint_problem("http://id.example.com/token", insecure_allow_http_loopback=True) is not None
    assert "localhost" in (issuer_problem("http://app.localhost", insecure_allow_http_loopback=True) or "")
    assert endpoint_problem("http://[::1]:9000/token") is not None
    assert issuer_problem("http://localhost:9000/op") is not None
    assert endpoint_problem("https://id.example.com/token#x") == "an endpoint has no fragment"


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        pytest.param("http://localhost:9000/op", True, id="name"),
        pytest.param("https://LocalHost/", True, id="name-in-other-case"),
        pytest.param("http://127.9.9.9", True, id="v4"),
        pytest.param("http://[::1]:9000/x?y#z", True, id="v6"),
        pytest.param("http://id.example.com", False, id="elsewhere"),
        pytest.param("http://10.0.0.1/", False, id="private-network"),
        pytest.param("http://localhost.evil.test/", False, id="look-alike"),
        pytest.param("localhost", False, id="no-url"),
        pytest.param("http://localhost\\@evil.test", False, id="no-url-either"),
    ],
)
def test_what_leads_to_this_machine(url: str, loopback: bool) -> None:
    assert is_loopback_url(url) is loopback


@pytest.mark.parametrize(
    ("url", "values", "result"),
    [
        pytest.param("https://a.example/x", {"b": "c d"}, "https://a.example/x?b=c+d", id="no-query"),
        pytest.param("https://a.example/x?y=z", {"b": "c"}, "https://a.example/x?y=z&b=c", id="query"),
        pytest.param("https://a.example/x?", {"b": "c"}, "https://a.example/x?b=c", id="empty-query"),
        pytest.param("https://a.example/x?y=z&", {"b": "c"}, "https://a.example/x?y=z&b=c", id="open-query"),
        pytest.param("https://a.example/x?y=z", {}, "https://a.example/x?y=z", id="nothing-to-add"),
        pytest.param("https://a.example/x", {}, "https://a.example/x", id="nothing-at-all"),
    ],
)
def test_what_is_added_to_a_url_joins_the_query_it_has(url: str, values: dict[str, str], result: str) -> None:
    assert with_query(url, values) == result


@given(st.text(max_size=60) | st.from_regex(r"https?://[a-z0-9.:\[\]@%]{0,20}(/[^ ]{0,10})?"))
def test_any_text_is_judged(text: str) -> None:
    for told in (
        redirect_uri_problem(text, allow_http_loopback=True),
        issuer_problem(text),
        endpoint_problem(text),
    ):
        assert told is None or told
    assert match_redirect_uri([text], text)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param("https://a.example/x", "https://a.example:443/y?z", True, id="default-port-https"),
        pytest.param("http://localhost/x", "http://localhost:80", True, id="default-port-http"),
        pytest.param("https://A.example/x", "https://a.EXAMPLE/", True, id="host-in-any-case"),
        pytest.param("https://a.example/x", "http://a.example/x", False, id="scheme"),
        pytest.param("https://a.example/x", "https://a.example:8443/x", False, id="port"),
        pytest.param("https://a.example/x", "https://b.example/x", False, id="host"),
        pytest.param("https://[::1]/x", "https://[::1]:443/", True, id="ipv6"),
    ],
)
def test_what_a_browser_takes_for_one_origin(one: str, other: str, same: bool) -> None:
    assert (origin(one) == origin(other)) is same
    assert origin(one) is not None


@pytest.mark.parametrize(
    "url", ["", "com.example.app:/x", "javascript:alert(1)", "https://u@a.example/", "https:///x"]
)
def test_what_has_no_origin(url: str) -> None:
    assert origin(url) is None


@pytest.mark.row("S-18")
@pytest.mark.parametrize(
    ("url", "text"),
    [
        pytest.param("https://app.example/cb?a=1#b", "https://app.example", id="path-and-query"),
        pytest.param("https://App.EXAMPLE:443/cb", "https://app.example", id="default-port"),
        pytest.param("https://app.example:80/cb", "https://app.example:80", id="default-port-of-http"),
        pytest.param("http://localhost:80", "http://localhost", id="http-default-port"),
        pytest.param("http://127.0.0.1:443/", "http://127.0.0.1:443", id="http-default-port-of-https"),
        pytest.param("http://[::1]:8000/cb", "http://[::1]:8000", id="ipv6"),
    ],
)
def test_an_origin_is_written_as_a_browser_does(url: str, text: str) -> None:
    found = origin(url)
    assert found is not None
    assert found.text == text


@pytest.mark.row("P-03")
def test_a_link_is_https_and_http_to_this_machine_only_where_that_is_said() -> None:
    assert link_problem("https://app.example/terms?a=1#b") is None
    assert link_problem("javascript:alert(1)") is not None
    assert link_problem("http://localhost/terms") is not None
    assert link_problem("http://localhost/terms", insecure_allow_http_loopback=True) is None


@pytest.mark.row("E-07", "P-01")
@pytest.mark.parametrize(
    ("uri", "web", "native"),
    [
        pytest.param("https://app.example/cb", True, True, id="https"),
        pytest.param("com.example.app:/callback", False, True, id="scheme-of-its-own"),
        pytest.param("com.example.app:/a/../callback", False, False, id="dots"),
        pytest.param("com.example.app:/callback?next=/../x", False, True, id="dots-in-the-query"),
        pytest.param("com.example.app:/callback?a=?/../x", False, True, id="dots-behind-two-marks"),
        pytest.param("myapp:/callback", False, False, id="scheme-without-a-domain"),
        pytest.param("http://127.0.0.1/callback", False, True, id="loopback"),
        pytest.param("http://[::1]:8000/callback", False, True, id="loopback-of-ipv6-with-port"),
        pytest.param("http://localhost/callback", False, False, id="loopback-by-name"),
        pytest.param("http://app.example/callback", False, False, id="http"),
    ],
)
def test_what_an_app_on_its_users_device_may_register(uri: str, web: bool, native: bool) -> None:
    assert (redirect_uri_problem(uri, allow_http_loopback=False) is None) is web
    assert (redirect_uri_problem(uri, allow_http_loopback=False, native=True) is None) is native

"""Addresses that look like a registered one, wherever an address is presented: they are followed nowhere.

The corpus and the look-alikes at the authorization endpoint are in `tests/provider/sign_in`; here are the
other places, the other kinds of registered addresses, and made up ones.
"""

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.provider.bad_input.watching import problem_of
from tests.provider.sign_in.place import BYE, CALLBACK, ISSUER, Browser, World, authorize_url, client
from tests.provider.sign_in.test_authorize_parameters import LOOK_ALIKES, REDIRECTS

LOOPBACK_6, PRIVATE = "http://[::1]/cb", "com.example.app:/callback"
REGISTERED = [CALLBACK, "http://127.0.0.1/cb?a=1", LOOPBACK_6, PRIVATE]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A web application, and one of a device with every kind of address."""
    clients = [
        client("trusted", trusted=True),
        client(
            "native", trusted=True, auth_method="none", application_type="native", redirect_uris=REGISTERED
        ),
    ]
    made = World.make(tmp_path_factory.mktemp("redirects"), clients=clients)
    yield made
    made.close()


@pytest.fixture(scope="module")
def signed_in(world: World) -> tuple[Browser, str]:
    """A browser with a session, and its ID token."""
    browser = world.browser()
    return browser, str(world.tokens(browser.signed_in())["id_token"])


@pytest.mark.row("P-01", "S-19")
@pytest.mark.parametrize(
    "uri",
    [uri.replace("/cb", "/bye").replace("/CB", "/BYE").replace("/%63b", "/%62ye") for uri in LOOK_ALIKES],
)
def test_signing_out_leads_to_no_look_alike(world: World, signed_in: tuple[Browser, str], uri: str) -> None:
    browser, hint = signed_in
    assert uri != BYE
    for named in ({"id_token_hint": hint}, {"client_id": "trusted"}):
        query = urlencode({"post_logout_redirect_uri": uri, **named})
        for asked_by in (browser, world.browser()):
            for url, form in ((f"{ISSUER}/end_session?{query}", None), (f"{ISSUER}/end_session", query)):
                page = asked_by.go(url, form)
                assert page.location is None
                assert page.main_id in ("page-logout", "page-logged-out", "page-error")
                assert problem_of(page.response, (f"{ISSUER}/",)) is None


FOLLOWED = [
    pytest.param("http://127.0.0.1:1/cb?a=1", True, id="loopback-port"),
    pytest.param("http://127.0.0.1:65535/cb?a=1", True, id="loopback-last-port"),
    pytest.param("http://127.0.0.1:65536/cb?a=1", False, id="loopback-no-port"),
    pytest.param("http://127.0.0.1:/cb?a=1", False, id="loopback-empty-port"),
    pytest.param("http://127.0.0.1:+1/cb?a=1", False, id="loopback-signed-port"),
    pytest.param("http://127.0.0.1:\u0661/cb?a=1", False, id="loopback-other-digits"),
    pytest.param("http://127.0.0.1:1/cb", False, id="loopback-without-the-query"),
    pytest.param("http://127.0.0.1:1/cb?a=1&a=2", False, id="loopback-more-query"),
    pytest.param("http://127.0.0.1:1/cb?a=1#x", False, id="loopback-fragment"),
    pytest.param("http://127.0.0.1:1@evil.example/cb?a=1", False, id="loopback-user-info"),
    pytest.param("http://127.0.0.1:1.evil.example/cb?a=1", False, id="loopback-longer"),
    pytest.param("http://127.1:1/cb?a=1", False, id="loopback-short-form"),
    pytest.param("http://2130706433:1/cb?a=1", False, id="loopback-as-a-number"),
    pytest.param("http://0x7f.0.0.1:1/cb?a=1", False, id="loopback-hexadecimal"),
    pytest.param("http://127.0.0.2:1/cb?a=1", False, id="loopback-neighbour"),
    pytest.param("http://localhost:1/cb?a=1", False, id="localhost"),
    pytest.param("http://localhost.evil.example/cb?a=1", False, id="localhost-as-a-prefix"),
    pytest.param("http://[::1]:7/cb", True, id="ipv6-port"),
    pytest.param("http://[0:0:0:0:0:0:0:1]:7/cb", False, id="ipv6-long-form"),
    pytest.param("http://[::ffff:127.0.0.1]:7/cb", False, id="ipv6-mapped"),
    pytest.param("http://[::1%25lo]:7/cb", False, id="ipv6-zone"),
    pytest.param("http://::1:7/cb", False, id="ipv6-without-brackets"),
    pytest.param("https://app.example:444/cb", False, id="web-port"),
    pytest.param(PRIVATE, True, id="private-use"),
    pytest.param("com.example.app:/callback/", False, id="private-use-path"),
    pytest.param("com.example.app://callback", False, id="private-use-authority"),
    pytest.param("COM.example.app:/callback", False, id="private-use-other-case"),
    pytest.param("com.example.app2:/callback", False, id="private-use-longer"),
]


@pytest.mark.row("P-01", "P-03")
@pytest.mark.parametrize(("uri", "followed"), FOLLOWED)
def test_of_a_device_the_port_alone_may_differ(world: World, uri: str, followed: bool) -> None:
    page = world.browser().step(authorize_url("native", redirect_uri=uri, prompt="none"))
    if followed:
        assert (page.location or "").startswith(f"{uri}{'&' if '?' in uri else '?'}error=login_required")
    else:
        assert (page.status, page.main_id, page.location) == (400, "page-error", None)


def test_a_code_is_redeemed_with_the_address_it_was_sent_to_port_included(world: World) -> None:
    """The exception for ports is the authorization endpoint's; what comes after is compared whole."""
    page = world.browser().signed_in("native", redirect_uri="http://127.0.0.1:5000/cb?a=1")
    with pytest.raises(AssertionError, match="invalid_grant"):
        world.tokens(page, "native", "http://127.0.0.1:5001/cb?a=1")
    assert world.tokens(page, "native", "http://127.0.0.1:5000/cb?a=1")


# Pieces of which addresses are made that two readers take for different ones.
PIECES = st.sampled_from(
    ["https://", "http://", "//", "/", "\\", "app.example", "evil.example", "127.0.0.1", "[::1]",
     "localhost", "@",
     ":", ":80", "#", "?", "a=1", "/cb", "..", ".", ";", "%2f", "%2e", "%00", "%0d%0a", "\t", " ",
     "\u3002", "\uff0f",
     "com.example.app:/callback", "javascript:", "data:", "*", "\x00", "%zz", "\u202e"]
)  # fmt: skip


@pytest.mark.row("P-01", "P-02", "P-03")
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(PIECES, max_size=8).map("".join) | st.tuples(st.sampled_from(REGISTERED), PIECES).map("".join)
)
@example("https://app.example/cb\t")
@example("http://127.0.0.1:80@evil.example/cb?a=1")
def test_no_address_that_is_made_up_is_followed(world: World, uri: str) -> None:
    page = world.browser().step(authorize_url("native", redirect_uri=uri, prompt="none"))
    if page.location is None:
        assert (page.status, page.main_id) == (400, "page-error")
        return
    ports = ["http://127.0.0.1:80/cb?a=1", "http://[::1]:80/cb"]
    assert uri in (*REGISTERED, *ports)
    assert page.location.startswith(uri)


@pytest.mark.row("P-01", "S-23")
def test_no_line_of_the_corpus_is_followed_for_a_device_either(world: World) -> None:
    for uri in REDIRECTS:
        page = world.browser().step(authorize_url("native", redirect_uri=uri, prompt="none"))
        assert (page.status, page.location) == (400, None), uri

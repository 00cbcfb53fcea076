"""The front channel: a sign-out shows one page whose frames end the sessions at the applications."""

import re
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from tests.provider.sign_in.place import BYE, ISSUER, Browser, Page, World, claims, client

#: Neither the top window nor another one is theirs to lead elsewhere.
SANDBOX = 'sandbox="allow-scripts allow-same-origin allow-forms"'
OUT = "https://app.example/out"


def framed(client_id: str, uri: str = OUT, **changes: Any) -> dict[str, Any]:
    return client(client_id, trusted=True, frontchannel_logout_uri=uri, **changes)


CLIENTS = [
    framed("trusted", f"{OUT}?tenant=1&x=%22", frontchannel_logout_session_required=True),
    framed(
        "other",
        "https://other.example:443/bye",
        redirect_uris=["https://other.example/cb"],
        frontchannel_logout_session_required=True,
    ),
    framed("plain"),
    framed("elsewhere"),
    client("quiet", trusted=True),
]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path, clients=CLIENTS)


def signed_in(world: World, *client_ids: str) -> tuple[Browser, dict[str, Any]]:
    """A browser that signed in to each; the first one's tokens."""
    browser = world.browser()
    first, *others = client_ids
    tokens = world.tokens(browser.signed_in(first), first)
    for client_id in others:
        assert "code" in browser.authorize(client_id).answer
    return browser, tokens


def frames(page: Page) -> list[str]:
    return [
        unescape(found)
        for found in re.findall(rf'<iframe src="([^"]*)" {SANDBOX} title="" hidden></iframe>', page.text)
    ]


def policy(page: Page) -> dict[str, str]:
    header = page.response.headers["Content-Security-Policy"]
    return dict(directive.split(" ", 1) for directive in header.split("; "))


@pytest.mark.row("S-19")
def test_each_client_of_the_session_has_a_frame_and_then_the_browser_goes_on(world: World) -> None:
    browser, tokens = signed_in(world, "trusted", "other", "plain", "quiet")
    sid = claims(tokens["id_token"])["sid"]
    query = urlencode(
        {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BYE, "state": "a b&c"}
    )

    page = browser.go(f"{ISSUER}/end_session?{query}")

    assert (page.status, page.main_id, page.location) == (200, "page-logging-out", None)
    other, plain, trusted = frames(page)
    assert plain == OUT
    for frame, before in ((other, {}), (trusted, {"tenant": "1", "x": '"'})):
        assert dict(parse_qsl(urlsplit(frame).query)) == {**before, "iss": ISSUER, "sid": sid}
    assert policy(page)["frame-src"] == "https://other.example:443 https://app.example"
    assert policy(page)["script-src"].startswith("'sha256-")
    assert policy(page)["default-src"] == "'none'"
    target = f"{BYE}?state=a+b%26c"
    links = [unescape(link) for link in re.findall(r'id="continue" href="([^"]*)"', page.text)]
    refresh = [unescape(one) for one in re.findall(r'http-equiv="refresh" content="([^"]*)"', page.text)]
    assert (links, refresh) == ([target], [f"5;url={target}"])
    assert browser.session_cookie is None
    assert world.events("logged_out")[0]["sid"] == sid


@pytest.mark.row("S-19")
def test_without_a_target_the_page_that_says_so_carries_the_frames(world: World) -> None:
    browser, _ = signed_in(world, "trusted", "quiet")
    page = browser.submit(browser.go(f"{ISSUER}/end_session"))
    assert page.main_id == "page-logged-out"
    assert len(frames(page)) == 1
    assert policy(page)["frame-src"] == "https://app.example"
    assert "script-src" not in policy(page)


@pytest.mark.row("S-19")
def test_who_wants_no_frame_costs_no_page(world: World) -> None:
    browser, tokens = signed_in(world, "quiet")
    query = urlencode({"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BYE})
    assert browser.go(f"{ISSUER}/end_session?{query}").location == BYE


def test_a_browser_without_a_session_is_shown_no_frames(world: World) -> None:
    _, tokens = signed_in(world, "trusted")
    query = urlencode({"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BYE})
    assert world.browser().go(f"{ISSUER}/end_session?{query}").location == BYE


def test_clients_of_other_sessions_are_not_framed(world: World) -> None:
    browser, _ = signed_in(world, "plain")
    signed_in(world, "trusted", "elsewhere")
    assert frames(browser.submit(browser.go(f"{ISSUER}/end_session"))) == [OUT]


def test_a_client_that_was_switched_off_is_not_framed(tmp_path: Path) -> None:
    browser, _ = signed_in(World.make(tmp_path, clients=CLIENTS), "plain", "trusted")
    changed = World.make(tmp_path, clients=[framed("plain", enabled=False), framed("trusted")])
    browser.client.application = changed.provider
    assert frames(browser.submit(browser.go(f"{ISSUER}/end_session"))) == [OUT]


def test_how_long_the_page_waits_is_the_operators(tmp_path: Path) -> None:
    world = World.make(tmp_path, clients=CLIENTS, logout={"frame_seconds": 9})
    browser, tokens = signed_in(world, "trusted")
    query = urlencode({"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BYE})
    page = browser.go(f"{ISSUER}/end_session?{query}")
    assert 'data-seconds="9"' in page.text
    assert f'content="9;url={BYE}"' in page.text


def test_a_thousand_origins_leave_the_header_short(tmp_path: Path) -> None:
    hosts = [f"https://application-{number}.departments.example" for number in range(200)]
    clients = [
        framed(f"client-{number}", f"{host}/out", redirect_uris=["https://app.example/cb", f"{host}/cb"])
        for number, host in enumerate(hosts)
    ]
    world = World.make(tmp_path, clients=clients)
    browser, _ = signed_in(world, *(f"client-{number}" for number in range(200)))
    page = browser.submit(browser.go(f"{ISSUER}/end_session"))
    assert sorted(frames(page)) == sorted(f"{host}/out" for host in hosts)
    assert policy(page)["frame-src"] == "https:"

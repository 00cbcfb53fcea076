"""The fragment of an address is kept through a sign-in, by the browser and nobody else.

What the two scripts do is seen in a browser: tests/live/test_kept_in_browser.py.
"""

import re
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import pytest
from werkzeug.test import TestResponse

from tests.support.lying_provider import APP, GONE, NAVIGATION, SCRIPT, Browser, Scene

pytestmark = pytest.mark.row("G-11")


def scene_that_keeps(**settings: Any) -> Scene:
    return Scene.set({"login": {"keep_fragment": True}, **settings})


def link_of(page: TestResponse) -> tuple[str, str]:
    """Where the page goes on to, and under which key it keeps the fragment."""
    assert page.status_code == 200
    assert 'id="page-passing"' in page.text
    found = re.search(r'id="continue" href="([^"]+)" data-key="([^"]+)"', page.text)
    assert found
    return unescape(found[1]), found[2]


def passed(browser: Browser, url: str, *, has_fragment: bool) -> TestResponse:
    """The way through the first page, as its script goes it."""
    url, key = link_of(browser.get(url))
    return browser.get(url + (key if has_fragment else ""))


def test_who_has_one_finds_it_where_they_arrive() -> None:
    scene = scene_that_keeps()
    browser = scene.browser()
    page = browser.get(browser.get("/app?x=1").headers["Location"])
    # Nothing has begun yet: a page that nobody goes on from leaves nothing behind.
    assert "Set-Cookie" not in page.headers
    url, key = link_of(page)
    assert url == f"{APP}/.oidcgate/login?rd=%2Fapp%3Fx%3D1&fragment="
    location = browser.get(url + key).headers["Location"]
    assert key not in location
    arrived = browser.get(scene.provider.answer(location))
    assert link_of(arrived) == (f"{APP}/app?x=1", key)
    assert browser.has_session()


def test_who_has_none_passes_no_second_page() -> None:
    scene = scene_that_keeps()
    browser = scene.browser()
    location = passed(browser, "/.oidcgate/login?rd=/app", has_fragment=False).headers["Location"]
    arrived = browser.get(scene.provider.answer(location))
    assert (arrived.status_code, arrived.headers["Location"]) == (303, f"{APP}/app")


def test_the_scripts_are_the_only_ones_that_run_and_no_key_is_used_twice() -> None:
    scene = scene_that_keeps()
    browser = scene.browser()
    pages = [browser.get("/.oidcgate/login?rd=/app") for _ in range(2)]
    for page in pages:
        policy = page.headers["Content-Security-Policy"]
        assert re.search(r"script-src 'sha256-[A-Za-z0-9+/=]+'(;|$)", policy)
        assert "unsafe" not in policy
        assert page.text.count("<script") == 1
        # A popup that signs somebody in is to be found by the page that opened it.
        assert page.headers["Cross-Origin-Opener-Policy"] == "unsafe-none"
    assert link_of(pages[0])[1] != link_of(pages[1])[1]


def test_who_runs_no_scripts_goes_on_without() -> None:
    page = scene_that_keeps().browser().get("/.oidcgate/login?rd=/app")
    url = f"{APP}/.oidcgate/login?rd=%2Fapp&amp;fragment="
    assert f'<noscript><meta http-equiv="refresh" content="0;url={url}"></noscript>' in page.text


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Accept": "text/html"}, id="an-old-browser"),
        # Of the app's own: from another site nothing begins in a frame.
        pytest.param(
            {**NAVIGATION, "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "same-origin"}, id="a-frame"
        ),
    ],
)
def test_who_says_of_no_page_of_their_own_goes_straight_on(headers: dict[str, str]) -> None:
    answer = scene_that_keeps().browser().get("/.oidcgate/login?rd=/app", headers)
    assert urlsplit(answer.headers["Location"]).netloc == "id.example"


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("/.oidcgate/login?rd=/app%23there", id="the-link-has-one"),
        pytest.param("/.oidcgate/login?iss=https://id.example&target_link_uri=/app", id="another-site"),
    ],
)
def test_where_it_is_known_or_not_ours_nobody_looks(url: str) -> None:
    answer = scene_that_keeps().browser().get(url)
    assert urlsplit(answer.headers["Location"]).netloc == "id.example"


def test_it_can_be_switched_off() -> None:
    answer = Scene.set({"login": {"keep_fragment": False}}).browser().get("/.oidcgate/login?rd=/app")
    assert urlsplit(answer.headers["Location"]).netloc == "id.example"


def test_a_script_is_shown_no_page() -> None:
    assert scene_that_keeps().browser().get("/.oidcgate/login?rd=/app", SCRIPT).status_code == 401


def test_another_try_of_a_sign_in_that_failed_keeps_it() -> None:
    scene = scene_that_keeps()
    browser = scene.browser()
    url, key = link_of(browser.get("/.oidcgate/login?rd=/app"))
    location = browser.get(url + key).headers["Location"]
    page = browser.get(scene.provider.answer(location, error="access_denied"))
    found = re.search(r'id="retry" href="([^"]+)"', page.text)
    assert found
    location = browser.get(unescape(found[1])).headers["Location"]
    assert link_of(browser.get(scene.provider.answer(location))) == (f"{APP}/app", key)


@pytest.mark.parametrize("key", ["x", "A" * 23, "A" * 21 + '"', "<script>", "A" * 5000, "%00"])
def test_a_forged_key_is_none(key: str) -> None:
    scene = scene_that_keeps()
    browser = scene.browser()
    location = browser.get(f"/.oidcgate/login?rd=/app&fragment={key}").headers["Location"]
    assert browser.get(scene.provider.answer(location)).headers["Location"] == f"{APP}/app"


def test_the_choice_of_a_provider_keeps_it() -> None:
    providers = [
        {"name": name, "issuer": issuer, "client_id": "a", "client_secret": "b"}
        for name, issuer in (("One", "https://id.example"), ("Two", "https://two.example"))
    ]
    scene = scene_that_keeps(provider=GONE, providers=providers)
    browser = scene.browser()
    url, key = link_of(browser.get("/.oidcgate/login?rd=/app"))
    assert f"idp=Two&amp;fragment={key}" in browser.get(url + key).text
    assert 'idp=Two&amp;fragment="' in browser.get(url).text

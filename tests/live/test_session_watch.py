"""A page of the app learns in a hidden frame that its person is gone at the provider, in Chromium.

On two sites over TLS, with third-party cookies and without.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.live.sites.deployment import Sites, watching_sites
from tests.live.sites.names import SITES
from tests.support.chromium import chromium, page_of
from tests.support.tls import Authority

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.xdist_group("session-watch")]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Sites]:
    with watching_sites(tmp_path_factory.mktemp("sites"), authority) as running:
        yield running


@pytest.fixture
def browser(request: pytest.FixtureRequest, tmp_path: Path, authority: Authority) -> Iterator[BrowserContext]:
    with chromium(
        tmp_path / "browser",
        authority=authority.certificate,
        hosts=SITES,
        block_third_party_cookies=getattr(request, "param", False),
    ) as context:
        yield context


def sign_in(page: Page, sites: Sites, name: str = "alice") -> None:
    page.goto(f"{sites.app_url}/")
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", f"demo-{name}")
    page.click("#login")
    page.wait_for_url(f"{sites.app_url}/")
    expect(page.locator("#user")).to_have_text(name.title())


def watched(page: Page) -> None:
    """Return when the provider's frame has said "unchanged" once."""
    page.wait_for_function("localStorage.getItem('oidcgate.unchanged') !== null")


def sign_out_elsewhere(page: Page, sites: Sites) -> None:
    tab = page.context.new_page()
    tab.goto(f"{sites.issuer}/end_session")
    tab.click("#logout")
    expect(tab.locator("main#page-logged-out")).to_be_visible()
    tab.close()


def test_signed_out_at_the_provider_in_another_tab(sites: Sites, browser: BrowserContext) -> None:
    page = page_of(browser)
    sign_in(page, sites)
    watched(page)
    sign_out_elsewhere(page, sites)
    expect(page.locator("#told")).to_have_text("oidcgate:signed-out")
    page.reload()
    expect(page.locator("main#page-login")).to_be_visible()


@pytest.mark.parametrize(("name", "goes_on"), [("alice", True), ("bob", False)])
def test_somebody_signed_in_anew_at_the_provider(
    sites: Sites, browser: BrowserContext, name: str, goes_on: bool
) -> None:
    page = page_of(browser)
    sign_in(page, sites)
    watched(page)
    before = page.evaluate("localStorage.getItem('oidcgate.unchanged')")
    # Nobody asks while nobody is there.
    page.evaluate("document.getElementById('watch').remove()")
    sign_out_elsewhere(page, sites)
    tab = browser.new_page()
    tab.goto(f"{sites.issuer}/account")
    tab.fill("input[name=username]", name)
    tab.fill("input[name=password]", f"demo-{name}")
    tab.click("#login")
    expect(tab.locator("main")).to_contain_text(name)

    page.reload()

    if goes_on:
        page.wait_for_function("old => localStorage.getItem('oidcgate.unchanged') !== old", arg=before)
        expect(page.locator("#told")).to_have_text("")
        page.reload()
        expect(page.locator("#user")).to_have_text("Alice")
    else:
        expect(page.locator("#told")).to_have_text("oidcgate:signed-out")


@pytest.mark.parametrize("browser", [True], indirect=True, ids=["no-third-party-cookies"])
def test_where_the_frame_is_kept_in_the_dark_nobody_is_signed_out(
    sites: Sites, browser: BrowserContext
) -> None:
    page = page_of(browser)
    sign_in(page, sites)
    with page.expect_event("console", predicate=lambda message: "asked" in message.text):
        page.evaluate("setTimeout(() => console.log('asked'), 3000)")
    expect(page.locator("#told")).to_have_text("")
    page.reload()
    expect(page.locator("#user")).to_have_text("Alice")

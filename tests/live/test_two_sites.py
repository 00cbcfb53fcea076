"""A sign-in over TLS on two sites, in Chromium: what only a browser does with cookies and cross-site POSTs.

Ports of localhost are one site and hide what these tests are for.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.live.sites.deployment import Sites, two_sites
from tests.live.sites.names import SITES
from tests.support.chromium import chromium, page_of
from tests.support.tls import Authority

pytestmark = [pytest.mark.live, pytest.mark.slow]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(
    scope="module",
    # Each pair of sites is started once, by the one worker that runs its tests.
    params=[
        pytest.param(mode, marks=pytest.mark.xdist_group(f"two-sites-{mode}"))
        for mode in ("query", "form_post")
    ],
)
def sites(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[Sites]:
    with two_sites(tmp_path_factory.mktemp("sites"), authority, response_mode=request.param) as running:
        yield running


# The stricter browser in `make test`, the other in `make test-heavy`.
COOKIES = [
    pytest.param(False, id="third-party-cookies", marks=pytest.mark.heavy),
    pytest.param(True, id="no-third-party-cookies"),
]


@pytest.fixture(scope="module", params=COOKIES)
def started(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[BrowserContext]:
    with chromium(
        tmp_path_factory.mktemp("browser"),
        authority=authority.certificate,
        hosts=SITES,
        block_third_party_cookies=request.param,
    ) as context:
        yield context


@pytest.fixture
def browser(started: BrowserContext) -> BrowserContext:
    """A browser that has not been anywhere: one page, no cookie."""
    started.clear_cookies()
    fresh = started.new_page()
    for page in started.pages:
        if page != fresh:
            page.close()
    return started


def sign_in(page: Page, name: str) -> None:
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", f"demo-{name}")
    with page.expect_navigation():
        page.click("#login")
    if page.locator("#allow").count():  # asked once; the consent is remembered for the tests that follow
        page.click("#allow")


@pytest.mark.row("F-01", "F-07", "A-08", "A-09", "S-23")
def test_alice_signs_in_and_keeps_her_deep_link(sites: Sites, browser: BrowserContext) -> None:
    page = page_of(browser)
    page.goto(f"{sites.app_url}/people?q=bob")
    expect(page.locator("main#page-login")).to_be_visible()
    assert page.url.startswith(sites.issuer + "/")

    sign_in(page, "alice")

    page.wait_for_url(f"{sites.app_url}/people?q=bob")
    page.goto(f"{sites.app_url}/")
    expect(page.locator("body")).to_contain_text("Alice")


@pytest.mark.row("G-01", "T-03")
def test_cookies_carry_the_strictest_flags_that_work(sites: Sites, browser: BrowserContext) -> None:
    page = page_of(browser)
    page.goto(f"{sites.app_url}/")
    transactions = [c for c in browser.cookies(sites.app_url + "/.oidcgate/callback") if "-tx-" in c["name"]]
    assert len(transactions) == 1
    assert transactions[0]["name"].startswith("__Secure-oidcgate-tx-")
    [proof] = [c for c in browser.cookies(f"{sites.app_url}/") if "-at-" in c["name"]]
    assert proof["name"].startswith("__Host-oidcgate-at-")

    sign_in(page, "alice")
    page.wait_for_url(f"{sites.app_url}/")

    left = browser.cookies(sites.app_url + "/.oidcgate/callback")
    assert not [c for c in left if "-tx-" in c["name"] or "-at-" in c["name"]], "the transaction is used up"
    [session] = [c for c in left if c["name"].startswith("__Host-oidcgate-")]
    assert (session["path"], session["secure"], session["httpOnly"], session["sameSite"]) == (
        "/",
        True,
        True,
        "Lax",
    )
    assert session["domain"] == "app.test", "no Domain attribute: the cookie is this host's alone"
    at_provider = [c for c in browser.cookies(sites.issuer) if c["name"].startswith("__Host-oidcprovider")]
    assert at_provider
    assert all(c["secure"] and c["httpOnly"] for c in at_provider)


@pytest.mark.row("F-06", "G-06", "S-19")
def test_sign_out_ends_both_sessions(sites: Sites, browser: BrowserContext) -> None:
    page = page_of(browser)
    page.goto(f"{sites.app_url}/")
    sign_in(page, "alice")
    page.wait_for_url(f"{sites.app_url}/")
    old = browser.cookies(sites.app_url)

    page.goto(f"{sites.app_url}/.oidcgate/logout")
    page.click("#logout")

    expect(page.locator("main#page-logged-out")).to_be_visible()
    assert page.url.startswith(sites.app_url)
    browser.add_cookies(old)  # type: ignore[arg-type]  # what cookies() gives is what add_cookies() takes
    # The copy of a cookie that was signed out opens nothing.
    page.goto(f"{sites.app_url}/")
    expect(page.locator("main#page-login")).to_be_visible()


@pytest.mark.row("F-08")
def test_mallory_is_told_and_kept_out(sites: Sites, browser: BrowserContext) -> None:
    page = page_of(browser)
    page.goto(f"{sites.app_url}/")
    sign_in(page, "mallory")

    expect(page.locator("main#page-unknown-user")).to_contain_text("mallory")
    assert not [c for c in browser.cookies(sites.app_url) if c["name"].startswith("__Host-oidcgate-")]


@pytest.mark.row("G-01")
def test_two_tabs_sign_in_side_by_side(sites: Sites, browser: BrowserContext) -> None:
    first, second = page_of(browser), browser.new_page()
    first.goto(f"{sites.app_url}/people?q=first")
    second.goto(f"{sites.app_url}/people?q=second")
    sign_in(second, "alice")
    second.wait_for_url(f"{sites.app_url}/people?q=second")
    first.fill("input[name=username]", "alice")
    first.fill("input[name=password]", "demo-alice")
    first.click("#login")
    first.wait_for_url(f"{sites.app_url}/people?q=first")


def test_going_back_to_the_sign_in_page_does_no_harm(sites: Sites, browser: BrowserContext) -> None:
    page = page_of(browser)
    page.goto(f"{sites.app_url}/")
    sign_in(page, "alice")
    page.wait_for_url(f"{sites.app_url}/")
    page.go_back()
    page.goto(f"{sites.app_url}/me")
    expect(page.locator("body")).to_contain_text("Alice")

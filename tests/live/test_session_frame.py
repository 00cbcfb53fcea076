"""A single-page application on npm `oidc-client-ts` keeps up with the session at the provider, in Chromium.

On two sites over TLS, with and without third-party cookies: what only a browser does with frames and cookies.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.live.sites.deployment import Sites, spa_sites
from tests.support.chromium import chromium
from tests.support.tls import Authority

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.xdist_group("session-frame")]

#: `other.test` is a site of nobody that the provider knows.
HOSTS = ("app.test", "other.test", "id.example")
REFUSED = "chrome-error://chromewebdata/"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def sites(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, peer_folder: Path
) -> Iterator[Sites]:
    library = peer_folder / "node_modules" / "oidc-client-ts" / "dist" / "browser" / "oidc-client-ts.min.js"
    with spa_sites(tmp_path_factory.mktemp("sites"), authority, library) as running:
        yield running


@pytest.fixture(scope="class")
def browser(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[BrowserContext]:
    """One for each class, which says whether it blocks third-party cookies."""
    with chromium(
        tmp_path_factory.mktemp("browser"),
        authority=authority.certificate,
        hosts=HOSTS,
        block_third_party_cookies=request.cls.blocked,
    ) as context:
        yield context


def fresh(context: BrowserContext) -> Page:
    """The browser as if it had not been anywhere."""
    context.clear_cookies()
    page = context.new_page()
    for other in context.pages:
        if other != page:
            other.close()
    return page


def open_app(page: Page, sites: Sites) -> None:
    page.goto(f"{sites.app_url}/")
    page.wait_for_selector("body[data-ready]")


def sign_in(page: Page, sites: Sites, name: str = "alice") -> None:
    open_app(page, sites)
    page.click("#sign-in")
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", f"demo-{name}")
    page.click("#login")
    page.wait_for_url(f"{sites.app_url}/")
    expect(page.locator("#user")).to_have_text(f"Signed in as {name.title()} Example.")


def sign_out_elsewhere(page: Page, sites: Sites) -> None:
    tab = page.context.new_page()
    tab.goto(f"{sites.issuer}/end_session")
    tab.click("#logout")
    expect(tab.locator("main#page-logged-out")).to_be_visible()
    tab.close()


def sign_out_here(page: Page, sites: Sites) -> list[str]:
    """Sign out by the library, and come back; returns the application's cookies that are left.

    On the way its page for sign-outs is loaded in a frame of the provider.
    """
    sid = page.evaluate("async () => (await spa.manager.getUser()).profile.sid")
    with (
        page.expect_request(lambda request: request.url.startswith(f"{sites.app_url}/out")) as seen,
        page.expect_navigation(url=f"{sites.app_url}/"),
    ):
        page.evaluate("() => void spa.manager.signoutRedirect()")
    page.wait_for_selector("body[data-ready]")
    parts = urlsplit(seen.value.url)
    assert sorted(parse_qsl(parts.query)) == [("iss", sites.issuer), ("sid", sid)]
    assert seen.value.resource_type == "document"
    assert seen.value.headers["referer"] == f"{sites.issuer}/", "framed by the provider"
    return [cookie["name"] for cookie in page.context.cookies(sites.app_url)]


def ask(page: Page, message: str | None = None) -> Any:
    """What the frame answers; by default to the state that the application was given."""
    return page.evaluate("async (message) => spa.ask(message ?? (await spa.state()))", message)


def renew(page: Page) -> Any:
    return page.evaluate("spa.renew()")


def framed(page: Page, url: str) -> str:
    """The address of what a frame shows that was sent to `url`."""
    before = set(page.frames)
    page.evaluate("async (url) => void (await spa.frame(url))", url)
    [frame] = set(page.frames) - before
    frame.wait_for_url(lambda address: address not in ("", "about:blank"), wait_until="commit")
    return frame.url


class TestWithThirdPartyCookies:
    blocked = False

    @pytest.mark.row("S-18")
    def test_the_frame_says_unchanged_and_after_a_sign_out_in_another_tab_changed(
        self, sites: Sites, browser: BrowserContext, screenshots: Path
    ) -> None:
        page = fresh(browser)
        sign_in(page, sites)
        state = page.evaluate("spa.state()")
        assert ask(page) == "unchanged"
        assert page.evaluate("spa.events") == []

        sign_out_elsewhere(page, sites)

        assert ask(page, state) == "changed"
        expect(page.locator("#events")).to_have_text("signed out")
        expect(page.locator("#user")).to_have_text("Nobody is signed in.")
        page.screenshot(path=screenshots / "session-frame-signed-out.png")

    @pytest.mark.row("S-18")
    def test_the_library_is_told_when_another_person_signs_in(
        self, sites: Sites, browser: BrowserContext
    ) -> None:
        page = fresh(browser)
        sign_in(page, sites)
        sign_out_elsewhere(page, sites)
        expect(page.locator("#events")).to_have_text("signed out")

        sign_in(page, sites, "mallory")

        assert ask(page) == "unchanged"
        assert renew(page) == {
            "sub": page.evaluate("async () => (await spa.manager.getUser()).profile.sub"),
            "renewed": True,
        }

    @pytest.mark.row("S-18")
    def test_a_silent_sign_in_in_a_frame_renews_the_tokens(
        self, sites: Sites, browser: BrowserContext
    ) -> None:
        page = fresh(browser)
        sign_in(page, sites)
        sub = page.evaluate("async () => (await spa.manager.getUser()).profile.sub")

        assert renew(page) == {"sub": sub, "renewed": True}
        assert ask(page) == "unchanged", "the new state, of the same session"

        sign_out_elsewhere(page, sites)
        assert renew(page) == {"error": "login_required"}

    @pytest.mark.row("S-18")
    def test_what_is_no_question_is_an_error(self, sites: Sites, browser: BrowserContext) -> None:
        page = fresh(browser)
        sign_in(page, sites)
        state = page.evaluate("spa.state()")

        assert ask(page, "") == "error"
        assert ask(page, "spa") == "error"
        assert ask(page, f"{state} more") == "error"
        assert page.evaluate("() => spa.ask({ state: 'spa x.y' })") == "error"
        assert ask(page, f"other {state.split(' ')[1]}") == "changed", "another client's state"
        assert ask(page, "spa x.y") == "changed"
        assert ask(page, "spa x") == "changed"

    @pytest.mark.row("S-18")
    def test_a_stranger_can_neither_frame_nor_ask(self, sites: Sites, browser: BrowserContext) -> None:
        page = fresh(browser)
        sign_in(page, sites)
        state = page.evaluate("spa.state()")
        frame = f"{sites.issuer}/check_session"
        assert framed(page, frame) == frame

        stranger = browser.new_page()
        stranger.goto(sites.app_url.replace("app.test", "other.test"))
        stranger.wait_for_selector("body[data-ready]")
        assert framed(stranger, frame) == REFUSED
        # Nor by a window of its own, which no policy of ours keeps anybody from opening.
        with stranger.expect_popup() as opened:
            stranger.evaluate("(url) => { window.held = window.open(url) }", frame)
        opened.value.wait_for_load_state()
        heard = stranger.evaluate(
            """(message) => new Promise((resolve) => {
                addEventListener("message", ({ data }) => resolve(data));
                setTimeout(() => resolve("silence"), 1000);
                window.held.postMessage(message, "*");
            })""",
            state,
        )
        assert heard == "silence"

    @pytest.mark.row("S-18")
    def test_no_other_page_can_be_framed_by_anybody(self, sites: Sites, browser: BrowserContext) -> None:
        page = fresh(browser)
        open_app(page, sites)
        signing_in = (
            f"/authorize?client_id=spa&redirect_uri={sites.app_url}/callback&scope=openid&response_type=code"
            f"&code_challenge_method=S256&code_challenge={'E' * 43}"
        )
        for path in ("/", "/login", "/authorize?client_id=spa", "/end_session", "/device", signing_in):
            assert framed(page, sites.issuer + path) == REFUSED, path

    @pytest.mark.row("S-19")
    def test_a_sign_out_reaches_the_application_in_a_frame(
        self, sites: Sites, browser: BrowserContext
    ) -> None:
        page = fresh(browser)
        sign_in(page, sites)
        assert "signed-in" in [cookie["name"] for cookie in browser.cookies(sites.app_url)]

        assert "signed-in" not in sign_out_here(page, sites)
        assert renew(page) == {"error": "login_required"}


class TestWithoutThirdPartyCookies:
    """The browser shows frames none of our cookies: it is said that nothing can be told, and nobody loses."""

    blocked = True

    @pytest.mark.row("S-18")
    def test_the_frame_says_error_and_the_library_leaves_it_at_that(
        self, sites: Sites, browser: BrowserContext
    ) -> None:
        page = fresh(browser)
        sign_in(page, sites)
        assert ask(page) == "error"
        sign_out_elsewhere(page, sites)
        assert ask(page) == "error"
        assert page.evaluate("spa.events") == []

    @pytest.mark.row("S-18")
    def test_a_silent_sign_in_ends_in_a_clean_error_and_at_once(
        self, sites: Sites, browser: BrowserContext
    ) -> None:
        page = fresh(browser)
        sign_in(page, sites)
        assert renew(page) == {"error": "login_required"}, (
            "in less than the 10 seconds after which it gives up"
        )
        # The way that goes on working: the whole page goes there, and comes back at once.
        page.click("#sign-in")
        page.wait_for_url(f"{sites.app_url}/")
        expect(page.locator("#user")).to_have_text("Signed in as Alice Example.")

    @pytest.mark.row("S-19")
    def test_a_sign_out_in_a_frame_is_heard_and_ends_no_session_of_cookies(
        self, sites: Sites, browser: BrowserContext
    ) -> None:
        """The frame is the application's third party now: its page is asked for, without its cookies."""
        page = fresh(browser)
        sign_in(page, sites)

        assert "signed-in" in sign_out_here(page, sites)
        assert renew(page) == {"error": "login_required"}

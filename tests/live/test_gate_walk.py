"""One gate as deployed and two providers, from the chooser to a form that outlives its session, in Chromium.

Our provider and the certified npm package `oidc-provider`, each on a site of its own over TLS. What each step
does in odd cases is tested where the step is at home; here they hold together.
"""

import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

import pyotp
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.live.sites.deployment import WalkedSites, walked_sites
from tests.live.sites.names import SITES
from tests.support.chromium import chromium, page_of
from tests.support.tls import Authority

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.xdist_group("gate-walk")]

Picture = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def sites(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, peer_folder: Path
) -> Iterator[WalkedSites]:
    with walked_sites(tmp_path_factory.mktemp("sites"), authority, peer_folder) as running:
        yield running


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[BrowserContext]:
    folder = tmp_path_factory.mktemp("browser")
    with chromium(folder, authority=authority.certificate, hosts=SITES) as context:
        yield context


@pytest.fixture
def browser(started: BrowserContext) -> BrowserContext:
    """One that nobody is signed in with."""
    started.clear_cookies()
    return started


class Ours:
    """How a person gets on at our provider."""

    name, user, user_name = "Example", "alice", "Alice"

    def issuer(self, sites: WalkedSites) -> str:
        return sites.issuer

    def sign_in(self, page: Page, *, consents: bool) -> None:
        """Prove who one is; the client is trusted, so nobody is asked for consent."""
        expect(page.locator("main#page-login")).to_be_visible()
        page.fill("input[name=username]", self.user)
        page.fill("input[name=password]", f"demo-{self.user}")
        page.click("#login")

    def sign_out(self, tab: Page, sites: WalkedSites) -> None:
        tab.goto(f"{sites.issuer}/end_session")
        tab.click("#logout")
        expect(tab.locator("main#page-logged-out")).to_be_visible()

    def step_up(self, page: Page, picture: Picture) -> None:
        """A rule asks for a second factor, which the person sets up there and then."""
        page.click("#payments")
        expect(page.locator("main#page-enrol")).to_be_visible()
        picture(page, "step-up")
        phone = pyotp.parse_uri(str(page.locator("#otpauth").get_attribute("href")))
        assert isinstance(phone, pyotp.TOTP)
        page.fill("#otp", phone.now())
        page.click("#verify")
        expect(page.locator("main#app-told")).to_be_visible()
        assert page.locator("main li").all_inner_texts() == [self.user_name, "/payments", "mfa"]


class Foreign:
    """How a person gets on at the provider that nobody here wrote."""

    name, user, user_name = "Foreign", "bob", "bob"

    def issuer(self, sites: WalkedSites) -> str:
        return sites.foreign_issuer

    def sign_in(self, page: Page, *, consents: bool) -> None:
        page.fill("input[name=login]", self.user)
        page.fill("input[name=password]", f"demo-{self.user}")
        page.click("#login")
        if consents:
            page.click("#allow")

    def sign_out(self, tab: Page, sites: WalkedSites) -> None:
        tab.goto(f"{sites.foreign_issuer}/session/end")
        tab.click("button[name=logout]")
        tab.wait_for_url("**/session/end/success**")

    def step_up(self, page: Page, picture: Picture) -> None:
        """The app asks for a newer sign-in than the one that there is."""
        signed_in = page.evaluate("Date.now()")
        # An authentication is told in whole seconds.
        page.wait_for_function("at => Date.now() - at > 1000", arg=signed_in)
        page.click("#vault")
        # Nobody is asked where: it is more of the sign-in that there is.
        expect(page.locator("#login")).to_be_visible()
        picture(page, "step-up")
        self.sign_in(page, consents=False)
        expect(page.locator("main#app-told")).to_be_visible()
        assert page.locator("main li").all_inner_texts()[:2] == [self.user_name, "/vault"]


def choose(page: Page, name: str) -> None:
    expect(page.locator("main#page-choose")).to_be_visible()
    page.get_by_role("link", name=name).click()


def status_of(sites: WalkedSites, cookies: str) -> int:
    """What one request is answered on a connection of its own, and so by any worker."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    place = urlsplit(sites.app_url)
    connection = HTTPSConnection("127.0.0.1", place.port or 443, timeout=30, context=context)
    try:
        headers = {"Host": place.netloc, "Cookie": cookies, "Accept": "application/json"}
        connection.request("GET", "/", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def statuses(sites: WalkedSites, cookies: str) -> set[int]:
    """What twenty requests at once are answered, by whichever worker takes each."""
    with ThreadPoolExecutor(20) as pool:
        return set(pool.map(lambda _: status_of(sites, cookies), range(20)))


def times_told(sites: WalkedSites) -> int:
    return sites.app.log_text().count('"event":"logout.by_provider"')


@pytest.mark.row("A-03", "G-07", "G-10", "T-03")
@pytest.mark.parametrize("person", [Ours(), Foreign()], ids=["ours", "oidc-provider"])
def test_from_the_chooser_to_a_form_that_outlives_its_session(
    sites: WalkedSites, browser: BrowserContext, person: Ours | Foreign, screenshots: Path
) -> None:
    def picture(page: Page, step: str) -> None:
        page.screenshot(path=screenshots / f"gate-walk-{person.name.lower()}-{step}.png", full_page=True)

    page = page_of(browser)
    page.goto(f"{sites.app_url}/")
    expect(page.locator("main#page-choose")).to_be_visible()
    assert page.locator(".choices a").all_inner_texts() == ["Example", "Foreign"]
    picture(page, "1-choose")
    choose(page, person.name)
    page.wait_for_url(f"{person.issuer(sites)}/**")
    person.sign_in(page, consents=True)
    expect(page.locator("#user")).to_have_text(person.user_name)

    person.step_up(page, lambda page, step: picture(page, f"2-{step}"))

    page.goto(f"{sites.app_url}/")
    page.fill("textarea", "two\nlines & <b>")
    cookies = "; ".join(f"{each['name']}={each['value']}" for each in browser.cookies(sites.app_url))
    assert statuses(sites, cookies) == {200}
    told_before, until = times_told(sites), time.monotonic() + 60
    tab = browser.new_page()
    person.sign_out(tab, sites)
    # Our provider's thread for it looks once a second.
    while times_told(sites) == told_before:
        assert time.monotonic() < until, "the gate was not told"
        time.sleep(0.1)
    assert statuses(sites, cookies) == {401}
    tab.close()

    page.click("#order")
    expect(page.locator("main#page-session-ended")).to_be_visible()
    picture(page, "3-session-ended")
    page.click("#login")
    expect(page.get_by_role("link", name=person.name)).to_contain_text("Used last time")
    picture(page, "4-choose-again")
    choose(page, person.name)
    person.sign_in(page, consents=True)
    expect(page.locator("main#page-resend")).to_be_visible()
    picture(page, "5-resend")
    page.click("#send")
    expect(page.locator("main#app-told")).to_be_visible()
    lines = page.locator("main li").all_inner_texts()
    assert lines == [person.user_name, "of=today", "amount=12", "note=two lines & <b>"]

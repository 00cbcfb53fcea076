"""What of a page survives a sign-in, and who is asked where, in Chromium over two sites with TLS."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.live.sites.deployment import Sites, chosen_sites
from tests.live.sites.names import SITES
from tests.support.chromium import chromium
from tests.support.tls import Authority

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.xdist_group("kept-in-browser")]

#: A folder for pictures of the pages, for whoever wants to look at them.
PICTURES = os.environ.get("PICTURES")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Sites]:
    with chosen_sites(tmp_path_factory.mktemp("sites"), authority) as running:
        yield running


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[BrowserContext]:
    folder = tmp_path_factory.mktemp("browser")
    with chromium(folder, authority=authority.certificate, hosts=SITES) as context:
        yield context


@pytest.fixture
def page(started: BrowserContext) -> Page:
    """The only page of a browser that has not been anywhere."""
    started.clear_cookies()
    fresh = started.new_page()
    for page in started.pages:
        if page != fresh:
            page.close()
    return fresh


def picture(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=str(Path(PICTURES) / f"{name}.png"))


def sign_in(page: Page, name: str = "alice") -> None:
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", f"demo-{name}")
    page.click("#login")


def choose(page: Page, provider: str) -> None:
    expect(page.locator("main#page-choose")).to_be_visible()
    page.get_by_role("link", name=provider).click()


@pytest.mark.row("A-03")
def test_people_choose_a_provider_and_see_what_they_chose_last(sites: Sites, page: Page) -> None:
    page.goto(f"{sites.app_url}/here?x=1")
    expect(page.locator("main#page-choose")).to_be_visible()
    assert page.locator(".choices a").all_inner_texts() == ["Example", "Partners"]
    picture(page, "choose")
    choose(page, "Partners")
    expect(page.locator("main#page-login")).to_be_visible()
    assert page.url.startswith(f"{sites.issuer}/r/partners/")
    sign_in(page, "bob")
    expect(page.locator("#where")).to_have_text("/here?x=1")

    page.goto(f"{sites.app_url}/.oidcgate/logout")
    page.click("#logout")
    page.goto(f"{sites.app_url}/here")
    expect(page.locator("main#page-choose")).to_be_visible()
    assert page.locator(".choices a").nth(1).inner_text().split("\n")[-1].strip().endswith("Used last time")
    picture(page, "choose-again")


@pytest.mark.row("G-11")
def test_what_stands_behind_the_hash_is_there_after_the_sign_in(sites: Sites, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{sites.app_url}/here?x=1#/reports/7?tab=two&ž")
    choose(page, "Example")
    expect(page.locator("main#page-login")).to_be_visible()
    # The provider's page, and every server on the way, know nothing of it.
    assert page.evaluate("location.hash") == ""
    sign_in(page)
    expect(page.locator("#where")).to_contain_text("/here?x=1#/reports/7?tab=two")
    # What the browser itself was asked to open has it, and what the last script went to.
    sent = [url.partition("#")[0] for url in asked]
    assert not [url for url in sent if "reports" in url]
    assert page.evaluate("Object.keys(sessionStorage)") == []


@pytest.mark.row("G-11")
def test_going_back_leads_past_the_pages_in_between(sites: Sites, page: Page) -> None:
    page.goto("about:blank")
    page.goto(f"{sites.app_url}/here#there")
    choose(page, "Example")
    sign_in(page)
    expect(page.locator("#where")).to_have_text("/here#there")
    page.reload()
    expect(page.locator("#where")).to_have_text("/here#there")
    assert "passing" not in page.content()


@pytest.mark.row("G-10")
def test_a_form_is_sent_again_by_a_click(sites: Sites, page: Page) -> None:
    page.goto(f"{sites.app_url}/form")
    choose(page, "Example")
    sign_in(page)
    expect(page.locator("main#page-form")).to_be_visible()
    page.fill("textarea", "two\nlines & <b>")
    session = [cookie for cookie in page.context.cookies() if "oidcgate" in cookie["name"]]
    for cookie in session:
        page.context.clear_cookies(name=cookie["name"])

    page.click("#order")
    expect(page.locator("main#page-session-ended")).to_be_visible()
    picture(page, "session-ended")
    page.click("#login")
    choose(page, "Example")
    expect(page.locator("main#page-resend")).to_be_visible()
    picture(page, "resend")
    page.reload()
    expect(page.locator("main#page-resend")).to_be_visible()
    page.click("#send")
    expect(page.locator("main#page-ordered")).to_be_visible()
    lines = page.locator("main li").all_inner_texts()
    assert lines == ["Alice", "of=today", "amount=12", "note=two lines & <b>"]


@pytest.mark.row("G-10")
def test_a_form_of_another_site_is_not_kept(sites: Sites, page: Page) -> None:
    page.goto(f"{sites.issuer}/healthz")
    page.evaluate(
        """url => {
            const form = document.createElement("form");
            form.method = "post"; form.action = url; document.body.append(form); form.submit();
        }""",
        f"{sites.app_url}/orders",
    )
    expect(page.locator("main#page-session-ended")).to_be_visible()
    expect(page.locator("main")).to_contain_text("It is not kept")
    assert "form=" not in str(page.locator("#login").get_attribute("href"))


@pytest.mark.row("G-12")
def test_an_app_asks_for_a_fresh_sign_in(sites: Sites, page: Page) -> None:
    page.goto(f"{sites.app_url}/here")
    choose(page, "Example")
    sign_in(page)
    expect(page.locator("#where")).to_have_text("/here")
    began = page.evaluate("Date.now()")
    # An authentication is told in whole seconds.
    page.wait_for_function("began => Date.now() - began > 1000", arg=began)
    page.goto(f"{sites.app_url}/vault?of=gold")
    # Nobody is asked where: it is more of the sign-in that there is.
    expect(page.locator("main#page-login")).to_be_visible()
    sign_in(page)
    expect(page.locator("#where")).to_have_text("/vault?of=gold")

"""Signed out at the provider in another tab, and no worker of the gate lets the browser in any more.

On two sites over TLS, in Chromium: by the back channel, and by a frame in which no cookie of ours travels.
"""

import ssl
import time
from collections.abc import Iterator
from http.client import HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.live.sites.deployment import Sites, told_sites
from tests.live.sites.names import SITES
from tests.support.chromium import chromium, page_of
from tests.support.tls import Authority

pytestmark = [pytest.mark.live, pytest.mark.slow]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(channel, marks=pytest.mark.xdist_group(f"told-{channel}"))
        for channel in ("back", "front")
    ],
)
def sites(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[Sites]:
    with told_sites(tmp_path_factory.mktemp("sites"), authority, request.param) as running:
        yield running


# The stricter browser in `make test`, the other in `make test-heavy`.
COOKIES = [
    pytest.param(False, id="third-party-cookies", marks=pytest.mark.heavy),
    pytest.param(True, id="no-third-party-cookies"),
]


@pytest.fixture(params=COOKIES)
def browser(request: pytest.FixtureRequest, tmp_path: Path, authority: Authority) -> Iterator[BrowserContext]:
    with chromium(
        tmp_path / "browser",
        authority=authority.certificate,
        hosts=SITES,
        block_third_party_cookies=request.param,
    ) as context:
        yield context


def answer(sites: Sites, cookies: str) -> tuple[int, str]:
    """Status and worker of one request on a connection of its own."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    place = urlsplit(sites.app_url)
    connection = HTTPSConnection("127.0.0.1", place.port or 443, timeout=30, context=context)
    try:
        headers = {"Host": place.netloc, "Cookie": cookies, "Accept": "application/json"}
        connection.request("GET", "/page", headers=headers)
        response = connection.getresponse()
        return response.status, response.headers.get("X-Worker", "")
    finally:
        connection.close()


def times_told(sites: Sites) -> int:
    return sites.app.log_text().count('"event":"logout.by_provider"')


def sign_in(page: Page, sites: Sites) -> None:
    page.goto(f"{sites.app_url}/")
    page.fill("input[name=username]", "alice")
    page.fill("input[name=password]", "demo-alice")
    page.click("#login")
    page.wait_for_url(f"{sites.app_url}/")


@pytest.mark.row("G-07", "T-03")
def test_no_worker_lets_the_browser_in(sites: Sites, browser: BrowserContext) -> None:
    page = page_of(browser)
    sign_in(page, sites)
    cookies = "; ".join(f"{each['name']}={each['value']}" for each in browser.cookies(sites.app_url))
    workers: set[str] = set()
    until = time.monotonic() + 120
    while len(workers) < 2:
        assert time.monotonic() < until, "one worker answers everything"
        status, worker = answer(sites, cookies)
        assert status == 200
        workers.add(worker)  # both remember the session now

    told_before = times_told(sites)
    tab = browser.new_page()
    tab.goto(f"{sites.issuer}/end_session")
    tab.click("#logout")
    expect(tab.locator("main#page-logged-out")).to_be_visible()
    # The provider's thread for it looks once a second.
    while times_told(sites) == told_before:
        assert time.monotonic() < until, "the gate was not told"
        time.sleep(0.1)

    assert {answer(sites, cookies)[0] for _ in range(20)} == {401}
    page.reload()
    expect(page.locator("main#page-login")).to_be_visible()

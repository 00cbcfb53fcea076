"""The account pages as a person comes to them; shared by the tests of each."""

import re
from typing import Any

import pyotp

from provider.services.my_pages import MyPage
from provider.store.schema import metadata
from provider.store.users import User
from tests.provider.sign_in.place import ISSUER, QUICK, Browser, Page, World

PAGES = [page for page in MyPage if page is not MyPage.NEW_AUTHENTICATOR]
FORMS = [page for page in PAGES if page is not MyPage.OVERVIEW]
SENSITIVE = [page for page in FORMS if page is not MyPage.PROFILE]
SECOND_FACTOR = {"mode": "acr", "enrol_at_sign_in": True}
NEW = "a new pass phrase"


def at(browser: Browser, page: MyPage = MyPage.OVERVIEW) -> Page:
    return browser.go(ISSUER + page)


def inside(world: World, page: MyPage = MyPage.OVERVIEW, name: str = "alice") -> tuple[Browser, Page]:
    """A browser in which somebody has signed in for one of the pages."""
    browser = world.browser()
    return browser, browser.sign_in(at(browser, page), name)


def done(page: Page) -> str | None:
    found = re.search(r'id="done" role="status"><p>([^<]+)', page.text)
    return found[1] if found else None


def secret_on(page: Page) -> str:
    return page.text.partition('id="secret">')[2].partition("<")[0].replace(" ", "")


def code(world: World, secret: str) -> str:
    return pyotp.TOTP(secret).at(world.now)


def with_authenticator(world: World) -> tuple[Browser, str]:
    """Alice, who has just set one up."""
    browser, page = inside(world, MyPage.NEW_AUTHENTICATOR)
    secret = secret_on(page)
    page = browser.submit(page, otp=code(world, secret))
    assert page.main_id == "page-my-authenticator"
    world.sleep(60)
    return browser, secret


def a_person_of_the_database(world: World, name: str = "dora") -> User:
    parts = world.provider.parts
    with parts.store.begin() as conn:
        hashed = QUICK.hash(f"demo-{name.lower()}")
        return parts.users.add(conn, parts.realms[0], name, hashed, {}, world.now)


def change(browser: Browser, page: Page, **fields: str) -> Page:
    """Send the form for another password; `end_others` is "" where the box is not checked."""
    sent = {
        "password": "demo-dora",
        "new_password": NEW,
        "new_password_again": NEW,
        "end_others": "yes",
        **fields,
    }
    return browser.submit(
        page, **{name: value for name, value in sent.items() if name != "end_others" or value}
    )


def copied(world: World, browser: Browser) -> Browser:
    """Somebody who has every cookie of a browser."""
    thief = world.browser()
    for cookie in list(browser.client._cookies.values()):
        thief.client.set_cookie(cookie.key, cookie.value, domain="id.example")
    return thief


def sids(page: Page) -> list[str]:
    """The sessions that a page lists."""
    return re.findall(r'name="sid" value="([^"]+)"', page.text)


def rows(world: World, table: str) -> list[dict[str, Any]]:
    """Every row of a table."""
    with world.provider.parts.store.read() as conn:
        return [dict(row) for row in conn.execute(metadata.tables[table].select()).mappings()]

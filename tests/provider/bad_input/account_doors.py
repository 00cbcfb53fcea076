"""The account pages among what a browser comes to: a good request to each, by somebody who is signed in.

One browser for each page: whoever is signed in stays so, and only the page is opened anew.
"""

from functools import partial
from typing import Final

import pyotp

from provider.services.my_pages import MyPage
from provider.services.passwords import Passwords
from provider.store import totp
from provider.store.users import find_user_by_name, set_password_hash
from tests.provider.bad_input.oracle import Outcome, Shown
from tests.provider.sign_in.place import ISSUER, QUICK, Browser, World

#: What people write of themselves, for the settings of the provider.
PROPERTIES: Final = [{"name": "nickname", "writable": True, "max_length": 200}]
NEW: Final = "another pass phrase"
#: As long as a `sid`, and nobody's.
NOBODYS_SESSION: Final = "s" * 43

_BROWSERS: Final[dict[tuple[int, MyPage], Browser]] = {}
Opened = tuple[Browser, list[tuple[str, str]], tuple[str, ...]]


def refused(page: MyPage, status: int = 400) -> Outcome:
    """The page once more."""
    return Shown(status, f"page-my-{page.name.lower().replace('_', '-')}")


def strangers(world: World, page: MyPage, name: str) -> dict[str, str]:
    """The CSRF token of somebody else, and that of another page; nothing for other parameters."""
    if name != "csrf":
        return {}
    other = MyPage.PASSWORD if page is MyPage.SESSIONS else MyPage.SESSIONS
    elsewhere = world.browser()
    theirs = elsewhere.sign_in(elsewhere.go(ISSUER + MyPage.SESSIONS), "Bob")
    if page is not MyPage.SESSIONS:
        theirs = elsewhere.go(ISSUER + page)
    own = _BROWSERS[id(world), page].go(ISSUER + other)
    found = {"page": own.hidden["csrf"]}
    if "csrf" in theirs.hidden:
        found["person"] = theirs.hidden["csrf"]
    return found


def opened(world: World, page: MyPage, **filled: str) -> Opened:
    """The page in the browser of somebody of the database, and what its form sends; what of it is secret."""
    name = f"of-{page.name.lower()}"
    parts = world.provider.parts
    with parts.store.begin() as conn:
        found = find_user_by_name(conn, "default", name)
        if found is None:
            hashed = QUICK.hash(f"demo-{name}")
            found = parts.users.add(conn, parts.realms[0], name, hashed, {}, world.now)
        if page is MyPage.PASSWORD:
            set_password_hash(conn, "default", found.user_id, Passwords(QUICK).hash(f"demo-{name}"))
        if page in (MyPage.AUTHENTICATOR, MyPage.NEW_AUTHENTICATOR):
            totp.remove(conn, "default", found.user_id)
        if page is MyPage.APPLICATIONS:
            agreed = frozenset({"openid"})
            parts.consents.remember(conn, parts.realms[0], found.user_id, "app", agreed, agreed, world.now)
    browser = _BROWSERS.setdefault((id(world), page), world.browser())
    shown = browser.go(ISSUER + page)
    if shown.main_id == "page-login":
        shown = browser.sign_in(shown, name)
    if page is MyPage.AUTHENTICATOR:
        # Set up after the sign-in, so that no code is asked for on the way; seen once more with it.
        shown = browser.go(ISSUER + MyPage.NEW_AUTHENTICATOR)
        browser.submit(shown, otp=_code(world, shown.text))
        shown = browser.go(ISSUER + page)
    if page is MyPage.NEW_AUTHENTICATOR:
        filled = {"otp": _code(world, shown.text), **filled}
    if page is MyPage.PASSWORD:
        filled = {"password": f"demo-{name}", **filled}
    assert shown.main_id == f"page-my-{page.name.lower().replace('_', '-')}", shown.text[:300]
    secrets = [filled[key] for key in ("otp", "password", "new_password") if key in filled]
    fields = {**shown.hidden, **filled}
    return browser, list(fields.items()), (*secrets, *shown.hidden.values())


def _code(world: World, text: str) -> str:
    secret = text.partition('id="secret">')[2].partition("<")[0].replace(" ", "")
    return pyotp.TOTP(secret).at(world.now)


#: What a good form of each page sends beside its hidden fields.
FILLED: Final = {
    MyPage.PROFILE: {"of-nickname": "Al"},
    MyPage.PASSWORD: {"new_password": NEW, "new_password_again": NEW},
    MyPage.AUTHENTICATOR: {"decision": "remove"},
    MyPage.NEW_AUTHENTICATOR: {},
    MyPage.SESSIONS: {"sid": NOBODYS_SESSION},
    MyPage.APPLICATIONS: {"client_id": "app"},
}
OPENED: Final = {page: partial(opened, page=page, **filled) for page, filled in FILLED.items()}
#: Where each good form leads.
LEADS_TO: Final = {
    page: f"{ISSUER}{MyPage.AUTHENTICATOR if page is MyPage.NEW_AUTHENTICATOR else page}?done="
    for page in FILLED
}

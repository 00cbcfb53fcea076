"""The account pages in a served provider and real Chromium: desktop and phone, light and dark, no scripts."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pyotp
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from provider.prepare import prepare
from provider.services.my_pages import MyPage
from tests.live.served_provider import SECRET, ServedProvider
from tests.support.chromium import chromium, page_of
from tests.support.servers import free_port
from tests.support.user_agent import UserAgent

pytestmark = [pytest.mark.live, pytest.mark.slow]

PASSWORD = "correct horse battery"
NEW = "a pass phrase of my own"
NAME = 'alice "<b>"'
OVERVIEW = "page-my-overview"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1"


def configured(folder: Path) -> ServedProvider:
    made = ServedProvider(folder, free_port())
    issuer = f"http://127.0.0.1:{made.port}"
    (folder / "provider.toml").write_text(
        f"""
        issuer = "{issuer}"
        display_name = "Example sign-in"
        insecure_allow_http_loopback = true
        database = "sqlite:///{folder / "provider.db"}"
        secret = "{SECRET}"
        [second_factor]
        mode = "acr"
        [[properties]]
        name = "nickname"
        writable = true
        max_length = 40
        [[properties]]
        name = "floors"
        display_name = "Floors where you are found"
        type = "integer"
        multi_valued = true
        writable = true
        [[properties]]
        name = "listed"
        display_name = "In the staff directory"
        type = "boolean"
        writable = true
        [[clients]]
        client_id = "directory"
        name = "Staff directory"
        auth_method = "none"
        redirect_uris = ["{issuer}/healthz"]
        [[clients]]
        client_id = "desk"
        name = "Tool desk"
        auth_method = "none"
        redirect_uris = ["{issuer}/healthz"]
        trusted = true
        flows = ["implicit"]
        """
    )
    with made.provider() as provider:
        parts = provider.parts
        now = int(time.time())
        prepare(parts, now)
        with parts.store.begin() as conn:
            attributes = {"name": "Alice Liddell", "email": "alice@example.com"}
            parts.users.add(conn, parts.realms[0], NAME, parts.passwords.hash(PASSWORD), attributes, now)
    return made


def request_of(op: ServedProvider, client_id: str, **changes: str) -> str:
    issuer = f"http://127.0.0.1:{op.port}"
    query = {
        "client_id": client_id,
        "redirect_uri": f"{issuer}/healthz",
        "response_type": "code",
        "scope": "openid profile email",
        "nonce": "n-1",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
        **changes,
    }
    return f"{issuer}/authorize?{urlencode(query)}"


@contextmanager
def without_faults(context: BrowserContext) -> Iterator[Page]:
    """A page on which the browser refuses nothing: what its policy blocks is an error in the console."""
    page = page_of(context)
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    yield page
    assert [fault for fault in faults if "server responded with a status of 4" not in fault] == []


def sign_in(page: Page, password: str = PASSWORD) -> None:
    expect(page.locator("main#page-login")).to_be_visible()
    page.fill("#username", NAME)
    page.fill("#password", password)
    page.click("#login")


def on(page: Page, place: str) -> None:
    expect(page.locator(f"main#page-my-{place}")).to_be_visible()


@pytest.mark.row("E-26", "A-28")
def test_a_person_looks_after_their_account(tmp_path: Path, screenshots: Path) -> None:
    op = configured(tmp_path)
    root = f"http://127.0.0.1:{op.port}"

    def shoot(page: Page, name: str) -> None:
        page.screenshot(path=screenshots / f"my-account-{name}.png", full_page=True)

    with (
        op.served(workers=2),
        chromium(tmp_path / "desktop", height=1000) as desktop,
        without_faults(desktop) as page,
    ):
        page.goto(root + MyPage.OVERVIEW)
        sign_in(page)
        on(page, "overview")
        shoot(page, "1-overview")

        page.goto(request_of(op, "directory"))
        page.click("#allow")
        page.wait_for_url("**/healthz?*")
        page.goto(request_of(op, "desk", response_type="id_token token"))
        page.wait_for_url("**/healthz#*")

        elsewhere = UserAgent()
        elsewhere.session.headers["User-Agent"] = IPHONE
        assert elsewhere.sign_in(elsewhere.open(root + MyPage.OVERVIEW), NAME, PASSWORD).main_id == OVERVIEW
        page.goto(root + MyPage.SESSIONS)
        expect(page.locator("#sessions > li")).to_have_count(2)
        expect(page.locator("#sessions > li", has_text="This browser")).to_contain_text("on Linux")
        shoot(page, "2-sessions")
        page.locator("#sessions > li", has_text="Safari on iPhone").get_by_role("button").click()
        expect(page.locator("#done")).to_have_text("That browser is signed out.")
        expect(page.locator("#sessions > li")).to_have_count(1)
        assert elsewhere.open(root + MyPage.OVERVIEW).main_id == "page-login"

        page.click("#to-applications")
        on(page, "applications")
        expect(page.locator("#applications > li")).to_have_count(2)
        shoot(page, "3-applications")
        page.locator("#applications > li", has_text="Tool desk").get_by_role("button").click()
        expect(page.locator("#done")).to_be_visible()
        expect(page.locator("#applications > li")).to_have_count(1)

        page.click("#to-profile")
        page.fill("#value-1", "Al")
        page.fill("#value-2", "1\nground")
        page.select_option("#value-3", "true")
        page.click("#save")
        expect(page.locator("#value-2-problem")).to_be_visible()
        shoot(page, "4-profile-problem")
        page.fill("#value-2", "1\n2")
        page.click("#save")
        expect(page.locator("#done")).to_be_visible()
        expect(page.locator("#value-2")).to_have_value("1\n2")
        shoot(page, "4-profile")

        page.click("#to-authenticator")
        shoot(page, "5-authenticator-none")
        page.click("#set-up")
        on(page, "new-authenticator")
        shoot(page, "5-authenticator-new")
        first = page.locator("#secret").inner_text().replace(" ", "")
        page.fill("#otp", "000000")
        page.click("#verify")
        expect(page.locator("#otp-problem")).to_be_visible()
        page.fill("#otp", pyotp.TOTP(first).now())
        page.keyboard.press("Enter")
        on(page, "authenticator")
        expect(page.locator("#done")).to_be_visible()
        shoot(page, "5-authenticator")

        page.click("#to-password")
        shoot(page, "6-password")
        page.fill("#password", PASSWORD)
        page.fill("#new_password", "password1")
        page.fill("#new_password_again", "password1")
        page.click("#change")
        expect(page.locator("#password-problem")).to_contain_text("among the first")
        shoot(page, "6-password-problem")
        page.fill("#password", PASSWORD)
        page.fill("#new_password", NEW)
        page.fill("#new_password_again", NEW)
        page.keyboard.press("Enter")
        expect(page.locator("#done")).to_have_text("Your password is changed.")

        page.click("#to-sessions")
        page.click("#everywhere")
        expect(page.locator("main#page-logged-out")).to_be_visible()
        page.goto(root + MyPage.APPLICATIONS)
        sign_in(page, NEW)
        expect(page.locator("main#page-otp")).to_be_visible()
        page.fill("#otp", pyotp.TOTP(first).at(int(time.time()) + 30))
        page.click("#verify")
        on(page, "applications")


@pytest.mark.row("E-26", "A-28")
def test_on_a_phone_in_the_dark_without_scripts(tmp_path: Path, screenshots: Path) -> None:
    op = configured(tmp_path)
    root = f"http://127.0.0.1:{op.port}"
    phone = chromium(tmp_path / "phone", dark=True, scripts=False, width=390, height=780)
    with op.served(workers=2), phone as context, without_faults(context) as page:

        def shoot(name: str) -> None:
            page.screenshot(path=screenshots / f"my-account-phone-{name}.png", full_page=True)

        page.goto(request_of(op, "directory"))
        sign_in(page)
        page.click("#allow")
        page.wait_for_url("**/healthz?*")
        page.goto(root + MyPage.OVERVIEW)
        for place in ("profile", "password", "authenticator", "sessions", "applications", "overview"):
            page.click(f"#to-{place}")
            on(page, place)
            shoot(place)
        page.click("#open-authenticator")
        page.click("#set-up")
        on(page, "new-authenticator")
        shoot("new-authenticator")
        page.click("#cancel")
        page.click("#to-applications")
        page.click("#revoke-1")
        expect(page.locator("#done")).to_be_visible()
        shoot("no-applications")
        page.click("#to-sessions")
        page.click("#everywhere")
        expect(page.locator("main#page-logged-out")).to_be_visible()

"""Setting up an authenticator and signing in with it: served provider, real Chromium, pyotp as the phone."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pyotp
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from oidcgate.web.sealing import KeyRing
from provider.factors.totp import TotpSecrets
from provider.prepare import prepare
from provider.services.passwords import Passwords
from provider.store import totp
from provider.store.totp import Totp
from tests.live.served_provider import SECRET, ServedProvider
from tests.support.chromium import chromium, page_of
from tests.support.servers import free_port
from tests.support.user_agent import Page as Document
from tests.support.user_agent import UserAgent

pytestmark = [pytest.mark.live, pytest.mark.slow]

PASSWORD = "correct horse battery"
NAME = 'alice "<b>"'
BROWSERS = 12


def configured(folder: Path, *, throttle: str = "") -> ServedProvider:
    made = ServedProvider(folder, free_port())
    issuer = f"http://127.0.0.1:{made.port}"
    (folder / "provider.toml").write_text(
        f"""
        issuer = "{issuer}"
        insecure_allow_http_loopback = true
        database = "sqlite:///{folder / "provider.db"}"
        secret = "{SECRET}"
        [second_factor]
        mode = "required"
        enrol_at_sign_in = true
        [throttle]
        {throttle}
        [[clients]]
        client_id = "app"
        auth_method = "none"
        redirect_uris = ["{issuer}/healthz"]
        trusted = true
        [[users]]
        user_name = '{NAME}'
        user_id = "sub-alice"
        password_hash = "{Passwords().hash(PASSWORD)}"
        """
    )
    return made


def request_of(op: ServedProvider) -> str:
    issuer = f"http://127.0.0.1:{op.port}"
    query = {
        "client_id": "app",
        "redirect_uri": f"{issuer}/healthz",
        "response_type": "code",
        "scope": "openid",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
        "prompt": "login",
    }
    return f"{issuer}/authorize?{urlencode(query)}"


@contextmanager
def without_faults(context: BrowserContext) -> Iterator[Page]:
    """A page on which the browser refuses nothing: what its policy blocks is an error in the console."""
    page = page_of(context)
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    yield page
    # The browser also reports statuses: the 403 of a wrong code, the 404 of an icon where the test ends.
    assert [fault for fault in faults if "server responded with a status of 4" not in fault] == []


def sign_in(page: Page, op: ServedProvider) -> None:
    page.goto(request_of(op))
    page.fill("#username", NAME)
    page.fill("#password", PASSWORD)
    page.click("#login")


def answer_of(page: Page) -> dict[str, list[str]]:
    page.wait_for_url("**/healthz?*")
    return parse_qs(urlsplit(page.url).query)


def next_code(phone: pyotp.TOTP) -> str:
    """The code after the one that a phone shows: good already, since its clock may be half a minute fast."""
    return phone.at(int(time.time()) + 30)


@pytest.mark.row("E-28", "E-06")
def test_a_person_sets_one_up_and_signs_in_with_it(tmp_path: Path, screenshots: Path) -> None:
    op = configured(tmp_path)
    with op.served(workers=2), chromium(tmp_path / "browser", height=1000) as context:
        with without_faults(context) as page:
            sign_in(page, op)
            expect(page.locator("main#page-enrol")).to_be_visible()
            expect(page.locator(".qr svg")).to_be_visible()
            expect(page.locator(".name", has_text="<b>")).to_have_text(NAME)
            page.screenshot(path=screenshots / "second-factor-1-enrol.png", full_page=True)
            phone = pyotp.parse_uri(str(page.locator("#otpauth").get_attribute("href")))
            assert isinstance(phone, pyotp.TOTP)
            assert phone.name == NAME
            assert phone.secret == page.locator("#secret").inner_text().replace(" ", "")
            page.fill("#otp", "000000")
            page.click("#verify")
            expect(page.locator("main#page-enrol [role=alert]")).to_be_visible()
            first = phone.now()
            page.fill("#otp", f"{first[:3]} {first[3:]}")
            page.keyboard.press("Enter")
            assert answer_of(page)["code"]

        with without_faults(context) as page:
            sign_in(page, op)
            expect(page.locator("main#page-otp")).to_be_visible()
            expect(page.locator("#otp")).to_be_focused()
            page.fill("#otp", first)
            page.click("#verify")
            expect(page.locator("main#page-otp [role=alert]")).to_contain_text("used already")
            page.screenshot(path=screenshots / "second-factor-2-code.png", full_page=True)
            page.fill("#otp", next_code(phone))
            page.keyboard.press("Enter")
            assert answer_of(page)["code"]


@pytest.mark.row("P-04")
def test_one_code_from_twelve_browsers_at_once_is_taken_once(tmp_path: Path) -> None:
    op = configured(tmp_path, throttle="account_failures = 100")
    secret = pyotp.random_base32()
    with op.provider() as made:
        realm, now = made.parts.realms[0], int(time.time())
        sealed = TotpSecrets(KeyRing([SECRET])).seal(realm, "sub-alice", secret, now)
        prepare(made.parts, now)
        with made.parts.store.begin() as conn:
            assert totp.add(conn, realm.id, Totp("sub-alice", sealed, 0, now))
    with op.served(workers=4):
        agents = [UserAgent() for _ in range(BROWSERS)]
        forms = [agent.sign_in(agent.open(request_of(op)), NAME, PASSWORD) for agent in agents]
        assert {page.main_id for page in forms} == {"page-otp"}
        code = next_code(pyotp.TOTP(secret))
        ready = threading.Barrier(BROWSERS)

        def send(agent: UserAgent, form: Document) -> Document:
            ready.wait(60)
            return agent.press(form, "verify", {"otp": code})

        with ThreadPoolExecutor(BROWSERS) as pool:
            answers = list(pool.map(send, agents, forms))

    won = [page for page in answers if "code=" in page.url]
    assert len(won) == 1
    lost = [(page.status, page.main_id, "used already" in page.text) for page in answers if page not in won]
    assert lost == [(403, "page-otp", True)] * (BROWSERS - 1)

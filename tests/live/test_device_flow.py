"""A device connects by way of a person's browser: served provider, plain requests, real Chromium."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import BrowserContext, Page, expect

from oidcgate.protocol.token import DEVICE_CODE
from provider.services.passwords import Passwords
from tests.live.served_provider import SECRET, ServedProvider
from tests.support.chromium import chromium, page_of
from tests.support.servers import free_port

pytestmark = [pytest.mark.live, pytest.mark.slow]

PASSWORD = "correct horse battery"
NAME = 'Living room <b>"tv"</b>'


def configured(folder: Path) -> ServedProvider:
    made = ServedProvider(folder, free_port())
    (folder / "provider.toml").write_text(
        f"""
        issuer = "http://127.0.0.1:{made.port}"
        insecure_allow_http_loopback = true
        database = "sqlite:///{folder / "provider.db"}"
        secret = "{SECRET}"
        [[clients]]
        client_id = "tv"
        name = '{NAME}'
        auth_method = "none"
        flows = ["device_code", "refresh_token"]
        [[users]]
        user_name = "alice"
        user_id = "sub-alice"
        password_hash = "{Passwords().hash(PASSWORD)}"
        """
    )
    return made


@contextmanager
def without_faults(context: BrowserContext) -> Iterator[Page]:
    """A page on which the browser refuses nothing: what its policy blocks is an error in the console."""
    page = page_of(context)
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    yield page
    # The browser also reports statuses: the 403 of a wrong code.
    assert [fault for fault in faults if "server responded with a status of 4" not in fault] == []


def ask(op: ServedProvider, path: str, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    """A request of the device."""
    url = f"http://127.0.0.1:{op.port}{path}"
    answer = requests.post(url, data={"client_id": "tv", **form}, timeout=30)
    return answer.status_code, json.loads(answer.text)


def start(op: ServedProvider) -> dict[str, Any]:
    status, body = ask(op, "/device_authorization", {"scope": "openid profile offline_access"})
    assert status == 200, body
    return body


def poll(op: ServedProvider, started: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    return ask(op, "/token", {"grant_type": DEVICE_CODE, "device_code": str(started["device_code"])})


@pytest.mark.row("P-10", "S-50")
@pytest.mark.parametrize("width", [pytest.param(390, id="phone"), pytest.param(1280, id="desktop")])
def test_a_person_connects_a_device(tmp_path: Path, screenshots: Path, width: int) -> None:
    op = configured(tmp_path)
    shown = f"device-{'phone' if width == 390 else 'desktop'}"
    with (
        op.served(workers=2),
        chromium(tmp_path / "browser", width=width, height=844) as context,
        without_faults(context) as page,
    ):
        started = start(op)
        assert poll(op, started)[1]["error"] == "authorization_pending"

        # A code that was typed wrong, then the link with the code: filled in, and nothing happens by itself.
        page.goto(started["verification_uri"])
        expect(page.locator("#user_code")).to_be_focused()
        page.keyboard.type("BCDF-GHJK")
        page.keyboard.press("Enter")
        expect(page.locator("main#page-device [role=alert]")).to_contain_text("No device waits")
        page.screenshot(path=screenshots / f"{shown}-1-wrong.png", full_page=True)
        page.goto(started["verification_uri_complete"])
        expect(page.locator("main#page-device #user_code")).to_have_value(started["user_code"])
        page.screenshot(path=screenshots / f"{shown}-2-code.png", full_page=True)
        page.click("#send")

        expect(page.locator("main#page-device-confirm")).to_be_visible()
        expect(page.locator(".name").first).to_have_text(NAME)
        expect(page.locator("main code")).to_have_text(started["user_code"])
        page.screenshot(path=screenshots / f"{shown}-3-confirm.png", full_page=True)
        page.click("#allow")

        page.fill("#username", "alice")
        page.fill("#password", PASSWORD)
        page.click("#login")
        expect(page.locator("main#page-consent")).to_be_visible()
        page.screenshot(path=screenshots / f"{shown}-4-consent.png", full_page=True)
        page.click("#allow")
        expect(page.locator("main#page-device-done")).to_be_visible()
        page.screenshot(path=screenshots / f"{shown}-5-done.png", full_page=True)

        status, tokens = poll(op, started)
        assert status == 200, tokens
        assert {"access_token", "id_token", "refresh_token"} <= tokens.keys()
        status, fresh = ask(
            op, "/token", {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        )
        assert status == 200, fresh
        assert poll(op, started)[1]["error"] == "invalid_grant"

        # Signed in by now: the next device still asks first, and no is said at once.
        another = start(op)
        page.goto(another["verification_uri_complete"])
        page.click("#send")
        expect(page.locator("main#page-device-confirm")).to_contain_text("alice")
        page.screenshot(path=screenshots / f"{shown}-6-confirm-signed-in.png", full_page=True)
        page.click("#deny")
        expect(page.locator("main#page-device-done")).to_contain_text("got no access")
        page.screenshot(path=screenshots / f"{shown}-7-denied.png", full_page=True)
        assert poll(op, another)[1]["error"] == "access_denied"

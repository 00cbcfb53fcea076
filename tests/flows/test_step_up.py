"""A rule of the gate that wants two factors, and a provider that asks for the second."""

import logging
import re
from pathlib import Path

import pyotp
import pytest

from tests.support.sites import APP, PASSWORDS, Sites, make_provider, make_sites
from tests.support.user_agent import Page, UserAgent

RULES = [{"path": "/vault/**", "allow": "known", "acr_values": ["mfa"]}]


@pytest.fixture
def sites(tmp_path: Path) -> Sites:
    made = make_sites(tmp_path, rules=RULES)
    second_factor = {"mode": "acr", "enrol_at_sign_in": True}
    made.provider = make_provider(tmp_path, made.clock, made.events, second_factor=second_factor)
    return made


def told(page: Page) -> str:
    """Who the app was told this is; also that it was the app that answered."""
    return str(page.response.json()["user_name"])


def enrolled(sites: Sites, agent: UserAgent, page: Page) -> tuple[Page, pyotp.TOTP]:
    """Set up an authenticator on the page shown and go on; its next code is good from then on."""
    assert page.main_id == "page-enrol", (page.status, page.text)
    found = re.search(r'href="(otpauth://[^"]+)"', page.text)
    assert found
    phone = pyotp.parse_uri(found[1].replace("&amp;", "&"))
    assert isinstance(phone, pyotp.TOTP)
    page = agent.press(page, "verify", {"otp": phone.at(int(sites.clock()))})
    sites.clock.now += 30
    return page, phone


@pytest.mark.row("E-06", "E-28", "E-15")
def test_the_rule_leads_to_the_code_and_the_code_to_the_app(
    sites: Sites, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    agent = sites.user_agent()
    page = agent.sign_in(agent.open(f"{APP}/"), "alice", PASSWORDS["alice"])
    assert told(page) == "Alice"

    page, phone = enrolled(sites, agent, agent.open(f"{APP}/vault/gold"))
    assert told(page) == "Alice"
    assert page.url == f"{APP}/vault/gold"

    # Elsewhere, from the start: password, code, app.
    other = sites.user_agent()
    page = other.sign_in(other.open(f"{APP}/vault/"), "alice", PASSWORDS["alice"])
    assert page.main_id == "page-otp"
    code = phone.at(int(sites.clock()))
    page = other.press(page, "verify", {"otp": code})
    assert told(page) == "Alice"

    written = caplog.text + "".join(sites.events)
    assert phone.secret not in written
    assert code not in written


@pytest.mark.row("E-06")
def test_who_goes_on_without_reaches_everything_but_the_vault(sites: Sites) -> None:
    agent = sites.user_agent()
    page = agent.sign_in(agent.open(f"{APP}/vault/"), "alice", PASSWORDS["alice"])
    page = agent.press(page, "skip")
    page = agent.press(page, "allow")
    assert page.url.startswith(APP)
    assert page.main_id == "page-error", page.text
    assert '"reason":"id_token_acr"' in sites.events[-1]
    assert sites.app.calls == []

"""An app asks for a fresher or stronger sign-in: and gets it, or is told where that ends.

That every front understands the app is in tests/contracts/front.py.
"""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from oidcgate import Gate
from tests.support.lying_provider import NOW, Browser, Scene


class Vault:
    """An app that lets nobody in whose sign-in is too weak or too old for it."""

    def __init__(self, acr: str = "mfa") -> None:
        self.acr = acr
        self.max_age: int | None = None
        self.opened = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        who = environ["oidcgate.identity"]
        asked = 'Bearer error="insufficient_user_authentication"'
        if who.acr != self.acr:
            asked += f', acr_values="{self.acr}"'
        if self.max_age is not None:
            asked += f', max_age="{self.max_age}"'
        if "," in asked:
            start_response("401 Unauthorized", [("WWW-Authenticate", asked), ("Content-Type", "text/plain")])
            return [b"not yet"]
        self.opened += 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"gold"]


def in_front_of(app: Vault, **settings: Any) -> tuple[Scene, Browser]:
    scene = Scene.set(settings)
    scene.gate = Gate.from_parts(app, scene.parts)
    return scene, scene.browser()


def asked_in(location: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def test_who_signs_in_more_strongly_comes_back_and_in() -> None:
    vault = Vault()
    scene, browser = in_front_of(vault)
    browser.sign_in()
    answer = browser.get("/vault?of=gold")
    assert answer.status_code == 302
    location = browser.get(answer.headers["Location"]).headers["Location"]
    assert asked_in(location)["acr_values"] == "mfa"
    # An answer that is no better is refused, and not passed on to be refused again.
    assert browser.get(scene.provider.answer(location)).status_code == 400
    assert scene.reasons() == ["id_token_acr"]
    location = browser.get(answer.headers["Location"]).headers["Location"]
    scene.provider.claims["acr"] = "mfa"
    assert browser.get(scene.provider.answer(location)).headers["Location"].endswith("/vault?of=gold")
    assert browser.get("/vault?of=gold").text == "gold"
    assert vault.opened == 1


def test_a_fresh_sign_in_is_checked_by_its_time() -> None:
    vault = Vault(acr="pwd")
    scene, browser = in_front_of(vault)
    scene.provider.claims["acr"] = "pwd"
    browser.sign_in()
    vault.max_age = 0
    location = browser.get(browser.get("/vault").headers["Location"]).headers["Location"]
    assert asked_in(location)["max_age"] == "0"
    scene.provider.claims["auth_time"] = NOW - 300
    assert browser.get(scene.provider.answer(location)).status_code == 400
    assert scene.reasons() == ["id_token_auth_time"]


@pytest.mark.row("G-12")
def test_an_app_that_is_never_content_is_no_endless_circle() -> None:
    vault = Vault(acr="pwd")
    vault.max_age = 3600
    scene, browser = in_front_of(vault)
    scene.provider.claims["acr"] = "pwd"
    browser.sign_in()
    rounds = 0
    while (page := browser.get(browser.get("/vault").headers["Location"])).status_code == 303:
        rounds += 1
        assert browser.get(scene.provider.answer(page.headers["Location"])).status_code == 303
        assert rounds < 5
    assert rounds == 2
    assert page.status_code == 403
    assert 'id="page-login-loop"' in page.text
    assert scene.audit[-1]["check"] == "demand"
    assert "asks for more than your sign-in gives" in page.text
    assert vault.opened == 0

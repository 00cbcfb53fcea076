"""`/account/applications`: what applications may and hold, and taking it away."""

import re
from pathlib import Path

import pytest

from provider.services.my_pages import MyPage
from tests.provider.sign_in.my_pages import (
    at,
    done,
    inside,
)
from tests.provider.sign_in.place import World, client


@pytest.mark.row("E-26", "A-28", "S-40")
def test_applications_are_listed_with_what_they_may_and_hold(world: World) -> None:
    browser, page = inside(world, MyPage.APPLICATIONS)
    assert "No application has access" in page.text
    asked = browser.authorize("app", scope="openid email offline_access")
    assert asked.main_id == "page-consent"
    tokens = world.tokens(browser.submit(asked, decision="allow", uncheck=["email"]), "app")
    world.sleep(90)
    world.refresh(tokens["refresh_token"], "app")
    world.tokens(browser.authorize("trusted", scope="openid email"))
    page = at(browser, MyPage.APPLICATIONS)
    app, trusted = re.findall(r"<li>\n<h2>.*?</form>", page.text, re.DOTALL)
    assert "<bdi>The app app</bdi>" in app
    assert "You agreed on" in app
    assert "Stay connected" in app
    assert "e-mail" not in app
    # Two access tokens, and the one refresh token that was not replaced.
    assert "It holds 3 tokens that are good now" in app
    assert "2027-01-15 08:01 UTC" in app
    assert "Trusted here" in trusted
    assert "Read your e-mail address" in trusted
    assert "It holds one token" in trusted
    assert "No application has access" in inside(world, MyPage.APPLICATIONS, "Bob")[1].text


@pytest.mark.row("E-26", "A-28", "P-27", "C-13")
@pytest.mark.parametrize("client_id", ["app", "trusted"])
def test_access_is_taken_from_one_application(world: World, client_id: str) -> None:
    browser, page = inside(world, MyPage.APPLICATIONS)
    answer = browser.authorize(client_id, scope="openid offline_access")
    if answer.main_id == "page-consent":
        answer = browser.submit(answer, decision="allow")
    tokens = world.tokens(answer, client_id)
    other = world.tokens(browser.authorize("public"), "public")
    waiting = browser.authorize(client_id, scope="openid")
    page = browser.submit(at(browser, MyPage.APPLICATIONS), client_id=client_id)
    assert done(page) == "The application has no access any more."
    assert f"The {client_id} app" not in page.text
    assert world.userinfo_status(tokens["access_token"]) == 401
    assert world.refresh(tokens["refresh_token"], client_id).status_code == 400
    assert world.userinfo_status(other["access_token"]) == 200
    # A code that is on the way is worth nothing, and the session goes on as before.
    redeemed = world.post_token(
        {"grant_type": "authorization_code", "code": waiting.answer["code"],
         "redirect_uri": "https://app.example/cb", "code_verifier": "v" * 64}, client_id,
    )  # fmt: skip
    assert redeemed.status_code == 400
    anew = browser.authorize(client_id, scope="openid offline_access")
    assert anew.main_id == "page-consent" if client_id == "app" else anew.answer["code"]
    (event,) = world.events("consent_withdrawn")
    assert (event["user_id"], event["client_id"], event["by"]) == ("sub-alice", client_id, "person")
    # Once more, from a tab that had it still.
    assert browser.submit(page, client_id=client_id).status == 200


@pytest.mark.row("E-26")
def test_an_application_that_is_registered_no_more_can_still_be_taken_from(tmp_path: Path) -> None:
    world = World.make(tmp_path)
    browser = world.browser()
    browser.submit(browser.sign_in(browser.authorize("app")), decision="allow")
    world.close()
    world = World.make(tmp_path, clients=[client("trusted", trusted=True)])
    browser, page = inside(world, MyPage.APPLICATIONS)
    assert "<bdi>app</bdi>" in page.text
    assert "No application has access" in browser.submit(page, client_id="app").text
    world.close()

"""`/account/sessions`: where somebody is signed in, and ending it."""

import re
from pathlib import Path

import pytest

from provider.services.my_pages import MyPage
from tests.provider.sign_in.my_pages import (
    SECOND_FACTOR,
    at,
    code,
    done,
    inside,
    rows,
    secret_on,
    sids,
)
from tests.provider.sign_in.place import ISSUER, World, claims


@pytest.mark.row("A-28")
def test_sessions_are_listed_with_how_and_where(tmp_path: Path) -> None:
    world = World.make(tmp_path, second_factor=SECOND_FACTOR)
    phone = world.browser()
    login = at(phone)
    agent = {"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1"}
    sent = {**login.hidden, "username": "alice", "password": "demo-alice"}
    phone.step(login.action, sent, headers=agent)
    world.sleep(120)
    browser, page = inside(world, MyPage.SESSIONS)
    assert len(sids(page)) == 1
    assert re.search(r"<bdi>A browser</bdi> <span class=\"tag\">This browser", page.text)
    assert "<bdi>Safari on iPhone</bdi></h2>" in page.text
    assert page.text.count("with your password.") == 2
    assert page.text.index("This browser") < page.text.index("iPhone")
    assert '<time datetime="2027-01-15T08:00:00Z">2027-01-15 08:00 UTC</time>' in page.text
    _, of_bob = inside(world, MyPage.SESSIONS, "Bob")
    assert of_bob.text.count("<li>\n<h2>") == 1
    page = at(browser, MyPage.NEW_AUTHENTICATOR)
    browser.submit(page, otp=code(world, secret_on(page)))
    assert at(browser, MyPage.SESSIONS).text.count("with your password and a code.") == 1
    world.close()


@pytest.mark.row("A-28", "E-26")
def test_ending_a_session_ends_it_and_what_was_granted_in_it(world: World) -> None:
    elsewhere = world.browser()
    tokens = world.tokens(elsewhere.signed_in(scope="openid offline_access"))
    browser, page = inside(world, MyPage.SESSIONS)
    mine = world.tokens(browser.authorize("trusted"))
    (other,) = sids(page)
    assert other != claims(mine["id_token"])["sid"]
    page = browser.submit(page, sid=other)
    assert (done(page), sids(page)) == ("That browser is signed out.", [])
    assert at(elsewhere).main_id == "page-login"
    assert world.userinfo_status(tokens["access_token"]) == 401
    assert world.refresh(tokens["refresh_token"]).status_code == 400
    assert world.userinfo_status(mine["access_token"]) == 200
    (event,) = world.events("logged_out")
    assert (event["user_id"], event["sid"], event["client_id"]) == ("sub-alice", other, None)
    # Once more, from a tab that had it still.
    assert browser.submit(page, sid=other).status == 200
    assert len(world.events("logged_out")) == 1


@pytest.mark.row("A-28", "S-19")
def test_the_session_of_this_browser_ends_as_at_any_sign_out(world: World) -> None:
    browser, page = inside(world, MyPage.SESSIONS)
    sid = rows(world, "browser_sessions")[0]["sid"]
    assert f'href="{ISSUER}/end_session">Sign out here</a>' in page.text
    # The same by a form that is not on the page.
    page = browser.submit(page, sid=sid)
    assert page.main_id == "page-logout"
    page = browser.submit(page)
    assert (page.main_id, browser.session_cookie) == ("page-logged-out", None)
    assert at(browser).main_id == "page-login"


@pytest.mark.row("A-28")
def test_nobody_ends_the_session_of_somebody_else(world: World) -> None:
    bob, page = inside(world, MyPage.SESSIONS, "Bob")
    (of_bob,) = [row["sid"] for row in rows(world, "browser_sessions")]
    assert page.status == 200
    browser, page = inside(world, MyPage.SESSIONS)
    browser.submit(page, sid=of_bob)
    assert at(bob, MyPage.SESSIONS).main_id == "page-my-sessions"
    assert world.events("logged_out") == []


@pytest.mark.row("A-28", "E-26", "P-27")
def test_signing_out_everywhere_ends_all_of_it(world: World) -> None:
    elsewhere = world.browser()
    tokens = world.tokens(elsewhere.signed_in(scope="openid offline_access"))
    of_bob = world.tokens(world.browser().signed_in(name="Bob"))
    browser, page = inside(world, MyPage.SESSIONS)
    page = browser.submit(page, decision="everywhere")
    assert (page.main_id, browser.session_cookie) == ("page-logged-out", None)
    assert "in all browsers, and no application keeps access to your account" in page.text
    assert at(elsewhere).main_id == "page-login"
    assert world.refresh(tokens["refresh_token"]).status_code == 400
    assert world.userinfo_status(tokens["access_token"]) == 401
    assert world.userinfo_status(of_bob["access_token"]) == 200
    (event,) = world.events("signed_out_everywhere")
    assert (event["user_id"], event["sessions"]) == ("sub-alice", 2)
    # And the next sign-in is as good as any.
    assert elsewhere.signed_in().answer["code"]

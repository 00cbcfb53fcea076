"""The account pages: who gets there and how, and what their forms are bound to."""

import re
from pathlib import Path

import pytest

from provider.services.my_pages import MyPage
from tests.provider.sign_in.my_pages import (
    FORMS,
    NEW,
    PAGES,
    SECOND_FACTOR,
    SENSITIVE,
    a_person_of_the_database,
    at,
    change,
    code,
    done,
    inside,
    rows,
    secret_on,
    sids,
    with_authenticator,
)
from tests.provider.sign_in.place import ISSUER, World, settings_document


@pytest.mark.row("A-28", "E-26")
@pytest.mark.parametrize("page", PAGES)
def test_who_is_not_signed_in_signs_in_and_comes_to_the_page(world: World, page: MyPage) -> None:
    browser = world.browser()
    shown = at(browser, page)
    assert (shown.main_id, shown.status) == ("page-login", 200)
    shown = browser.sign_in(shown)
    assert (shown.status, shown.url) == (200, ISSUER + page)
    assert shown.main_id == f"page-my-{page.name.lower()}"
    assert "alice" in shown.text
    assert browser.step(ISSUER + page).status == 200
    (event,) = world.events("login_succeeded")
    assert event["client_id"] == ""


@pytest.mark.row("A-28")
def test_the_way_back_is_no_parameter(world: World) -> None:
    browser = world.browser()
    page = browser.go(
        f"{ISSUER}/account?page=https://evil.example&redirect_uri=https://evil.example&rd=//evil"
    )
    page = browser.sign_in(page)
    assert (page.main_id, page.url) == ("page-my-overview", f"{ISSUER}/account")


@pytest.mark.row("A-28")
@pytest.mark.parametrize("page", PAGES)
def test_who_is_signed_in_at_an_application_is_asked_nothing(world: World, page: MyPage) -> None:
    browser = world.browser()
    browser.signed_in()
    assert browser.step(ISSUER + page).main_id == f"page-my-{page.name.lower()}"


@pytest.mark.row("A-28")
def test_every_page_leads_to_every_other(world: World) -> None:
    _, page = inside(world)
    linked = re.findall(r'<a id="to-[a-z]+" href="([^"]+)"', page.text)
    assert linked == [ISSUER + page for page in PAGES]
    assert page.text.count('aria-current="page"') == 1


@pytest.mark.row("A-28", "P-03")
@pytest.mark.parametrize("page", PAGES)
def test_pages_are_neither_framed_nor_kept_and_run_no_script(world: World, page: MyPage) -> None:
    _, shown = inside(world, page)
    headers = shown.response.headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Frame-Options"] == "DENY"
    policy = headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "frame-ancestors 'none'", "form-action 'self'"} <= set(policy)
    assert "<script" not in shown.text
    assert "script-src" not in headers["Content-Security-Policy"]


@pytest.mark.row("A-28")
@pytest.mark.parametrize("page", PAGES)
def test_a_person_who_is_switched_off_loses_the_page_at_once(world: World, page: MyPage) -> None:
    dora = a_person_of_the_database(world)
    browser, shown = inside(world, page, "dora")
    assert shown.url == ISSUER + page
    parts = world.provider.parts
    with parts.store.begin() as conn:
        parts.users.set_active(conn, parts.realms[0], "dora", False, world.now)
    assert at(browser, page).main_id == "page-login"
    if page is not MyPage.OVERVIEW and "<form" in shown.text:
        assert browser.submit(shown).main_id == "page-login"
    assert dora.active


@pytest.mark.row("A-28")
def test_a_session_that_has_ended_is_asked_to_sign_in(world: World) -> None:
    browser, _ = inside(world)
    world.sleep(8 * 3600)
    assert at(browser).main_id == "page-login"


@pytest.mark.row("A-28")
def test_looking_is_use(world: World) -> None:
    """Who looks after their account is not signed out for being idle."""
    browser, _ = inside(world)
    for _ in range(3):
        world.sleep(5 * 3600)
        assert at(browser).main_id == "page-my-overview"


@pytest.mark.row("A-28")
@pytest.mark.parametrize("page", [MyPage.PASSWORD, MyPage.NEW_AUTHENTICATOR])
def test_what_is_typed_is_not_lost_to_a_sign_in(tmp_path: Path, page: MyPage) -> None:
    world = World.make(tmp_path, second_factor=SECOND_FACTOR)
    browser, shown = inside(world, page)
    assert shown.url == ISSUER + page
    world.sleep(601)
    shown = at(browser, page)
    assert (shown.main_id, shown.username) == ("page-login", "alice")
    assert browser.sign_in(shown).url == ISSUER + page
    world.close()


@pytest.mark.row("A-28")
@pytest.mark.parametrize("minutes", [2, 30])
def test_how_fresh_a_sign_in_has_to_be_is_the_realms(tmp_path: Path, minutes: int) -> None:
    world = World.make(tmp_path, account={"fresh_minutes": minutes})
    browser, _ = inside(world, MyPage.PASSWORD)
    world.sleep(minutes * 60 - 1)
    assert at(browser, MyPage.PASSWORD).main_id == "page-my-password"
    world.sleep(1)
    assert at(browser, MyPage.PASSWORD).main_id == "page-login"
    world.close()


@pytest.mark.row("A-28", "P-11")
@pytest.mark.parametrize("page", SENSITIVE)
def test_what_is_sensitive_needs_a_fresh_sign_in(tmp_path: Path, page: MyPage) -> None:
    world = World.make(tmp_path, second_factor={"mode": "acr"})
    browser, shown = inside(world, page)
    csrf = shown.hidden.get("csrf", "")
    world.sleep(601)
    sent = {"csrf": csrf, "decision": "everywhere", "client_id": "trusted"}
    shown = browser.go(ISSUER + page, sent)
    assert shown.main_id == "page-login"
    assert world.events("signed_out_everywhere") == []
    assert browser.sign_in(shown).url == ISSUER + page
    world.close()


@pytest.mark.row("P-11")
def test_a_fresh_sign_in_as_somebody_else_makes_it_their_page(world: World) -> None:
    browser, page = inside(world, MyPage.SESSIONS)
    world.sleep(601)
    stale = browser.submit(page, decision="everywhere")
    shown = browser.sign_in(stale, "Bob")
    assert (shown.main_id, "1 browser" in shown.text) == ("page-my-sessions", False)
    # The form that alice was shown is nothing in the hands of bob.
    shown = browser.submit(page, decision="everywhere")
    assert (shown.status, shown.main_id) == (400, "page-my-sessions")
    assert world.events("signed_out_everywhere") == []


@pytest.mark.row("E-28", "A-28")
def test_who_has_an_authenticator_shows_it_here(tmp_path: Path) -> None:
    """Applications do without; else the password alone would take the authenticator away."""
    world = World.make(tmp_path, second_factor=SECOND_FACTOR)
    _, secret = with_authenticator(world)
    browser = world.browser()
    assert browser.signed_in().answer["code"]
    page = at(browser, MyPage.AUTHENTICATOR)
    assert page.main_id == "page-otp"
    page = browser.submit(page, otp=code(world, secret))
    assert (page.main_id, page.url) == ("page-my-authenticator", ISSUER + MyPage.AUTHENTICATOR)
    world.close()


@pytest.mark.row("E-28", "A-28")
def test_nobody_is_made_to_set_one_up_on_the_way(tmp_path: Path) -> None:
    world = World.make(tmp_path, second_factor=SECOND_FACTOR)
    assert inside(world)[1].main_id == "page-my-overview"
    world.close()


@pytest.mark.row("E-28", "A-28")
def test_where_two_factors_are_required_they_are_here(tmp_path: Path) -> None:
    world = World.make(tmp_path, second_factor={"mode": "required", "enrol_at_sign_in": True})
    browser, page = inside(world)
    assert page.main_id == "page-enrol"
    page = browser.submit(page, otp=code(world, secret_on(page)))
    assert page.main_id == "page-my-overview"
    page = at(browser, MyPage.AUTHENTICATOR)
    assert 'id="remove"' not in page.text
    # Nor by a form that is not on the page.
    refused = browser.go(
        ISSUER + MyPage.AUTHENTICATOR, {**at(browser, MyPage.SESSIONS).hidden, "decision": "remove"}
    )
    assert refused.status == 400
    assert rows(world, "totp")
    world.close()


@pytest.mark.row("E-28", "A-28")
def test_who_may_not_have_what_is_required_ends_at_the_front_page(tmp_path: Path) -> None:
    world = World.make(tmp_path, second_factor={"mode": "required"})
    browser, page = inside(world)
    assert page.main_id == "page-no-second-factor"
    assert browser.submit(page).main_id == "page-home"
    assert at(browser).main_id == "page-no-second-factor"
    world.close()


# Forms


@pytest.mark.row("P-28", "P-11")
def test_two_tabs_and_a_sign_in_between_spoil_no_form(world: World) -> None:
    browser, first = inside(world, MyPage.SESSIONS)
    second = at(browser, MyPage.SESSIONS)
    world.sleep(601)
    browser.sign_in(at(browser, MyPage.PASSWORD))
    other = world.browser()
    other.signed_in()
    (sid,) = sids(at(browser, MyPage.SESSIONS))
    page = browser.submit(first, sid=sid)
    assert done(page) == "That browser is signed out."
    assert browser.submit(second, sid=sid).status == 200


@pytest.mark.row("P-11")
@pytest.mark.parametrize("page", SENSITIVE)
def test_a_form_of_another_page_or_person_changes_nothing(tmp_path: Path, page: MyPage) -> None:
    world = World.make(tmp_path, second_factor=SECOND_FACTOR)
    a_person_of_the_database(world)
    a_person_of_the_database(world, "eve")
    browser, _ = inside(world, page, "dora")
    _, of_eve = inside(world, page, "eve")
    elsewhere = next(other for other in SENSITIVE if other is not page and other is not MyPage.AUTHENTICATOR)
    before = len(world.lines)
    fields = {
        "sid": "x", "client_id": "trusted", "decision": "everywhere", "password": "demo-dora",
        "new_password": NEW, "new_password_again": NEW,
    }  # fmt: skip
    for csrf in (None, "", "x", of_eve.hidden.get("csrf"), at(browser, elsewhere).hidden["csrf"]):
        sent = fields if csrf is None else {**fields, "csrf": csrf}
        refused = browser.go(ISSUER + page, sent)
        assert (refused.status, refused.url) == (400, ISSUER + page)
    assert [line for line in world.lines[before:] if "incident" not in line] == []
    world.close()


@pytest.mark.row("P-11")
@pytest.mark.parametrize("page", FORMS)
def test_a_form_from_another_site_begins_nothing(world: World, page: MyPage) -> None:
    """It comes without our cookies: the browser is sent to the page, and nothing is stored for it."""
    answer = world.browser().step(ISSUER + page, {"csrf": "x", "decision": "everywhere"})
    assert (answer.status, answer.location) == (303, ISSUER + page)
    assert "Set-Cookie" not in answer.response.headers
    assert rows(world, "interactions") == []


@pytest.mark.row("P-11")
def test_a_form_that_was_open_for_too_long_is_shown_anew(tmp_path: Path) -> None:
    world = World.make(tmp_path, account={"fresh_minutes": 600}, lifetimes={"interaction_minutes": 5})
    browser, page = inside(world, MyPage.SESSIONS)
    world.sleep(301)
    page = browser.submit(page, decision="everywhere")
    assert (page.status, "open too long" in page.text) == (400, True)
    assert browser.submit(page, decision="everywhere").main_id == "page-logged-out"
    world.close()


@pytest.mark.row("A-28")
def test_what_was_done_is_said_to_nobody_else(world: World) -> None:
    dora = a_person_of_the_database(world)
    browser, page = inside(world, MyPage.PASSWORD, dora.user_name)
    page = change(browser, page)
    assert done(page) == "Your password is changed."
    other, _ = inside(world, MyPage.PASSWORD, "Bob")
    assert done(other.go(page.url)) is None
    assert done(browser.go(f"{ISSUER}/account/password?done=password_changed")) is None
    world.sleep(61)
    assert done(browser.go(page.url)) is None


@pytest.mark.row("S-27", "A-28")
def test_the_pages_of_another_realm_are_another_account(tmp_path: Path) -> None:
    second = {"name": "second", "users": settings_document()["users"]}
    world = World.make(tmp_path, realms=[second])
    browser, page = inside(world, MyPage.SESSIONS)
    there = f"{ISSUER}/r/second{MyPage.SESSIONS}"
    shown = browser.go(there)
    assert shown.main_id == "page-login"
    shown = browser.sign_in(shown)
    assert (shown.url, shown.main_id) == (there, "page-my-sessions")
    # The form of the one is none of the other, and signing out of the one is not signing out of the other.
    assert browser.go(there, {**page.hidden, "decision": "everywhere"}).status == 400
    assert browser.submit(shown, decision="everywhere").main_id == "page-logged-out"
    assert at(browser).main_id == "page-my-overview"
    world.close()

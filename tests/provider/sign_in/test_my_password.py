"""`/account/password`: the one that somebody has is tried, and another one takes its place."""

from pathlib import Path
from typing import Any

import pytest

from provider.services.browser_session import renew_session
from provider.services.my_pages import MyPage
from provider.store import sessions
from provider.store.users import User
from tests.provider.sign_in.my_pages import (
    NEW,
    a_person_of_the_database,
    at,
    change,
    copied,
    done,
    inside,
    rows,
)
from tests.provider.sign_in.place import ISSUER, World


@pytest.mark.row("A-28")
def test_a_password_is_changed_and_ends_everything_elsewhere(world: World) -> None:
    dora = a_person_of_the_database(world)
    elsewhere = world.browser()
    tokens = world.tokens(elsewhere.signed_in(name="dora"))
    browser, page = inside(world, MyPage.PASSWORD, "dora")
    kept = world.tokens(browser.authorize("trusted"))
    page = change(browser, page)
    assert (done(page), page.url.split("?")[0]) == ("Your password is changed.", ISSUER + MyPage.PASSWORD)
    (event,) = world.events("password_changed")
    assert (event["user_id"], event["sessions"]) == (dora.user_id, 1)
    assert NEW not in "".join(world.lines)
    assert "demo-dora" not in "".join(world.lines)
    # Here one is still signed in, and elsewhere nobody.
    assert at(browser).main_id == "page-my-overview"
    assert at(elsewhere).main_id == "page-login"
    assert world.userinfo_status(tokens["access_token"]) == 401
    assert world.userinfo_status(kept["access_token"]) == 200
    assert world.browser().sign_in(at(world.browser()), "dora").status == 400  # another browser's page
    fresh = world.browser()
    assert fresh.sign_in(at(fresh), "dora").status == 403
    assert fresh.sign_in(at(fresh), "dora", NEW).main_id == "page-my-overview"


@pytest.mark.row("A-28")
@pytest.mark.parametrize("end_others", ["yes", ""])
def test_a_copied_cookie_of_this_session_is_dead(world: World, end_others: str) -> None:
    a_person_of_the_database(world)
    browser, page = inside(world, MyPage.PASSWORD, "dora")
    thief = copied(world, browser)
    assert at(thief).main_id == "page-my-overview"
    sid = rows(world, "browser_sessions")[0]["sid"]
    assert done(change(browser, page, end_others=end_others)) == "Your password is changed."
    assert at(thief).main_id == "page-login"
    assert thief.authorize("trusted").main_id == "page-login"
    # For the applications it is the same session, and what was open in another tab goes on.
    assert at(browser).main_id == "page-my-overview"
    assert [row["sid"] for row in rows(world, "browser_sessions") if row["ended_at"] is None] == [sid]
    assert "code" in browser.authorize("trusted").answer


@pytest.mark.row("A-28", "P-28")
@pytest.mark.parametrize(("end_others", "left"), [("yes", 0), ("", 1)], ids=["ends", "stays"])
def test_a_session_that_somebody_renewed_meanwhile_is_not_kept_as_ones_own(
    world: World, end_others: str, left: int
) -> None:
    a_person_of_the_database(world)
    browser, page = inside(world, MyPage.PASSWORD, "dora")
    parts, check = world.provider.parts, world.password_factor.check

    def renewed_first(user: User | None, password: str) -> Any:
        with parts.store.begin() as conn:
            (session,) = sessions.list_live(conn, "default", now=world.now, seen_after=0)
            assert renew_session(conn, parts.realms[0], session, world.now)
        return check(user, password)

    world.password_factor.check = renewed_first
    before = browser.session_cookie
    change(browser, page, end_others=end_others)
    world.password_factor.check = check
    assert world.events("password_changed")[0]["sessions"] == 1 - left
    assert len([row for row in rows(world, "browser_sessions") if row["ended_at"] is None]) == left
    assert browser.session_cookie == before
    assert at(browser).main_id == "page-login"


@pytest.mark.row("A-28")
def test_who_wants_to_stays_signed_in_elsewhere(world: World) -> None:
    a_person_of_the_database(world)
    elsewhere = world.browser()
    elsewhere.signed_in(name="dora")
    browser, page = inside(world, MyPage.PASSWORD, "dora")
    assert 'name="end_others" type="checkbox" value="yes" checked' in page.text
    assert done(change(browser, page, end_others="")) == "Your password is changed."
    assert at(elsewhere).main_id == "page-my-overview"


@pytest.mark.row("A-28")
@pytest.mark.parametrize(
    ("new", "said"),
    [
        pytest.param("seven77", "too few characters", id="short"),
        pytest.param("é" * 600, "too long", id="long"),
        pytest.param("Passw0rd", "among the first", id="among-the-first"),
        pytest.param("abababab", "among the first", id="two-letters"),
        pytest.param("demo-dora", "the password you have", id="same"),
    ],
)
def test_a_password_that_is_not_taken(world: World, new: str, said: str) -> None:
    a_person_of_the_database(world)
    browser, page = inside(world, MyPage.PASSWORD, "dora")
    page = change(browser, page, new_password=new, new_password_again=new)
    assert (page.status, page.main_id) == (400, "page-my-password")
    assert said in page.text
    # What was typed is not sent back, and was no try.
    assert new not in page.text
    assert [event for event in world.lines if "login_failed" in event or "changed" in event] == []
    assert done(change(browser, page)) == "Your password is changed."


@pytest.mark.row("A-28")
@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        pytest.param({"password": "demo-alice"}, 403, "not your password", id="wrong"),
        pytest.param({"password": ""}, 403, "not your password", id="none"),
        pytest.param({"new_password_again": NEW + " "}, 400, "two different", id="different"),
        pytest.param({"new_password_again": ""}, 400, "two different", id="once"),
    ],
)
def test_a_form_that_is_not_right(world: World, fields: dict[str, str], status: int, said: str) -> None:
    a_person_of_the_database(world)
    browser, page = inside(world, MyPage.PASSWORD, "dora")
    page = change(browser, page, **fields)
    assert (page.status, page.main_id) == (status, "page-my-password")
    assert said in page.text
    assert world.events("password_changed") == []
    assert done(change(browser, page)) == "Your password is changed."


@pytest.mark.row("A-28")
def test_the_user_name_is_no_password(world: World) -> None:
    a_person_of_the_database(world, "Theodora")
    browser, page = inside(world, MyPage.PASSWORD, "Theodora")
    said = {"password": "demo-theodora", "new_password": "theoDORA", "new_password_again": "theoDORA"}
    assert "among the first" in browser.submit(page, **said).text


@pytest.mark.row("A-28")
def test_how_long_a_password_has_to_be_is_the_realms(tmp_path: Path) -> None:
    world = World.make(tmp_path, account={"password_characters": 20})
    a_person_of_the_database(world)
    browser, page = inside(world, MyPage.PASSWORD, "dora")
    assert "At least 20 characters" in page.text
    assert change(browser, page).status == 400
    longer = NEW + " that is longer"
    assert change(browser, page, new_password=longer, new_password_again=longer).status == 200
    world.close()


@pytest.mark.row("A-28")
def test_guesses_are_slowed_as_at_sign_in_and_by_the_same_counters(tmp_path: Path) -> None:
    world = World.make(tmp_path, throttle={"account_failures": 2})
    a_person_of_the_database(world)
    browser, page = inside(world, MyPage.PASSWORD, "dora")
    for _ in range(3):
        page = change(browser, page, password="a guess")
        assert page.status == 403
    page = change(browser, page)
    assert (page.status, page.response.headers["Retry-After"]) == (429, "2")
    assert "too many attempts" in page.text
    fresh = world.browser()
    assert fresh.sign_in(at(fresh), "dora").status == 429
    world.sleep(3)
    assert done(change(browser, page)) == "Your password is changed."
    world.close()


@pytest.mark.row("A-28")
@pytest.mark.parametrize("page", [MyPage.PASSWORD])
def test_who_is_in_the_file_reads_that_it_is_changed_elsewhere(world: World, page: MyPage) -> None:
    browser, shown = inside(world, page)
    assert "not kept where it could be changed here" in shown.text
    assert "<form" not in shown.text
    sent = {**at(browser, MyPage.SESSIONS).hidden, "password": "demo-alice", "new_password": NEW}
    assert "not kept where" in browser.go(ISSUER + page, sent).text
    assert world.events("login_failed") == []


@pytest.mark.row("A-28", "P-28")
def test_two_tabs_change_the_password(world: World) -> None:
    """The second one proved a password that is none any more."""
    a_person_of_the_database(world)
    browser, page = inside(world, MyPage.PASSWORD, "dora")
    (endpoint,) = (route.endpoint for route in world.provider.parts.routes if route.path == MyPage.PASSWORD)
    factor = world.password_factor
    check = factor.check

    def other_tab_first(user: User | None, password: str) -> Any:
        verdict = check(user, password)
        factor.check = check
        tab = change(browser, page, new_password="the other tab's", new_password_again="the other tab's")
        assert done(tab) == "Your password is changed."
        return verdict

    factor.check = other_tab_first
    late = change(browser, page)
    assert (late.status, "not your password" in late.text) == (403, True)
    assert world.events("login_failed")[-1]["reason"] == "changed_meanwhile"
    fresh = world.browser()
    assert fresh.sign_in(at(fresh), "dora", "the other tab's").main_id == "page-my-overview"
    assert endpoint is not None

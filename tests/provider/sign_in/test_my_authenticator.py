"""`/account/authenticator`: one is set up, replaced and removed by its owner."""

import json
from pathlib import Path

import pytest

from provider.services.my_pages import MyPage
from provider.store import totp
from tests.provider.sign_in.my_pages import (
    SECOND_FACTOR,
    at,
    code,
    copied,
    done,
    inside,
    rows,
    secret_on,
    with_authenticator,
)
from tests.provider.sign_in.place import Page, World


@pytest.mark.row("E-28", "A-28")
def test_an_authenticator_is_set_up_replaced_and_removed(tmp_path: Path) -> None:
    world = World.make(tmp_path, second_factor={"mode": "acr"})
    browser, page = inside(world, MyPage.AUTHENTICATOR)
    assert 'id="set-up"' in page.text
    page = at(browser, MyPage.NEW_AUTHENTICATOR)
    first = secret_on(page)
    wrong = browser.submit(page, otp="000000")
    assert (wrong.status, secret_on(wrong)) == (403, first)
    before = browser.session_cookie
    page = browser.submit(wrong, otp=code(world, first))
    assert done(page) == "Your authenticator is set up. From now on you are asked for its code."
    assert 'id="replace"' in page.text
    assert browser.session_cookie != before
    world.sleep(60)
    # The session is strong enough already: nobody is asked for the code that they have just shown.
    page = at(browser, MyPage.NEW_AUTHENTICATOR)
    second = secret_on(page)
    assert second != first
    page = browser.submit(page, otp=code(world, second))
    assert page.main_id == "page-my-authenticator"
    world.sleep(60)
    fresh = world.browser()
    asked = fresh.sign_in(at(fresh))
    assert fresh.submit(asked, otp=code(world, first)).status == 403
    assert fresh.submit(asked, otp=code(world, second)).main_id == "page-my-overview"
    page = browser.submit(at(browser, MyPage.AUTHENTICATOR), decision="remove")
    assert done(page) == "Your authenticator is removed. It is not asked for any more."
    fresh = world.browser()
    assert fresh.sign_in(at(fresh)).main_id == "page-my-overview"
    names = [json.loads(line)["event"] for line in world.lines]
    kinds = [name.removeprefix("provider.") for name in names if "factor" in name]
    assert kinds == [
        "factor_enrolled",
        "factor_replaced",
        "factor_failed",
        "factor_succeeded",
        "factor_removed",
    ]
    (removed,) = world.events("factor_removed")
    assert removed["by"] == "person"
    assert not any(secret in line for secret in (first, second) for line in world.lines)
    world.close()


@pytest.mark.row("E-28", "P-04")
def test_the_code_that_sets_one_up_is_used_up(tmp_path: Path) -> None:
    world = World.make(tmp_path, second_factor=SECOND_FACTOR)
    browser, page = inside(world, MyPage.NEW_AUTHENTICATOR)
    secret = secret_on(page)
    once = code(world, secret)
    browser.submit(page, otp=once)
    fresh = world.browser()
    assert fresh.submit(fresh.sign_in(at(fresh)), otp=once).status == 403
    world.close()


@pytest.mark.row("E-28", "P-10")
def test_a_secret_that_waits_is_of_one_session_and_one_page(tmp_path: Path) -> None:
    world = World.make(tmp_path, second_factor=SECOND_FACTOR)
    _, of_bob = inside(world, MyPage.NEW_AUTHENTICATOR, "Bob")
    browser, page = inside(world, MyPage.NEW_AUTHENTICATOR)
    again = at(browser, MyPage.NEW_AUTHENTICATOR)
    stored = with_stored_secret(world)
    for waiting in (of_bob.hidden["waiting"], again.hidden["waiting"], stored, "", "x", "é" * 50):
        otp = code(world, secret_on(again))
        refused = browser.submit(page, waiting=waiting, otp=otp)
        assert (refused.status, refused.main_id) == (400, "page-my-new-authenticator")
    assert [row["user_id"] for row in rows(world, "totp")] == ["sub-gone"]
    world.close()


def with_stored_secret(world: World) -> str:
    """A sealed secret as the database holds it, of somebody else."""
    (login,) = (r.endpoint for r in world.provider.parts.routes if r.path == MyPage.NEW_AUTHENTICATOR)
    pages = login.__self__
    parts = world.provider.parts
    sealed = str(pages.secrets.seal(parts.realms[0], "sub-gone", "A" * 32, world.now))
    with parts.store.begin() as conn:
        totp.add(conn, "default", totp.Totp("sub-gone", sealed, 0, world.now))
    return sealed


@pytest.mark.row("E-28", "P-28")
def test_two_tabs_set_one_up(tmp_path: Path) -> None:
    """The second one is told, and the first one counts."""
    world = World.make(tmp_path, second_factor=SECOND_FACTOR)
    browser, first = inside(world, MyPage.NEW_AUTHENTICATOR)
    second = at(browser, MyPage.NEW_AUTHENTICATOR)
    assert browser.submit(first, otp=code(world, secret_on(first))).main_id == "page-my-authenticator"
    late = browser.submit(second, otp=code(world, secret_on(second)))
    assert (late.status, "changed meanwhile" in late.text) == (400, True)
    world.sleep(60)
    fresh = world.browser()
    asked = fresh.sign_in(at(fresh))
    assert fresh.submit(asked, otp=code(world, secret_on(first))).main_id == "page-my-overview"
    world.close()


@pytest.mark.row("E-28", "P-28")
def test_what_is_removed_is_what_was_shown(tmp_path: Path) -> None:
    world = World.make(tmp_path, second_factor=SECOND_FACTOR)
    browser, _ = with_authenticator(world)
    page = at(browser, MyPage.AUTHENTICATOR)
    replaced = at(browser, MyPage.NEW_AUTHENTICATOR)
    browser.submit(replaced, otp=code(world, secret_on(replaced)))
    page = browser.submit(page, decision="remove")
    assert page.status == 400
    assert rows(world, "totp")
    world.close()


@pytest.mark.row("E-28")
def test_where_there_is_no_second_factor_there_is_none_to_set_up(world: World) -> None:
    browser, page = inside(world, MyPage.AUTHENTICATOR)
    assert "nothing to set up" in page.text
    assert at(browser, MyPage.NEW_AUTHENTICATOR).status == 404


@pytest.mark.row("E-28", "A-28")
def test_each_change_leaves_a_copied_cookie_dead(tmp_path: Path) -> None:
    world = World.make(tmp_path, second_factor=SECOND_FACTOR)
    browser, _ = inside(world, MyPage.NEW_AUTHENTICATOR)

    def set_up() -> Page:
        page = at(browser, MyPage.NEW_AUTHENTICATOR)
        return browser.submit(page, otp=code(world, secret_on(page)))

    def remove() -> Page:
        return browser.submit(at(browser, MyPage.AUTHENTICATOR), decision="remove")

    for step in (set_up, set_up, remove):
        thief = copied(world, browser)
        assert at(thief).main_id == "page-my-overview"
        assert done(step())
        assert at(thief).main_id == "page-login"
        assert at(browser).main_id == "page-my-overview"
        world.sleep(60)
    world.close()

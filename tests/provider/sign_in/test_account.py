"""`prompt=select_account`: who is signed in here is shown, and may go on or let somebody else in."""

from pathlib import Path

import pytest

from tests.provider.sign_in.place import ISSUER, Page, World, claims, client


def sub_of(world: World, page: Page) -> str:
    return str(claims(world.tokens(page)["id_token"])["sub"])


@pytest.mark.row("E-25")
def test_going_on_asks_for_no_password(world: World) -> None:
    browser = world.browser()
    browser.signed_in()
    page = browser.authorize("trusted", prompt="select_account")
    assert (page.status, page.main_id) == (200, "page-account")
    assert ">alice<" in page.text
    assert 'name="decision" value="continue"' in page.text
    assert 'name="decision" value="other"' in page.text
    assert sub_of(world, browser.submit(page, decision="continue")) == "sub-alice"


@pytest.mark.row("E-25")
@pytest.mark.parametrize("hint", [None, "alice"])
def test_another_account_leads_to_an_empty_form(world: World, hint: str | None) -> None:
    browser = world.browser()
    browser.signed_in()
    page = browser.authorize("trusted", prompt="select_account", login_hint=hint)
    page = browser.submit(page, decision="other")
    assert (page.main_id, page.username) == ("page-login", "")
    assert sub_of(world, browser.sign_in(page, "Bob")) == "sub-bob"
    assert browser.authorize("trusted", prompt="none").answer["code"]


@pytest.mark.row("E-25")
def test_another_account_may_turn_out_to_be_the_same(world: World) -> None:
    browser = world.browser()
    browser.signed_in()
    page = browser.submit(browser.authorize("trusted", prompt="select_account"), decision="other")
    assert sub_of(world, browser.sign_in(page, "alice")) == "sub-alice"


@pytest.mark.row("E-25")
def test_nobody_is_signed_in(world: World) -> None:
    browser = world.browser()
    page = browser.authorize("trusted", prompt="select_account")
    assert page.main_id == "page-login"
    assert browser.sign_in(page).answer["code"]


@pytest.mark.row("E-25")
def test_with_login_the_password_is_asked(world: World) -> None:
    browser = world.browser()
    browser.signed_in()
    page = browser.authorize("trusted", prompt="login select_account")
    assert (page.main_id, page.username) == ("page-login", "")
    assert browser.sign_in(page, "Bob").answer["code"]


@pytest.mark.row("E-25")
def test_consent_is_asked_of_who_was_chosen(world: World) -> None:
    browser = world.browser()
    browser.submit(browser.signed_in("app"), decision="allow")
    page = browser.authorize("app", prompt="select_account consent")
    page = browser.submit(page, decision="continue")
    assert (page.main_id, ">alice<" in page.text) == ("page-consent", True)
    assert browser.submit(page, decision="allow").answer["code"]


@pytest.mark.row("E-25")
def test_a_password_that_is_too_old_is_asked_of_who_was_chosen(world: World) -> None:
    browser = world.browser()
    browser.signed_in()
    world.sleep(60)
    page = browser.authorize("trusted", prompt="select_account", max_age="30")
    page = browser.submit(page, decision="continue")
    assert (page.main_id, page.username) == ("page-login", "alice")
    assert browser.sign_in(page).answer["code"]


@pytest.mark.row("E-25")
def test_the_back_button_changes_the_mind(world: World) -> None:
    browser = world.browser()
    browser.signed_in()
    page = browser.authorize("trusted", prompt="select_account")
    assert browser.submit(page, decision="other").main_id == "page-login"
    again = browser.go(page.url)
    assert again.main_id == "page-account"
    assert sub_of(world, browser.submit(again, decision="continue")) == "sub-alice"


@pytest.mark.row("P-10")
def test_what_one_person_chose_is_not_taken_for_another(world: World) -> None:
    browser = world.browser()
    browser.signed_in()
    page = browser.authorize("trusted", prompt="select_account")
    browser.submit(browser.authorize("trusted", prompt="select_account"), decision="other")
    browser.signed_in("other", "Bob", prompt="login", redirect_uri="https://other.example/cb")
    # The form was shown to Alice; by now Bob is signed in, who is asked himself.
    page = browser.submit(page, decision="continue")
    assert (page.status, page.main_id, ">Bob<" in page.text) == (400, "page-account", True)
    assert "open too long" in page.text
    assert sub_of(world, browser.submit(page, decision="continue")) == "sub-bob"


@pytest.mark.row("P-11")
def test_the_form_needs_its_token(world: World) -> None:
    browser = world.browser()
    browser.signed_in()
    page = browser.authorize("trusted", prompt="select_account")
    for token in ("", "x", page.hidden["csrf"][:-2] + "AA"):
        again = browser.go(page.action, {**page.hidden, "csrf": token, "decision": "continue"})
        assert (again.status, again.main_id) == (400, "page-account")
    for decision in ("", "deny", "allow"):
        assert browser.submit(page, decision=decision).main_id == "page-error"
    assert browser.submit(page, decision="continue").answer["code"]


@pytest.mark.row("P-10")
def test_the_page_belongs_to_one_browser_and_one_request(world: World) -> None:
    browser = world.browser()
    browser.signed_in()
    page = browser.authorize("trusted", prompt="select_account")
    stranger = world.browser()
    for path in ("account", "organization"):
        for identifier in (page.hidden["interaction"], "nothing", ""):
            url = f"{ISSUER}/login/{path}?interaction={identifier}"
            assert stranger.go(url).main_id == "page-error"
    # A page that is not due leads on to the one that is.
    url = f"{ISSUER}/login/organization?interaction={page.hidden['interaction']}"
    assert browser.go(url).main_id == "page-account"
    name = next(name for name in browser.cookies() if "browser" not in name)
    browser.client.delete_cookie(name, domain="id.example")
    assert browser.go(page.url).main_id == "page-login"


@pytest.mark.row("E-25")
def test_max_age_is_judged_again_when_the_answer_is_given(tmp_path: Path) -> None:
    world = World.make(tmp_path, clients=[client("app")])
    browser = world.browser()
    page = browser.signed_in("app", max_age="600")
    world.sleep(700)
    page = browser.submit(page, decision="allow")
    assert (page.main_id, page.username) == ("page-login", "alice")
    answer = browser.submit(browser.sign_in(page), decision="allow")
    assert claims(world.tokens(answer, "app")["id_token"])["auth_time"] == world.now
    world.close()


@pytest.mark.row("E-25")
def test_max_age_0_leaves_time_to_read(tmp_path: Path) -> None:
    world = World.make(tmp_path, clients=[client("app")])
    browser = world.browser()
    page = browser.signed_in("app", max_age="0")
    world.sleep(100)
    assert browser.submit(page, decision="allow").answer["code"]
    world.close()

"""`/account/profile`: what people write of themselves, and who is told."""

from pathlib import Path
from typing import Any

import pytest

from provider.services.my_pages import MyPage
from tests.provider.sign_in.my_pages import (
    at,
    done,
    inside,
    rows,
)
from tests.provider.sign_in.place import ISSUER, Browser, World

PROPERTIES = [
    {"name": "nickname", "writable": True, "max_length": 8},
    {"name": "motto", "attribute": "aux_1", "display_name": "Your motto", "writable": True},
    {"name": "floors", "type": "integer", "multi_valued": True, "writable": True},
    {"name": "age", "type": "integer", "writable": True},
    {"name": "listed", "type": "boolean", "writable": True},
    {"name": "badge"},
    {"name": "seal", "writable": True, "max_length": 4, "fixed_length": True},
]


@pytest.mark.row("A-28", "S-22")
def test_what_people_write_is_what_applications_are_told(tmp_path: Path) -> None:
    world = World.make(
        tmp_path,
        properties=PROPERTIES,
        claims=[{"name": "floors"}, {"name": "motto"}, {"name": "listed"}],
        scopes=[{"value": "profile", "claims": ["nickname", "floors", "motto", "listed"]}],
    )
    browser, page = inside(world, MyPage.PROFILE)
    assert "a@example" in page.text
    assert "Your motto" in page.text
    assert "badge" not in page.text
    values = {
        "of-nickname": " Äl ",
        "of-motto": "<b>",
        "of-floors": "1\r\n\r\n-2\r\n",
        "of-age": "42",
        "of-listed": "false",
    }
    page = browser.submit(page, **values)
    assert done(page) == "Your profile is saved."
    assert 'value="Äl"' in page.text
    assert ">\n1\n-2</textarea>" in page.text
    assert '<option value="false" selected>' in page.text
    (event,) = world.events("profile_changed")
    assert event["properties"] == ["nickname", "motto", "floors", "age", "listed"]
    assert "Äl" not in "".join(world.lines)
    told = userinfo(world, browser)
    assert (told["nickname"], told["floors"], told["motto"], told["listed"]) == ("Äl", [1, -2], "<b>", False)
    page = browser.submit(at(browser, MyPage.PROFILE), **{**values, "of-nickname": "", "of-floors": " "})
    assert world.events("profile_changed")[-1]["properties"] == ["nickname", "floors"]
    assert not {"nickname", "floors"} & userinfo(world, browser).keys()
    # Saved as it is: nothing happened.
    browser.submit(at(browser, MyPage.PROFILE), **{**values, "of-nickname": "", "of-floors": ""})
    assert len(world.events("profile_changed")) == 2
    world.close()


def userinfo(world: World, browser: Browser) -> dict[str, Any]:
    token = world.tokens(browser.authorize("trusted"))["access_token"]
    answer = browser.client.get("/userinfo", headers={"Authorization": f"Bearer {token}"}, base_url=ISSUER)
    return dict(answer.get_json())


@pytest.mark.row("A-28", "S-22")
@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        pytest.param("of-nickname", "Älexandra", "There is room for 8 plain letters", id="long"),
        pytest.param("of-motto", "x" * 1001, "There is room for 1000 plain letters", id="too-long"),
        pytest.param("of-seal", "abc", "It has to be 4 plain letters", id="too-short"),
        pytest.param("of-motto", "a\u202eb", "cannot be shown", id="turned-around"),
        pytest.param("of-age", "1.5", "no whole number", id="fraction"),
        pytest.param("of-age", "٣", "no whole number", id="other-digits"),
        pytest.param("of-age", "9" * 5000, "no whole number", id="huge"),
        pytest.param("of-floors", "1\nground", "no whole number", id="one-of-a-list"),
        pytest.param("of-floors", "1\n" * 51, "too many values", id="long-list"),
        pytest.param("of-listed", "maybe", "Choose one", id="choice"),
    ],
)
def test_a_value_that_the_property_does_not_allow(tmp_path: Path, field: str, text: str, said: str) -> None:
    world = World.make(tmp_path, properties=PROPERTIES)
    browser, page = inside(world, MyPage.PROFILE)
    page = browser.submit(page, **{"of-nickname": "Al", field: text})
    assert (page.status, page.main_id) == (400, "page-my-profile")
    assert page.text.partition("<main")[2].count('aria-invalid="true"') == 1
    assert said in page.text
    assert rows(world, "user_attributes") == []
    assert world.events("profile_changed") == []
    world.close()


@pytest.mark.row("A-28")
def test_where_nothing_is_writable_the_page_says_so(world: World) -> None:
    browser, page = inside(world, MyPage.PROFILE)
    assert "All of this is kept by those who look after" in page.text
    assert "<form" not in page.text
    sent = {**at(browser, MyPage.SESSIONS).hidden, "of-consents": "x", "of-email": "boss@example"}
    assert browser.go(ISSUER + MyPage.PROFILE, sent).status == 400
    assert rows(world, "user_attributes") == []

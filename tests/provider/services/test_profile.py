"""What people write of themselves, as values of properties."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.property_settings import PropertySettings
from provider.services.profile import NotTaken, editable, kind_of, text_of, value_of, write, written
from tests.provider.databases import one_after_the_other
from tests.provider.world import World

TEXT = PropertySettings(name="motto", writable=True)
SHORT = PropertySettings(name="nickname", writable=True, max_length=4)
FIXED = PropertySettings(name="code", writable=True, max_length=4, fixed_length=True)
NUMBER = PropertySettings(name="age", type="integer", writable=True)
YES_NO = PropertySettings(name="listed", type="boolean", writable=True)
LINES = PropertySettings(name="places", multi_valued=True, writable=True, max_length=4)
NUMBERS = PropertySettings(name="floors", type="integer", multi_valued=True, writable=True)


@pytest.mark.row("A-28", "S-22")
@pytest.mark.parametrize(
    ("declared", "text", "value"),
    [
        (TEXT, "a b", "a b"),
        (TEXT, " a ", "a"),
        (TEXT, " ", None),
        (TEXT, "x" * 1_000, "x" * 1_000),
        (SHORT, "\u00e9\u00e9", "\u00e9\u00e9"),
        (FIXED, "abcd", "abcd"),
        (FIXED, "", None),
        (NUMBER, "-7", -7),
        (NUMBER, "0" * 15, 0),
        (NUMBER, "", None),
        (YES_NO, "true", True),
        (YES_NO, "false", False),
        (YES_NO, "", None),
        (LINES, "a\r\n\n b ", ["a", "b"]),
        (LINES, "\n", None),
        (LINES, "a\n" * 50, ["a"] * 50),
        (NUMBERS, "1\n-2", [1, -2]),
    ],
)
def test_what_is_typed_is_a_value(declared: PropertySettings, text: str, value: Any) -> None:
    found = value_of(declared, text)
    assert (found, type(found)) == (value, type(value))
    assert value is None or declared.value_problem(value) is None
    # What is shown of it is taken again.
    assert value_of(declared, text_of(declared, value)) == value


def test_what_is_shown_of_a_value() -> None:
    assert text_of(LINES, ["a", "b"]) == "a\nb"
    assert text_of(NUMBER, 7) == "7"
    assert text_of(TEXT, "Al") == "Al"
    assert (text_of(YES_NO, True), text_of(YES_NO, False)) == ("true", "false")


@pytest.mark.row("A-28", "S-22")
@pytest.mark.parametrize(
    ("declared", "text", "why"),
    [
        (TEXT, "a\nb", "characters"),
        (TEXT, "a\x00", "characters"),
        (TEXT, "x" * 1_001, "length"),
        (TEXT, "\ud800", "characters"),
        (SHORT, "\u00e9\u00e9x", "length"),
        (FIXED, "abc", "length"),
        (NUMBER, "1.0", "number"),
        (NUMBER, "--1", "number"),
        (NUMBER, "-", "number"),
        (NUMBER, "0" * 16, "number"),
        (NUMBER, "\u0663", "number"),
        (NUMBER, "\u00b2", "number"),
        (YES_NO, "True", "choice"),
        (LINES, "a\nabcde", "length"),
        (LINES, "a\n" * 51, "many"),
        (NUMBERS, "1\nx", "number"),
    ],
)
def test_what_is_typed_is_none(declared: PropertySettings, text: str, why: str) -> None:
    with pytest.raises(NotTaken, match=f"^{why}$"):
        value_of(declared, text)


@pytest.mark.row("A-28")
@given(st.sampled_from([TEXT, SHORT, NUMBER, YES_NO, LINES, NUMBERS]), st.text())
def test_what_was_taken_is_shown_and_taken_again(declared: PropertySettings, text: str) -> None:
    try:
        value = value_of(declared, text)
    except NotTaken:
        return
    assert value_of(declared, text_of(declared, value)) == value


@pytest.mark.parametrize(
    ("declared", "value"),
    [(NUMBER, "7"), (NUMBER, True), (LINES, "a"), (SHORT, "abcde"), (TEXT, None)],
)
def test_what_the_property_does_not_allow_is_shown_as_nothing(
    declared: PropertySettings, value: object
) -> None:
    assert text_of(declared, value) == ""


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        (TEXT, "text"),
        (NUMBER, "number"),
        (YES_NO, "choice"),
        (LINES, "lines"),
        (NUMBERS, "lines"),
        (PropertySettings(name="a", type="object"), None),
        (PropertySettings(name="a", type="object", multi_valued=True), None),
        (PropertySettings(name="a", type="boolean", multi_valued=True), None),
    ],
)
def test_each_kind_of_value_has_a_field_or_none(declared: PropertySettings, kind: str | None) -> None:
    assert kind_of(declared) == kind


@pytest.fixture
def world(url: str) -> Iterator[World]:
    """A provider over each of the databases."""
    made = World.over(
        url,
        properties=[
            {"name": "nickname", "writable": True},
            {"name": "called", "attribute": "nickname", "writable": True},
            {"name": "age", "type": "integer", "writable": True},
            {"name": "house", "type": "object", "writable": True},
            {"name": "badge"},
        ],
    )
    yield made
    made.provider.parts.store.dispose()


@pytest.mark.row("A-28", "S-36")
def test_what_is_written_is_kept_for_each_person(world: World) -> None:
    store, realm = world.provider.parts.store, world.realm
    nickname, age = editable(realm)
    assert (nickname.name, age.name) == ("nickname", "age")
    with store.begin() as conn:
        assert write(conn, realm, "u", {nickname: "\u00c4l", age: 7}) == ("nickname", "age")
        assert write(conn, realm, "u", {nickname: "\u00c4l", age: 8}) == ("age",)
        assert write(conn, realm, "u", {nickname: None, age: 8}) == ("nickname",)
        assert write(conn, realm, "u", {nickname: None}) == ()
        assert write(conn, realm, "v", {nickname: "V"}) == ("nickname",)
    with store.read() as conn:
        assert written(conn, realm, "u") == {"age": 8}
        assert written(conn, realm, "v") == {"nickname": "V"}


@pytest.mark.row("A-28", "P-28")
def test_two_tabs_write_at_once(world: World) -> None:
    store, realm = world.provider.parts.store, world.realm
    nickname, _ = editable(realm)
    one_after_the_other(
        store,
        lambda conn: write(conn, realm, "u", {nickname: "first"}),
        lambda conn: write(conn, realm, "u", {nickname: "second"}),
    )
    with store.read() as conn:
        assert written(conn, realm, "u") == {"nickname": "second"}

"""What may be said of a person, which attributes that gives, and which names are the same."""

import unicodedata
from typing import Any

import pytest

from oidcgate.settings import SettingsError, parse
from provider.user_settings import UserSettings, fold_user_name, user_name_problem
from tests.provider.refusals import told

HASH = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$aGFzaA"
EVERYTHING = {
    "name": "Alice Liddell",
    "given_name": "Alice",
    "family_name": "Liddell",
    "middle_name": "P",
    "nickname": "Al",
    "profile": "https://p",
    "picture": "https://i",
    "website": "https://w",
    "gender": "f",
    "birthdate": "1852-05-04",
    "zoneinfo": "Europe/London",
    "locale": "en-GB",
    "updated_at": 0,
    "email": "a@b",
    "email_verified": False,
    "phone_number": "+1",
    "phone_number_verified": True,
    "address": {"country": "GB"},
    "groups": ["staff"],
    "organizations": ["one", "two"],
}


def wrong(**said: Any) -> list[str]:
    """What is wrong with a person."""
    try:
        parse(UserSettings, {"user_name": "alice", **said})
    except SettingsError as error:
        return [f"{problem.key} {problem.value}" for problem in told(error)]
    return []


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({}, id="only-a-name"),
        pytest.param({"user_name": "é" * 255}, id="long-name"),
        pytest.param({"user_name": "Alice Liddell"}, id="space-inside"),
        pytest.param({"user_id": "!"}, id="sub-of-one"),
        pytest.param({"user_id": "~" * 255}, id="long-sub"),
        pytest.param({"password_hash": HASH}, id="hash"),
        pytest.param({"attributes": {"badge": "7"}}, id="further"),
    ],
)
def test_people_who_are_accepted(said: dict[str, Any]) -> None:
    assert wrong(**said) == []


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        pytest.param({"user_name": ""}, "user_name None", id="no-name"),
        pytest.param({"user_name": " alice"}, "user_name  alice", id="space-first"),
        pytest.param({"user_name": "alice "}, "user_name alice ", id="space-last"),
        pytest.param({"user_name": "a\nb"}, "user_name a\nb", id="control"),
        pytest.param({"user_name": "a" * 256}, f"user_name {'a' * 256}", id="long"),
        pytest.param({"user_id": "ü"}, "user_id ü", id="sub-not-ascii"),
        pytest.param({"user_id": "a b"}, "user_id a b", id="sub-with-a-space"),
        pytest.param({"user_id": "a" * 256}, f"user_id {'a' * 256}", id="sub-too-long"),
        # What stands in the place of a hash may be a password: it is not repeated.
        pytest.param({"password_hash": "secret"}, "password_hash None", id="clear-password"),
        pytest.param({"password_hash": f"{HASH} "}, "password_hash None", id="more-than-a-hash"),
        pytest.param({"password": "secret"}, "password None", id="unknown-key"),
        pytest.param({"attributes": {"email": "a@b"}}, "attributes.email None", id="has-its-own-key"),
    ],
)
def test_people_who_are_refused(said: dict[str, Any], problem: str) -> None:
    assert wrong(**said) == [problem]


@pytest.mark.parametrize(
    ("name", "good"),
    [
        pytest.param("a", True, id="one-letter"),
        pytest.param("a" * 255, True, id="255-letters"),
        pytest.param("a" * 256, False, id="256-letters"),
        pytest.param("", False, id="none"),
        pytest.param("\u00a0a", False, id="no-break-space"),
        pytest.param("a\u200bb", False, id="invisible"),
    ],
)
def test_names_to_sign_in_with(name: str, good: bool) -> None:
    assert (user_name_problem(name) is None) is good


@pytest.mark.row("S-22")
def test_every_attribute_with_a_value() -> None:
    user = parse(UserSettings, {"user_name": "alice", **EVERYTHING, "attributes": {"badge": "7"}})
    assert user.all_attributes() == {**EVERYTHING, "badge": "7"}


@pytest.mark.row("S-22")
def test_attributes_without_a_value_are_absent() -> None:
    empty = {name: "" for name, value in EVERYTHING.items() if isinstance(value, str)}
    said = {**empty, "address": {}, "groups": [], "organizations": []}
    assert parse(UserSettings, {"user_name": "alice", **said}).all_attributes() == {}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("Alice", "aLICE", id="case"),
        pytest.param("straße", "STRASSE", id="longer-in-capitals"),
        pytest.param("ﬁn", "FIN", id="ligature"),
        pytest.param("é", "e\u0301", id="composed"),
        pytest.param("\u03d2", "\u03c5", id="a-capital-in-disguise"),
    ],
)
def test_names_that_are_the_same(one: str, other: str) -> None:
    assert fold_user_name(one) == fold_user_name(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("alice", "alicé", id="accent"),
        pytest.param("alice", "аlice", id="letter-of-another-script"),
        pytest.param("a b", "ab", id="space"),
    ],
)
def test_names_that_are_not(one: str, other: str) -> None:
    assert fold_user_name(one) != fold_user_name(other)


@pytest.mark.parametrize("name", ["Straße", "ﬁn", "E\u0301", "ＡLICE", "\u01f0"])
def test_a_folded_name_is_in_its_last_form(name: str) -> None:
    folded = fold_user_name(name)
    assert fold_user_name(folded) == folded
    assert unicodedata.is_normalized("NFKC", folded)

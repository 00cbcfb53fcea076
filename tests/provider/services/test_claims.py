"""Claims of a person by scope, and nothing that has no value."""

import pytest

from provider.property_settings import CLAIM_ATTRIBUTES
from provider.services.claims import SCOPE_CLAIMS, id_token_claims_of, userinfo_claims
from provider.store.users import User

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
    "updated_at": 1,
    "email": "a@b",
    "email_verified": False,
    "phone_number": "+1",
    "phone_number_verified": True,
    "address": {"country": "GB"},
    "groups": ["a"],
}


def user(**attributes: object) -> User:
    return User("sub-1", "alice", "alice", None, True, attributes, 0)


@pytest.mark.row("E-08")
@pytest.mark.parametrize("scope", list(SCOPE_CLAIMS))
def test_each_scope_opens_its_claims(scope: str) -> None:
    claims = userinfo_claims(user(**EVERYTHING), {"openid", scope})
    assert claims.keys() == {"sub", *SCOPE_CLAIMS[scope]}
    known = {**EVERYTHING, "preferred_username": "alice", "sub": "sub-1"}
    assert claims == {name: known[name] for name in claims}


def test_all_scopes_open_everything() -> None:
    claims = userinfo_claims(user(**EVERYTHING), SCOPE_CLAIMS)
    assert claims.keys() == {"sub", "preferred_username", *CLAIM_ATTRIBUTES}


def test_what_has_no_value_is_absent_and_never_null() -> None:
    assert userinfo_claims(user(name="", email=None), {"profile", "email"}) == {
        "sub": "sub-1",
        "preferred_username": "alice",
    }


def test_false_and_zero_are_values() -> None:
    claims = userinfo_claims(user(email_verified=False, updated_at=0), {"profile", "email"})
    assert (claims["email_verified"], claims["updated_at"]) == (False, 0)


def test_no_attribute_replaces_the_subject() -> None:
    claims = userinfo_claims(user(sub="other", preferred_username="other"), {"profile"})
    assert (claims["sub"], claims["preferred_username"]) == ("sub-1", "alice")


@pytest.mark.row("F-09")
def test_the_id_token_names_the_person_to_the_application() -> None:
    assert id_token_claims_of(user(**EVERYTHING), {"openid", "profile"}) == {"preferred_username": "alice"}
    assert id_token_claims_of(user(**EVERYTHING), {"openid", "email"}) == {}

"""Claims of a person by scope, and nothing that has no value."""

import pytest

from provider.catalogue import Catalogue
from provider.catalogue_settings import STANDARD_SCOPE_CLAIMS, ScopeSettings
from provider.services.claims import id_token_claims_of, userinfo_claims
from provider.store.clients import Client
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
CATALOGUE = Catalogue.of([ScopeSettings(value="groups")], (), (), ())
CLIENT = Client("app", True, 0, "The app", "none", (), (), (), (), False)


def user(**attributes: object) -> User:
    return User("sub-1", "alice", "alice", None, True, attributes, 0)


@pytest.mark.row("E-08")
@pytest.mark.parametrize("scope", list(STANDARD_SCOPE_CLAIMS))
def test_each_scope_opens_its_claims(scope: str) -> None:
    claims = userinfo_claims(CATALOGUE, user(**EVERYTHING), {"openid", scope})
    assert claims.keys() == {"sub", *STANDARD_SCOPE_CLAIMS[scope]}
    known = {**EVERYTHING, "preferred_username": "alice", "sub": "sub-1"}
    assert claims == {name: known[name] for name in claims}


def test_all_scopes_open_everything() -> None:
    claims = userinfo_claims(CATALOGUE, user(**EVERYTHING), STANDARD_SCOPE_CLAIMS)
    assert claims.keys() == {"sub", "preferred_username", *EVERYTHING}


def test_what_has_no_value_is_absent_and_never_null() -> None:
    assert userinfo_claims(CATALOGUE, user(name="", email=None), {"profile", "email"}) == {
        "sub": "sub-1",
        "preferred_username": "alice",
    }


def test_false_and_zero_are_values() -> None:
    claims = userinfo_claims(CATALOGUE, user(email_verified=False, updated_at=0), {"profile", "email"})
    assert (claims["email_verified"], claims["updated_at"]) == (False, 0)


def test_no_attribute_replaces_the_subject() -> None:
    claims = userinfo_claims(CATALOGUE, user(sub="other", preferred_username="other"), {"profile"})
    assert (claims["sub"], claims["preferred_username"]) == ("sub-1", "alice")


@pytest.mark.row("F-09")
def test_the_id_token_names_the_person_to_the_application() -> None:
    assert id_token_claims_of(CATALOGUE, CLIENT, user(**EVERYTHING), {"openid", "profile"}) == {
        "preferred_username": "alice"
    }
    assert id_token_claims_of(CATALOGUE, CLIENT, user(**EVERYTHING), {"openid", "email"}) == {}

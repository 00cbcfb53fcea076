"""Claims of a person by scope, and nothing that has no value."""

import json
from dataclasses import replace

import pytest

from oidcgate.protocol.claims_parameter import ClaimsRequest, parse_claims
from provider.catalogue import Catalogue
from provider.catalogue_settings import (
    STANDARD_SCOPE_CLAIMS,
    ClaimSettings,
    OrganizationSettings,
    ResourceSettings,
    ScopeSettings,
)
from provider.services.claims import (
    access_token_claims_of,
    askable,
    id_token_claims_of,
    scopes_of_claims,
    still_asked,
    userinfo_claims,
    without_claims_of,
)
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
    assert claims.keys() == set(STANDARD_SCOPE_CLAIMS[scope])
    known = {**EVERYTHING, "preferred_username": "alice"}
    assert claims == {name: known[name] for name in claims}


def test_all_scopes_open_everything() -> None:
    claims = userinfo_claims(CATALOGUE, user(**EVERYTHING), STANDARD_SCOPE_CLAIMS)
    assert claims.keys() == {"preferred_username", *EVERYTHING}


def test_what_has_no_value_is_absent_and_never_null() -> None:
    assert userinfo_claims(CATALOGUE, user(name="", email=None), {"profile", "email"}) == {
        "preferred_username": "alice",
    }


def test_false_and_zero_are_values() -> None:
    claims = userinfo_claims(CATALOGUE, user(email_verified=False, updated_at=0), {"profile", "email"})
    assert (claims["email_verified"], claims["updated_at"]) == (False, 0)


def test_no_attribute_replaces_the_subject() -> None:
    claims = userinfo_claims(CATALOGUE, user(sub="other", preferred_username="other"), {"profile"})
    assert (claims.get("sub"), claims["preferred_username"]) == (None, "alice")


@pytest.mark.row("F-09")
def test_the_id_token_names_the_person_to_the_application() -> None:
    assert id_token_claims_of(CATALOGUE, CLIENT, user(**EVERYTHING), {"openid", "profile"}) == {
        "preferred_username": "alice"
    }
    assert id_token_claims_of(CATALOGUE, CLIENT, user(**EVERYTHING), {"openid", "email"}) == {}


# Places, clients and claims that are named one by one

OWN = Catalogue.of(
    [
        ScopeSettings(value="work", claims=("room", "badge")),
        ScopeSettings(value="both", claims=("email", "room")),
    ],
    [
        ClaimSettings(name="room", into=("id_token",)),
        ClaimSettings(name="badge", into=("access_token",)),
        ClaimSettings(name="everybody"),
        ClaimSettings(name="nobody", property=""),
        ClaimSettings(name="orgs", property="organizations", into=("userinfo",)),
        ClaimSettings(name="org_titles", property="organization_names", into=("userinfo",)),
    ],
    (),
    [OrganizationSettings(org_id="acme", name="Acme"), OrganizationSettings(org_id="globex")],
)
PERSON = {
    "email": "a@b",
    "name": "Alice",
    "room": "1",
    "badge": "2",
    "everybody": "3",
    "nobody": "4",
    "": "5",
    "organizations": ["globex", "acme", "gone"],
}
ORGS = {"orgs": ["acme", "globex"], "org_titles": ["Acme", "globex"]}


@pytest.mark.row("S-55", "S-57")
@pytest.mark.parametrize(
    ("scope", "asked", "in_token", "in_userinfo"),
    [
        pytest.param({"openid"}, (), {"everybody": "3"}, {"everybody": "3", **ORGS}, id="no-scope"),
        pytest.param(
            {"openid", "work"},
            (),
            {"everybody": "3", "room": "1"},
            {"everybody": "3", **ORGS},
            id="own-scope",
        ),
        pytest.param(
            {"openid"},
            ("email", "badge"),
            {"everybody": "3", "email": "a@b", "badge": "2"},
            {"everybody": "3", "email": "a@b", "badge": "2", **ORGS},
            id="asked-one-by-one",
        ),
        pytest.param(
            {"openid", "unknown"}, ("unknown",), {"everybody": "3"}, {"everybody": "3", **ORGS}, id="unknown"
        ),
    ],
)
def test_places(
    scope: set[str], asked: tuple[str, ...], in_token: dict[str, object], in_userinfo: dict[str, object]
) -> None:
    person = user(**PERSON)
    assert id_token_claims_of(OWN, CLIENT, person, scope, asked) == in_token
    assert userinfo_claims(OWN, person, scope, asked) == in_userinfo


def test_an_id_token_that_comes_alone_says_what_userinfo_would() -> None:
    person = user(**PERSON)
    assert id_token_claims_of(OWN, CLIENT, person, {"openid", "both"}, alone=True) == {
        "everybody": "3",
        "email": "a@b",
        "room": "1",
        **ORGS,
    }


@pytest.mark.row("E-09")
def test_what_an_access_token_says() -> None:
    assert access_token_claims_of(OWN, user(**PERSON), {"openid", "work", "email"}) == {"badge": "2"}
    assert access_token_claims_of(OWN, user(**PERSON), {"openid"}) == {}


@pytest.mark.row("F-18")
@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        pytest.param((), {}, id="none"),
        pytest.param(("badge",), {"badge": "2"}, id="from-any-place"),
        pytest.param(("email",), {}, id="not-granted"),
        pytest.param(("name", "everybody"), {"everybody": "3"}, id="some"),
    ],
)
def test_a_client_chooses_the_claims_of_its_id_tokens(
    chosen: tuple[str, ...], expected: dict[str, str]
) -> None:
    choosing = replace(CLIENT, id_token_claims=chosen)
    for alone in (False, True):
        found = id_token_claims_of(OWN, choosing, user(**PERSON), {"openid", "work"}, alone=alone)
        assert found == expected


def asked_for(**places: dict[str, None]) -> ClaimsRequest:
    return parse_claims(json.dumps(places))


@pytest.mark.row("E-14", "S-52")
@pytest.mark.parametrize(
    ("places", "scopes", "expected"),
    [
        pytest.param({}, ("*",), {}, id="nothing"),
        pytest.param(
            {"id_token": {"email": None}, "userinfo": {"room": None, "email": None}},
            ("*",),
            {"id_token": ("email",), "userinfo": ("room", "email")},
            id="both-places-in-order",
        ),
        pytest.param({"userinfo": {"unknown": None, "sub": None, "acr": None}}, ("*",), {}, id="unknown"),
        pytest.param({"id_token": {"email": None}}, ("openid",), {}, id="of-no-scope-that-it-may-have"),
        pytest.param({"id_token": {"email": None}}, ("both",), {"id_token": ("email",)}, id="of-one-of-two"),
        pytest.param({"id_token": {"everybody": None}}, (), {"id_token": ("everybody",)}, id="of-no-scope"),
    ],
)
def test_what_a_client_may_ask_for(
    places: dict[str, dict[str, None]], scopes: tuple[str, ...], expected: dict[str, tuple[str, ...]]
) -> None:
    assert askable(OWN, replace(CLIENT, scopes=scopes), asked_for(**places), None) == expected


PAY, STOCK = "https://pay.example", "https://stock.example"
WITH_APIS = Catalogue.of(
    [
        ScopeSettings(value="pay.read", claims=("salary", "email")),
        ScopeSettings(value="shared", claims=("shelf",)),
    ],
    [ClaimSettings(name=name, property="name") for name in ("salary", "shelf")],
    [
        ResourceSettings(audience=PAY, scopes=("pay.read", "shared")),
        ResourceSettings(audience=STOCK, scopes=("shared",)),
    ],
    (),
)


@pytest.mark.row("E-14", "E-10")
@pytest.mark.parametrize(
    ("audience", "expected"),
    [
        pytest.param(None, ("email",), id="no-api"),
        pytest.param(PAY, ("salary", "shelf", "email"), id="its-api"),
        pytest.param(STOCK, ("shelf", "email"), id="of-two-apis"),
    ],
)
def test_claims_of_the_scopes_of_an_api(audience: str | None, expected: tuple[str, ...]) -> None:
    anything = replace(CLIENT, scopes=("*",))
    assert still_asked(WITH_APIS, anything, ("salary", "shelf", "email", "unknown"), audience) == expected
    named = asked_for(userinfo=dict.fromkeys(("salary", "shelf", "email", "unknown")))
    assert askable(WITH_APIS, anything, named, audience) == {"userinfo": expected}


@pytest.mark.row("E-14", "A-13")
@pytest.mark.parametrize(
    ("granted", "audience", "expected"),
    [
        pytest.param(("*",), None, ("email",), id="not-the-api's-without-the-api"),
        pytest.param(("openid", "pay.read"), PAY, ("pay.read",), id="not-one-it-may-not-have"),
        pytest.param(("openid",), None, (), id="none-it-may-have"),
    ],
)
def test_the_person_is_asked_about_a_scope_that_can_be_granted(
    granted: tuple[str, ...], audience: str | None, expected: tuple[str, ...]
) -> None:
    asking, asked = replace(CLIENT, scopes=granted), {"userinfo": ("email",)}
    assert scopes_of_claims(WITH_APIS, asking, ("openid",), asked, audience) == expected


@pytest.mark.row("E-14", "A-13")
@pytest.mark.parametrize(
    ("scopes", "asked", "expected"),
    [
        pytest.param(("openid",), {}, (), id="nothing"),
        pytest.param(("openid",), {"userinfo": ("email",)}, ("email",), id="the-first-scope-that-holds-it"),
        pytest.param(("openid", "both"), {"userinfo": ("email",)}, (), id="opened-by-another-already"),
        pytest.param(("openid",), {"userinfo": ("everybody",)}, (), id="of-no-scope"),
        pytest.param(
            ("openid",),
            {"id_token": ("room", "badge"), "userinfo": ("name", "room")},
            ("work", "profile"),
            id="each-once-in-order",
        ),
    ],
)
def test_the_scopes_of_claims(
    scopes: tuple[str, ...], asked: dict[str, tuple[str, ...]], expected: tuple[str, ...]
) -> None:
    assert scopes_of_claims(OWN, replace(CLIENT, scopes=("*",)), scopes, asked, None) == expected


@pytest.mark.row("E-14", "A-14")
@pytest.mark.parametrize(
    ("left_out", "expected"),
    [
        pytest.param((), {"id_token": ("room",), "userinfo": ("email", "everybody", "name")}, id="nothing"),
        pytest.param(("work",), {"id_token": (), "userinfo": ("email", "everybody", "name")}, id="one-scope"),
        pytest.param(
            ("both", "email"), {"id_token": (), "userinfo": ("everybody", "name")}, id="of-two-scopes"
        ),
        pytest.param(
            ("phone",), {"id_token": ("room",), "userinfo": ("email", "everybody", "name")}, id="another"
        ),
    ],
)
def test_claims_of_what_was_left_out(left_out: tuple[str, ...], expected: dict[str, tuple[str, ...]]) -> None:
    asked = {"id_token": ("room",), "userinfo": ("email", "everybody", "name")}
    assert without_claims_of(OWN, asked, left_out) == expected


@pytest.mark.row("S-55")
@pytest.mark.parametrize("empty", ["", None, [], (), {}])
def test_every_kind_of_nothing_is_absent(empty: object) -> None:
    claims = userinfo_claims(OWN, user(email=empty, organizations=empty), {"openid", "email"})
    assert claims == {}

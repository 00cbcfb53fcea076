"""What applications are told of a person: from the data store to ID token and UserInfo, and by consent."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client as WSGIClient

from tests.provider.sign_in.place import (
    CALLBACK,
    ISSUER,
    VERIFIER,
    Page,
    World,
    authorize_url,
    claims,
    client,
    settings_document,
)

HOSTILE = "<script>alert(1)</script>'\"&\u202e"
ALICE = {
    "email": "alice@example.org",
    "email_verified": False,
    "phone_number": "+33 1 23",
    "phone_number_verified": True,
    "updated_at": 1_700_000_000,
    "name": "Alice Liddell",
    "nickname": "",
    "address": {"locality": "Paris", "country": "FR"},
    "groups": ["staff", "admins"],
    "attributes": {"dept": "R&D", "cost_center": 4711, "roles": ["a", "b"], "vip": False, "empty": []},
}
PROPERTIES = [
    {"name": "department", "attribute": "dept"},
    {"name": "cost_center", "type": "integer"},
    {"name": "roles", "multi_valued": True},
    {"name": "vip", "type": "boolean"},
    {"name": "empty", "multi_valued": True},
    {"name": "missing"},
]
CLAIMS = [
    {"name": "department"},
    {"name": "https://example.org/cost", "property": "cost_center"},
    {"name": "roles", "into": ["userinfo"]},
    {"name": "vip", "into": ["id_token"]},
    {"name": "empty"},
    {"name": "missing"},
    {"name": "unmapped", "property": "", "discoverable": True},
    {"name": "secret_note", "property": "department", "discoverable": False, "into": ["userinfo"]},
]
SCOPES = [
    {
        "value": "staff",
        "claims": ["roles", "vip"],
        "display_name": HOSTILE,
        "description": f"Roles {HOSTILE}",
    },
    {"value": "hidden", "claims": ["secret_note"], "discoverable": False},
    {"value": "groups"},
]
CLIENTS = [
    client("trusted", trusted=True, scopes=["*"]),
    client("app", scopes=["*"], name=HOSTILE),
    client("lean", trusted=True, scopes=["*"], id_token_claims=[]),
    client("fat", trusted=True, scopes=["*"], id_token_claims=["email", "department", "preferred_username"]),
    client("narrow", trusted=True, scopes=["openid", "profile", "offline_access"]),
    client("limited", trusted=True, scopes=["*"], restricted_scopes=["staff"]),
]
CATALOGUE = {"properties": PROPERTIES, "claims": CLAIMS, "scopes": SCOPES, "clients": CLIENTS}
Make = Callable[..., World]


def people() -> list[dict[str, Any]]:
    alice, *others = settings_document()["users"]
    return [{**alice, **ALICE}, *others]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes a provider; again over the same database with other settings."""
    worlds: list[World] = []

    def made(**changes: Any) -> World:
        worlds.append(World.make(tmp_path, **{**CATALOGUE, "users": people(), **changes}))
        return worlds[-1]

    yield made
    for world in worlds:
        world.close()


@pytest.fixture
def world(make: Make) -> World:
    return make()


def userinfo(world: World, tokens: dict[str, Any]) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    response = WSGIClient(world.provider).get("/userinfo", headers=headers, base_url=ISSUER)
    assert response.status_code == 200
    return dict(response.get_json())


def told(world: World, page: Page, client_id: str = "trusted") -> tuple[dict[str, Any], dict[str, Any]]:
    """Claims about the person, without `sub`: those of the ID token, and those of UserInfo."""
    tokens = world.tokens(page, client_id)
    protocol = {
        "iss",
        "sub",
        "aud",
        "exp",
        "iat",
        "auth_time",
        "nonce",
        "acr",
        "amr",
        "at_hash",
        "sid",
        "azp",
    }
    in_token = {name: value for name, value in claims(tokens["id_token"]).items() if name not in protocol}
    everywhere = userinfo(world, tokens)
    assert everywhere.pop("sub") == "sub-alice"
    assert None not in [*in_token.values(), *everywhere.values()]
    return in_token, everywhere


def wish(**places: dict[str, Any]) -> dict[str, str]:
    return {"claims": json.dumps(places)}


COST = "https://example.org/cost"
FOR_ALL = {"department": "R&D", COST: 4711}


@pytest.mark.row("S-22", "S-55", "S-57", "A-11", "A-25", "F-18")
@pytest.mark.parametrize(
    ("scope", "in_token", "in_userinfo"),
    [
        pytest.param("openid", FOR_ALL, FOR_ALL, id="custom-claims-of-no-scope"),
        pytest.param(
            "openid profile",
            {**FOR_ALL, "preferred_username": "alice"},
            {**FOR_ALL, "preferred_username": "alice", "name": "Alice Liddell", "updated_at": 1_700_000_000},
            id="profile",
        ),
        pytest.param(
            "openid email",
            FOR_ALL,
            {**FOR_ALL, "email": "alice@example.org", "email_verified": False},
            id="email-and-a-real-false",
        ),
        pytest.param(
            "openid phone",
            FOR_ALL,
            {**FOR_ALL, "phone_number": "+33 1 23", "phone_number_verified": True},
            id="phone-and-a-real-true",
        ),
        pytest.param(
            "openid address", FOR_ALL, {**FOR_ALL, "address": ALICE["address"]}, id="address-object"
        ),
        pytest.param("openid groups", FOR_ALL, {**FOR_ALL, "groups": ["staff", "admins"]}, id="groups"),
        pytest.param(
            "openid staff",
            {**FOR_ALL, "vip": False},
            {**FOR_ALL, "roles": ["a", "b"]},
            id="own-scope-by-place",
        ),
        pytest.param(
            "openid hidden", FOR_ALL, {**FOR_ALL, "secret_note": "R&D"}, id="hidden-scope-is-granted"
        ),
    ],
)
def test_claims_by_scope(
    world: World, scope: str, in_token: dict[str, Any], in_userinfo: dict[str, Any]
) -> None:
    assert told(world, world.browser().signed_in(scope=scope)) == (in_token, in_userinfo)


@pytest.mark.row("S-55")
def test_whoever_has_nothing_is_told_nothing_of(world: World) -> None:
    browser = world.browser()
    tokens = world.tokens(
        browser.signed_in(name="Bob", scope="openid profile email phone address groups staff")
    )
    assert userinfo(world, tokens) == {"sub": "sub-bob", "preferred_username": "Bob"}


@pytest.mark.row("F-18")
@pytest.mark.parametrize(
    ("client_id", "expected"),
    [
        pytest.param("trusted", {**FOR_ALL, "preferred_username": "alice"}, id="as-the-claims-say"),
        pytest.param("lean", {}, id="only-in-userinfo"),
        pytest.param(
            "fat",
            {"department": "R&D", "preferred_username": "alice", "email": "alice@example.org"},
            id="as-the-client-says",
        ),
    ],
)
def test_each_client_says_what_its_id_tokens_hold(
    world: World, client_id: str, expected: dict[str, Any]
) -> None:
    page = world.browser().signed_in(client_id, scope="openid profile email")
    in_token, in_userinfo = told(world, page, client_id)
    assert in_token == expected
    assert in_userinfo["preferred_username"] == "alice"


# The claims parameter


@pytest.mark.row("E-14")
@pytest.mark.parametrize(
    ("places", "in_token", "in_userinfo"),
    [
        pytest.param({"userinfo": {"email": None}}, {}, {"email": "alice@example.org"}, id="userinfo"),
        pytest.param({"id_token": {"email": None}}, {"email": "alice@example.org"}, {}, id="id-token"),
        pytest.param(
            {"id_token": {"address": {"essential": True}}, "userinfo": {"roles": None}},
            {"address": ALICE["address"]},
            {"roles": ["a", "b"]},
            id="both",
        ),
        pytest.param(
            {"userinfo": {"email": {"value": "other@x"}}}, {}, {"email": "alice@example.org"}, id="value"
        ),
        pytest.param({"userinfo": {"nickname": None, "missing": None}}, {}, {}, id="no-value-is-absent"),
        pytest.param({"userinfo": {"unmapped": None, "nothing": None, "iss": None}}, {}, {}, id="unknown"),
        pytest.param({"userinfo": {"nickname": {"essential": True}}}, {}, {}, id="essential-and-not-there"),
        pytest.param({"id_token": {"sub": {"value": "sub-alice"}}}, {}, {}, id="sub-of-this-person"),
    ],
)
def test_claims_one_by_one(
    world: World, places: dict[str, Any], in_token: dict[str, Any], in_userinfo: dict[str, Any]
) -> None:
    page = world.browser().signed_in(scope="openid", **wish(**places))
    assert told(world, page) == ({**FOR_ALL, **in_token}, {**FOR_ALL, **in_userinfo})


@pytest.mark.row("E-14")
def test_claims_stay_on_refresh(world: World) -> None:
    page = world.browser().signed_in(scope="openid offline_access", **wish(id_token={"email": None}))
    again = world.refresh(world.tokens(page)["refresh_token"]).get_json()
    assert claims(again["id_token"])["email"] == "alice@example.org"


@pytest.mark.row("E-14", "S-52")
def test_a_claim_of_a_scope_that_the_client_may_not_have_is_not_given(world: World) -> None:
    places = wish(id_token={"email": None}, userinfo={"email": None})
    in_token, in_userinfo = told(
        world, world.browser().signed_in("narrow", scope="openid", **places), "narrow"
    )
    assert (in_token, in_userinfo) == (FOR_ALL, FOR_ALL)


PAYROLL = "https://payroll.example"


@pytest.mark.row("E-14", "S-52", "E-10")
@pytest.mark.parametrize(
    ("api", "asks_for_it", "is_told"),
    [
        pytest.param({"clients": ["app"]}, False, False, id="not-open-to-the-client"),
        pytest.param({"enabled": False}, False, False, id="switched-off"),
        pytest.param({}, False, False, id="not-named"),
        pytest.param({}, True, True, id="named"),
    ],
)
def test_a_claim_of_an_api_needs_the_api(
    make: Make, api: dict[str, Any], asks_for_it: bool, is_told: bool
) -> None:
    world = make(
        resources=[{"audience": PAYROLL, "scopes": ["pay.read"], **api}],
        scopes=[*SCOPES, {"value": "pay.read", "claims": ["salary"]}],
        claims=[*CLAIMS, {"name": "salary", "property": "cost_center"}],
    )
    named = {"audience": PAYROLL} if asks_for_it else {}
    page = world.browser().signed_in(scope="openid", **named, **wish(id_token={"salary": None}))
    assert ("salary" in claims(world.tokens(page)["id_token"])) is is_told


@pytest.mark.row("E-14", "S-43")
def test_consent_asks_for_a_scope_that_the_client_may_have(make: Make) -> None:
    world = make(
        scopes=[{"value": "contact", "claims": ["email"]}],
        clients=[client("app", flows=["authorization_code"], scopes=["openid", "contact"])],
    )
    page = world.browser().signed_in("app", scope="openid", **wish(userinfo={"email": None}))
    assert page.boxes == ["contact"]


@pytest.mark.row("E-09", "S-13")
@pytest.mark.parametrize("api", [None, PAYROLL])
def test_an_access_token_says_no_more_than_its_own_scope_opens(make: Make, api: str | None) -> None:
    world = make(
        access_token_format="jwt",
        resources=[{"audience": PAYROLL, "scopes": ["pay.read"], "include": ["oidc_claims"]}],
        scopes=[*SCOPES, {"value": "pay.read"}],
        claims=[*CLAIMS, {"name": "email", "into": ["userinfo", "access_token"]}],
    )
    scope = "openid email offline_access" + (" pay.read" if api else "")
    tokens = world.tokens(world.browser().signed_in(scope=scope, audience=api))
    assert claims(tokens["access_token"])["email"] == "alice@example.org"
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    narrow = world.post_token({**form, "scope": "pay.read" if api else "openid"}, "trusted").get_json()
    assert "email" not in claims(narrow["access_token"])
    # Asked again at once, as after an answer that was lost: the whole scope has its own claims.
    whole = world.post_token(form, "trusted").get_json()
    assert claims(whole["access_token"])["email"] == "alice@example.org"


@pytest.mark.row("E-14")
@pytest.mark.parametrize("place", ["id_token", "userinfo"])
def test_a_sub_in_claims_is_who_has_to_sign_in(world: World, place: str) -> None:
    browser = world.browser()
    browser.signed_in(name="Bob")
    places = wish(**{place: {"sub": {"value": "sub-alice"}}})
    assert browser.authorize("trusted", prompt="none", **places).answer["error"] == "login_required"
    page = browser.authorize("trusted", **places)
    assert page.main_id == "page-login"
    assert browser.sign_in(page, "Bob").answer["error"] == "login_required"
    assert browser.sign_in(browser.authorize("trusted", **places), "alice").answer["code"]


@pytest.mark.row("E-14")
@pytest.mark.parametrize("broken", ["{", "[]", "null", '{"userinfo":[]}', '{"userinfo":{"email":true}}'])
def test_claims_that_cannot_be_read(world: World, broken: str) -> None:
    assert world.browser().authorize("trusted", claims=broken).answer["error"] == "invalid_request"


@pytest.mark.row("E-14", "E-15", "C-1")
def test_an_essential_acr_out_of_reach_is_an_error_and_a_wish_is_answered_with_what_is_true(
    world: World,
) -> None:
    browser = world.browser()
    acr = {"values": ["mfa"]}
    essential = wish(id_token={"acr": {**acr, "essential": True}})
    assert browser.signed_in(**essential).answer["error"] == "unmet_authentication_requirements"
    for asked in (wish(id_token={"acr": acr}), {"acr_values": "mfa"}, {"amr_values": "otp"}):
        tokens = world.tokens(browser.authorize("trusted", **asked))
        assert claims(tokens["id_token"])["acr"] == "knowledge"
        assert claims(tokens["id_token"])["amr"] == ["pwd"]


@pytest.mark.row("E-16", "C-1")
@pytest.mark.parametrize("words", ["pwd", "nothing-we-know", "nothing otp", "otp pwd mfa"])
def test_methods_that_are_wished_for_never_end_a_sign_in(world: World, words: str) -> None:
    tokens = world.tokens(world.browser().signed_in(amr_values=words))
    assert claims(tokens["id_token"])["amr"] == ["pwd"]


# Consent


@pytest.mark.row("S-43", "S-46")
def test_the_page_shows_the_operators_texts_escaped(world: World) -> None:
    page = world.browser().signed_in("app", scope="openid staff email hidden")
    assert page.main_id == "page-consent"
    escaped = "&lt;script&gt;alert(1)&lt;/script&gt;&#39;&#34;&amp;"
    # The name of the application, and the scope's name and description.
    assert page.text.count(escaped) >= 3
    assert f"Roles {escaped}" in page.text
    assert "<script" not in page.text
    assert "Read your e-mail address" in page.text
    assert ">hidden<" in page.text
    assert page.boxes == ["staff", "email", "hidden"]


@pytest.mark.row("S-43")
@pytest.mark.parametrize(
    ("scope", "shown", "not_shown"),
    [
        pytest.param({"display_name": "Mail"}, ["Mail"], ["Read your e-mail", "been verified"], id="name"),
        pytest.param(
            {"description": "All of it"}, ["Read your e-mail", "All of it"], ["been verified"], id="text"
        ),
        pytest.param({}, ["Read your e-mail", "been verified"], [], id="ours"),
    ],
)
def test_texts_of_a_standard_scope(
    make: Make, scope: dict[str, Any], shown: list[str], not_shown: list[str]
) -> None:
    world = make(scopes=[*SCOPES, {"value": "email", **scope}])
    page = world.browser().signed_in("app", scope="openid email")
    assert all(text in page.text for text in shown)
    assert not any(text in page.text for text in not_shown)


@pytest.mark.row("E-14", "A-13")
def test_consent_covers_the_scopes_that_claims_belong_to(world: World) -> None:
    browser = world.browser()
    asked = wish(userinfo={"email": None}, id_token={"phone_number": None})
    page = browser.signed_in("app", scope="openid", **asked)
    assert page.boxes == ["phone", "email"]
    page = browser.submit(page, decision="allow", uncheck=["phone"])
    in_token, in_userinfo = told(world, page, "app")
    assert "phone_number" not in in_token
    assert in_userinfo["email"] == "alice@example.org"
    # `email` was agreed to, so only the other one is asked about.
    assert browser.authorize("app", scope="openid", **asked).boxes == ["phone"]
    page = browser.authorize("app", scope="openid", prompt="none", **asked)
    assert page.answer["error"] == "consent_required"


# Scopes


@pytest.mark.row("S-44", "S-56")
def test_discovery_lists_what_is_discoverable_and_has_a_value(world: World) -> None:
    url = f"{ISSUER}/.well-known/openid-configuration"
    document = world.browser().step(url).response.get_json()
    assert document["scopes_supported"] == [
        "openid", "profile", "email", "address", "phone", "offline_access", "staff", "groups",
    ]  # fmt: skip
    supported = document["claims_supported"]
    assert len(supported) == len(set(supported))
    assert {"sub", "email", "groups", "department", COST, "roles"} <= set(supported)
    assert {"unmapped", "secret_note", "org_id"}.isdisjoint(supported)
    assert document["claims_parameter_supported"] is True
    assert document["claim_types_supported"] == ["normal"]


@pytest.mark.row("S-56", "S-41")
def test_discovery_of_a_fresh_configuration(make: Make) -> None:
    world = make(properties=[], claims=[], scopes=[], clients=[], users=[])
    document = world.browser().step(f"{ISSUER}/.well-known/openid-configuration").response.get_json()
    assert document["scopes_supported"] == [
        "openid",
        "profile",
        "email",
        "address",
        "phone",
        "offline_access",
    ]
    assert document["claims_supported"] == [
        "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "c_hash", "sid",
        "name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile",
        "picture", "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at", "email",
        "email_verified", "address", "phone_number", "phone_number_verified",
    ]  # fmt: skip


@pytest.mark.row("E-18")
def test_discovery_tells_of_organizations(make: Make) -> None:
    world = make(organizations=[{"org_id": "acme"}])
    document = world.browser().step(f"{ISSUER}/.well-known/openid-configuration").response.get_json()
    assert {"org_id", "org_name"} <= set(document["claims_supported"])


@pytest.mark.row("S-52")
@pytest.mark.parametrize(
    ("client_id", "scope"), [("narrow", "openid email"), ("limited", "openid staff"), ("narrow", "staff")]
)
def test_a_scope_that_the_client_may_not_have(world: World, client_id: str, scope: str) -> None:
    assert world.browser().authorize(client_id, scope=scope).answer["error"] == "invalid_scope"


@pytest.mark.row("S-52")
def test_a_scope_that_was_restricted_meanwhile_is_gone_on_refresh(make: Make) -> None:
    before = make()
    tokens = before.tokens(before.browser().signed_in(scope="openid email staff offline_access"))
    changed = [client("trusted", trusted=True, scopes=["*"], restricted_scopes=["staff"])]
    world = make(clients=changed)
    again = world.refresh(tokens["refresh_token"]).get_json()
    assert again["scope"] == "openid email offline_access"
    assert "roles" not in userinfo(world, again)
    form = {"grant_type": "refresh_token", "refresh_token": again["refresh_token"], "scope": "openid staff"}
    answer = world.post_token(form, "trusted")
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_scope")


@pytest.mark.row("S-52")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"restricted_scopes": ["staff"]}, "openid email offline_access", id="restricted"),
        pytest.param(
            {"scopes": ["openid", "staff"], "flows": ["authorization_code"]},
            "openid staff",
            id="not-among-its-scopes",
        ),
        pytest.param({"restricted_scopes": ["openid"]}, "email staff offline_access", id="openid"),
    ],
)
def test_a_code_does_not_keep_what_the_client_lost(make: Make, changes: Any, expected: str) -> None:
    page = make().browser().signed_in(scope="openid email staff offline_access")
    world = make(clients=[client("trusted", trusted=True, **{"scopes": ["*"], **changes})])
    tokens = world.tokens(page)
    assert tokens["scope"] == expected
    assert ("refresh_token" in tokens) == ("offline_access" in expected)
    assert ("id_token" in tokens) == ("openid" in expected)


@pytest.mark.row("S-41", "S-52")
def test_a_code_of_which_nothing_is_left_gives_nothing_and_is_not_used_up(make: Make) -> None:
    before = make()
    page = before.browser().signed_in(scope="openid")
    narrow = client("trusted", trusted=True, scopes=["email"], flows=["authorization_code"])
    form = {
        "grant_type": "authorization_code",
        "code": page.answer["code"],
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    refused = make(clients=[narrow]).post_token(form)
    assert (refused.status_code, refused.get_json()["error"]) == (400, "invalid_grant")
    assert before.post_token(form).status_code == 200


@pytest.mark.row("S-52", "E-14")
def test_a_claim_of_a_scope_that_was_restricted_meanwhile_is_gone(make: Make) -> None:
    before = make()
    places = wish(id_token={"vip": None, "roles": None}, userinfo={"roles": None})
    page = before.browser().signed_in(scope="openid offline_access staff", **places)
    tokens = before.tokens(page)
    assert "roles" in claims(tokens["id_token"])
    assert "roles" in userinfo(before, tokens)
    world = make(
        access_token_format="jwt",
        claims=[*CLAIMS[:2], {"name": "roles", "into": ["userinfo", "access_token"]}, *CLAIMS[3:]],
        clients=[client("trusted", trusted=True, scopes=["*"], restricted_scopes=["staff"])],
    )
    again = world.refresh(tokens["refresh_token"]).get_json()
    for said in (claims(again["id_token"]), claims(again["access_token"]), userinfo(world, again)):
        assert "roles" not in said


@pytest.mark.row("S-41", "S-52")
def test_a_scope_that_the_realm_lost_is_gone_on_refresh(make: Make) -> None:
    before = make()
    tokens = before.tokens(before.browser().signed_in(scope="openid email offline_access"))
    world = make(scopes=[*SCOPES, {"value": "email", "enabled": False}], clients=CLIENTS[:1])
    again = world.refresh(tokens["refresh_token"]).get_json()
    assert again["scope"] == "openid offline_access"
    assert "email" not in userinfo(world, tokens)


# What is ignored


@pytest.mark.row("E-19", "E-20")
@pytest.mark.parametrize(
    "extra",
    [
        *({"display": value} for value in ("page", "popup", "touch", "wap", "hologram", "")),
        *({"ui_locales": value} for value in ("fr", "fr-CA fr en", "not a language", "xx-" * 50, "")),
        *({"claims_locales": value} for value in ("fr", "not a language", "")),
        {"foobar": "1", "x-y": "<script>"},
        {"login_hint": "somebody else"},
    ],
    ids=str,
)
def test_what_changes_nothing(world: World, extra: dict[str, str]) -> None:
    browser = world.browser()
    page = browser.authorize("trusted", **extra)
    assert (page.status, page.main_id) == (200, "page-login")
    token = claims(world.tokens(browser.sign_in(page))["id_token"])
    assert (token["sub"], token["preferred_username"]) == ("sub-alice", "alice")


@pytest.mark.row("E-19", "E-20")
@pytest.mark.parametrize("name", ["display", "ui_locales", "claims_locales", "claims", "org_id", "resource"])
def test_none_of_it_may_come_twice(world: World, name: str) -> None:
    url = authorize_url("trusted", **{name: "https://x.example"}) + f"&{name}=https%3A%2F%2Fy.example"
    assert world.browser().step(url).answer["error"] == "invalid_request"


@pytest.mark.row("C-2")
def test_signed_userinfo_is_no_hint(make: Make) -> None:
    world = make(clients=[client("trusted", trusted=True, userinfo_signed_response_alg="RS256")])
    browser = world.browser()
    tokens = world.tokens(browser.signed_in())
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    signed = WSGIClient(world.provider).get("/userinfo", headers=headers, base_url=ISSUER).text
    assert claims(signed)["sub"] == "sub-alice"
    assert browser.authorize("trusted", id_token_hint=signed).answer["error"] == "invalid_request"


@pytest.mark.row("C-2")
def test_an_id_token_hint_says_who_is_meant(world: World) -> None:
    browser = world.browser()
    hint = str(world.tokens(browser.signed_in())["id_token"])
    assert browser.authorize("trusted", prompt="none", id_token_hint=hint).answer["code"]
    browser.signed_in(name="Bob", prompt="login")
    answer = browser.authorize("trusted", prompt="none", id_token_hint=hint).answer
    assert answer["error"] == "login_required"

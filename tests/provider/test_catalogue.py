"""What a realm has: the standard entries, what written ones do to them, and what is refused at load."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.settings import Problem, SettingsError, parse
from provider.catalogue import Catalogue
from provider.catalogue_settings import (
    DEFAULT_SCOPES,
    RESERVED_CLAIMS,
    STANDARD_SCOPE_CLAIMS,
    STANDARD_TYPES,
    ClaimSettings,
    ScopeSettings,
)
from provider.config import ProviderSettings
from tests.provider.refusals import told
from tests.provider.world import APP_SECRET, ISSUER, config

API = "https://api.example"


def settings(**changes: Any) -> ProviderSettings:
    return parse(ProviderSettings, config("sqlite:///provider.db", **changes))


def found(**changes: Any) -> list[Problem]:
    """What is wrong with a configuration."""
    try:
        settings(**changes)
    except SettingsError as error:
        return list(told(error))
    return []


def problems(**changes: Any) -> list[str]:
    """The same as an operator reads it."""
    return [str(problem) for problem in found(**changes)]


@pytest.mark.row("S-41")
def test_a_fresh_configuration_has_the_scopes_of_openid_connect() -> None:
    catalogue = settings().catalogue
    expected = ("openid", "profile", "email", "address", "phone", "offline_access")
    assert tuple(catalogue.scopes) == DEFAULT_SCOPES == expected
    assert all(scope.discoverable for scope in catalogue.scopes.values())
    assert [scope.value for scope in catalogue.scopes.values()] == list(catalogue.scopes)
    assert [claim.name for claim in catalogue.claims.values()] == list(catalogue.claims)
    assert settings().clients[0].scopes == expected
    assert catalogue.resources == catalogue.organizations == {}


@pytest.mark.row("S-41")
@pytest.mark.parametrize(
    "scope", [scope for scope in DEFAULT_SCOPES if scope not in ("openid", "offline_access")]
)
def test_every_other_scope_can_be_taken_away_with_its_claims(scope: str) -> None:
    catalogue = settings(scopes=[{"value": scope, "enabled": False}]).catalogue
    assert scope not in catalogue.scopes
    # Else whoever signs in would be given what the operator took away.
    assert not set(STANDARD_SCOPE_CLAIMS[scope]) & set(catalogue.claims)


@pytest.mark.row("S-41")
def test_openid_cannot_be_taken_away() -> None:
    (problem,) = problems(scopes=[{"value": "openid", "enabled": False}])
    assert problem.startswith("scopes[0].enabled: ")
    assert problem.endswith("; remove it")


@pytest.mark.row("A-11")
def test_groups_are_there_once_they_are_written() -> None:
    catalogue = settings(scopes=[{"value": "groups"}]).catalogue
    assert catalogue.scopes["groups"].claims == ("groups",)
    assert catalogue.claims["groups"].property == "groups"
    assert "groups" not in settings().catalogue.claims


@pytest.mark.row("S-41", "S-44")
def test_a_written_scope_takes_the_place_of_a_standard_one() -> None:
    written = [
        {"value": "profile", "claims": ["name"], "display_name": "You", "discoverable": False},
        {"value": "email", "description": "Where you read mail"},
        {"value": "view:mortgage"},
    ]
    catalogue = settings(scopes=written).catalogue
    assert tuple(catalogue.scopes) == (*DEFAULT_SCOPES, "view:mortgage")
    assert catalogue.scopes["profile"].claims == ("name",)
    assert catalogue.scopes["email"].claims == ("email", "email_verified")
    assert catalogue.scopes["view:mortgage"].claims == ()
    assert "gender" not in catalogue.claims
    assert {"name", "email"} <= catalogue.claims.keys()


@pytest.mark.row("S-22", "S-55")
@pytest.mark.parametrize("name", [name for scope in DEFAULT_SCOPES for name in STANDARD_SCOPE_CLAIMS[scope]])
def test_every_standard_claim_can_be_mapped_or_unmapped(name: str) -> None:
    own = {"name": "own", "attribute": "x", "type": STANDARD_TYPES.get(name, "string")}
    mapped = settings(properties=[own], claims=[{"name": name, "property": "own"}]).catalogue
    assert mapped.claims[name].property == "own"
    assert mapped.claims[name].into == settings().catalogue.claims[name].into
    unmapped = settings(claims=[{"name": name, "property": ""}]).catalogue
    assert unmapped.claims[name].property == ""


@pytest.mark.row("F-18", "S-55")
def test_where_standard_claims_stand() -> None:
    claims = settings().catalogue.claims
    assert claims["preferred_username"].into == ("id_token", "userinfo")
    assert {claim.into for name, claim in claims.items() if name != "preferred_username"} == {("userinfo",)}
    moved = settings(claims=[{"name": "email", "into": ["access_token", "id_token"]}]).catalogue
    assert (moved.claims["email"].into, moved.claims["email"].property) == (
        ("access_token", "id_token"),
        "email",
    )


@pytest.mark.row("S-57")
def test_a_new_claim_stands_in_id_token_and_userinfo() -> None:
    catalogue = settings(properties=[{"name": "department"}], claims=[{"name": "department"}]).catalogue
    claim = catalogue.claims["department"]
    assert (claim.property, claim.into) == ("department", ("id_token", "userinfo"))


@pytest.mark.row("S-42")
@pytest.mark.parametrize(
    "value",
    [
        "read files",
        "",
        " ",
        "read\tfiles",
        "read\nfiles",
        'read"files',
        "read\\files",
        "lesen-für",
        "a" * 101,
        "<script>",
        "read%20files",
        "a&b",
        "a#b",
        "a?b",
        "a+b",
        "\0",
        "\u202eevil",
        "{a}",
        "a|b",
        "[a]",
    ],
)
def test_a_value_that_is_no_scope(value: str) -> None:
    (problem,) = found(scopes=[{"value": value}])
    assert (problem.key, problem.value) == ("scopes[0].value", value or None)
    assert problem.fix.startswith("use letters, digits and" if value else "give scopes[0].value a value")


@pytest.mark.row("S-42")
@pytest.mark.parametrize(
    "value", ["view:mortgage", "https://api.example/read", "urn:x:y", "a.b-c_d~e", "a" * 100]
)
def test_a_value_that_is_one(value: str) -> None:
    assert problems(scopes=[{"value": value}]) == []


@pytest.mark.row("S-57", "S-58")
@pytest.mark.parametrize("name", ["my claim", "", "a\tb", "a\nb", 'a"b', "a\\b", "größe", "a" * 201, "\0"])
def test_a_name_that_is_no_claim(name: str) -> None:
    (problem,) = found(claims=[{"name": name, "property": "email"}])
    assert (problem.key, problem.value) == ("claims[0].name", name or None)
    assert problem.message.startswith("is no name of a claim" if name else "is empty")


@pytest.mark.row("S-57")
@pytest.mark.parametrize("name", sorted(RESERVED_CLAIMS))
def test_what_tokens_say_by_themselves_is_no_claim_of_a_person(name: str) -> None:
    (problem,) = problems(claims=[{"name": name, "property": "email"}])
    assert problem == f"claims[0].name: {name!r} is what tokens say by themselves; choose another"


@pytest.mark.row("S-57")
@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "iat", "nonce", "acr", "amr", "azp", "org_id"])
def test_these_are_reserved(name: str) -> None:
    assert name in RESERVED_CLAIMS


API_ENTRY = {"audience": API, "scopes": ["orders"]}
ORDERS = [{"value": "orders"}]
WRONG = [
    pytest.param(
        {"scopes": [{"value": "a"}, {"value": "a"}]},
        "scopes[1].value: 'a' is used by another",
        id="scope-twice",
    ),
    pytest.param(
        {"claims": [{"name": "email"}, {"name": "email"}]},
        "claims[1].name: 'email' is used",
        id="claim-twice",
    ),
    pytest.param(
        {"claims": [{"name": "shoe"}]},
        "claims[0].property: 'shoe' is no property; add",
        id="claim-of-no-property",
    ),
    pytest.param(
        {"claims": [{"name": "name", "property": ""}, {"name": "shoe"}]},
        "claims[1].property: 'shoe' is no property; add",
        id="claim-of-no-property-after-one-that-is-left-out",
    ),
    pytest.param(
        {"claims": [{"name": "note", "property": "consents"}]},
        "claims[0].property: 'consents' is what the provider writes for itself",
        id="claim-of-what-the-provider-writes",
    ),
    pytest.param(
        {"properties": [{"name": "motto", "writable": True}], "claims": [{"name": "motto"}]},
        "claims[0].property: 'motto' is written by people themselves, and no scope opens the claim",
        id="claim-that-people-write-and-everybody-is-told",
    ),
    pytest.param(
        {"claims": [{"name": "email", "property": "shoe"}]},
        "claims[0].property: 'shoe' is no property; add",
        id="standard-claim-of-no-property",
    ),
    pytest.param(
        {"scopes": [{"value": "staff", "claims": ["email", "shoe"]}]},
        "scopes[0].claims[1]: 'shoe' is no claim of this realm",
        id="scope-of-no-claim",
    ),
    pytest.param(
        {"scopes": [{"value": "address", "enabled": False}], "claims": [{"name": "address"}]},
        "claims[0].name: 'address' is opened by no scope",
        id="claim-of-a-scope-that-is-off",
    ),
    pytest.param(
        {
            "scopes": [{"value": "staff", "enabled": False, "claims": ["badge"]}],
            "claims": [{"name": "badge", "property": "name"}],
        },
        "claims[0].name: 'badge' is opened by no scope",
        id="own-claim-of-a-scope-that-is-off",
    ),
    pytest.param(
        {"scopes": [{"value": "profile", "claims": ["name"]}], "claims": [{"name": "gender"}]},
        "claims[0].name: 'gender' is opened by no scope",
        id="claim-that-a-scope-lost",
    ),
    pytest.param(
        {"claims": [{"name": "email_verified", "property": "email"}]},
        "claims[0].property: 'email' holds one string, and email_verified is one boolean",
        id="verified-is-a-boolean",
    ),
    pytest.param(
        {"claims": [{"name": "address", "property": "email"}]},
        "claims[0].property: 'email' holds one string, and address is one object",
        id="address-is-an-object",
    ),
    pytest.param(
        {"claims": [{"name": "email", "property": "groups"}]},
        "claims[0].property: 'groups' holds a list of type string, and email is one string",
        id="email-is-one",
    ),
    pytest.param(
        {"properties": [{"name": "phone_number_verified", "type": "string"}]},
        "claims.phone_number_verified.property: 'phone_number_verified' holds one string",
        id="a-default-property-of-another-type",
    ),
    pytest.param({"claims": [{"name": "email", "into": ["cookie"]}]}, "claims[0].into", id="unknown-place"),
    pytest.param(
        {"resources": [API_ENTRY]}, "resources[0].scopes[0]: 'orders' is no scope", id="api-of-no-scope"
    ),
    pytest.param(
        {"resources": [{"audience": API, "scopes": ["email"]}]},
        "resources[0].scopes[0]: 'email' means something everywhere",
        id="api-with-a-scope-of-everybody",
    ),
    pytest.param(
        {"resources": [API_ENTRY, API_ENTRY], "scopes": ORDERS},
        f"resources[1].audience: {API!r} is used by another entry",
        id="api-twice",
    ),
    pytest.param(
        {"resources": [{"audience": ISSUER}]},
        f"resources[0].audience: {ISSUER!r} is the audience of the realm itself",
        id="api-is-the-issuer",
    ),
    pytest.param(
        {"resources": [{"audience": API}], "audience": API},
        f"resources[0].audience: {API!r} is the audience of the realm itself",
        id="api-is-the-audience",
    ),
    pytest.param(
        {"resources": [{"audience": API, "signing_algorithm": "ES512"}]},
        "resources[0].signing_algorithm: 'ES512' is not how this realm signs",
        id="api-of-another-algorithm",
    ),
    pytest.param(
        {"organizations": [{"org_id": "a"}, {"org_id": "a"}]},
        "organizations[1].org_id: 'a' is used by another entry",
        id="organization-twice",
    ),
    pytest.param(
        {"organizations": [{"org_id": "a"}], "properties": [{"name": "organizations"}]},
        "properties: 'organizations' holds one string, and people may belong to several",
        id="organizations-are-a-list",
    ),
    pytest.param(
        {"properties": [{"name": "organization_names"}]},
        "properties: 'organization_names' is made of the organizations",
        id="organization-names-are-made",
    ),
    pytest.param(
        {"organizations": [{"org_id": "a"}], "users": [{"user_name": "alice", "organizations": ["a", "b"]}]},
        "users[0].organizations: 'b' is no organization of this realm; use one of a, or",
        id="member-of-nothing",
    ),
    pytest.param(
        {"users": [{"user_name": "alice", "organizations": ["b"]}]},
        "users[0].organizations: 'b' is no organization of this realm; add it",
        id="member-where-there-are-none",
    ),
]


@pytest.mark.row("S-54", "S-57", "S-58", "E-14", "E-17", "E-18")
@pytest.mark.parametrize(("changes", "expected"), WRONG)
def test_what_leads_nowhere_is_refused_with_key_value_and_fix(changes: dict[str, Any], expected: str) -> None:
    (problem,) = found(**changes)
    assert str(problem).startswith(expected)
    assert isinstance(problem.fix, str)


@pytest.mark.row("S-54", "E-17", "E-18")
@pytest.mark.parametrize(
    ("changes", "fix"),
    [
        pytest.param(
            {"resources": [{"audience": API, "scopes": ["email"]}]},
            'remove it; include = ["authentication", "oidc_scopes"] shows it to the API',
            id="scope-of-everybody",
        ),
        pytest.param(
            {
                "resources": [{"audience": API, "signing_algorithm": "ES512"}],
                "further_signing_algorithms": ["ES256"],
            },
            "use one of RS256, ES256",
            id="algorithm",
        ),
        pytest.param(
            {"organizations": [{"org_id": "a"}], "properties": [{"name": "organizations"}]},
            'set multi_valued = true and type = "string"',
            id="organizations",
        ),
    ],
)
def test_what_to_do_is_said_in_words_that_can_be_copied(changes: dict[str, Any], fix: str) -> None:
    (problem,) = found(**changes)
    assert problem.fix == fix


@pytest.mark.row("S-41")
def test_what_a_scope_that_is_off_opens_is_nobodys_business() -> None:
    assert problems(scopes=[{"value": "staff", "enabled": False, "claims": ["shoe"]}]) == []


@pytest.mark.row("E-17")
@pytest.mark.parametrize(
    "audience",
    ["", "orders", "/orders", "https://api.example/#x", "https://a b", "https://a\n", "https:", "ä:b"],
)
def test_an_api_is_named_by_an_absolute_uri(audience: str) -> None:
    (problem,) = found(resources=[{"audience": audience}])
    assert (problem.key, problem.value) == ("resources[0].audience", audience or None)


@pytest.mark.row("E-18")
@pytest.mark.parametrize("org_id", ["", "a b", "ä", "a" * 101, "a\0"])
def test_an_organization_is_named_by_visible_characters(org_id: str) -> None:
    (problem,) = found(organizations=[{"org_id": org_id}])
    assert (problem.key, problem.value) == ("organizations[0].org_id", org_id or None)


CLIENT = {"client_id": "x", "client_secret": APP_SECRET, "redirect_uris": ["https://app.example/cb"]}


@pytest.mark.row("S-52", "S-54", "F-18")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(
            {"scopes": ["openid", "admin"]}, "clients[0].scopes[1]: 'admin' is no scope", id="scope"
        ),
        pytest.param(
            {"restricted_scopes": ["admin"]}, "clients[0].restricted_scopes[0]: 'admin'", id="restricted"
        ),
        pytest.param(
            {"restricted_scopes": ["*"]}, "clients[0].restricted_scopes[0]: '*'", id="restricted-all"
        ),
        pytest.param(
            {"id_token_claims": ["email", "shoe"]},
            "clients[0].id_token_claims[1]: 'shoe' is no claim",
            id="claim",
        ),
        pytest.param(
            {"id_token_claims": ["sub"]}, "clients[0].id_token_claims[0]: 'sub'", id="reserved-claim"
        ),
    ],
)
def test_clients_name_what_is_there(changes: dict[str, Any], expected: str) -> None:
    (problem,) = problems(clients=[{**CLIENT, **changes}])
    assert problem.startswith(expected)


@pytest.mark.row("S-54")
def test_everything_that_is_wrong_is_said_at_once() -> None:
    said = problems(
        scopes=[{"value": "read files"}], claims=[{"name": "my claim"}], resources=[{"audience": "orders"}]
    )
    keys = [problem.partition(":")[0] for problem in said]
    assert {"scopes[0].value", "claims[0].name", "resources[0].audience"} <= set(keys)


@pytest.mark.row("S-26", "S-27")
@pytest.mark.parametrize(
    ("changes", "key"),
    [
        pytest.param(
            {"audience": API, "realms": [{"name": "b", "audience": API}]}, "realms[0].audience", id="audience"
        ),
        pytest.param({"realms": [{"name": "b", "audience": ISSUER}]}, "realms[0].audience", id="issuer"),
        pytest.param(
            {"audience": f"{ISSUER}/r/b", "realms": [{"name": "b"}]}, "realms[0].issuer", id="its-issuer"
        ),
        pytest.param(
            {"realms": [{"name": "a", "audience": API}, {"name": "b", "resources": [{"audience": API}]}]},
            "realms[1].resources[0].audience",
            id="api",
        ),
        pytest.param(
            {"resources": [{"audience": API}], "realms": [{"name": "a", "resources": [{"audience": API}]}]},
            "realms[0].resources[0].audience",
            id="two-apis",
        ),
    ],
)
def test_two_realms_have_no_audience_in_common(changes: dict[str, Any], key: str) -> None:
    (problem,) = problems(**changes)
    assert problem.startswith(f"{key}: ")
    assert "is also an audience of " in problem


@pytest.mark.row("E-17")
def test_an_api_that_is_not_there_is_never_none_in_particular() -> None:
    catalogue = settings(resources=[{"audience": API}]).catalogue
    assert catalogue.api(None) is None
    found = catalogue.api(API)
    assert found is not None
    assert found.audience == API
    with pytest.raises(KeyError):
        catalogue.api("https://gone.example")


@pytest.mark.row("E-17")
def test_the_limits_of_entrust_are_none_here() -> None:
    scopes = [f"s{number}" for number in range(150)]
    written = settings(
        scopes=[{"value": value} for value in scopes],
        resources=[{"audience": f"{API}/{number}", "scopes": scopes} for number in range(150)],
    )
    assert len(written.catalogue.resources) == 150
    assert all(len(resource.scopes) == 150 for resource in written.catalogue.resources.values())


NAMES = st.sampled_from(["name", "email", "gender", "address", "groups", "shoe", "hat"])
SCOPES = st.builds(
    ScopeSettings,
    value=st.sampled_from(["profile", "email", "address", "groups", "staff", "other"]),
    enabled=st.booleans(),
    claims=st.none() | st.lists(NAMES, unique=True).map(tuple),
)
CLAIMS = st.builds(ClaimSettings, name=NAMES, property=st.none() | st.just("") | NAMES)


@pytest.mark.row("S-41", "S-55")
@given(
    st.lists(SCOPES, unique_by=lambda scope: scope.value),
    st.lists(CLAIMS, unique_by=lambda claim: claim.name),
)
def test_a_claim_is_there_for_a_reason(scopes: list[ScopeSettings], claims: list[ClaimSettings]) -> None:
    catalogue = Catalogue.of(scopes, claims, (), ())
    opened = {name for scope in catalogue.scopes.values() for name in scope.claims or ()}
    written = {claim.name for claim in claims}
    off = {name for scope in scopes if not scope.enabled for name in scope.claims or ()}
    standard = {name for value in DEFAULT_SCOPES for name in STANDARD_SCOPE_CLAIMS[value]}
    assert "openid" in catalogue.scopes
    assert all(scope.enabled for scope in catalogue.scopes.values())
    for name, claim in catalogue.claims.items():
        assert claim.property is not None
        assert claim.into
        # Either a scope opens it, or the operator wrote it for everybody and never behind a scope.
        assert name in opened or (name in written and name not in standard | off)


@pytest.mark.row("P-13")
@pytest.mark.parametrize(
    ("api", "said"),
    [
        pytest.param({"audience": f"{API}/other"}, "is no API of this realm", id="unknown"),
        pytest.param(
            {"audience": API, "clients": ["x"]}, "lists the only applications that may use it", id="listed"
        ),
    ],
)
def test_only_an_api_that_lists_nobody_is_opened_to_who_registers(api: dict[str, Any], said: str) -> None:
    (problem,) = found(resources=[api], registration={"audiences": [API]})
    assert (problem.key, problem.value, problem.message) == ("registration.audiences[0]", API, said)
    assert found(resources=[{"audience": API}], registration={"audiences": [API]}) == []

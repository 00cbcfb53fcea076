"""The one table between a client's settings and its own words: nothing is forgotten or slips through."""

import json
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any

import pytest
from authlib.oauth2.rfc7591 import ClientMetadataClaims as OAuthMetadata
from authlib.oidc.registration import ClientMetadataClaims as OpenIDMetadata

from oidcgate.protocol.errors import InvalidClientMetadata, InvalidRedirectUri
from oidcgate.settings import Problem
from provider.client_settings import FLOWS, ClientSettings
from provider.services.client_metadata import (
    COMPOSED,
    MEMBERS,
    metadata_of,
    refusal,
    settings_of,
)
from provider.store.clients import Client

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
#: What registration never sets, and why.
NEVER_SET = {
    "client_id": "made up here",
    "client_secret": "made here, if there is one",
    "client_secret_sha256": "made here, if there is one",
    "enabled": "the operator's",
    "trusted": "people are asked before a stranger learns anything",
    "insecure_token_endpoint_audience": "the policy's, for all of them",
    "require_pkce": "the operator's; who uses PKCE anyway loses nothing",
    "restricted_scopes": "the operator's: takes away",
    "allowed_users": "the operator's: takes away",
    "allowed_groups": "the operator's: takes away",
    "organizations": "how this provider works, not the client",
    "second_factor": "how this provider works, not the client",
    "acr_profile": "how this provider works, not the client",
    "id_token_claims": "the operator's: takes away",
    "session_management": "the operator's: lets its pages frame one of ours",
}
#: What Authlib knows of client metadata, which is what RFC 7591 and OIDC Registration have.
STANDARD_MEMBERS = frozenset((*OAuthMetadata.REGISTERED_CLAIMS, *OpenIDMetadata.REGISTERED_CLAIMS))
#: Standard members that are left out: nothing here would be done with them.
NOT_UNDERSTOOD = {"software_id", "software_version"}
CLIENT = Client(
    client_id="x",
    enabled=True,
    created_at=1,
    name="x",
    auth_method="client_secret_basic",
    redirect_uris=("https://a.example/cb",),
    post_logout_redirect_uris=(),
    flows=("authorization_code",),
    scopes=("openid", "email"),
    trusted=False,
)


def said(metadata: dict[str, Any], *given: str) -> dict[str, Any]:
    return settings_of(metadata, default_scopes=("openid",), given_flows=given)


def told(client: Client, *, bare: bool = False) -> dict[str, Any]:
    return metadata_of(client, signing_algorithm="RS256", bare_tokens=bare)


def test_every_setting_is_in_the_table_or_never_set_for_a_reason() -> None:
    settings = {entry.name for entry in fields(ClientSettings)}
    places = [*MEMBERS.values(), *COMPOSED, *NEVER_SET]
    assert len(places) == len(set(places))
    assert set(places) == settings
    assert all(NEVER_SET.values())


@pytest.mark.row("P-37")
def test_every_standard_member_is_understood() -> None:
    understood = {*MEMBERS, *(member for members in COMPOSED.values() for member in members)}
    assert STANDARD_MEMBERS - understood == NOT_UNDERSTOOD


def test_what_is_left_out_is_what_the_file_means_by_leaving_it_out() -> None:
    defaults = vars(ClientSettings(client_id="?"))
    plain = said({})
    assert set(plain) == {*MEMBERS.values(), *COMPOSED}
    for setting in MEMBERS.values():
        assert plain[setting] == defaults[setting], setting
    assert (plain["scopes"], plain["flows"]) == (("openid",), ("authorization_code",))


def test_what_is_not_understood_is_left_out() -> None:
    hostile = {
        "client_name#de": "x", "trusted": True, "enabled": False, "client_id": "app", "client_secret": "x",
        "auth_method": "none", "name": "x", "flows": ["password"], "insecure_token_endpoint_audience": True,
        "scopes": ["*"], "software_statement": "x.y.z", "__class__": "x", "registration_hash": "x",
    }  # fmt: skip
    assert said(hostile) == said({})


def test_members_of_the_same_meaning_are_handed_on() -> None:
    for member, setting in MEMBERS.items():
        assert said({member: ["anything", 1]})[setting] == ["anything", 1]


FLOWS_OF = [
    pytest.param({"response_types": ["code"]}, ["authorization_code"], id="code"),
    pytest.param({"response_types": ["id_token"]}, ["implicit"], id="implicit"),
    pytest.param({"response_types": ["code token"]}, ["hybrid"], id="hybrid"),
    pytest.param(
        {"response_types": ["code id_token", "id_token token", "code"]},
        ["authorization_code", "implicit", "hybrid"],
        id="all-three",
    ),
    pytest.param(
        {"grant_types": [DEVICE, "password", "client_credentials", "refresh_token"]},
        ["client_credentials", "password", "refresh_token", "device_code"],
        id="those-of-the-token-endpoint",
    ),
]


@pytest.mark.parametrize(("metadata", "flows"), FLOWS_OF)
def test_flows(metadata: dict[str, Any], flows: list[str]) -> None:
    assert said(metadata)["flows"] == tuple(flows)


def test_switches_that_nobody_asks_for_are_given_where_the_realm_gives_them() -> None:
    every = said({}, "introspection", "revocation", "password")["flows"]
    assert every == ("authorization_code", "introspection", "revocation")
    assert said({}, "revocation")["flows"] == ("authorization_code", "revocation")
    public = said({"token_endpoint_auth_method": "none"}, "introspection", "revocation")["flows"]
    assert public == ("authorization_code", "revocation")


WRONG = [
    pytest.param({"scope": ["openid"]}, "scope: is not a string", id="scope-list"),
    pytest.param({"scope": 1}, "scope: is not a string", id="scope-number"),
    pytest.param({"grant_types": ["urn:x"]}, "grant_types: one of them is not supported", id="grant"),
    pytest.param({"grant_types": ["implicit"]}, "grant_types: names nothing that", id="says-not-what"),
    pytest.param({"grant_types": [], "response_types": []}, "grant_types: names nothing that", id="nothing"),
]


@pytest.mark.parametrize(("metadata", "text"), WRONG)
def test_what_cannot_be_made_a_setting(metadata: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidClientMetadata, match=f"^invalid_client_metadata: {text}"):
        said(metadata)


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [
        pytest.param("email  openid email", ("email", "openid"), id="words-once"),
        pytest.param("", ("openid",), id="none"),
        pytest.param("   ", ("openid",), id="spaces"),
        pytest.param("*", ("*",), id="a-star-is-judged-later"),
        pytest.param("a\tb", ("a\tb",), id="only-spaces-part-words"),
    ],
)
def test_scopes(scope: str, scopes: tuple[str, ...]) -> None:
    assert said({"scope": scope})["scopes"] == scopes


def test_what_a_client_is_told() -> None:
    assert told(CLIENT) == {
        "application_type": "web",
        "token_endpoint_auth_method": "client_secret_basic",
        "redirect_uris": ["https://a.example/cb"],
        "id_token_signed_response_alg": "RS256",
        "subject_type": "public",
        "scope": "openid email",
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
    }
    named = replace(
        CLIENT, name="Shop", jwks=MappingProxyType({"keys": [1]}), id_token_signed_response_alg="ES256"
    )
    assert told(named).items() >= {
        "client_name": "Shop", "jwks": {"keys": [1]}, "id_token_signed_response_alg": "ES256",
    }.items()  # fmt: skip


def test_what_a_client_is_told_can_be_written_as_json() -> None:
    told_of = told(replace(CLIENT, jwks=MappingProxyType({"keys": []})))
    assert json.loads(json.dumps(told_of)) == told_of


def test_what_a_client_is_told_of_its_flows() -> None:
    everything = told(replace(CLIENT, flows=FLOWS))
    assert everything["response_types"] == [
        "code", "id_token", "id_token token", "code id_token", "code token", "code id_token token",
    ]  # fmt: skip
    assert everything["grant_types"] == [
        "authorization_code", "implicit", "refresh_token", "client_credentials", "password", DEVICE,
    ]  # fmt: skip
    assert told(replace(CLIENT, flows=("implicit",)), bare=True)["response_types"] == [
        "id_token", "id_token token", "token",
    ]  # fmt: skip
    itself = told(replace(CLIENT, flows=("client_credentials",)))
    assert (itself["grant_types"], itself["response_types"]) == (["client_credentials"], [])


def test_what_it_is_told_registers_the_same_again() -> None:
    client = replace(CLIENT, name="Shop", flows=FLOWS[:-3])
    again = settings_of(told(client), default_scopes=("x",), given_flows=())
    for setting in ("name", "auth_method", "flows", "application_type"):
        assert again[setting] == getattr(client, setting)
    assert tuple(again["redirect_uris"]) == client.redirect_uris
    assert again["scopes"] == client.scopes


REFUSALS = [
    pytest.param(
        Problem("redirect_uris[2]", "x", "is none", "fix"), "redirect_uris[2]: is none", id="uri"
    ),
    pytest.param(
        Problem("auth_method", "x", "is wrong", "fix"), "token_endpoint_auth_method: is wrong", id="renamed"
    ),
    pytest.param(Problem("name", "x", "is wrong", "fix"), "client_name: is wrong", id="name"),
    pytest.param(
        Problem("flows", "x", "is wrong", "fix"), "grant_types and response_types: is wrong", id="composed"
    ),
    pytest.param(
        Problem("jwks_uri", None, "is missing: auth_method and scopes need the name", "fix"),
        "jwks_uri: is missing: token_endpoint_auth_method and scope need the name",
        id="words-of-the-message",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("problem", "text"), REFUSALS)
def test_a_refusal_is_in_the_clients_words(problem: Problem, text: str) -> None:
    error = refusal([problem, Problem("trusted", "secret", "is wrong too", "fix")])
    kind = InvalidRedirectUri if text.startswith("redirect") else InvalidClientMetadata
    assert type(error) is kind
    assert error.description == text
    assert error.detail == f"{problem.key}: {problem.message}; trusted: is wrong too"


def test_the_log_is_told_of_ten_things_at_most() -> None:
    error = refusal(Problem(f"redirect_uris[{n}]", "x", "y", "z") for n in range(3000))
    assert error.detail.count(";") == 9


def test_only_redirect_uris_have_an_error_of_their_own() -> None:
    assert type(refusal([Problem("post_logout_redirect_uris[0]", "x", "y", "z")])) is InvalidClientMetadata

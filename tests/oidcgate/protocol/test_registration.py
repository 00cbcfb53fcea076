"""The document of a registration: what is read of it, and what grant and response types come to."""

import json
from typing import Any

import pytest

from oidcgate.protocol.errors import InvalidClientMetadata, InvalidRequest
from oidcgate.protocol.registration import (
    check_with_authlib,
    needed_grant_types,
    read_client_metadata,
    requested_types,
)
from oidcgate.protocol.response_type import parse_response_type

CODE, DEVICE = "authorization_code", "urn:ietf:params:oauth:grant-type:device_code"


def test_a_member_that_is_null_is_left_out() -> None:
    body = b'{"client_name": null, "contacts": [], "jwks": {}, "scope": "", "default_max_age": 0, "x": false}'
    read = read_client_metadata(body)
    assert read == {"contacts": [], "jwks": {}, "scope": "", "default_max_age": 0, "x": False}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="array"),
        pytest.param(b'"x"', id="string"),
        pytest.param(b'{"a": 1', id="cut"),
        pytest.param(b'{"scope": "a", "scope": "b"}', id="twice"),
        pytest.param(b'{"a": NaN}', id="nan"),
        pytest.param(b'{"a": "\\ud800"}', id="half-a-character"),
        pytest.param(b'{"a": "\xff"}', id="not-utf-8"),
        pytest.param(b'{"a":' + b"[" * 40 + b"]" * 40 + b"}", id="deep"),
        pytest.param(b'{"a":' + b"[" * 9000, id="very-deep"),
    ],
)
def test_what_is_no_document(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"invalid_request: The body cannot be read: \w.*\.$"):
        read_client_metadata(body)


TYPES = [
    pytest.param({}, ["code"], [CODE], id="nothing-said"),
    pytest.param({"grant_types": [CODE]}, ["code"], [CODE], id="grant-alone"),
    pytest.param({"response_types": ["code"]}, ["code"], [CODE], id="response-alone"),
    pytest.param({"response_types": ["id_token"]}, ["id_token"], ["implicit"], id="implicit-alone"),
    pytest.param(
        {"response_types": ["token id_token code"]},
        ["code id_token token"],
        [CODE, "implicit"],
        id="any-order",
    ),
    pytest.param({"grant_types": ["client_credentials"]}, [], ["client_credentials"], id="no-response"),
    pytest.param({"grant_types": [DEVICE, "refresh_token"]}, [], [DEVICE, "refresh_token"], id="device"),
    pytest.param({"grant_types": [], "response_types": []}, [], [], id="nothing-at-all"),
    pytest.param({"grant_types": ["implicit"]}, [], [], id="implicit-that-says-not-what"),
    pytest.param(
        {"grant_types": [CODE, "implicit", "refresh_token", CODE], "response_types": ["code", "code"]},
        ["code"],
        [CODE, "refresh_token"],
        id="twice-and-more-than-is-needed",
    ),
    pytest.param(
        {"grant_types": [CODE, "implicit"], "response_types": ["id_token"]},
        ["id_token"],
        ["implicit"],
        id="a-code-that-nobody-asks-for",
    ),
    pytest.param(
        {"grant_types": ["implicit", CODE], "response_types": ["code", "id_token"]},
        ["code", "id_token"],
        ["implicit", CODE],
        id="both",
    ),
    pytest.param(
        {"grant_types": ["x"], "response_types": []}, [], ["x"], id="unknown-is-the-servers-business"
    ),
    pytest.param({"grant_types": ["x"] * 20}, [], ["x"], id="as-many-as-may-be"),
]


@pytest.mark.parametrize(("said", "responses", "grants"), TYPES)
def test_what_is_asked_for(said: dict[str, Any], responses: list[str], grants: list[str]) -> None:
    found, types = requested_types(said)
    assert ([one.value for one in found], list(types)) == (responses, grants)


WRONG_TYPES = [
    pytest.param({"grant_types": "authorization_code"}, "grant_types: is not an array", id="grants-string"),
    pytest.param({"grant_types": ["x"] * 21}, "grant_types: is not an array, or too long", id="too-many"),
    pytest.param({"grant_types": [1]}, "grant_types: holds something that is no string", id="grants-number"),
    pytest.param(
        {"grant_types": [["x"]]}, "grant_types: holds something that is no string", id="grants-list"
    ),
    pytest.param({"response_types": {}}, "response_types: is not an array", id="responses-object"),
    pytest.param({"response_types": [None]}, "response_types: holds something", id="responses-null"),
    pytest.param({"response_types": ["none"]}, "response_types: one of them is not supported", id="none"),
    pytest.param({"response_types": [""]}, "response_types: one of them is not supported", id="empty"),
    pytest.param(
        {"grant_types": ["refresh_token"], "response_types": ["code"]},
        "grant_types: lacks authorization_code, which response_types needs",
        id="code-without-its-grant",
    ),
    pytest.param(
        {"grant_types": [CODE], "response_types": ["code id_token"]},
        "grant_types: lacks implicit, which response_types needs",
        id="hybrid-without-implicit",
    ),
]


@pytest.mark.parametrize(("said", "text"), WRONG_TYPES)
def test_types_that_do_not_go(said: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidClientMetadata, match=f"^invalid_client_metadata: {text}"):
        requested_types(said)


@pytest.mark.parametrize(
    ("response_type", "grants"),
    [
        ("code", (CODE,)),
        ("id_token", ("implicit",)),
        ("token", ("implicit",)),
        ("code token", (CODE, "implicit")),
        ("code id_token token", (CODE, "implicit")),
    ],
)
def test_the_grant_types_of_a_response_type(response_type: str, grants: tuple[str, ...]) -> None:
    assert needed_grant_types(parse_response_type(response_type)) == grants


@pytest.mark.row("P-37")
@pytest.mark.parametrize(
    ("metadata", "member"),
    [
        pytest.param({"logo_uri": "javascript:alert(1)"}, "logo_uri", id="rfc7591"),
        pytest.param({"jwks": {"keys": [{"kty": "RSA"}]}}, "jwks", id="key"),
        pytest.param(
            {"token_endpoint_auth_signing_alg": "none"}, "token_endpoint_auth_signing_alg", id="oidc"
        ),
    ],
)
def test_the_other_reader_finds_something(metadata: dict[str, Any], member: str) -> None:
    before = json.dumps(metadata)
    with pytest.raises(InvalidClientMetadata, match=f"^invalid_client_metadata: {member}: is not valid$"):
        check_with_authlib(metadata)
    assert json.dumps(metadata) == before


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"redirect_uris": ["com.example.app:/cb"]}, id="a-scheme-of-ones-own"),
        pytest.param(
            {"redirect_uris": ["https://a.example/cb"], "client_uri": "https://a.example/"}, id="all"
        ),
    ],
)
def test_the_other_reader_agrees(metadata: dict[str, Any]) -> None:
    before = json.dumps(metadata)
    check_with_authlib(metadata)
    assert json.dumps(metadata) == before

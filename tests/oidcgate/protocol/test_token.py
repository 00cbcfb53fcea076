"""The token request and response, both directions."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oidcgate.protocol.errors import (
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    OAuthError,
    Reason,
    Refused,
)
from oidcgate.protocol.token import (
    DEVICE_CODE,
    TokenRequest,
    TokenResponse,
    Tokens,
    check_token_response,
    parse_token_request,
)

CODE_REQUEST = [
    ("grant_type", "authorization_code"),
    ("code", "canary-code"),
    ("redirect_uri", "https://app.example.com/cb"),
    ("code_verifier", "canary-verifier"),
]


@pytest.mark.row("S-15")
def test_a_code_request_is_read_and_hides_its_secrets() -> None:
    request = parse_token_request([*CODE_REQUEST, ("client_secret", "canary-secret"), ("x", "y")])
    assert request == TokenRequest(
        "authorization_code", "canary-code", "https://app.example.com/cb", "canary-verifier"
    )
    assert "canary" not in repr(request)


@pytest.mark.row("S-13")
def test_a_refresh_without_scope_differs_from_one_with_an_empty_wish() -> None:
    refresh = [("grant_type", "refresh_token"), ("refresh_token", "r" * 10_000)]
    assert parse_token_request(refresh) == TokenRequest("refresh_token", refresh_token="r" * 10_000)
    assert parse_token_request(refresh).scope is None
    assert parse_token_request([*refresh, ("scope", "")]).scope is None
    assert parse_token_request([*refresh, ("scope", "openid  email")]).scope == ("openid", "email")


PASSWORD_REQUEST = [("grant_type", "password"), ("username", "alice"), ("password", "canary\x00\r\n\x7f ü")]


@pytest.mark.row("S-11")
def test_a_password_request_is_read_and_hides_the_password() -> None:
    request = parse_token_request(PASSWORD_REQUEST)
    assert request == TokenRequest("password", username="alice", password="canary\x00\r\n\x7f ü")
    assert "canary" not in repr(request)


def test_a_device_request_is_read_and_hides_its_code() -> None:
    request = parse_token_request([("grant_type", DEVICE_CODE), ("device_code", "canary")])
    assert DEVICE_CODE == "urn:ietf:params:oauth:grant-type:device_code"
    assert request == TokenRequest(DEVICE_CODE, device_code="canary")
    assert "canary" not in repr(request)


@pytest.mark.row("E-17", "S-12")
@pytest.mark.parametrize("name", ["resource", "audience"])
def test_any_grant_may_name_an_api(name: str) -> None:
    asked = [("grant_type", "client_credentials"), (name, "urn:example:api")]
    assert parse_token_request(asked) == TokenRequest("client_credentials", api="urn:example:api")


@pytest.mark.row("S-15")
@pytest.mark.parametrize(
    ("pairs", "error"),
    [
        pytest.param([], InvalidRequest, id="empty"),
        pytest.param(CODE_REQUEST[1:], InvalidRequest, id="grant-type-missing"),
        pytest.param([("grant_type", "")], InvalidRequest, id="grant-type-empty"),
        pytest.param([CODE_REQUEST[0]], InvalidRequest, id="code-missing"),
        pytest.param([("grant_type", "refresh_token")], InvalidRequest, id="refresh-token-missing"),
        pytest.param([PASSWORD_REQUEST[0], PASSWORD_REQUEST[1]], InvalidRequest, id="password-missing"),
        pytest.param([PASSWORD_REQUEST[0], PASSWORD_REQUEST[2]], InvalidRequest, id="username-missing"),
        pytest.param([*PASSWORD_REQUEST[:2], ("password", "")], InvalidRequest, id="password-empty"),
        pytest.param(
            [*PASSWORD_REQUEST[:2], ("password", "p" * 4097)], InvalidRequest, id="password-oversized"
        ),
        pytest.param([*PASSWORD_REQUEST[:2], ("password", "\ud800")], InvalidRequest, id="password-not-utf8"),
        pytest.param(
            [PASSWORD_REQUEST[0], ("username", "a\x00"), PASSWORD_REQUEST[2]],
            InvalidRequest,
            id="username-nul",
        ),
        pytest.param([("grant_type", DEVICE_CODE)], InvalidRequest, id="device-code-missing"),
        pytest.param([*CODE_REQUEST, ("resource", "api")], InvalidTarget, id="resource-no-uri"),
        pytest.param(
            [*CODE_REQUEST, ("resource", "urn:a:b"), ("audience", "b")], InvalidRequest, id="two-apis"
        ),
        *(
            pytest.param([*CODE_REQUEST, pair], InvalidRequest, id=f"{pair[0]}-repeated")
            for pair in CODE_REQUEST
        ),
        *(
            pytest.param([*PASSWORD_REQUEST, pair], InvalidRequest, id=f"{pair[0]}-repeated")
            for pair in PASSWORD_REQUEST[1:]
        ),
        pytest.param(
            [*CODE_REQUEST, ("client_id", "a"), ("client_id", "b")], InvalidRequest, id="client-id-repeated"
        ),
        pytest.param([CODE_REQUEST[0], ("code", "c" * 4097)], InvalidRequest, id="code-oversized"),
        pytest.param([CODE_REQUEST[0], ("code", "c\x00")], InvalidRequest, id="code-nul"),
        pytest.param([*CODE_REQUEST, ("scope", 'a"b')], InvalidScope, id="scope-malformed"),
    ],
)
def test_one_faulty_parameter_is_one_named_error(
    pairs: list[tuple[str, str]], error: type[OAuthError]
) -> None:
    with pytest.raises(OAuthError) as caught:
        parse_token_request(pairs)
    assert type(caught.value) is error


def test_an_unknown_grant_type_is_the_providers_to_refuse() -> None:
    assert parse_token_request([("grant_type", "urn:x")]).grant_type == "urn:x"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["grant_type", "code", "scope", "username", "password", "resource", "x"])
            | st.text(max_size=5),
            st.sampled_from(["authorization_code", "password", DEVICE_CODE]) | st.text(max_size=20),
        )
    )
)
@example([("grant_type", "password"), ("username", "a"), ("password", "\ud800")])
@example([("grant_type", "x"), ("resource", "\ud800")])
def test_any_form_is_a_request_or_a_declared_error(pairs: list[tuple[str, str]]) -> None:
    try:
        request = parse_token_request(pairs)
    except OAuthError:
        return
    assert ("grant_type", request.grant_type) in pairs


ANSWER: dict[str, Any] = {
    "access_token": "canary-at",
    "token_type": "Bearer",
    "id_token": "canary.id.token",
    "refresh_token": "canary-rt",
    "expires_in": 300,
    "scope": "openid email",
}


def test_an_answer_is_read_and_hides_its_tokens() -> None:
    tokens = check_token_response(ANSWER | {"expires_at": 1, "x": {}})
    assert tokens == Tokens("canary-at", "canary.id.token", "canary-rt", 300, ("openid", "email"))
    assert "canary" not in repr(tokens)


@pytest.mark.parametrize(
    ("changes", "tokens"),
    [
        pytest.param({"token_type": "bEaReR"}, Tokens("a", "i"), id="type-in-any-case"),
        pytest.param({"expires_in": "3600"}, Tokens("a", "i", expires_in=3600), id="expires-in-as-digits"),
        pytest.param({"expires_in": None, "refresh_token": None}, Tokens("a", "i"), id="null-is-absent"),
        pytest.param({"scope": ""}, Tokens("a", "i", scope=()), id="scope-empty"),
        pytest.param({"expires_in": 0}, Tokens("a", "i", expires_in=0), id="expires-at-once"),
        pytest.param({"expires_in": 10**10}, Tokens("a", "i", expires_in=10**10), id="expires-in-longest"),
        pytest.param({"expires_in": "0"}, Tokens("a", "i", expires_in=0), id="expires-at-once-as-text"),
        pytest.param({"expires_in": "9" * 10}, Tokens("a", "i", expires_in=9_999_999_999), id="longest-text"),
        pytest.param({"access_token": "a" * 16_384}, Tokens("a" * 16_384, "i"), id="access-token-longest"),
        pytest.param({"id_token": "i" * 65_536}, Tokens("a", "i" * 65_536), id="id-token-longest"),
    ],
)
def test_what_providers_in_use_send_is_read(changes: dict[str, Any], tokens: Tokens) -> None:
    assert (
        check_token_response({"access_token": "a", "token_type": "Bearer", "id_token": "i"} | changes)
        == tokens
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"access_token": None}, Reason.TOKEN_RESPONSE_MALFORMED, id="access-token-missing"),
        pytest.param({"access_token": ""}, Reason.TOKEN_RESPONSE_MALFORMED, id="access-token-empty"),
        pytest.param({"access_token": 1}, Reason.TOKEN_RESPONSE_MALFORMED, id="access-token-number"),
        pytest.param({"access_token": "a\r\nb"}, Reason.TOKEN_RESPONSE_MALFORMED, id="access-token-control"),
        pytest.param({"access_token": "ä"}, Reason.TOKEN_RESPONSE_MALFORMED, id="access-token-not-ascii"),
        pytest.param(
            {"access_token": "a" * 16_385}, Reason.TOKEN_RESPONSE_MALFORMED, id="access-token-oversized"
        ),
        pytest.param({"token_type": None}, Reason.TOKEN_RESPONSE_MALFORMED, id="token-type-missing"),
        pytest.param({"token_type": "DPoP"}, Reason.TOKEN_RESPONSE_MALFORMED, id="token-type-other"),
        pytest.param({"token_type": ["Bearer"]}, Reason.TOKEN_RESPONSE_MALFORMED, id="token-type-list"),
        pytest.param({"refresh_token": []}, Reason.TOKEN_RESPONSE_MALFORMED, id="refresh-token-list"),
        pytest.param({"expires_in": True}, Reason.TOKEN_RESPONSE_MALFORMED, id="expires-in-boolean"),
        pytest.param({"expires_in": -1}, Reason.TOKEN_RESPONSE_MALFORMED, id="expires-in-negative"),
        pytest.param({"expires_in": 1.5}, Reason.TOKEN_RESPONSE_MALFORMED, id="expires-in-fraction"),
        pytest.param({"expires_in": 10**11}, Reason.TOKEN_RESPONSE_MALFORMED, id="expires-in-oversized"),
        pytest.param({"expires_in": "1h"}, Reason.TOKEN_RESPONSE_MALFORMED, id="expires-in-text"),
        pytest.param({"expires_in": ""}, Reason.TOKEN_RESPONSE_MALFORMED, id="expires-in-empty-text"),
        pytest.param({"expires_in": "0" * 11}, Reason.TOKEN_RESPONSE_MALFORMED, id="expires-in-long-text"),
        pytest.param({"scope": ["openid"]}, Reason.TOKEN_RESPONSE_MALFORMED, id="scope-list"),
        pytest.param({"id_token": {}}, Reason.TOKEN_RESPONSE_MALFORMED, id="id-token-object"),
        pytest.param({"id_token": "i" * 65_537}, Reason.TOKEN_RESPONSE_MALFORMED, id="id-token-oversized"),
        pytest.param({"id_token": None}, Reason.ID_TOKEN_MISSING, id="id-token-missing"),
        pytest.param({"error": "invalid_grant"}, Reason.PROVIDER_ERROR, id="error-beside-tokens"),
        pytest.param({"error": {}}, Reason.PROVIDER_ERROR, id="error-object"),
    ],
)
def test_one_faulty_member_is_one_named_refusal(changes: dict[str, Any], reason: Reason) -> None:
    with pytest.raises(Refused) as caught:
        check_token_response(ANSWER | changes)
    assert caught.value.reason is reason
    if reason is Reason.TOKEN_RESPONSE_MALFORMED:
        assert caught.value.detail.split()[0] == next(iter(changes))
    assert "canary" not in f"{caught.value!r} {caught.value.detail}"


def test_the_error_code_of_the_token_endpoint_is_kept() -> None:
    with pytest.raises(Refused) as caught:
        check_token_response({"error": "invalid_grant", "error_description": "canary"})
    assert caught.value.error == "invalid_grant"
    with pytest.raises(Refused) as caught:
        check_token_response({"error": ""})
    assert caught.value.error == "malformed"


@given(
    st.dictionaries(
        st.sampled_from([*ANSWER, "error"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=9)
        | st.lists(st.text(max_size=3)),
    )
)
def test_any_answer_is_tokens_or_the_declared_refusal(changes: dict[str, Any]) -> None:
    try:
        tokens = check_token_response(ANSWER | changes)
    except Refused:
        return
    assert tokens.access_token
    assert tokens.id_token


@pytest.mark.row("E-01")
def test_what_the_provider_builds_the_relying_party_reads() -> None:
    response = TokenResponse(
        "canary-a", 300, ("openid", "email"), refresh_token="canary-r", id_token="canary.i.t"
    )
    document = json.loads(json.dumps(response.document()))
    assert check_token_response(document) == Tokens(
        "canary-a", "canary.i.t", "canary-r", 300, ("openid", "email")
    )
    assert "canary" not in repr(response)
    assert TokenResponse("a", 1, ("openid", "email")).document() == {
        "access_token": "a",
        "token_type": "Bearer",
        "expires_in": 1,
        "scope": "openid email",
    }

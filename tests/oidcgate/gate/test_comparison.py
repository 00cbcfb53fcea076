"""What an IdP says of itself against the settings: each difference that would fail a sign-in, one by one."""

import dataclasses
from typing import Any

import pytest

from oidcgate.gate.comparison import differences
from oidcgate.gate.provider_settings import ProviderSettings
from oidcgate.jose.keys import generate_key
from oidcgate.protocol.metadata import ProviderMetadata
from oidcgate.settings import Secret

SETTINGS: dict[str, Any] = {
    "issuer": "https://id.example",
    "client_id": "app",
    "client_secret": Secret("s" * 32),
}
METADATA = ProviderMetadata(
    issuer="https://id.example",
    authorization_endpoint="https://id.example/authorize",
    token_endpoint="https://id.example/token",
    jwks_uri="https://id.example/jwks",
    userinfo_endpoint=None,
    end_session_endpoint=None,
    revocation_endpoint=None,
    check_session_iframe=None,
    pushed_authorization_request_endpoint=None,
    require_pushed_authorization_requests=False,
    id_token_signing_alg_values_supported=("RS256", "EdDSA"),
    token_endpoint_auth_methods_supported=("client_secret_basic", "client_secret_post"),
    token_endpoint_auth_signing_alg_values_supported=None,
    code_challenge_methods_supported=("plain", "S256"),
    scopes_supported=("openid", "profile", "email", "phone"),
    iss_parameter_supported=True,
)
EC_KEY = Secret(generate_key("ES256").as_pem(private=True).decode())
PROOF = {"client_signing_keys": EC_KEY, "client_secret": None}


@pytest.mark.row("A-07")
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param({}, {}, id="all of it"),
        pytest.param({}, {"scopes_supported": None}, id="scopes are not said"),
        pytest.param({}, {"id_token_signing_alg_values_supported": ("HS256", "RS256")}, id="one signature"),
        pytest.param({}, {"token_endpoint_auth_methods_supported": ("client_secret_post",)}, id="post"),
        pytest.param({}, {"token_endpoint_auth_methods_supported": ("client_secret_basic",)}, id="basic"),
        pytest.param({}, {"code_challenge_methods_supported": ()}, id="PKCE is not said"),
        pytest.param(
            {}, {"token_endpoint_auth_signing_alg_values_supported": ("RS256",)}, id="a proof nobody makes"
        ),
        pytest.param(
            PROOF, {"token_endpoint_auth_methods_supported": ("private_key_jwt",)}, id="a proof, not said"
        ),
        pytest.param(
            PROOF,
            {
                "token_endpoint_auth_methods_supported": ("private_key_jwt",),
                "token_endpoint_auth_signing_alg_values_supported": ("RS256", "ES256"),
            },
            id="a proof",
        ),
        pytest.param({"pushed_authorization_requests": "demanded"}, {}, id="pushed where it is demanded"),
        pytest.param(
            {"pushed_authorization_requests": "always"},
            {"pushed_authorization_request_endpoint": "https://id.example/par"},
            id="pushed",
        ),
        pytest.param(
            {"get_user_info": True}, {"userinfo_endpoint": "https://id.example/userinfo"}, id="userinfo"
        ),
        pytest.param(
            {"session_check_seconds": 5}, {"check_session_iframe": "https://id.example/check"}, id="a frame"
        ),
    ],
)
def test_nothing_is_different(settings: dict[str, Any], said: dict[str, Any]) -> None:
    assert _differences(settings, said) == []


@pytest.mark.row("A-07")
@pytest.mark.parametrize(
    ("settings", "said", "told"),
    [
        pytest.param(
            {}, {"scopes_supported": ("openid",)}, "does not offer profile email; enable", id="scopes"
        ),
        pytest.param(
            {}, {"scopes_supported": ()}, "does not offer openid profile email; enable", id="no scope"
        ),
        pytest.param(
            {},
            {"id_token_signing_alg_values_supported": ("HS256", "HS384")},
            "signs with none of provider.id_token_algorithms; add one of HS256 HS384",
            id="signatures",
        ),
        pytest.param(
            {},
            {"token_endpoint_auth_methods_supported": ("private_key_jwt", "client_secret_jwt")},
            "takes no client secret; it offers private_key_jwt client_secret_jwt",
            id="no secret",
        ),
        pytest.param(
            {"token_endpoint_auth_method": "client_secret_post"},
            {"token_endpoint_auth_methods_supported": ("client_secret_basic", "private_key_jwt")},
            "does not take client_secret_post; use one of client_secret_basic private_key_jwt",
            id="another method",
        ),
        pytest.param(
            PROOF,
            {
                "token_endpoint_auth_methods_supported": ("private_key_jwt",),
                "token_endpoint_auth_signing_alg_values_supported": ("RS256", "PS256"),
            },
            "does not take what ES256 signs; set provider.token_endpoint_auth_signing_alg, and a key for it, "
            "to one of RS256 PS256",
            id="another signature of the proof",
        ),
        pytest.param(
            {}, {"code_challenge_methods_supported": ("plain",)}, "offers PKCE without S256", id="PKCE"
        ),
        pytest.param(
            {"pushed_authorization_requests": "always"}, {}, "takes no pushed requests", id="pushed"
        ),
        pytest.param({"get_user_info": True}, {}, "has no userinfo endpoint", id="userinfo"),
        pytest.param({"session_check_seconds": 5}, {}, "has no check_session_iframe", id="a frame"),
    ],
)
def test_what_would_fail(settings: dict[str, Any], said: dict[str, Any], told: str) -> None:
    (difference,) = _differences(settings, said)
    assert difference.startswith(told)


def _differences(settings: dict[str, Any], said: dict[str, Any]) -> list[str]:
    provider = ProviderSettings(**{**SETTINGS, **settings})
    metadata = dataclasses.replace(METADATA, **said)
    return list(differences(provider, metadata, shares_callback=False))


@pytest.mark.parametrize("says", [True, False])
@pytest.mark.parametrize("shares", [True, False])
def test_an_answer_that_does_not_say_whose_it_is_needs_a_place_of_its_own(shares: bool, says: bool) -> None:
    provider = ProviderSettings(**SETTINGS)
    metadata = dataclasses.replace(METADATA, iss_parameter_supported=says)
    told = list(differences(provider, metadata, shares_callback=shares))
    assert len(told) == (shares and not says)
    assert all("no iss" in one and "provider.callback" in one for one in told)

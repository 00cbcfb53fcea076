"""Our provider serves a client nobody here wrote: idpyoidc, of the Identity Python project.

It opens no encrypted ID token: that is asked of `openid-client` alone.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from cryptojwt.key_jar import KeyJar
from idpyoidc.client.exception import OidcServiceError
from idpyoidc.client.rp_handler import RPHandler

from tests.live.provider_for_clients import REDIRECT, SECRET, USER, ProviderForClients

pytestmark = [pytest.mark.live, pytest.mark.slow]

SCOPES = ["openid", "profile", "email", "offline_access"]
PKCE = {
    "function": "idpyoidc.client.oauth2.add_on.pkce.add_support",
    "kwargs": {"code_challenge_length": 64, "code_challenge_method": "S256"},
}


@dataclass(frozen=True)
class Library:
    """idpyoidc at the provider."""

    provider: ProviderForClients

    def relying_party(
        self, client_id: str, *, method: str = "client_secret_basic", **settings: Any
    ) -> RPHandler:
        """What an application makes once, for one client."""
        issuer = self.provider.issuer
        keys = KeyJar()
        keys.import_jwks({"keys": [self.provider.keys.signing["RS256"].as_dict(private=True)]}, "")
        client = {
            "client_type": "oidc",
            "issuer": issuer,
            "client_id": client_id,
            "client_secret": SECRET,
            "redirect_uris": [REDIRECT],
            "client_authn_methods": [method],
            "token_endpoint_auth_methods_supported": [method],
            "response_types_supported": ["code"],
            "scopes_supported": SCOPES,
            "add_ons": {"pkce": PKCE},
            **settings,
        }
        return RPHandler("https://client.example", client_configs={issuer: client}, keyjar=keys)

    def sign_in(self, party: RPHandler, **parameters: Any) -> dict[str, Any]:
        """Discovery, the way through the browser, tokens and UserInfo."""
        issuer = self.provider.issuer
        url = party.begin(issuer, req_args={"scope": SCOPES, **parameters})
        parts = urlsplit(self.provider.answer(url))
        finished: dict[str, Any] = party.finalize(issuer, dict(parse_qsl(parts.fragment or parts.query)))
        return finished


@pytest.fixture(scope="module")
def library(provider: ProviderForClients) -> Library:
    return Library(provider)


@pytest.mark.row("E-01", "E-05", "E-08", "S-01", "S-02", "S-13", "S-16", "S-17", "S-59")
@pytest.mark.parametrize(
    ("client_id", "method", "algorithm"),
    [
        pytest.param("client_secret_basic", "client_secret_basic", None, id="client_secret_basic"),
        pytest.param("client_secret_post", "client_secret_post", None, id="client_secret_post"),
        # It signs its assertions for the token endpoint.
        pytest.param("lenient_client_secret_jwt", "client_secret_jwt", "HS256", id="client_secret_jwt"),
        pytest.param("lenient_private_key_jwt", "private_key_jwt", "RS256", id="private_key_jwt"),
    ],
)
def test_code_flow_userinfo_and_refresh(
    library: Library, client_id: str, method: str, algorithm: str | None
) -> None:
    settings = {"token_endpoint_auth_signing_alg_values_supported": [algorithm]} if algorithm else {}
    party = library.relying_party(client_id, method=method, **settings)
    finished = library.sign_in(party)
    assert finished["id_token"]["preferred_username"] == USER
    assert finished["userinfo"]["email"] == "alice@id.example"
    assert finished["userinfo"]["sub"] == finished["id_token"]["sub"]

    state = finished["state"]
    before = finished["token"]
    after = party.refresh_access_token(state)
    assert after["access_token"] != before
    assert after["__verified_id_token"]["sub"] == finished["id_token"]["sub"]
    assert party.get_user_info(state, access_token=after["access_token"])["name"] == "Alice Example"


@pytest.mark.row("S-02")
def test_a_wrong_secret_is_refused(library: Library) -> None:
    party = library.relying_party("client_secret_basic", client_secret="x" + SECRET[1:])
    with pytest.raises(OidcServiceError, match="invalid_client"):
        library.sign_in(party)


@pytest.mark.row("S-06")
@pytest.mark.parametrize("response_type", ["code id_token", "code token", "code id_token token"])
def test_hybrid(library: Library, response_type: str) -> None:
    party = library.relying_party("hybrid", response_types_supported=[response_type])
    finished = library.sign_in(party, response_type=response_type)
    assert finished["userinfo"]["preferred_username"] == USER


@pytest.mark.row("E-02", "S-05")
@pytest.mark.parametrize("response_type", ["id_token", "id_token token"])
def test_implicit(library: Library, response_type: str) -> None:
    party = library.relying_party("implicit", response_types_supported=[response_type], add_ons={})
    finished = library.sign_in(party, response_type=response_type, scope=["openid", "profile"])
    assert finished["id_token"]["preferred_username"] == USER
    assert finished["userinfo"]["preferred_username"] == USER


@pytest.mark.row("S-16")
def test_signed_userinfo_is_verified(library: Library) -> None:
    party = library.relying_party("signed_userinfo", userinfo_signing_alg_values_supported=["RS256"])
    assert library.sign_in(party)["userinfo"]["email"] == "alice@id.example"

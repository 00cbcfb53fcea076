"""Our provider serves a client nobody here wrote: Authlib's session, and what it reads ID tokens with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import ClientSecretJWT, PrivateKeyJWT
from authlib.oidc.core import CodeIDToken, HybridIDToken, ImplicitIDToken
from authlib.oidc.core.claims import IDToken
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet, OctKey

from tests.live.provider_for_clients import (
    API,
    PASSWORD,
    REDIRECT,
    SCOPE_OF_API,
    SECRET,
    USER,
    ProviderForClients,
)

pytestmark = [pytest.mark.live, pytest.mark.slow]


@dataclass(frozen=True)
class Library:
    """Authlib at the provider, with what discovery says."""

    provider: ProviderForClients
    metadata: Mapping[str, Any]

    def session(
        self, client_id: str, *, method: str = "client_secret_basic", **settings: Any
    ) -> OAuth2Session:
        """A session of one client, which signs its assertions for `audience`: by default the issuer."""
        audience = settings.pop("audience", self.provider.issuer)
        secret = {"none": None, "private_key_jwt": self.provider.keys.signing["RS256"]}.get(method, SECRET)
        session = OAuth2Session(
            client_id,
            secret,
            token_endpoint_auth_method=method,
            revocation_endpoint_auth_method=method,
            redirect_uri=REDIRECT,
            code_challenge_method="S256",
            default_timeout=30,
            **self.metadata,
            **{"scope": "openid profile email offline_access", **settings},
        )
        for authentication in (ClientSecretJWT(audience), PrivateKeyJWT(audience)):
            session.register_client_auth_method(authentication)
        return session

    def sign_in(self, session: OAuth2Session, **parameters: str) -> IDToken:
        """Send Alice to the provider, redeem the code, and read the ID token."""
        verifier, nonce = generate_token(48), generate_token()
        url, state = session.create_authorization_url(
            self.metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce, **parameters
        )
        answer = self.provider.answer(url)
        token = session.fetch_token(
            authorization_response=answer,
            state=state,
            code_verifier=verifier,
            grant_type="authorization_code",
        )
        return self.read(CodeIDToken, session, token, nonce)

    def read(
        self, kind: type[IDToken], session: OAuth2Session, answer: Mapping[str, str], nonce: str
    ) -> IDToken:
        """The ID token of an answer, verified as Authlib does for a flow of that kind."""
        algorithm = session.metadata.get("id_token_signed_response_alg", "RS256")
        document = requests.get(self.metadata["jwks_uri"], timeout=30).json()
        keys = OctKey.import_key(SECRET) if algorithm == "HS256" else KeySet.import_key_set(document)
        token = jwt.decode(answer["id_token"], keys, algorithms=[algorithm])
        options = {
            "iss": {"essential": True, "value": self.provider.issuer},
            "aud": {"essential": True, "value": session.client_id},
        }
        told = {"nonce": nonce, "client_id": session.client_id, **answer}
        claims = kind(token.claims, token.header, options, told)
        claims.validate()
        return claims


@pytest.fixture(scope="module")
def library(provider: ProviderForClients) -> Library:
    url = f"{provider.issuer}/.well-known/openid-configuration"
    return Library(provider, requests.get(url, timeout=30).json())


METHODS = [
    pytest.param("client_secret_basic", "client_secret_basic", id="client_secret_basic"),
    pytest.param("client_secret_post", "client_secret_post", id="client_secret_post"),
    pytest.param("client_secret_jwt", "client_secret_jwt", id="client_secret_jwt"),
    pytest.param("private_key_jwt-RS256", "private_key_jwt", id="private_key_jwt"),
    pytest.param("none", "none", id="none"),
]


@pytest.mark.row("E-01", "E-05", "S-01", "S-02", "S-13", "S-16", "S-21", "S-59")
@pytest.mark.parametrize(("client_id", "method"), METHODS)
def test_code_flow_refresh_and_revocation(library: Library, client_id: str, method: str) -> None:
    session = library.session(client_id, method=method)
    claims = library.sign_in(session)
    assert claims["preferred_username"] == USER
    assert claims["at_hash"]

    told = session.get(library.metadata["userinfo_endpoint"])
    assert told.json()["sub"] == claims["sub"]
    before = session.token["refresh_token"]
    after = session.refresh_token()
    assert after["refresh_token"] != before

    answer = session.revoke_token(library.metadata["revocation_endpoint"], token_type_hint="refresh_token")
    assert answer.status_code == 200
    assert session.get(library.metadata["userinfo_endpoint"]).status_code == 401
    with pytest.raises(OAuthError, match="invalid_grant"):
        session.refresh_token()


@pytest.mark.row("E-23", "P-37")
def test_a_client_that_registered_itself(library: Library) -> None:
    bearer = {"access_token": library.provider.registration_token, "token_type": "Bearer"}
    asked = {"redirect_uris": [REDIRECT], "grant_types": ["authorization_code", "refresh_token"]}
    told = OAuth2Session(token=bearer, default_timeout=30).post(
        library.metadata["registration_endpoint"], json=asked
    ).json()  # fmt: skip
    session = library.session(told["client_id"], method=told["token_endpoint_auth_method"])
    session.client_secret = told["client_secret"]
    claims = library.sign_in(session, prompt="consent")
    assert claims["preferred_username"] == USER
    assert session.refresh_token()["access_token"]


@pytest.mark.row("S-02")
def test_assertions_for_the_token_endpoint_need_the_switch(library: Library) -> None:
    # What Authlib signs unless it is told otherwise.
    lenient, strict = (
        library.session(client_id, method="private_key_jwt", audience=None)
        for client_id in ("lenient_private_key_jwt", "private_key_jwt-RS256")
    )
    assert library.sign_in(lenient)["preferred_username"] == USER
    with pytest.raises(OAuthError, match="invalid_client"):
        library.sign_in(strict)


@pytest.mark.row("S-20")
def test_introspection(library: Library) -> None:
    session, api = library.session("client_secret_basic"), library.session("api")
    claims = library.sign_in(session)
    told = api.introspect_token(
        library.metadata["introspection_endpoint"],
        token=session.token["access_token"],
        token_type_hint="access_token",
    ).json()
    assert told["active"] is True
    assert (told["sub"], told["client_id"]) == (claims["sub"], "client_secret_basic")
    # A refresh token is nothing that an API could be shown.
    told = api.introspect_token(
        library.metadata["introspection_endpoint"], token=session.token["refresh_token"]
    ).json()
    assert told == {"active": False}


@pytest.mark.row("E-12", "S-12")
def test_client_credentials(library: Library) -> None:
    session = library.session("robot", scope=SCOPE_OF_API)
    token = session.fetch_token(grant_type="client_credentials", resource=API)
    assert token.keys() == {"access_token", "token_type", "expires_in", "expires_at", "scope"}
    keys = KeySet.import_key_set(requests.get(library.metadata["jwks_uri"], timeout=30).json())
    read = jwt.decode(token["access_token"], keys, algorithms=["RS256"])
    assert (read.header["typ"], read.claims["sub"], read.claims["aud"]) == ("at+jwt", "robot", API)
    assert session.get(library.metadata["userinfo_endpoint"]).status_code == 403


@pytest.mark.row("S-11")
def test_password(library: Library) -> None:
    session = library.session("password")
    token = session.fetch_token(username=USER, password=PASSWORD)
    assert library.read(CodeIDToken, session, token, "")["preferred_username"] == USER
    assert session.refresh_token()["refresh_token"] != token["refresh_token"]


@pytest.mark.row("E-02", "S-05")
@pytest.mark.parametrize("response_type", ["id_token", "id_token token"])
def test_implicit(library: Library, response_type: str) -> None:
    session = library.session("implicit", method="none", scope="openid profile")
    url, state = session.create_authorization_url(
        library.metadata["authorization_endpoint"], response_type=response_type, nonce="the-nonce"
    )
    answer = dict(parse_qsl(urlsplit(library.provider.answer(url)).fragment))
    assert answer["state"] == state
    claims = library.read(ImplicitIDToken, session, answer, "the-nonce")
    assert claims["preferred_username"] == USER
    if "access_token" in answer:
        session.token = answer
        assert session.get(library.metadata["userinfo_endpoint"]).json()["sub"] == claims["sub"]
    assert ("access_token" in answer) == (response_type != "id_token")


@pytest.mark.row("S-06")
@pytest.mark.parametrize("response_type", ["code id_token", "code token", "code id_token token"])
def test_hybrid(library: Library, response_type: str) -> None:
    session = library.session("hybrid")
    url, state = session.create_authorization_url(
        library.metadata["authorization_endpoint"], response_type=response_type, nonce="the-nonce"
    )
    answer = dict(parse_qsl(urlsplit(library.provider.answer(url)).fragment))
    assert answer["state"] == state
    token = session.fetch_token(code=answer["code"])
    second = library.read(CodeIDToken, session, token, "the-nonce")
    if "id_token" in answer:
        # Authlib checks that c_hash and at_hash are there, and right.
        first = library.read(HybridIDToken, session, answer, "the-nonce")
        assert (first["iss"], first["sub"]) == (second["iss"], second["sub"])


@pytest.mark.row("S-29")
def test_id_tokens_under_the_secret(library: Library) -> None:
    session = library.session("HS256", id_token_signed_response_alg="HS256")
    assert library.sign_in(session)["preferred_username"] == USER
    other = OctKey.import_key("another-secret-of-the-same-length-as-the-clients-0000")
    with pytest.raises(BadSignatureError):
        jwt.decode(session.token["id_token"], other, algorithms=["HS256"])

"""How the gate proves who it is at an IdP's endpoints, as the IdP and the settings want it.

Authlib's session carries the proof; which one it is, and what it says, is here. The settings are
`client_settings`, the keys' public side is `client_keys`. How a provider reads a proof is
`oidcgate.protocol.client_auth`.
"""

import base64
import dataclasses
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote_plus

from authlib.common.urls import add_params_to_qs
from authlib.integrations.requests_client import OAuth2Session

from oidcgate.gate.provider_settings import ProviderSettings
from oidcgate.jose.jwt import serialize
from oidcgate.jose.keys import x5_members
from oidcgate.jose.shared_secret import sign_hmac
from oidcgate.protocol.client_assertion import JWT_BEARER, client_assertion_claims
from oidcgate.protocol.client_auth import ClientAuthMethod
from oidcgate.protocol.metadata import ProviderMetadata

#: How long a signed proof is good: it is used at once, and clocks differ.
ASSERTION_SECONDS: Final = 60

_JTI_BYTES: Final = 24
_THUMBPRINTS: Final[tuple[str, ...]] = ("x5t", "x5t#S256")

# What Authlib hands to a method of authentication, and takes back: URL, headers, body.
_Request = tuple[str, Any, Any]


@dataclasses.dataclass(frozen=True)
class ClientAuthentication:
    """The gate's proof of who it is at one IdP.

    Attributes:
        clock: epoch seconds.
        random_bytes: unpredictable bytes, for the `jti` of each assertion.
    """

    provider: ProviderSettings
    clock: Callable[[], float]
    random_bytes: Callable[[int], bytes]

    def session(self, metadata: ProviderMetadata, redirect_uri: str | None = None) -> OAuth2Session:
        """A session whose calls to the IdP's endpoints prove that they come from this client.

        Args:
            redirect_uri: sent with a code, whose request named it.

        Spec: RFC 6749 2.3; OIDC Core 9.
        """
        secret = self.provider.client_secret
        method = self.method(metadata)
        session = OAuth2Session(
            client_id=self.provider.client_id,
            client_secret=None if secret is None else secret.reveal(),
            token_endpoint_auth_method=str(method),
            # What an IdP says of one endpoint holds for the others (RFC 8414 2, RFC 9126 2), and a client is
            # registered with one method.
            revocation_endpoint_auth_method=str(method),
            redirect_uri=redirect_uri,
        )
        session.register_client_auth_method((str(ClientAuthMethod.CLIENT_SECRET_BASIC), _client_secret_basic))
        if method in (ClientAuthMethod.CLIENT_SECRET_JWT, ClientAuthMethod.PRIVATE_KEY_JWT):

            def asserted(client: Any, method: str, uri: str, headers: Any, body: Any) -> _Request:
                return _with_assertion(client.client_id, self._assertion(metadata), uri, headers, body)

            session.register_client_auth_method((str(method), asserted))
        return session

    def method(self, metadata: ProviderMetadata) -> ClientAuthMethod:
        """The configured method, else the way of presenting the secret that the IdP offers."""
        if self.provider.auth_method is not None:
            return self.provider.auth_method
        offered = metadata.token_endpoint_auth_methods_supported
        if "client_secret_basic" not in offered and "client_secret_post" in offered:
            return ClientAuthMethod.CLIENT_SECRET_POST
        return ClientAuthMethod.CLIENT_SECRET_BASIC

    def _assertion(self, metadata: ProviderMetadata) -> str:
        provider = self.provider
        claims = client_assertion_claims(
            client_id=provider.client_id,
            # The issuer alone, where the IdP takes it: decision 0020 says why.
            audience=metadata.token_endpoint
            if provider.assertion_audience == "token_endpoint"
            else metadata.issuer,
            jti=base64.urlsafe_b64encode(self.random_bytes(_JTI_BYTES)).decode(),
            now=int(self.clock()),
            lifetime_seconds=ASSERTION_SECONDS,
        )
        alg = provider.assertion_algorithm
        if provider.auth_method is ClientAuthMethod.CLIENT_SECRET_JWT and provider.client_secret is not None:
            return sign_hmac(claims, provider.client_secret.reveal(), alg, typ="JWT")
        entry = provider.signing_keys[0]
        chain = provider.certificate_chain
        thumbprints = x5_members(chain) if chain else {}
        header: dict[str, str] = {name: thumbprints[name] for name in _THUMBPRINTS if name in thumbprints}
        return serialize({"alg": alg, "kid": entry.kid, **header}, claims, entry.key, "JWT")


def _with_assertion(client_id: str, assertion: str, uri: str, headers: Any, body: Any) -> _Request:
    """The request with a signed proof in its form.

    Spec: RFC 7521 4.2; RFC 7523 2.2.
    """
    form = add_params_to_qs(
        body or "",
        # Which client it is, the assertion says; Entra wants it said again.
        [("client_id", client_id), ("client_assertion_type", JWT_BEARER), ("client_assertion", assertion)],
    )
    headers["Content-Length"] = str(len(form))
    return uri, headers, form


def _client_secret_basic(client: Any, method: str, uri: str, headers: Any, body: Any) -> _Request:
    """HTTP Basic with both halves form-encoded.

    Authlib's own leaves that out, which breaks on `:`, `%` and `+`.

    Spec: RFC 6749 2.3.1.
    """
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return uri, headers, body

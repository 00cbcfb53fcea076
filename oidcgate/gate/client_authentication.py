"""How the gate proves who it is at an IdP's endpoints, as the IdP and the settings want it.

Authlib's session carries the proof; which one it is, and what it says, is here. How a provider reads it is
`oidcgate.protocol.client_auth`.
"""

import base64
from typing import Any
from urllib.parse import quote_plus

from authlib.integrations.requests_client import OAuth2Session

from oidcgate.gate.provider_settings import ProviderSettings
from oidcgate.protocol.metadata import ProviderMetadata


def authenticated_session(
    provider: ProviderSettings, metadata: ProviderMetadata, redirect_uri: str | None = None
) -> OAuth2Session:
    """A session whose calls to the IdP's endpoints prove that they come from this client.

    Args:
        redirect_uri: Sent with a code, whose request named it.

    Spec: RFC 6749 2.3.
    """
    secret = provider.client_secret
    session = OAuth2Session(
        client_id=provider.client_id,
        client_secret=None if secret is None else secret.reveal(),
        token_endpoint_auth_method=auth_method(provider, metadata),
        revocation_endpoint_auth_method=auth_method(provider, metadata),
        redirect_uri=redirect_uri,
    )
    session.register_client_auth_method(("client_secret_basic", _client_secret_basic))
    return session


def auth_method(provider: ProviderSettings, metadata: ProviderMetadata) -> str:
    """The configured way of presenting the secret, else the best that the IdP offers."""
    if provider.token_endpoint_auth_method is not None:
        return provider.token_endpoint_auth_method
    offered = metadata.token_endpoint_auth_methods_supported
    if "client_secret_basic" not in offered and "client_secret_post" in offered:
        return "client_secret_post"
    return "client_secret_basic"


def _client_secret_basic(client: Any, method: str, uri: str, headers: Any, body: Any) -> tuple[str, Any, Any]:
    """HTTP Basic with both halves form-encoded.

    Authlib's own leaves that out, which breaks on `:`, `%` and `+`.

    Spec: RFC 6749 2.3.1.
    """
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return uri, headers, body

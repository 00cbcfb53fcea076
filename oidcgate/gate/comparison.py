"""What an IdP says about itself against how the gate is configured to use it. Pure.

How the document is had is `discovery` next door; what it has to hold for anybody is
`oidcgate.protocol.metadata`.
"""

from collections.abc import Iterator

from oidcgate.gate.client_settings import SIGNED_PROOFS
from oidcgate.gate.provider_settings import ProviderSettings
from oidcgate.protocol.metadata import ProviderMetadata


def differences(
    provider: ProviderSettings, metadata: ProviderMetadata, *, shares_callback: bool
) -> Iterator[str]:
    """What would fail at a sign-in, each with what to do about it.

    Args:
        shares_callback: at some host another IdP sends its answers to the same redirect URI.
    """
    if shares_callback and not metadata.iss_parameter_supported:
        yield (
            "puts no iss into its answers, which come to the redirect URI of another provider too; "
            'set provider.callback = "word", and register the redirect URI that `oidcgate check` prints then'
        )
    if metadata.scopes_supported is not None:
        missing = [scope for scope in provider.scopes if scope not in metadata.scopes_supported]
        if missing:
            yield f"does not offer {' '.join(missing)}; enable it there, or change provider.scopes"
    if not set(provider.id_token_algorithms) & set(metadata.id_token_signing_alg_values_supported):
        offered = " ".join(metadata.id_token_signing_alg_values_supported)
        yield f"signs with none of provider.id_token_algorithms; add one of {offered}"
    methods = metadata.token_endpoint_auth_methods_supported
    method = provider.auth_method
    if method is not None and method not in methods:
        yield f"does not take {method}; use one of {' '.join(methods)}"
    if method is None and not {"client_secret_basic", "client_secret_post"} & set(methods):
        yield f"takes no client secret; it offers {' '.join(methods)}"
    taken = metadata.token_endpoint_auth_signing_alg_values_supported
    if method in SIGNED_PROOFS and taken is not None and provider.assertion_algorithm not in taken:
        yield (
            f"does not take what {provider.assertion_algorithm} signs; "
            f"set provider.token_endpoint_auth_signing_alg, and a key for it, to one of {' '.join(taken)}"
        )
    if metadata.code_challenge_methods_supported and "S256" not in metadata.code_challenge_methods_supported:
        yield "offers PKCE without S256, which is the only kind used here; enable S256 there"
    if provider.pushed_authorization_requests == "always" and not (
        metadata.pushed_authorization_request_endpoint
    ):
        yield 'takes no pushed requests; set provider.pushed_authorization_requests = "offered"'
    if provider.get_user_info and metadata.userinfo_endpoint is None:
        yield "has no userinfo endpoint; set provider.get_user_info = false"
    if provider.session_check_seconds and metadata.check_session_iframe is None:
        yield "has no check_session_iframe; enable session management there, or set session_check_seconds = 0"

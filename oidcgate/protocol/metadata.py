"""What a provider says about itself, checked by the relying party.

What our own provider says is built in `provider.endpoints.discovery`. Fetching is `oidcgate.net`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from authlib.oidc.discovery import OpenIDProviderMetadata

from oidcgate.jose.keys import SIGNING_ALGORITHMS
from oidcgate.protocol.errors import Reason, Refused
from oidcgate.protocol.tenants import TENANT_PLACE
from oidcgate.protocol.urls import endpoint_problem, issuer_problem

_WELL_KNOWN: Final = "/.well-known/openid-configuration"
# How much of an issuer that somebody else wrote goes into a message.
_SHOWN_CHARACTERS: Final = 200
_REQUIRED_URLS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_OPTIONAL_URLS: Final = (
    "userinfo_endpoint",
    "end_session_endpoint",
    "revocation_endpoint",
    "check_session_iframe",
    "pushed_authorization_request_endpoint",
)
_REQUIRED_LISTS: Final = (
    "response_types_supported",
    "subject_types_supported",
    "id_token_signing_alg_values_supported",
)
_OPTIONAL_LISTS: Final = (
    "scopes_supported",
    "response_modes_supported",
    "grant_types_supported",
    "token_endpoint_auth_methods_supported",
    "code_challenge_methods_supported",
)
# Those of a shared secret among them: whether any is believed is the gate's setting.
_KNOWN_ALGORITHMS: Final = frozenset({*SIGNING_ALGORITHMS, "HS256", "HS384", "HS512"})
_OF_THE_REQUEST: Final = frozenset({
    "client_id", "code_challenge", "code_challenge_method", "nonce", "redirect_uri", "request", "request_uri",
    "response_mode", "response_type", "scope", "state",
})  # fmt: skip
# Providers in use leave it out, although RFC 8414 2 wants it beside private_key_jwt: none of Authlib's.
_PROOF_LIST: Final = "token_endpoint_auth_signing_alg_values_supported"
# Of Authlib's checks, those of lists that are used here. URLs are judged by `oidcgate.protocol.urls`, more
# strictly. The others would refuse providers in use over members nobody reads, and its check of the ID token
# algorithms insists on RS256 even where both sides have agreed on something better.
_NO_CODES: Final = (
    "'code' is not among them, and oidcgate signs people in by the authorization code flow alone; "
    "switch that flow on at the provider"
)
_CHECKED_BY_AUTHLIB: Final = ("response_types_supported", "subject_types_supported", *_OPTIONAL_LISTS)


@dataclass(frozen=True)
class ProviderMetadata:
    """What is used of a provider's metadata.

    Attributes:
        id_token_signing_alg_values_supported: Those we know too, in the provider's order.
        iss_parameter_supported: It promises `iss` in every authorization response (RFC 9207).
        token_endpoint_auth_signing_alg_values_supported, scopes_supported: None when it does not say.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    end_session_endpoint: str | None
    revocation_endpoint: str | None
    check_session_iframe: str | None
    pushed_authorization_request_endpoint: str | None
    require_pushed_authorization_requests: bool
    id_token_signing_alg_values_supported: tuple[str, ...]
    token_endpoint_auth_methods_supported: tuple[str, ...]
    token_endpoint_auth_signing_alg_values_supported: tuple[str, ...] | None
    code_challenge_methods_supported: tuple[str, ...]
    scopes_supported: tuple[str, ...] | None
    iss_parameter_supported: bool


def configuration_url(issuer: str) -> str:
    """Return where the metadata of `issuer` is. Spec: OIDC Discovery 4."""
    return issuer.removesuffix("/") + _WELL_KNOWN


def issuer_of(configuration_url: str) -> str:
    """Return the issuer whose metadata has to be at `configuration_url`.

    Raises:
        ValueError: The URL does not end as such a URL has to.

    Spec: OIDC Discovery 4.
    """
    if not configuration_url.endswith(_WELL_KNOWN):
        raise ValueError(f"a configuration URL ends in {_WELL_KNOWN}")
    return configuration_url.removesuffix(_WELL_KNOWN)


def same_issuer(one: str, other: str) -> bool:
    """Whether two issuer identifiers are the same: byte for byte, a slash at the end included.

    Spec: OIDC Discovery 4.3; RFC 8414 3.3.
    """
    return one == other


def check_provider_metadata(
    document: Mapping[str, Any], expected_issuer: str, *, insecure_allow_http_loopback: bool = False
) -> ProviderMetadata:
    """Return the metadata in `document` if it is that of `expected_issuer` and can be used.

    Args:
        document: The JSON object found at the configuration URL.
        expected_issuer: Who has to speak in it.
        insecure_allow_http_loopback: Let its URLs be http on this machine.

    Raises:
        Refused: METADATA_ISSUER: it speaks for another issuer (mix-up, RFC 9207); METADATA_INVALID: `detail`
            names the member that is missing, malformed or not https.

    Spec: OIDC Discovery 3, 4.3; RFC 8414 2, 3.3.
    """
    issuer = document.get("issuer")
    if not isinstance(issuer, str) or not same_issuer(issuer, expected_issuer):
        said = ascii(issuer)[:_SHOWN_CHARACTERS] if isinstance(issuer, str) else "missing"
        raise Refused(
            Reason.METADATA_ISSUER,
            f"the metadata's issuer is {said}, the configured one {expected_issuer!r}; they must be the same",
        )
    problem = issuer_problem(
        issuer.replace(TENANT_PLACE, "any"), insecure_allow_http_loopback=insecure_allow_http_loopback
    )
    if problem is not None:
        raise _invalid("issuer", problem)
    urls = {name: _required_url(document, name, insecure_allow_http_loopback) for name in _REQUIRED_URLS}
    _check_query_of(urls["authorization_endpoint"])
    optional_urls = {name: _url(document, name, insecure_allow_http_loopback) for name in _OPTIONAL_URLS}
    lists = {name: _list(document, name) for name in (*_REQUIRED_LISTS, *_OPTIONAL_LISTS, _PROOF_LIST)}
    _check_with_authlib(document)
    if "code" not in (lists["response_types_supported"] or ()):
        raise _invalid("response_types_supported", _NO_CODES)
    offered = lists["id_token_signing_alg_values_supported"] or ()
    algorithms = tuple(alg for alg in offered if alg in _KNOWN_ALGORITHMS)
    if not algorithms:
        raise _invalid("id_token_signing_alg_values_supported", "none of these algorithms is known")
    return ProviderMetadata(
        issuer=issuer,
        authorization_endpoint=urls["authorization_endpoint"],
        token_endpoint=urls["token_endpoint"],
        jwks_uri=urls["jwks_uri"],
        userinfo_endpoint=optional_urls["userinfo_endpoint"],
        end_session_endpoint=optional_urls["end_session_endpoint"],
        revocation_endpoint=optional_urls["revocation_endpoint"],
        check_session_iframe=optional_urls["check_session_iframe"],
        pushed_authorization_request_endpoint=optional_urls["pushed_authorization_request_endpoint"],
        require_pushed_authorization_requests=_switch(document, "require_pushed_authorization_requests"),
        id_token_signing_alg_values_supported=algorithms,
        # RFC 8414 2: the default when it is left out.
        token_endpoint_auth_methods_supported=lists["token_endpoint_auth_methods_supported"]
        or ("client_secret_basic",),
        token_endpoint_auth_signing_alg_values_supported=lists[_PROOF_LIST],
        code_challenge_methods_supported=lists["code_challenge_methods_supported"] or (),
        scopes_supported=lists["scopes_supported"],
        iss_parameter_supported=_switch(document, "authorization_response_iss_parameter_supported"),
    )


def _check_with_authlib(document: Mapping[str, Any]) -> None:
    metadata = OpenIDProviderMetadata(document)
    for member in _CHECKED_BY_AUTHLIB:
        validate: Callable[[], None] = getattr(metadata, f"validate_{member}")
        try:
            validate()
        except ValueError as error:
            raise _invalid(member, str(error)) from None


def _url(document: Mapping[str, Any], name: str, http_loopback: bool) -> str | None:
    value = document.get(name)
    if value is None:
        return None
    problem = (
        endpoint_problem(value, insecure_allow_http_loopback=http_loopback)
        if isinstance(value, str)
        else "not a string"
    )
    if problem is not None:
        raise _invalid(name, problem)
    return str(value)


def _required_url(document: Mapping[str, Any], name: str, http_loopback: bool) -> str:
    url = _url(document, name, http_loopback)
    if url is None:
        raise _invalid(name, "missing")
    return url


def _check_query_of(authorization_endpoint: str) -> None:
    """Refuse an endpoint whose own query has a parameter of the request, which would then be there twice."""
    names = {name for name, _ in parse_qsl(urlsplit(authorization_endpoint).query, keep_blank_values=True)}
    if ours := sorted(names & _OF_THE_REQUEST):
        raise _invalid("authorization_endpoint", f"its query has {', '.join(ours)}, which each request sets")


def _switch(document: Mapping[str, Any], name: str) -> bool:
    value = document.get(name, False)
    if not isinstance(value, bool):
        raise _invalid(name, "not a boolean")
    return value


def _list(document: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    value = document.get(name)
    if value is None:
        if name in _REQUIRED_LISTS:
            raise _invalid(name, "missing")
        return None
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise _invalid(name, "not a list of strings")
    return tuple(value)


def _invalid(name: str, problem: str) -> Refused:
    return Refused(Reason.METADATA_INVALID, f"{name}: {problem}")

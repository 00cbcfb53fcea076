"""The one module of the config plan: the metadata, member by member."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tests.conformance.op import id_token
from tests.conformance.op.outcome import Failure, need
from tests.conformance.op.registry import module
from tests.conformance.op.run import Run

_CLAUSE = "OIDC Discovery 3"
#: The registered members by the kind of their value. Spec: IANA, OAuth Authorization Server Metadata.
_URLS = {
    "issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri",
    "registration_endpoint", "service_documentation", "op_policy_uri", "op_tos_uri", "revocation_endpoint",
    "introspection_endpoint",
    "device_authorization_endpoint", "pushed_authorization_request_endpoint", "end_session_endpoint",
    "check_session_iframe", "backchannel_authentication_endpoint",
}  # fmt: skip
_LISTS = {
    "scopes_supported", "response_types_supported", "response_modes_supported", "grant_types_supported",
    "acr_values_supported", "subject_types_supported", "id_token_signing_alg_values_supported",
    "id_token_encryption_alg_values_supported", "id_token_encryption_enc_values_supported",
    "userinfo_signing_alg_values_supported", "userinfo_encryption_alg_values_supported",
    "userinfo_encryption_enc_values_supported", "request_object_signing_alg_values_supported",
    "request_object_encryption_alg_values_supported", "request_object_encryption_enc_values_supported",
    "token_endpoint_auth_methods_supported", "token_endpoint_auth_signing_alg_values_supported",
    "display_values_supported", "claim_types_supported", "claims_supported", "claims_locales_supported",
    "ui_locales_supported", "revocation_endpoint_auth_methods_supported",
    "revocation_endpoint_auth_signing_alg_values_supported", "introspection_endpoint_auth_methods_supported",
    "introspection_endpoint_auth_signing_alg_values_supported", "code_challenge_methods_supported",
    "authorization_signing_alg_values_supported", "authorization_encryption_alg_values_supported",
    "authorization_encryption_enc_values_supported", "introspection_signing_alg_values_supported",
    "introspection_encryption_alg_values_supported", "introspection_encryption_enc_values_supported",
    "dpop_signing_alg_values_supported", "authorization_details_types_supported", "prompt_values_supported",
    "backchannel_token_delivery_modes_supported", "protected_resources",
    "backchannel_authentication_request_signing_alg_values_supported",
}  # fmt: skip
_BOOLEANS = {
    "claims_parameter_supported", "request_parameter_supported", "request_uri_parameter_supported",
    "require_request_uri_registration", "tls_client_certificate_bound_access_tokens",
    "require_signed_request_object",
    "require_pushed_authorization_requests", "authorization_response_iss_parameter_supported",
    "backchannel_logout_supported", "backchannel_logout_session_supported", "frontchannel_logout_supported",
    "frontchannel_logout_session_supported", "backchannel_user_code_parameter_supported",
}  # fmt: skip
_OTHERS = {"mtls_endpoint_aliases", "signed_metadata"}
_REQUIRED = (
    "issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "response_types_supported",
    "subject_types_supported", "id_token_signing_alg_values_supported",
)  # fmt: skip
_RESPONSE_TYPE_WORDS = {"code", "token", "id_token", "none"}
_ALGORITHMS = re.compile(r"(RS|PS|ES|HS)(256|384|512)|ES256K|EdDSA|Ed25519|Ed448|ML-DSA-\d+|none")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


@module("oidcc-discovery-endpoint-verification")
def _metadata(run: Run) -> None:
    answer = run.fetch(f"{run.target.issuer.rstrip('/')}/.well-known/openid-configuration")
    need(answer.status == 200, f"discovery answered {answer.status}", "OIDC Discovery 4.2")
    content_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    need(content_type == "application/json", f"discovery is {content_type!r}", "OIDC Discovery 4.2")
    metadata = answer.json
    if not isinstance(metadata, dict):
        raise Failure("discovery is no JSON object", "OIDC Discovery 4.2")
    for name in _REQUIRED:
        need(name in metadata, f"{name} is missing", _CLAUSE)
    issuer = metadata["issuer"]
    need(
        issuer == run.target.issuer, f"issuer is {issuer!r}, not {run.target.issuer!r}", "OIDC Discovery 4.3"
    )
    _check_kinds(run, metadata)
    _check_endpoints(run, metadata)
    _check_values(run, metadata)
    if run.variant.registers:
        _check_dynamic(run, metadata)
    jwks = run.fetch(metadata["jwks_uri"])
    need(jwks.status == 200, f"jwks_uri answered {jwks.status}", _CLAUSE)
    keys = id_token.check_key_set(jwks.json)
    signing = [key for key in keys if key["kty"] == "RSA" and key.get("use") != "enc"]
    need(bool(signing), "the JWKS has no RSA key for RS256", _CLAUSE)


def _check_kinds(run: Run, metadata: Mapping[str, Any]) -> None:
    for name, value in metadata.items():
        if name in _URLS:
            need(isinstance(value, str), f"{name} is {value!r}, no URL", _CLAUSE)
        elif name in _LISTS:
            strings = isinstance(value, list) and all(isinstance(item, str) for item in value)
            need(strings, f"{name} is {value!r}, no array of strings", _CLAUSE)
            need(len(value) == len(set(value)), f"{name} repeats a value: {value!r}", _CLAUSE)
            need(bool(value), f"{name} is empty, and should be left out", "RFC 8414 3.2")
        elif name in _BOOLEANS:
            need(isinstance(value, bool), f"{name} is {value!r}, neither true nor false", _CLAUSE)
        else:
            run.warn_unless(name in _OTHERS, f"the metadata has an unregistered member {name}", _CLAUSE)


def _check_endpoints(run: Run, metadata: Mapping[str, Any]) -> None:
    aliases = metadata.get("mtls_endpoint_aliases", {})
    for name, url in {**metadata, **aliases}.items():
        if name in _URLS or name.endswith("_endpoint"):
            parts = urlsplit(url)
            need(parts.scheme == "https" and bool(parts.netloc), f"{name} is {url!r}, not https", _CLAUSE)
            need(not parts.fragment, f"{name} has a fragment: {url!r}", "RFC 6749 3.1")
    issuer = urlsplit(metadata["issuer"])
    need(not issuer.query and not issuer.fragment, "issuer has a query or fragment", "RFC 8414 2")
    run.warn_unless("userinfo_endpoint" in metadata, "userinfo_endpoint is missing", _CLAUSE)


def _check_values(run: Run, metadata: Mapping[str, Any]) -> None:
    types = [set(value.split()) for value in metadata["response_types_supported"]]
    unknown = sorted(word for words in types for word in words - _RESPONSE_TYPE_WORDS)
    need(not unknown, f"response_types_supported has {unknown}", _CLAUSE)
    grants = metadata.get("grant_types_supported", ["authorization_code", "implicit"])
    for words in types:
        need(
            "code" not in words or "authorization_code" in grants,
            "grant_types_supported lacks authorization_code",
            _CLAUSE,
        )
        implicit = bool(words & {"token", "id_token"})
        need(not implicit or "implicit" in grants, "grant_types_supported lacks implicit", _CLAUSE)
    subjects = metadata["subject_types_supported"]
    need(set(subjects) <= {"public", "pairwise"}, f"subject_types_supported is {subjects}", _CLAUSE)
    algorithms = metadata["id_token_signing_alg_values_supported"]
    need("RS256" in algorithms, f"id_token_signing_alg_values_supported lacks RS256: {algorithms}", _CLAUSE)
    for name in [name for name in metadata if name.endswith("signing_alg_values_supported")]:
        odd = [value for value in metadata[name] if not _ALGORITHMS.fullmatch(value)]
        need(not odd, f"{name} has {odd}", "RFC 7518 3.1")
    objects = metadata.get("request_object_signing_alg_values_supported", ["RS256"])
    run.warn_unless(
        "RS256" in objects, f"request_object_signing_alg_values_supported lacks RS256: {objects}", _CLAUSE
    )
    for name in ("claims_supported", "scopes_supported"):
        run.warn_unless(name in metadata, f"{name} is missing", _CLAUSE)
    scopes = metadata.get("scopes_supported", ["openid"])
    need("openid" in scopes, f"scopes_supported lacks openid: {scopes}", _CLAUSE)
    odd = [scope for scope in scopes if not _SCOPE.fullmatch(scope)]
    need(not odd, f"scopes_supported has {odd}", "RFC 6749 3.3")
    for name in ("ui_locales_supported", "claims_locales_supported"):
        odd = [value for value in metadata.get(name, []) if not _LANGUAGE.fullmatch(value)]
        need(not odd, f"{name} has {odd}", "RFC 5646 2.1")
        cased = [value for value in metadata.get(name, []) if value != _canonical(value)]
        run.warn_unless(not cased, f"{name} is cased unusually: {cased}", "RFC 5646 2.1.1")


def _canonical(tag: str) -> str:
    first, *rest = tag.split("-")
    casing = {2: str.upper, 4: str.title}
    return "-".join([first.lower(), *(casing.get(len(part), str.lower)(part) for part in rest)])


def _check_dynamic(run: Run, metadata: Mapping[str, Any]) -> None:
    """What a provider has to have whose clients register themselves. Spec: OIDC Core 15.2."""
    clause = "OIDC Core 15.2"
    need("registration_endpoint" in metadata, "registration_endpoint is missing", clause)
    types = [set(value.split()) for value in metadata["response_types_supported"]]
    for words in ({"code"}, {"id_token"}, {"id_token", "token"}):
        need(words in types, f"response_types_supported lacks {' '.join(sorted(words))}", clause)
    if "private_key_jwt" in metadata.get("token_endpoint_auth_methods_supported", []):
        algorithms = metadata.get("token_endpoint_auth_signing_alg_values_supported", [])
        run.warn_unless(
            "RS256" in algorithms,
            f"token_endpoint_auth_signing_alg_values_supported lacks RS256: {algorithms}",
            "RFC 8414 2",
        )

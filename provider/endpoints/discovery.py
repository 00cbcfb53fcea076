"""Discovery: what this provider can do, as OIDC and as RFC 8414 metadata.

Says what is there and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from werkzeug import Request, Response

from oidcgate.jose.jwe import CONTENT_ALGORITHMS, KEY_ALGORITHMS
from oidcgate.jose.keys import SIGNING_ALGORITHMS
from oidcgate.jose.shared_secret import HMAC_ALGORITHMS
from oidcgate.protocol.request_object import UNSIGNED
from oidcgate.protocol.response_type import RESPONSE_TYPES
from provider.client_crypto import AUTH_METHODS
from provider.endpoints.answers import json_response
from provider.endpoints.check_session import PATH as CHECK_SESSION
from provider.information_settings import InformationSettings
from provider.realm import Realm
from provider.request_object_settings import RequestObjectSettings
from provider.services.authentication_context import reachable
from provider.services.frame_origins import FrameOrigins
from provider.services.registration import PATH as REGISTER
from provider.services.responses import ResponseMode

#: Long enough to spare a round trip per sign-in, short enough for a change to be seen the same hour.
MAX_AGE_SECONDS: Final = 300


@dataclass(frozen=True)
class Discovery:
    """Spec: OIDC Discovery 1.0 section 3, 4; RFC 8414 section 2, 3; RFC 9207 section 3;
        RFC 8628 section 4; RFC 9101 section 10.5; OIDC Session Management 1.0 section 3.3.

    Attributes:
        grant_types: the table of the token endpoint.
        frames: who may frame the page that compares the state of a session.
    """

    grant_types: Sequence[str]
    frames: FrameOrigins

    def __call__(self, realm: Realm, _request: Request) -> Response:
        """The metadata document of the realm."""
        return json_response(self.document(realm), cache_control=f"public, max-age={MAX_AGE_SECONDS}")

    def document(self, realm: Realm) -> dict[str, Any]:
        """The members. A false default that a client would guess wrong is written out."""
        catalogue = realm.catalogue
        claims = [
            claim.name for claim in catalogue.claims.values() if claim.discoverable and claim.property != ""
        ]
        implicit = realm.settings.insecure_oauth_implicit
        assertion_algorithms = [*SIGNING_ALGORITHMS, *HMAC_ALGORITHMS]
        return {
            "issuer": realm.issuer,
            "authorization_endpoint": realm.url("/authorize"),
            "token_endpoint": realm.url("/token"),
            "userinfo_endpoint": realm.url("/userinfo"),
            "device_authorization_endpoint": realm.url("/device_authorization"),
            "jwks_uri": realm.url("/jwks"),
            "end_session_endpoint": realm.url("/end_session"),
            "backchannel_logout_supported": True,
            "backchannel_logout_session_supported": True,
            "frontchannel_logout_supported": True,
            "frontchannel_logout_session_supported": True,
            **({"check_session_iframe": realm.url(CHECK_SESSION)} if self.frames.of(realm) else {}),
            "introspection_endpoint": realm.url("/introspect"),
            "revocation_endpoint": realm.url("/revoke"),
            **({"registration_endpoint": realm.url(REGISTER)} if realm.settings.registration.enabled else {}),
            "scopes_supported": [scope.value for scope in catalogue.scopes.values() if scope.discoverable],
            "response_types_supported": [name for name in RESPONSE_TYPES if implicit or name != "token"],
            "response_modes_supported": [mode.value for mode in ResponseMode],
            "grant_types_supported": [*self.grant_types, "implicit"],
            **_pages(realm.settings.information),
            "subject_types_supported": list(realm.settings.subjects.types),
            "id_token_signing_alg_values_supported": list(realm.settings.offered_algorithms),
            "id_token_encryption_alg_values_supported": list(KEY_ALGORITHMS),
            "id_token_encryption_enc_values_supported": list(CONTENT_ALGORITHMS),
            "userinfo_signing_alg_values_supported": list(realm.settings.offered_algorithms),
            "userinfo_encryption_alg_values_supported": list(KEY_ALGORITHMS),
            "userinfo_encryption_enc_values_supported": list(CONTENT_ALGORITHMS),
            "token_endpoint_auth_methods_supported": list(AUTH_METHODS),
            "token_endpoint_auth_signing_alg_values_supported": assertion_algorithms,
            # A client without a secret may give its tokens back, but not ask about others'.
            "introspection_endpoint_auth_methods_supported": [one for one in AUTH_METHODS if one != "none"],
            "introspection_endpoint_auth_signing_alg_values_supported": assertion_algorithms,
            "revocation_endpoint_auth_methods_supported": list(AUTH_METHODS),
            "revocation_endpoint_auth_signing_alg_values_supported": assertion_algorithms,
            "code_challenge_methods_supported": ["S256"],
            "acr_values_supported": list(reachable(realm.settings.second_factor.mode != "off")),
            "claim_types_supported": ["normal"],
            "claims_supported": [
                "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "c_hash",
                "sid",
                *(("org_id", "org_name") if catalogue.organizations else ()),
                *claims,
            ],
            "claims_parameter_supported": True,
            **_request_objects(realm.settings.request_objects),
            "authorization_response_iss_parameter_supported": True,
        }  # fmt: skip


def _pages(information: InformationSettings) -> dict[str, str]:
    named = {
        "op_policy_uri": information.policy_uri,
        "op_tos_uri": information.tos_uri,
        "service_documentation": information.documentation,
    }
    return {name: uri for name, uri in named.items() if uri}


def _request_objects(settings: RequestObjectSettings) -> dict[str, Any]:
    """What is said of them. Where a request URI is taken, it is a registered one."""
    said: dict[str, Any] = {
        "request_parameter_supported": settings.by_value,
        "request_uri_parameter_supported": settings.by_reference,
        "require_request_uri_registration": settings.by_reference,
    }
    if settings.enabled:
        unsigned = (UNSIGNED,) if settings.insecure_allow_unsigned else ()
        said["request_object_signing_alg_values_supported"] = [
            *SIGNING_ALGORITHMS, *HMAC_ALGORITHMS, *unsigned
        ]  # fmt: skip
        said["require_signed_request_object"] = settings.require_signed
    if settings.encryption_algorithms:
        said["request_object_encryption_alg_values_supported"] = list(settings.encryption_algorithms)
        said["request_object_encryption_enc_values_supported"] = list(CONTENT_ALGORITHMS)
    return said

"""What an honest provider may do otherwise than the peer: the modules have to let it pass, or be skipped."""

from dataclasses import dataclass
from typing import Any

from tests.conformance.lie_table import (
    CODE_ONLY,
    DISCOVERY,
    PROMISED,
    REQUEST_OBJECT,
    REQUEST_URI,
)
from tests.conformance.lies import (
    GONE,
    asserts,
    keys,
    refreshes,
    says,
    sends,
    shows_a_page,
    unpacks_request_objects,
)
from tests.conformance.lies_to_clients import pages_with, serves_pictures_itself, userinfo_asserts
from tests.conformance.lying_proxy import Lie
from tests.conformance.op.plans import DYNAMIC, Entry
from tests.conformance.op.variant import Variant
from tests.conformance.sign_out_lies import ends_with, notices_later, silent_requests, tells


@dataclass(frozen=True)
class Otherwise:
    """A module, what is otherwise, and what comes of it."""

    module: str
    way: Lie
    result: str = "passed"
    response_type: str = "code"
    registers: bool = False

    @property
    def entry(self) -> Entry:
        if self.registers:
            return Entry("otherwise", DYNAMIC, self.module)
        return Entry("otherwise", Variant(self.response_type), self.module)


def in_a_list(old: object) -> list[object]:
    return [old]


def only_the_last_without_name(old: Any) -> Any:
    return [{name: value for name, value in old[-1].items() if name != "kid"}]


TOLD = "oidcc-backchannel-rp-initiated-logout"
NO_ISS = says("metadata", authorization_response_iss_parameter_supported=GONE) + sends(iss=GONE)
_ONLY_SIGNED = says(
    "metadata", request_parameter_supported=True, request_object_signing_alg_values_supported=["RS256"]
)
#: What the metadata need not have.
SMALLEST: dict[str, Any] = dict.fromkeys(
    (
        "acr_values_supported",
        "claim_types_supported",
        "claims_parameter_supported",
        "code_challenge_methods_supported",
        "grant_types_supported",
        "response_modes_supported",
        "token_endpoint_auth_methods_supported",
        "userinfo_signing_alg_values_supported",
    ),
    GONE,
)

WAYS: dict[str, Otherwise] = {
    "iss-not-announced": Otherwise("oidcc-server", NO_ISS),
    "session-state": Otherwise("oidcc-server", sends(session_state="x.y")),
    "aud-in-a-list": Otherwise("oidcc-server", asserts(aud=in_a_list)),
    "azp": Otherwise("oidcc-server", asserts(azp="basic")),
    "no-at-hash-from-the-token-endpoint": Otherwise("oidcc-server", asserts(at_hash=GONE)),
    "one-key-without-name": Otherwise(
        "oidcc-server",
        asserts(header={"kid": None}) + says("jwks", keys=only_the_last_without_name),
    ),
    "keys-without-use": Otherwise("oidcc-server", keys(use=GONE, alg=GONE)),
    "token-type-in-small-letters": Otherwise("oidcc-server", says("token", token_type="bearer")),
    "no-expires-in": Otherwise("oidcc-server", says("token", expires_in=GONE)),
    "birthdate-without-year": Otherwise("oidcc-userinfo-get", says("userinfo", birthdate="0000-01-31")),
    "birthdate-a-year": Otherwise("oidcc-userinfo-get", says("userinfo", birthdate="1990")),
    "no-auth-time": Otherwise("oidcc-prompt-login", asserts(auth_time=GONE)),
    "interaction-required": Otherwise("oidcc-prompt-none-not-logged-in", sends(error="interaction_required")),
    "page-for-a-missing-response-type": Otherwise(
        "oidcc-response-type-missing", shows_a_page(400, "response_type", present=False)
    ),
    "unsupported-response-type": Otherwise(
        "oidcc-response-type-missing", sends(error="unsupported_response_type")
    ),
    "page-for-a-missing-nonce": Otherwise(
        "oidcc-ensure-request-without-nonce-fails",
        shows_a_page(400, "nonce", present=False),
        response_type="id_token",
    ),
    "no-scope-phone": Otherwise(
        "oidcc-scope-phone", says("metadata", scopes_supported=["openid"]), "skipped"
    ),
    "request-uri-by-default": Otherwise(
        REQUEST_URI, says("metadata", request_uri_parameter_supported=GONE), "skipped"
    ),
    "request-objects": Otherwise(REQUEST_OBJECT, PROMISED + unpacks_request_objects()),
    "request-objects-of-hybrid": Otherwise(
        REQUEST_OBJECT, PROMISED + unpacks_request_objects(), response_type="code id_token"
    ),
    "signed-request-objects-only": Otherwise(REQUEST_OBJECT, _ONLY_SIGNED, "skipped"),
    "signed-request-objects-only-and-redirect-uri": Otherwise(
        "oidcc-ensure-request-object-with-redirect-uri", _ONLY_SIGNED, "skipped"
    ),
    "redirect-uri-of-the-object": Otherwise(
        "oidcc-ensure-request-object-with-redirect-uri", PROMISED + unpacks_request_objects()
    ),
    "no-refresh-tokens": Otherwise(
        "oidcc-refresh-token", says("token", refresh_token=GONE) + CODE_ONLY, "skipped"
    ),
    "no-id-token-when-refreshed": Otherwise("oidcc-refresh-token", refreshes(id_token=GONE)),
    "same-refresh-token-again": Otherwise("oidcc-refresh-token", refreshes(refresh_token=GONE)),
    "smallest-metadata": Otherwise(DISCOVERY, says("metadata", **SMALLEST)),
    **{
        f"error-page-{which}": Otherwise(f"oidcc-rp-initiated-logout-{which}", ends_with(400))
        for which in ("bad-post-logout-redirect-uri", "modified-id-token-hint", "no-id-token-hint")
    },
    "told-later": Otherwise(TOLD, notices_later(0.2)),
    "logout-token-without-sub": Otherwise(TOLD, tells(sub=GONE)),
    "logout-token-with-its-type": Otherwise(TOLD, tells(header={"typ": "logout+jwt"})),
    "logout-token-for-one-in-a-list": Otherwise(TOLD, tells(aud=in_a_list)),
    "interaction-required-after-a-sign-out": Otherwise(
        "oidcc-rp-initiated-logout", silent_requests("interaction_required")
    ),
    "languages": Otherwise(DISCOVERY, says("metadata", ui_locales_supported=["en", "de-CH", "zh-Hant-TW"])),
}


def _to_clients(module: str, way: Lie, result: str = "passed") -> Otherwise:
    return Otherwise(module, way, result, registers=True)


_NO_MANAGEMENT = says("registration", registration_client_uri=GONE, registration_access_token=GONE)
_LOGO = "oidcc-registration-logo-uri"
#: The same where clients register themselves.
DYNAMIC_WAYS: dict[str, Otherwise] = {
    "page-for-a-missing-redirect-uri": _to_clients(
        "oidcc-ensure-redirect-uri-in-authorization-request",
        shows_a_page(400, "redirect_uri", present=False),
    ),
    "no-management": _to_clients("oidcc-server", _NO_MANAGEMENT),
    "a-secret-nobody-needs": _to_clients(
        "oidcc-server", says("registration", client_secret="s", client_secret_expires_at=0)
    ),
    "a-client-without-name": _to_clients(
        "oidcc-server", says("registration", client_name=GONE, contacts=GONE)
    ),
    "more-than-was-asked-for": _to_clients(
        "oidcc-server",
        says("registration", grant_types=lambda old: ["implicit", *old], response_types=["id_token", "code"]),
    ),
    "more-grant-types-than-announced": _to_clients(
        "oidcc-server", says("metadata", grant_types_supported=GONE)
    ),
    "logo-from-the-provider": _to_clients(_LOGO, serves_pictures_itself()),
    "logos-from-everywhere": _to_clients(
        _LOGO, pages_with("Content-Security-Policy", "default-src 'none'; img-src https:")
    ),
    "userinfo-for-several": _to_clients(
        "oidcc-userinfo-rs256", userinfo_asserts(aud=in_a_list, iat=GONE, exp=GONE)
    ),
    "no-unsigned-id-tokens": _to_clients(
        "oidcc-idtoken-unsigned", says("metadata", id_token_signing_alg_values_supported=["RS256"]), "skipped"
    ),
    "no-pairwise": _to_clients(
        "oidcc-registration-sector-uri", says("metadata", subject_types_supported=["public"]), "skipped"
    ),
    "no-pairwise-and-no-sector": _to_clients(
        "oidcc-registration-sector-bad", says("metadata", subject_types_supported=["public"]), "skipped"
    ),
    "request-uri-of-signed-objects-by-default": _to_clients(
        "oidcc-request-uri-signed-rs256",
        says(
            "metadata",
            request_uri_parameter_supported=GONE,
            request_object_signing_alg_values_supported=GONE,
        ),
    ),
    "redirect-uri-of-a-signed-object": _to_clients(
        "oidcc-ensure-request-object-with-redirect-uri", _ONLY_SIGNED
    ),
    "no-unsigned-request-objects": _to_clients(
        "oidcc-request-uri-unsigned",
        says("metadata", request_object_signing_alg_values_supported=["RS256"]),
        "skipped",
    ),
}

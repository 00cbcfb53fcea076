"""The certification's plans: which modules, in which variants, in its order."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from tests.conformance.op import (
    accepted,
    backchannel,
    codes,
    discovery,
    frontchannel,
    logout,
    people,
    redirect_uris,
    refusals,
    registrations,
    request_uris,
    rotation,
    session_management,
    sessions,
    shown,
    third_party_init,
)
from tests.conformance.op.registry import MODULES
from tests.conformance.op.target import Target
from tests.conformance.op.variant import Variant

#: Where modules are; importing them registers them.
SUBJECTS = (
    accepted, backchannel, codes, discovery, frontchannel, logout, people, redirect_uris, refusals,
    registrations, request_uris, rotation, session_management, sessions, shown, third_party_init,
)  # fmt: skip

_SCOPES = (
    "oidcc-scope-profile", "oidcc-scope-email", "oidcc-scope-address", "oidcc-scope-phone", "oidcc-scope-all",
)  # fmt: skip
_USERINFO = ("oidcc-userinfo-get", "oidcc-userinfo-post-header", "oidcc-userinfo-post-body")
_PARAMETERS = (
    "oidcc-display-page", "oidcc-display-popup", "oidcc-prompt-login", "oidcc-prompt-none-not-logged-in",
    "oidcc-prompt-none-logged-in", "oidcc-max-age-1", "oidcc-max-age-10000",
    "oidcc-ensure-request-with-unknown-parameter-succeeds", "oidcc-id-token-hint", "oidcc-login-hint",
    "oidcc-ui-locales", "oidcc-claims-locales", "oidcc-ensure-request-with-acr-values-succeeds",
)  # fmt: skip
_OBJECTS = (
    "oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported",
    "oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported",
)
_NONCE_NEEDED = "oidcc-ensure-request-without-nonce-fails"
_NONCE_NOT_NEEDED = "oidcc-ensure-request-without-nonce-succeeds-for-code-flow"
_ALTERNATE = "oidcc-alternate-happy-flow"
_SECRET_POST = "oidcc-server-client-secret-post"
#: What is not repeated for every response type with code.
_ONCE = (
    "oidcc-response-type-missing", "oidcc-idtoken-unsigned", _ALTERNATE, "oidcc-ensure-post-request-succeeds",
    "oidcc-ensure-request-with-valid-pkce-succeeds",
)  # fmt: skip


def _with_code(nonce: str, *, once: tuple[str, ...]) -> list[str]:
    """The list of a response type with code, with these of what is not repeated for every one."""
    chosen = [
        "oidcc-server", "oidcc-response-type-missing", "oidcc-idtoken-signature", "oidcc-idtoken-unsigned",
        *_USERINFO, nonce, *_SCOPES, _ALTERNATE, *_PARAMETERS, "oidcc-codereuse", "oidcc-codereuse-30seconds",
        "oidcc-ensure-registered-redirect-uri", "oidcc-ensure-post-request-succeeds", _SECRET_POST, *_OBJECTS,
        "oidcc-claims-essential", "oidcc-ensure-request-object-with-redirect-uri", "oidcc-refresh-token",
        "oidcc-ensure-request-with-valid-pkce-succeeds",
    ]  # fmt: skip
    return [name for name in chosen if name not in _ONCE or name in once]


_BASIC = _with_code(_NONCE_NOT_NEEDED, once=_ONCE)
_IMPLICIT = [
    "oidcc-server", "oidcc-idtoken-signature", _NONCE_NEEDED, *_SCOPES, _ALTERNATE, *_PARAMETERS,
    "oidcc-ensure-registered-redirect-uri", *_OBJECTS, "oidcc-ensure-request-object-with-redirect-uri",
    "oidcc-claims-essential",
]  # fmt: skip
_HYBRID_ONCE = ("oidcc-response-type-missing", _ALTERNATE, "oidcc-ensure-request-with-valid-pkce-succeeds")
_DYNAMIC = [
    "oidcc-idtoken-rs256", "oidcc-idtoken-unsigned", "oidcc-userinfo-rs256",
    "oidcc-ensure-redirect-uri-in-authorization-request", "oidcc-redirect-uri-query-OK",
    "oidcc-redirect-uri-query-mismatch", "oidcc-redirect-uri-query-added", "oidcc-redirect-uri-regfrag",
    "oidcc-discovery-endpoint-verification", "oidcc-server", "oidcc-registration-logo-uri",
    "oidcc-registration-policy-uri", "oidcc-registration-tos-uri", "oidcc-registration-jwks-uri",
    "oidcc-registration-sector-uri", "oidcc-registration-sector-bad", "oidcc-server-rotate-keys",
    "oidcc-refresh-token-rp-key-rotation", "oidcc-request-uri-unsigned", "oidcc-request-uri-signed-rs256",
    "oidcc-ensure-request-object-with-redirect-uri", "oidcc-refresh-token",
    "oidcc-ensure-client-assertion-with-iss-aud-succeeds",
]  # fmt: skip
_LOGOUT = [
    f"oidcc-rp-initiated-logout{which}"
    for which in (
        "-discovery-endpoint-verification", "", "-bad-post-logout-redirect-uri", "-modified-id-token-hint",
        "-no-id-token-hint", "-no-params", "-no-post-logout-redirect-uri", "-no-state", "-only-state",
        "-query-added-to-post-logout-redirect-uri", "-bad-id-token-hint",
    )
]  # fmt: skip

#: Plan → response type → modules.
_LISTS: dict[str, dict[str, list[str]]] = {
    "basic": {"code": _BASIC},
    "config": {"code": ["oidcc-discovery-endpoint-verification"]},
    "implicit": {
        "id_token": _IMPLICIT,
        "id_token token": [*_IMPLICIT, *_USERINFO, "oidcc-response-type-missing"],
    },
    "hybrid": {
        "code id_token": _with_code(_NONCE_NEEDED, once=_HYBRID_ONCE),
        "code token": _with_code(_NONCE_NOT_NEEDED, once=()),
        "code id_token token": _with_code(_NONCE_NEEDED, once=()),
    },
    "dynamic": {"code": _DYNAMIC},
    "rp-initiated": {"code": _LOGOUT},
    "backchannel": {
        "code": [
            "oidcc-backchannel-logout-discovery-endpoint-verification",
            "oidcc-backchannel-rp-initiated-logout",
        ],
    },
    "frontchannel": {
        "code": [
            "oidcc-frontchannel-logout-discovery-endpoint-verification",
            "oidcc-frontchannel-rp-initiated-logout",
        ],
    },
    "session-management": {
        "code": [
            "oidcc-session-management-discovery-endpoint-verification",
            "oidcc-session-management-rp-initiated-logout",
        ],
    },
    "3rdparty-init": {"code": ["oidcc-3rd_party-init-login", "oidcc-3rd_party-init-login-nohttps"]},
}
PLANS = (
    "basic", "config", "implicit", "hybrid", "formpost-basic", "formpost-implicit", "formpost-hybrid",
    "dynamic", "rp-initiated", "backchannel", "frontchannel", "session-management", "3rdparty-init",
    "matrix",
)  # fmt: skip
#: Plan → what it needs to know of the target beside the three clients and the person.
NEEDS = {
    "dynamic": ("receiver", "registration"),
    "rp-initiated": ("logout",),
    "backchannel": ("backchannel", "receiver"),
    "frontchannel": ("frontchannel",),
    "session-management": ("session",),
    "3rdparty-init": ("registration",),
    "matrix": ("registration",),
}
#: The plans whose modules register the clients that they need, and how these come.
REGISTERING = ("dynamic", "3rdparty-init", "matrix")
DYNAMIC = Variant("code", client_auth="private_key_jwt", registration="dynamic")
#: The ways to ask and to authenticate, each of which a client may register for.
_RESPONSE_TYPES = (
    "code", "id_token", "id_token token", "code id_token", "code token", "code id_token token",
)  # fmt: skip
_METHODS = ("client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt")


@dataclass(frozen=True)
class Entry:
    """One module of a plan, in one variant."""

    plan: str
    variant: Variant
    module: str

    def __str__(self) -> str:
        return f"{self.plan}-{self.variant}-{self.module}"


def entries(plan: str) -> Iterator[Entry]:
    """The modules of a plan in their order."""
    if plan == "matrix":
        for response_type, method in product(_RESPONSE_TYPES, _METHODS):
            yield Entry(
                plan, Variant(response_type, client_auth=method, registration="dynamic"), "oidcc-server"
            )
        return
    form_post = plan.startswith("formpost-")
    for response_type, names in _LISTS[plan.removeprefix("formpost-")].items():
        variant = Variant(response_type, "form_post" if form_post else "default")
        if plan in REGISTERING:
            variant = DYNAMIC
        for name in names:
            assert name in MODULES, name
            own = replace(variant, client_auth="client_secret_post") if name == _SECRET_POST else variant
            yield Entry(plan, own, name)


def lacking(plan: str, target: Target) -> list[str]:
    """The tables that the plan needs of the target, and that are not there."""
    return [f"[{name}]" for name in NEEDS.get(plan, ()) if getattr(target, name) is None]

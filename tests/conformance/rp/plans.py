"""The certification's plans for relying parties: which modules, in its order."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.conformance.rp import (
    backchannel,
    claims_of_others,
    discovery,
    frontchannel,
    id_tokens,
    initiated,
    refreshed,
    responses,
    rp_initiated,
    session_management,
    signatures,
)
from tests.conformance.rp.target import RelyingParty

#: Where modules are; importing them registers them.
SUBJECTS = (
    backchannel, claims_of_others, discovery, frontchannel, id_tokens, initiated, refreshed, responses,
    rp_initiated, session_management, signatures,
)  # fmt: skip

_T = "oidcc-client-test"
_B = f"{_T}-rp-backchannel-rpinitlogout"
_R = f"{_T}-rp-init-logout"

_BASIC = (
    _T, f"{_T}-invalid-iss", f"{_T}-missing-sub", f"{_T}-invalid-aud", f"{_T}-missing-iat",
    f"{_T}-kid-absent-single-jwks", f"{_T}-kid-absent-multiple-jwks", f"{_T}-idtoken-sig-rs256",
    f"{_T}-idtoken-sig-none", f"{_T}-invalid-sig-rs256", f"{_T}-userinfo-invalid-sub",
    f"{_T}-nonce-invalid", f"{_T}-scope-userinfo-claims", f"{_T}-client-secret-basic",
)  # fmt: skip
#: Not of the certification: of a client that knows the code flow alone.
_CODE_FLOW_ONLY = (
    "code-flow-only-id_token", "code-flow-only-id_token-token", "code-flow-only-code-id_token",
    "code-flow-only-code-id_token-token", "code-flow-only-fragment", "code-flow-only-not-offered",
)  # fmt: skip

PLANS: dict[str, tuple[str, ...]] = {
    "basic": _BASIC,
    "formpost-basic": (*_BASIC, f"{_T}-form-post-error"),
    "code-flow-only": _CODE_FLOW_ONLY,
    "formpost-code-flow-only": _CODE_FLOW_ONLY,
    "config": (
        f"{_T}-discovery-openid-config", f"{_T}-discovery-jwks-uri-keys",
        f"{_T}-discovery-issuer-mismatch", f"{_T}-idtoken-sig-none",
        f"{_T}-signing-key-rotation-just-before-signing", f"{_T}-signing-key-rotation",
    ),
    "backchannel": (
        _B, f"{_B}-alg-none", f"{_B}-no-event", f"{_B}-with-nonce", f"{_B}-wrong-alg", f"{_B}-wrong-aud",
        f"{_B}-wrong-event", f"{_B}-wrong-iss",
    ),
    # Of the 12 what a client that is registered beforehand can do and "config" does not have.
    "dynamic": (f"{_T}-userinfo-signed",),
    "refreshtoken": (
        f"{_T}-refresh-token", f"{_T}-refresh-token-invalid-issuer", f"{_T}-refresh-token-invalid-sub",
    ),
    "3rdparty-init": (f"{_T}-3rd-party-init-login",),
    # Of `oidcc-client-test-plan` what no plan that certifies has.
    "further": (
        f"{_T}-missing-aud", f"{_T}-invalid-sig-hs256", f"{_T}-invalid-sig-es256",
        f"{_T}-aggregated-claims", f"{_T}-distributed-claims", f"{_T}-ignores-unparseable-key-in-jwks",
    ),
    "rp-initiated": (_R, f"{_R}-other-state", f"{_R}-no-state"),
    # The second one is of `oidcc-client-logout-test-plan`, which certifies nothing.
    "frontchannel": (f"{_T}-rp-frontchannel-rpinitlogout", f"{_T}-rp-frontchannel-opinitlogout"),
    "session-management": (f"{_T}-session-management",),
}  # fmt: skip

_SIGN_OUT = ("logout", "post_logout_redirect_uri")
#: Plan → the addresses of a relying party that it needs to know beside those that each has.
NEEDS = {
    "backchannel": (*_SIGN_OUT, "backchannel_logout"),
    "3rdparty-init": ("initiate_login",),
    "rp-initiated": _SIGN_OUT,
    "frontchannel": (*_SIGN_OUT, "frontchannel_logout"),
    "session-management": (*_SIGN_OUT, "watched"),
}


@dataclass(frozen=True)
class Entry:
    """A module in a plan."""

    plan: str
    module: str

    @property
    def alias(self) -> str:
        """The name of the provider that it plays."""
        return str(self)

    @property
    def response_mode(self) -> str:
        """How the client has to want its answers there."""
        return "form_post" if self.plan.startswith("formpost-") else "query"

    def __str__(self) -> str:
        return f"{self.plan}-{self.module}"


def entries(*plans: str) -> Iterator[Entry]:
    """All modules of these plans; of all, where none is named."""
    for plan in plans or PLANS:
        yield from (Entry(plan, name) for name in PLANS[plan])


def lacking(plan: str, rp: RelyingParty) -> list[str]:
    """What the plan needs to know of the relying party, and does not."""
    return [name for name in NEEDS.get(plan, ()) if not getattr(rp, name)]

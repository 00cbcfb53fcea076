"""What a realm lets applications ask for, as `provider.toml` writes it: scopes, claims, APIs, organizations.

Names, defaults and the rules over one entry. The standard entries, and how written ones join them, are
`provider.catalogue`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from oidcgate.settings import Problem, cross_check, setting

#: The claims that each scope opens, where nothing else is written. Spec: OIDC Core 5.4; `groups` is ours.
STANDARD_SCOPE_CLAIMS: Final = MappingProxyType(
    {
        "openid": (),
        "profile": (
            "name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile",
            "picture", "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at",
        ),
        "email": ("email", "email_verified"),
        "address": ("address",),
        "phone": ("phone_number", "phone_number_verified"),
        "groups": ("groups",),
        "offline_access": (),
    }
)  # fmt: skip
#: Scopes of a fresh configuration. Groups say how a company is built, so `groups` has to be written down.
DEFAULT_SCOPES: Final = tuple(value for value in STANDARD_SCOPE_CLAIMS if value != "groups")
#: The types of those standard claims that are no string. Spec: OIDC Core 5.1.
STANDARD_TYPES: Final = MappingProxyType(
    {
        "email_verified": "boolean",
        "phone_number_verified": "boolean",
        "updated_at": "integer",
        "address": "object",
    }
)
#: Where a claim may stand.
PLACES: Final = ("id_token", "userinfo", "access_token")
#: How an access token is written: random, or a JWT of RFC 9068.
TOKEN_FORMATS: Final = ("opaque", "jwt")

#: RFC 6749 3.3, without what has to be escaped in a URL.
_SCOPE: Final = re.compile(r"[A-Za-z0-9._~:/@!$'()*,;=-]{1,100}")
_CLAIM: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,200}")
_AUDIENCE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!$&-;=?-Z\[\]_a-z~%]{1,2000}")
#: What tokens say by themselves, whatever is configured.
RESERVED_CLAIMS: Final = frozenset(
    {
        "iss", "sub", "aud", "exp", "iat", "nbf", "jti", "auth_time", "nonce", "acr", "amr", "azp", "at_hash",
        "c_hash", "s_hash", "sid", "scope", "client_id", "client_itself", "cnf", "events", "act", "may_act",
        "org_id", "org_name", "active", "token_type", "username", "_claim_names", "_claim_sources",
    }
)  # fmt: skip


@dataclass(frozen=True)
class ScopeSettings:
    """One scope: a new one, or a standard one said otherwise."""

    value: str = setting(
        help="As applications send it. Those of OpenID Connect are there already; `groups` has its claim and "
        "texts once it is written here."
    )
    enabled: bool = setting(default=True, help="false: the realm does not have this standard scope.")
    display_name: str = setting(
        default="", help="On the consent page; default: a text of ours for a standard scope, else the value."
    )
    description: str = setting(default="", help="Below the name on the consent page.")
    discoverable: bool = setting(
        default=True, help="Whether discovery lists it. It can be asked for in both cases."
    )
    claims: tuple[str, ...] | None = setting(
        default=None, help="The claims that it opens; default: the standard ones of a standard scope."
    )

    @cross_check
    def _usable_value(self) -> Iterable[Problem]:
        if not _SCOPE.fullmatch(self.value):
            yield Problem(
                "value", self.value, "is no scope: it is empty, or has a character that a URL must escape",
                "use letters, digits and . _ ~ : / - , as in view:mortgage",
            )  # fmt: skip

    @cross_check
    def _openid_stays(self) -> Iterable[Problem]:
        if self.value == "openid" and not self.enabled:
            yield Problem(
                "enabled", False, "takes openid away, without which there is no OpenID Connect", "remove it"
            )


@dataclass(frozen=True)
class ClaimSettings:
    """One claim about a person: a new one, or a standard one said otherwise."""

    name: str = setting(help="As it stands in tokens.")
    property: str | None = setting(
        default=None,
        help='The property that it is taken from; "" for none, so that it is left out; default: the one of '
        "its name.",
    )
    discoverable: bool = setting(default=True, help="Whether discovery lists it.")
    into: tuple[str, ...] | None = setting(
        default=None,
        choices=PLACES,
        help="Where it stands; default: id_token and userinfo; for a standard claim userinfo alone, but for "
        "preferred_username.",
    )

    @cross_check
    def _usable_name(self) -> Iterable[Problem]:
        if not _CLAIM.fullmatch(self.name):
            yield Problem(
                "name", self.name, "is no name of a claim: it is empty, or has a space, a quote or a"
                " character outside ASCII", "use a name such as department, or a URL",
            )  # fmt: skip
        elif self.name in RESERVED_CLAIMS:
            yield Problem("name", self.name, "is what tokens say by themselves", "choose another")


@dataclass(frozen=True)
class ResourceSettings:
    """One API that access tokens can be for. Spec: RFC 8707; RFC 9068."""

    audience: str = setting(help="The absolute URI that applications name it by; `aud` of its tokens.")
    name: str = setting(default="", help="Shown on the consent page; default: the audience.")
    description: str = setting(default="", help="For whoever reads the configuration.")
    enabled: bool = setting(default=True, help="false: no token is given for it any more.")
    scopes: tuple[str, ...] = setting(default=(), help="The scopes that mean something there.")
    clients: tuple[str, ...] = setting(
        default=(),
        help="The only applications that may ask for tokens for it; none: every one, but of those that "
        "registered themselves none unless registration.audiences names it.",
    )
    require_consent: bool = setting(default=True, help="false: people are not asked about its scopes.")
    access_token_format: str = setting(
        default="jwt", choices=TOKEN_FORMATS, help="`opaque`: the API has to ask the introspection endpoint."
    )
    signing_algorithm: str = setting(
        default="", help="Of its tokens; default: the realm's signing_algorithm."
    )
    access_token_hours: float | None = setting(
        default=None, minimum=0.01, maximum=24 * 30, help="Life of its tokens; default: the realm's."
    )
    refresh_tokens: bool = setting(default=True, help="false: no refresh token beside a token for it.")
    include: tuple[str, ...] = setting(
        default=("authentication",),
        choices=("authentication", "client_name", "oidc_scopes", "oidc_claims"),
        help="What its tokens say beside the claims that go `into` access tokens.",
    )

    @property
    def title(self) -> str:
        """What people read."""
        return self.name or self.audience

    @cross_check
    def _absolute(self) -> Iterable[Problem]:
        if not _AUDIENCE.fullmatch(self.audience):
            yield Problem(
                "audience", self.audience, "is no absolute URI without fragment",
                "write it as https://api.example.com",
            )  # fmt: skip


@dataclass(frozen=True)
class OrganizationSettings:
    """One organization. Who belongs to it is said with each person (`organizations`)."""

    org_id: str = setting(help="As applications send it in `org_id`, and as tokens say it.")
    name: str = setting(default="", help="Shown where people choose, and `org_name`; default: the org_id.")

    @cross_check
    def _usable_id(self) -> Iterable[Problem]:
        if not re.fullmatch(r"[\x21-\x7e]{1,100}", self.org_id):
            yield Problem("org_id", self.org_id, "is not 1 to 100 visible ASCII characters", "choose another")

    @property
    def title(self) -> str:
        """What people read."""
        return self.name or self.org_id

"""Which claims a scope opens, and what they are for one person. Pure.

The names are OIDC Core 5.1's; where a person's attributes come from is `provider.services.users`, who asks is
`provider.endpoints.userinfo` and `provider.services.tokens`.
"""

from collections.abc import Collection
from types import MappingProxyType
from typing import Any, Final

from provider.store.users import User

#: Spec: OIDC Core 5.4. `groups` is ours.
SCOPE_CLAIMS: Final = MappingProxyType(
    {
        "profile": (
            "name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile",
            "picture", "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at",
        ),
        "email": ("email", "email_verified"),
        "address": ("address",),
        "phone": ("phone_number", "phone_number_verified"),
        "groups": ("groups",),
    }
)  # fmt: skip


def userinfo_claims(user: User, scope: Collection[str]) -> dict[str, Any]:
    """What the UserInfo endpoint says of a person. A claim without a value is absent, never null.

    Spec: OIDC Core 5.3.2, 5.4.
    """
    known = {**user.attributes, "preferred_username": user.user_name}
    opened = (name for word, names in SCOPE_CLAIMS.items() if word in scope for name in names)
    claims = {name: known[name] for name in opened if known.get(name) not in (None, "")}
    return {"sub": user.user_id, **claims}


def id_token_claims_of(user: User, scope: Collection[str]) -> dict[str, Any]:
    """What the ID token says of a person beside `sub`: the name that applications look people up by."""
    return {"preferred_username": user.user_name} if "profile" in scope else {}

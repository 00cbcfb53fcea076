"""The standard claims about a person: which scope opens them, and their forms. Spec: OIDC Core 5.1, 5.4."""

import re
from collections.abc import Mapping
from typing import Any

from tests.conformance.op.outcome import need

CLAIMS_OF_SCOPES = {
    "profile": (
        "name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile",
        "picture", "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at",
    ),
    "email": ("email", "email_verified"),
    "address": ("address",),
    "phone": ("phone_number", "phone_number_verified"),
}  # fmt: skip
_BOOLEAN = {"email_verified", "phone_number_verified"}
_ADDRESS = {"formatted", "street_address", "locality", "region", "postal_code", "country"}
_BIRTHDATE = re.compile(r"(\d{4}|0000)(-\d{2}-\d{2})?")
_URLS = {"profile", "picture", "website"}


def check_types(claims: Mapping[str, Any]) -> None:
    """The standard claims have the types and forms of OIDC Core 5.1."""
    for name in {name for names in CLAIMS_OF_SCOPES.values() for name in names} & claims.keys():
        need(_is_well_formed(name, claims[name]), f"{name} is {claims[name]!r}", "OIDC Core 5.1")


def _is_well_formed(name: str, value: Any) -> bool:
    if name in _BOOLEAN:
        return isinstance(value, bool)
    if name == "updated_at":
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 10**11
    if name == "address":
        strings = isinstance(value, dict) and all(isinstance(part, str) for part in value.values())
        return strings and bool(value) and value.keys() <= _ADDRESS
    if not isinstance(value, str) or not value:
        return False
    if name == "birthdate":
        return bool(_BIRTHDATE.fullmatch(value))
    return name not in _URLS or bool(re.match(r"https?://", value))

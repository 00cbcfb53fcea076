"""Modules about the claims of a person: the userinfo endpoint, the four scopes, the claims parameter."""

import json
import re
from typing import Any

from tests.conformance.op.id_token import Claims
from tests.conformance.op.outcome import Skipped, need
from tests.conformance.op.registry import module
from tests.conformance.op.run import Run

_SCOPES = {
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


def check_types(claims: Claims) -> None:
    """The standard claims have the types and forms of OIDC Core 5.1."""
    for name in {name for names in _SCOPES.values() for name in names} & claims.keys():
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


def _userinfo(name: str, how: str) -> None:
    @module(name)
    def asked(run: Run) -> None:
        check_types(run.person(run.complete(scope="openid profile email"), how))


_userinfo("oidcc-userinfo-get", "get")
_userinfo("oidcc-userinfo-post-header", "post-header")
_userinfo("oidcc-userinfo-post-body", "post-body")


def _scopes(name: str, *scopes: str) -> None:
    @module(name)
    def asked(run: Run) -> None:
        missing = sorted({*scopes} - {*run.supported("scopes_supported")})
        if missing:
            raise Skipped(f"scopes_supported lacks {', '.join(missing)}")
        grant = run.complete(scope=" ".join(("openid", *scopes)))
        wanted = [claim for scope in scopes for claim in _SCOPES[scope]]
        if run.variant.ends_with_access_token:
            claims = run.person(grant)
            told = sorted({*wanted} & grant.claims.keys())
            run.warn_unless(not told, f"the ID token has {told}, which are for userinfo", "OIDC Core 5.4")
        else:
            claims = grant.claims
        lacking = [claim for claim in wanted if claim not in claims]
        run.warn_unless(not lacking, f"claims of the scopes are missing: {lacking}", "OIDC Core 5.4")
        check_types(claims)
        others = sorted({c for names in _SCOPES.values() for c in names} & claims.keys() - {*wanted})
        run.warn_unless(not others, f"claims that no scope asked for: {others}", "OIDC Core 5.4")


_scopes("oidcc-scope-profile", "profile")
_scopes("oidcc-scope-email", "email")
_scopes("oidcc-scope-address", "address")
_scopes("oidcc-scope-phone", "phone")
_scopes("oidcc-scope-all", "profile", "email", "address", "phone")


@module("oidcc-claims-essential")
def _claims_essential(run: Run) -> None:
    place = "userinfo" if run.variant.ends_with_access_token else "id_token"
    grant = run.complete(claims=json.dumps({place: {"name": {"essential": True}}}))
    claims = run.person(grant) if place == "userinfo" else grant.claims
    run.warn_unless("name" in claims, f"{place} lacks the essential claim name", "OIDC Core 5.5.1")
    check_types(claims)

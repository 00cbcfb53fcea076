"""Modules about the claims of a person: the userinfo endpoint, the four scopes, the claims parameter."""

import json

from tests.conformance.op.outcome import Skipped
from tests.conformance.op.person import CLAIMS_OF_SCOPES, check_types
from tests.conformance.op.registry import module
from tests.conformance.op.run import Run


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
        wanted = [claim for scope in scopes for claim in CLAIMS_OF_SCOPES[scope]]
        if run.variant.ends_with_access_token:
            claims = run.person(grant)
            told = sorted({*wanted} & grant.claims.keys())
            run.warn_unless(not told, f"the ID token has {told}, which are for userinfo", "OIDC Core 5.4")
        else:
            claims = grant.claims
        lacking = [claim for claim in wanted if claim not in claims]
        run.warn_unless(not lacking, f"claims of the scopes are missing: {lacking}", "OIDC Core 5.4")
        check_types(claims)
        others = sorted({c for names in CLAIMS_OF_SCOPES.values() for c in names} & claims.keys() - {*wanted})
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

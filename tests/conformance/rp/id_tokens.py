"""The plan about ID tokens and userinfo: what a relying party of the code flow takes, and what it refuses."""

from collections.abc import Mapping
from typing import Any

from tests.conformance.op.outcome import Skipped, need
from tests.conformance.rp.alias import CLAIM_SCOPES, Alias
from tests.conformance.rp.registry import module
from tests.conformance.rp.run import Run
from tests.conformance.rp.signing import GONE, key, signed, unsigned

_CHECKS = "OIDC Core 3.1.3.7"


@module("oidcc-client-test")
def works(run: Run) -> None:
    """Authorization, tokens, userinfo."""
    run.accepted("OIDC Core 3.1")


@module("oidcc-client-test-invalid-iss")
def issuer_is_another(run: Run) -> None:
    run.op.id_token = {"iss": "https://another.example/"}
    run.refused(f"{_CHECKS} (2)")


@module("oidcc-client-test-missing-sub")
def nobody_is_named(run: Run) -> None:
    run.op.id_token = {"sub": GONE}
    run.refused("OIDC Core 2")


@module("oidcc-client-test-invalid-aud")
def is_for_another_client(run: Run) -> None:
    run.op.id_token = {"aud": "another-client"}
    run.refused(f"{_CHECKS} (3)")


@module("oidcc-client-test-missing-aud")
def is_for_nobody(run: Run) -> None:
    run.op.id_token = {"aud": GONE}
    run.refused("OIDC Core 2")


@module("oidcc-client-test-missing-iat")
def has_no_time(run: Run) -> None:
    run.op.id_token = {"iat": GONE}
    run.refused("OIDC Core 2")


def _without_kid(alias: Alias, claims: Mapping[str, Any]) -> str:
    return signed(claims, alias.signing_key, kid=None)


@module("oidcc-client-test-kid-absent-single-jwks")
def names_no_key_of_one(run: Run) -> None:
    run.op.names_keys = False
    run.op.make_id_token = _without_kid
    run.accepted("OIDC Core 10.1")


@module("oidcc-client-test-kid-absent-multiple-jwks")
def names_no_key_of_several(run: Run) -> None:
    """Trying all of them and refusing are both right."""
    run.op.keys = [key("second"), key("first")]
    run.op.names_keys = False
    run.op.make_id_token = _without_kid
    run.is_accepted("OIDC Core 10.1")


@module("oidcc-client-test-idtoken-sig-rs256")
def is_signed_with_rs256(run: Run) -> None:
    run.accepted("OIDC Core 15.1")


@module("oidcc-client-test-idtoken-sig-none")
def is_not_signed(run: Run) -> None:
    """In the code flow a client may ask for such tokens; most do not, and refuse them."""
    run.op.metadata = {"id_token_signing_alg_values_supported": ["RS256", "none"]}
    run.op.make_id_token = lambda alias, claims: unsigned(claims)
    if not run.is_accepted("OIDC Core 3.1.3.7 (6)"):
        raise Skipped("it takes no unsigned ID tokens")


@module("oidcc-client-test-invalid-sig-rs256")
def is_signed_by_another(run: Run) -> None:
    """With the name of a right key."""
    run.op.make_id_token = lambda alias, claims: signed(claims, key("foreign"), kid=alias.signing_key.kid)
    run.refused(f"{_CHECKS} (6)")


@module("oidcc-client-test-userinfo-invalid-sub")
def userinfo_is_of_another(run: Run) -> None:
    run.op.userinfo = {"sub": "somebody-else"}
    run.refused("OIDC Core 5.3.2", at="userinfo")


@module("oidcc-client-test-nonce-invalid")
def nonce_is_another(run: Run) -> None:
    run.op.id_token = {"nonce": "of-another-sign-in"}
    run.refused(f"{_CHECKS} (11)")


@module("oidcc-client-test-scope-userinfo-claims")
def asks_for_claims(run: Run) -> None:
    run.accepted("OIDC Core 5.4")
    scope = run.op.request["scope"]
    need(bool(set(CLAIM_SCOPES) & set(scope.split())), f"scope is {scope!r}", "OIDC Core 5.4")


@module("oidcc-client-test-client-secret-basic")
def proves_itself_by_basic(run: Run) -> None:
    """The provider takes nothing else, in no module."""
    run.accepted("OIDC Core 9")

"""Modules about what else may be signed, and under what else: ID tokens under HS256 and ES256, userinfo."""

from collections.abc import Mapping
from typing import Any

from tests.conformance.op.outcome import need
from tests.conformance.rp.alias import Alias
from tests.conformance.rp.answers import Answer
from tests.conformance.rp.registry import module
from tests.conformance.rp.run import Run
from tests.conformance.rp.signing import Key, curve_key, key, signed, signed_with_secret

_SIGNATURE = "OIDC Core 3.1.3.7 (6)"
_ANOTHER_SECRET = "a-secret-that-is-of-another-client-43-characters-or-more"


@module("oidcc-client-test-invalid-sig-hs256")
def is_signed_with_another_secret(run: Run) -> None:
    """What bears the right secret may be taken or not: not every client takes such tokens."""
    run.op.metadata = {"id_token_signing_alg_values_supported": ["HS256"]}
    run.op.make_id_token = lambda alias, claims: signed_with_secret(claims, alias.rp.client_secret)
    _is_taken(run)
    run.op.make_id_token = lambda alias, claims: signed_with_secret(claims, _ANOTHER_SECRET)
    run.starts_anew()
    run.refused(f"{_SIGNATURE}; 10.1")


@module("oidcc-client-test-invalid-sig-es256")
def is_signed_with_another_curve_key(run: Run) -> None:
    """With the name of a right key. What is signed with that may be taken or not."""
    run.op.metadata = {"id_token_signing_alg_values_supported": ["ES256"]}
    run.op.signing_key = curve_key("curve")
    run.op.keys = [run.op.signing_key]
    _is_taken(run)
    run.op.make_id_token = lambda alias, claims: _named(alias, claims, curve_key("foreign-curve"))
    run.starts_anew()
    run.refused(_SIGNATURE)


@module("oidcc-client-test-ignores-unparseable-key-in-jwks")
def keys_of_kinds_to_come_are_there(run: Run) -> None:
    run.op.other_keys = [
        {"kty": "AKP", "alg": "ML-DSA-1000", "use": "sig", "kid": "to-come", "pub": "AAAA"},
        {"kty": "made-up", "alg": "MU1", "use": "sig", "kid": "made-up", "x": "AAAA"},
    ]
    run.accepted("RFC 7517 5")


def _is_taken(run: Run) -> None:
    if not run.is_accepted("OIDC Core 15.1", run.other):
        run.notes.append("it takes no such tokens, rightly signed ones neither")


def _named(alias: Alias, claims: Mapping[str, Any], by: Key) -> str:
    return signed(claims, by, kid=alias.signing_key.kid)


@module("oidcc-client-test-userinfo-signed")
def userinfo_is_signed(run: Run) -> None:
    """What the provider signed is taken, what somebody else signed is not."""
    run.op.metadata = {"userinfo_signing_alg_values_supported": ["RS256"]}

    def by(signer: Key) -> None:
        def make(claims: Mapping[str, Any]) -> Answer:
            about_itself = {"iss": run.op.issuer, "aud": run.rp.client_id}
            token = _named(run.op, {**about_itself, **claims}, signer)
            return Answer(200, token, {"Content-Type": "application/jwt"})

        run.op.make_userinfo = make

    by(run.op.signing_key)
    run.accepted("OIDC Core 5.3.2", run.other)
    by(key("foreign"))
    run.starts_anew()
    clause = "OIDC Core 5.3.4"
    need(not run.is_accepted(clause), "userinfo that somebody else signed is accepted", clause)
    need("userinfo" in run.op.calls, "userinfo was not asked, so nothing was judged", clause)

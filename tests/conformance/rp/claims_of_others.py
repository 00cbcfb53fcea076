"""Modules about claims that the provider does not state itself, but somebody else: in a token, or elsewhere.

A relying party may leave them alone. What it shows of them has to bear a signature of who states them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tests.conformance.op.outcome import Skipped, need
from tests.conformance.rp.registry import module
from tests.conformance.rp.run import Run
from tests.conformance.rp.signing import Key, key, signed

_CLAUSE = "OIDC Core 5.6.2"
_STATED, _VOUCHED_FOR, _FORGED = "493055501", "493055502", "493055503"


@module("oidcc-client-test-aggregated-claims")
def stand_in_a_token(run: Run) -> None:
    def by(signer: Key, phone: str) -> Mapping[str, Any]:
        return {"JWT": _token(run, signer, phone)}

    _shows_nothing_forged(run, by)


@module("oidcc-client-test-distributed-claims")
def are_elsewhere(run: Run) -> None:
    """The certification waits for whoever does not fetch them, without an end."""

    def by(signer: Key, phone: str) -> Mapping[str, Any]:
        run.op.claims_of_others = _token(run, signer, phone)
        return {"endpoint": f"{run.op.issuer}claims", "access_token": run.op.claims_token}

    _shows_nothing_forged(run, by)
    if "claims" not in run.op.calls:
        raise Skipped("it does not fetch claims that are elsewhere")


def _shows_nothing_forged(run: Run, source: Callable[[Key, str], Mapping[str, Any]]) -> None:
    def userinfo(of: Mapping[str, Any]) -> None:
        names = {"phone_number": "src1", "address": "src1"}
        run.op.userinfo = {"_claim_names": names, "_claim_sources": {"src1": of}}

    run.op.userinfo = {"phone_number": _STATED}
    run.accepted("OIDC Core 5.3.2")
    # Else nothing could be seen of what follows.
    need(_STATED in (run.browser.seen() or ""), "the page does not show phone_number", "the target")
    userinfo(source(run.op.signing_key, _VOUCHED_FOR))
    run.accepted(_CLAUSE)
    seen = run.browser.seen() or ""
    need(_STATED not in seen, "a claim of the sign-in before is still shown", _CLAUSE)
    userinfo(source(key("foreign"), _FORGED))
    run.is_accepted(_CLAUSE, run.other)
    need(_FORGED not in (run.other.seen() or ""), "a claim is shown that nobody vouches for", _CLAUSE)


def _token(run: Run, signer: Key, phone: str) -> str:
    claims = {"iss": run.op.issuer, "phone_number": phone, "address": {"country": "DE"}}
    return signed(claims, signer, kid=run.op.signing_key.kid)

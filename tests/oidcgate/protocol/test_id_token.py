"""The ID token: break one thing, get one named refusal."""

import dataclasses
from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.jose.jwt import VerifiedJWT, sign, verify
from oidcgate.jose.keys import VerificationKey, generate_key
from oidcgate.protocol.errors import Reason, Refused
from oidcgate.protocol.id_token import (
    IdTokenClaims,
    IdTokenRules,
    check_id_token_claims,
    half_hash,
    id_token_claims,
    verify_id_token,
)

NOW = 1_800_000_000
SKEW = 60
DAY = 86_400
ISSUER = "https://id.example.com"
ACCESS_TOKEN = "canary-access-token"
HEADER = {"alg": "RS256", "kid": "k"}
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "248289761001",
    "aud": "app",
    "exp": NOW + 300,
    "iat": NOW,
    "nonce": "canary-nonce",
    "at_hash": half_hash(ACCESS_TOKEN, "RS256"),
}
RULES = IdTokenRules(
    issuer=ISSUER,
    client_id="app",
    algorithms=("RS256", "ES256"),
    nonce="canary-nonce",
    max_age=None,
    clock_skew_seconds=SKEW,
    access_token=ACCESS_TOKEN,
)
MISSING = object()


def rules(**changes: Any) -> IdTokenRules:
    return dataclasses.replace(RULES, **changes)


def check(
    claims: dict[str, Any], header: dict[str, Any] = HEADER, rules: IdTokenRules = RULES
) -> IdTokenClaims:
    return check_id_token_claims(header, claims, rules, NOW)


def altered(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (CLAIMS | changes).items() if value is not MISSING}


def refused(claims: dict[str, Any], header: dict[str, Any] = HEADER, rules: IdTokenRules = RULES) -> Refused:
    with pytest.raises(Refused) as caught:
        check(claims, header, rules)
    assert "canary" not in f"{caught.value!r} {caught.value.detail}"
    return caught.value


def refusal(claims: dict[str, Any], header: dict[str, Any] = HEADER, rules: IdTokenRules = RULES) -> Reason:
    return refused(claims, header, rules).reason


@pytest.mark.row("F-14", "G-24")
def test_a_token_that_says_what_it_has_to_is_believed() -> None:
    believed = check(altered(sid="s", auth_time=NOW - 10, acr="2", amr=["pwd", "otp"], email="a@example.com"))
    assert (believed.sub, believed.sid, believed.auth_time) == ("248289761001", "s", NOW - 10)
    assert (believed.acr, believed.amr, believed.all["email"]) == ("2", ("pwd", "otp"), "a@example.com")
    with pytest.raises(TypeError):
        believed.all["sub"] = "other"


@pytest.mark.row("F-14", "A-08", "G-24", "P-14")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"iss": MISSING}, Reason.ID_TOKEN_ISS, id="iss-missing"),
        pytest.param({"iss": ISSUER + "/"}, Reason.ID_TOKEN_ISS, id="iss-with-slash"),
        pytest.param({"iss": [ISSUER]}, Reason.ID_TOKEN_ISS, id="iss-list"),
        pytest.param({"sub": MISSING}, Reason.ID_TOKEN_SUB, id="sub-missing"),
        pytest.param({"sub": ""}, Reason.ID_TOKEN_SUB, id="sub-empty"),
        pytest.param({"sub": "x" * 256}, Reason.ID_TOKEN_SUB, id="sub-256-characters"),
        pytest.param({"sub": "jürgen"}, Reason.ID_TOKEN_SUB, id="sub-not-ascii"),
        pytest.param({"sub": "a\x00"}, Reason.ID_TOKEN_SUB, id="sub-control"),
        pytest.param({"sub": 248289761001}, Reason.ID_TOKEN_SUB, id="sub-number"),
        pytest.param({"aud": MISSING}, Reason.ID_TOKEN_AUD, id="aud-missing"),
        pytest.param({"aud": "other"}, Reason.ID_TOKEN_AUD, id="aud-foreign"),
        pytest.param({"aud": ""}, Reason.ID_TOKEN_AUD, id="aud-empty"),
        pytest.param({"aud": []}, Reason.ID_TOKEN_AUD, id="aud-empty-list"),
        pytest.param({"aud": ["other"]}, Reason.ID_TOKEN_AUD, id="aud-list-foreign"),
        pytest.param(
            {"aud": ["app", "other"], "azp": "app"}, Reason.ID_TOKEN_AUD, id="aud-untrusted-beside-us"
        ),
        pytest.param({"aud": ["app", 1]}, Reason.ID_TOKEN_MALFORMED, id="aud-list-of-number"),
        pytest.param({"aud": {"app": 1}}, Reason.ID_TOKEN_MALFORMED, id="aud-object"),
        pytest.param({"aud": {}}, Reason.ID_TOKEN_MALFORMED, id="aud-empty-object"),
        pytest.param({"aud": True}, Reason.ID_TOKEN_MALFORMED, id="aud-boolean"),
        pytest.param({"aud": "ap"}, Reason.ID_TOKEN_AUD, id="aud-prefix"),
        pytest.param({"azp": "other"}, Reason.ID_TOKEN_AZP, id="azp-foreign"),
        pytest.param({"azp": ["app"]}, Reason.ID_TOKEN_MALFORMED, id="azp-list"),
        pytest.param({"exp": MISSING}, Reason.ID_TOKEN_EXP, id="exp-missing"),
        pytest.param({"exp": NOW - SKEW}, Reason.ID_TOKEN_EXP, id="exp-passed"),
        pytest.param({"exp": 0}, Reason.ID_TOKEN_EXP, id="exp-zero"),
        pytest.param({"exp": str(NOW + 300)}, Reason.ID_TOKEN_MALFORMED, id="exp-string"),
        pytest.param({"exp": True}, Reason.ID_TOKEN_MALFORMED, id="exp-boolean"),
        pytest.param({"exp": float("nan")}, Reason.ID_TOKEN_MALFORMED, id="exp-nan"),
        pytest.param({"exp": float("inf")}, Reason.ID_TOKEN_MALFORMED, id="exp-1e400"),
        pytest.param({"exp": 2**53}, Reason.ID_TOKEN_MALFORMED, id="exp-beyond-json"),
        pytest.param({"exp": -1}, Reason.ID_TOKEN_MALFORMED, id="exp-negative"),
        pytest.param({"exp": [NOW]}, Reason.ID_TOKEN_MALFORMED, id="exp-list"),
        pytest.param({"iat": MISSING}, Reason.ID_TOKEN_IAT, id="iat-missing"),
        pytest.param({"iat": NOW + SKEW + 1}, Reason.ID_TOKEN_IAT, id="iat-in-the-future"),
        pytest.param({"iat": NOW - DAY - SKEW - 1}, Reason.ID_TOKEN_IAT, id="iat-days-ago"),
        pytest.param({"iat": "now"}, Reason.ID_TOKEN_MALFORMED, id="iat-string"),
        pytest.param({"nbf": NOW + SKEW + 1}, Reason.ID_TOKEN_NBF, id="nbf-in-the-future"),
        pytest.param({"nbf": False}, Reason.ID_TOKEN_MALFORMED, id="nbf-boolean"),
        pytest.param({"nonce": MISSING}, Reason.ID_TOKEN_NONCE, id="nonce-missing"),
        pytest.param({"nonce": ""}, Reason.ID_TOKEN_NONCE, id="nonce-empty"),
        pytest.param({"nonce": "other"}, Reason.ID_TOKEN_NONCE, id="nonce-foreign"),
        pytest.param({"nonce": "öther"}, Reason.ID_TOKEN_NONCE, id="nonce-not-ascii"),
        pytest.param({"nonce": "n\ud800"}, Reason.ID_TOKEN_NONCE, id="nonce-not-utf8"),
        pytest.param({"nonce": ["canary-nonce"]}, Reason.ID_TOKEN_MALFORMED, id="nonce-list"),
        pytest.param(
            {"at_hash": half_hash("other", "RS256")}, Reason.ID_TOKEN_AT_HASH, id="at-hash-of-another"
        ),
        pytest.param({"at_hash": ""}, Reason.ID_TOKEN_AT_HASH, id="at-hash-empty"),
        pytest.param({"at_hash": 1}, Reason.ID_TOKEN_MALFORMED, id="at-hash-number"),
        pytest.param({"c_hash": 1}, Reason.ID_TOKEN_MALFORMED, id="c-hash-number"),
        pytest.param({"auth_time": NOW + SKEW + 1}, Reason.ID_TOKEN_AUTH_TIME, id="auth-time-in-the-future"),
        pytest.param({"auth_time": "1"}, Reason.ID_TOKEN_MALFORMED, id="auth-time-string"),
        pytest.param({"sid": 1}, Reason.ID_TOKEN_MALFORMED, id="sid-number"),
        pytest.param({"acr": ["2"]}, Reason.ID_TOKEN_MALFORMED, id="acr-list"),
        pytest.param({"amr": "pwd"}, Reason.ID_TOKEN_MALFORMED, id="amr-string"),
        pytest.param({"amr": ["pwd", 1]}, Reason.ID_TOKEN_MALFORMED, id="amr-list-of-number"),
    ],
)
def test_one_faulty_claim_is_one_named_refusal(changes: dict[str, Any], reason: Reason) -> None:
    told = refused(altered(**changes))
    assert told.reason is reason
    if reason in (Reason.ID_TOKEN_MALFORMED, Reason.ID_TOKEN_AUTH_TIME):
        assert told.detail.split()[0] == next(iter(changes))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"exp": NOW - SKEW + 1}, id="exp-within-the-skew"),
        pytest.param({"exp": NOW + 0.5}, id="exp-fraction"),
        pytest.param({"exp": 2**53 - 1}, id="exp-as-late-as-json-can-say"),
        pytest.param({"iat": NOW + SKEW}, id="iat-within-the-skew"),
        pytest.param({"iat": NOW - DAY - SKEW}, id="iat-a-day-ago"),
        pytest.param({"nbf": NOW + SKEW}, id="nbf-within-the-skew"),
        pytest.param({"aud": ["app"]}, id="aud-list-of-one"),
        pytest.param({"azp": "app"}, id="azp-ours"),
        pytest.param({"at_hash": MISSING}, id="at-hash-missing"),
        pytest.param({"sub": "x" * 255}, id="sub-255-characters"),
        pytest.param({"auth_time": NOW + SKEW}, id="auth-time-within-the-skew"),
    ],
)
def test_the_limits_themselves_are_allowed(changes: dict[str, Any]) -> None:
    assert check(altered(**changes)).sub


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        pytest.param({"alg": "RS512"}, Reason.ID_TOKEN_ALG, id="alg-not-accepted"),
        pytest.param({"alg": "none"}, Reason.ID_TOKEN_ALG, id="alg-none"),
        pytest.param({}, Reason.ID_TOKEN_ALG, id="alg-missing"),
        pytest.param({"alg": "RS256", "typ": "at+jwt"}, Reason.ID_TOKEN_TYPE, id="access-token"),
        pytest.param({"alg": "RS256", "typ": "logout+jwt"}, Reason.ID_TOKEN_TYPE, id="logout-token"),
        pytest.param({"alg": "RS256", "typ": None}, Reason.ID_TOKEN_TYPE, id="typ-null"),
    ],
)
def test_the_header_has_to_be_that_of_an_id_token(header: dict[str, Any], reason: Reason) -> None:
    assert refusal(CLAIMS, header) is reason


def test_the_usual_type_is_accepted_in_any_case() -> None:
    assert check(CLAIMS, {"alg": "RS256", "typ": "jwt"}).sub


def test_several_audiences_need_trust_and_azp() -> None:
    trusting = rules(trusted_audiences=frozenset({"project"}))
    assert check(altered(aud=["project", "app"], azp="app"), rules=trusting).sub
    assert refusal(altered(aud=["project", "app"]), rules=trusting) is Reason.ID_TOKEN_AZP
    assert refusal(altered(aud=["project"], azp="app"), rules=trusting) is Reason.ID_TOKEN_AUD
    assert refusal(altered(aud=["project", "app", "x"], azp="app"), rules=trusting) is Reason.ID_TOKEN_AUD


@pytest.mark.row("E-25")
@pytest.mark.parametrize(
    ("auth_time", "believed"),
    [
        pytest.param(MISSING, False, id="missing"),
        pytest.param(NOW - 100 - SKEW - 1, False, id="too-long-ago"),
        pytest.param(NOW - 100 - SKEW, True, id="at-the-limit"),
        pytest.param(NOW, True, id="just-now"),
    ],
)
def test_max_age_is_enforced(auth_time: Any, believed: bool) -> None:
    claims, strict = altered(auth_time=auth_time), rules(max_age=100)
    if believed:
        assert check(claims, rules=strict).auth_time == auth_time
    else:
        told = refused(claims, rules=strict)
        assert told.reason is Reason.ID_TOKEN_AUTH_TIME
        assert "max_age" in told.detail


def test_at_hash_is_compared_only_with_a_token_that_came() -> None:
    assert check(altered(at_hash="other"), rules=rules(access_token=None)).sub


@pytest.mark.row("P-14")
def test_at_hash_under_an_unknown_hash_is_not_believed() -> None:
    odd = rules(algorithms=("XX999",))
    assert refusal(CLAIMS, {"alg": "XX999"}, odd) is Reason.ID_TOKEN_AT_HASH


CODE = "canary-code"
C_HASH = half_hash(CODE, "RS256")


@pytest.mark.row("S-05", "S-06")
@pytest.mark.parametrize(
    ("came", "changes"),
    [
        pytest.param({"access_token": None}, {"at_hash": MISSING}, id="id-token"),
        pytest.param({}, {}, id="id-token-token"),
        pytest.param({"code": CODE, "access_token": None}, {"c_hash": C_HASH}, id="code-id-token"),
        pytest.param({"code": CODE}, {"c_hash": C_HASH}, id="code-id-token-token"),
        pytest.param({}, {"c_hash": "other"}, id="c-hash-without-a-code"),
    ],
)
def test_what_came_through_the_browser_is_named_by_its_hash(
    came: dict[str, Any], changes: dict[str, Any]
) -> None:
    front = rules(from_authorization_endpoint=True, **came)
    assert check(altered(**changes), rules=front).sub
    assert "canary" not in repr(front)


@pytest.mark.row("S-05", "S-06", "P-14")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"at_hash": MISSING}, Reason.ID_TOKEN_AT_HASH, id="at-hash-missing"),
        pytest.param({"at_hash": C_HASH}, Reason.ID_TOKEN_AT_HASH, id="at-hash-of-the-code"),
        pytest.param({"c_hash": MISSING}, Reason.ID_TOKEN_C_HASH, id="c-hash-missing"),
        pytest.param({"c_hash": None}, Reason.ID_TOKEN_C_HASH, id="c-hash-null"),
        pytest.param({"c_hash": ""}, Reason.ID_TOKEN_C_HASH, id="c-hash-empty"),
        pytest.param({"c_hash": CLAIMS["at_hash"]}, Reason.ID_TOKEN_C_HASH, id="c-hash-of-the-token"),
        pytest.param({"c_hash": half_hash(CODE, "RS512")}, Reason.ID_TOKEN_C_HASH, id="c-hash-other-size"),
        pytest.param({"c_hash": [C_HASH]}, Reason.ID_TOKEN_MALFORMED, id="c-hash-list"),
    ],
)
def test_what_came_through_the_browser_and_is_not_named_is_refused(
    changes: dict[str, Any], reason: Reason
) -> None:
    front = rules(from_authorization_endpoint=True, code=CODE)
    told = refused(altered(**({"c_hash": C_HASH} | changes)), rules=front)
    assert told.reason is reason
    if changes in ({"at_hash": MISSING}, {"c_hash": MISSING}):
        assert told.detail == f"{next(iter(changes))} is missing"


@pytest.mark.row("P-14")
def test_c_hash_is_compared_wherever_it_came_from() -> None:
    assert check(altered(), rules=rules(code=CODE)).sub
    assert check(altered(c_hash=C_HASH), rules=rules(code=CODE)).sub
    assert refusal(altered(c_hash="other"), rules=rules(code=CODE)) is Reason.ID_TOKEN_C_HASH
    alone = rules(code=CODE, access_token=None)
    assert refusal(altered(c_hash="other"), rules=alone) is Reason.ID_TOKEN_C_HASH
    assert refusal(altered(c_hash="other", at_hash=MISSING), rules=alone) is Reason.ID_TOKEN_C_HASH
    # A code that no hash can be made of is not ours.
    assert refusal(altered(c_hash=C_HASH), rules=rules(code="ç")) is Reason.ID_TOKEN_C_HASH


@pytest.mark.parametrize(
    ("value", "alg", "expected"),
    [
        # OIDC Core A.3 and A.4.
        pytest.param(
            "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "RS256", "77QmUPtjPfzWtF2AnpK9RQ", id="at-hash"
        ),
        pytest.param(
            "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk",
            "RS256",
            "LDktKdoQak3Pk0cnXxCltA",
            id="c-hash",
        ),
        # Only padding is cut off.
        pytest.param(
            "token-11", "ES384", "TPkN32AHaPTydDqZxS4GhkmgmWTsB6NX", id="last-letter-like-any-other"
        ),
    ],
)
def test_half_hashes_of_the_specification(value: str, alg: str, expected: str) -> None:
    assert half_hash(value, alg) == expected


@pytest.mark.parametrize(
    ("alg", "characters"), [("ES384", 32), ("PS512", 43), ("EdDSA", 43), ("Ed25519", 43), ("ES256", 22)]
)
def test_the_hash_goes_with_the_algorithm(alg: str, characters: int) -> None:
    assert len(half_hash("x", alg)) == characters


@pytest.mark.parametrize("alg", ["none", "", "RS1", "HS"])
def test_there_is_no_half_hash_for_other_algorithms(alg: str) -> None:
    with pytest.raises(ValueError, match="no hash"):
        half_hash("x", alg)


# --- with the signature

KEY = generate_key("ES256")
KEYS = [VerificationKey(KEY, "k", "ES256")]


def read(token: str, algorithms: Collection[str]) -> VerifiedJWT:
    return verify(token, KEYS, algorithms)


def built(**changes: Any) -> dict[str, Any]:
    return id_token_claims(
        **(
            {
                "issuer": ISSUER,
                "sub": "s",
                "client_id": "app",
                "now": NOW,
                "lifetime_seconds": 300,
                "nonce": "canary-nonce",
                "auth_time": NOW - 5,
                "acr": "1",
                "amr": ("pwd",),
                "sid": "sid-1",
            }
            | changes
        )
    )


def test_what_our_provider_builds_our_relying_party_believes() -> None:
    extra = {"preferred_username": "alice", "at_hash": half_hash(ACCESS_TOKEN, "ES256")}
    token = sign(built(extra=extra), KEY, "ES256", kid="k", typ="JWT")
    believed = verify_id_token(token, read, RULES, NOW)
    assert (believed.sub, believed.sid, believed.auth_time) == ("s", "sid-1", NOW - 5)
    assert (believed.acr, believed.amr, believed.all["preferred_username"]) == ("1", ("pwd",), "alice")


def test_absent_values_are_left_out_and_extra_claims_never_replace_ours() -> None:
    claims = built(
        nonce=None,
        auth_time=None,
        acr=None,
        amr=(),
        sid=None,
        extra={
            "iss": "x",
            "sub": "x",
            "aud": "x",
            "exp": 1,
            "nonce": "x",
            "azp": "x",
            "nbf": 1,
            "name": "Alice",
        },
    )
    assert claims == {"iss": ISSUER, "sub": "s", "aud": "app", "iat": NOW, "exp": NOW + 300, "name": "Alice"}


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        pytest.param("", Reason.ID_TOKEN_MALFORMED, id="empty"),
        pytest.param("a.b.c", Reason.ID_TOKEN_MALFORMED, id="not-a-token"),
        pytest.param(sign(CLAIMS, KEY, "ES256", kid="x"), Reason.ID_TOKEN_KID_UNKNOWN, id="kid-unknown"),
        pytest.param(
            sign(CLAIMS, generate_key("ES256"), "ES256", kid="k"), Reason.ID_TOKEN_SIGNATURE, id="other-key"
        ),
        pytest.param(
            sign(CLAIMS, generate_key("EdDSA"), "EdDSA", kid="k"), Reason.ID_TOKEN_ALG, id="alg-not-accepted"
        ),
        pytest.param(
            sign(CLAIMS, generate_key("RS256"), "RS256", kid="k"),
            Reason.ID_TOKEN_KID_UNKNOWN,
            id="kid-of-another-kind",
        ),
    ],
)
def test_a_token_that_is_not_signed_right_is_refused_by_name(token: str, reason: Reason) -> None:
    with pytest.raises(Refused) as caught:
        verify_id_token(token, read, RULES, NOW)
    assert caught.value.reason is reason
    assert caught.value.detail


claim_values = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=10)
    | st.lists(st.text(max_size=4), max_size=3)
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
    | st.sampled_from(list(CLAIMS.values()))
)


@given(
    st.dictionaries(st.sampled_from([*CLAIMS, "azp", "nbf", "auth_time", "sid", "acr", "amr"]), claim_values)
)
def test_any_claims_are_believed_or_refused_by_name(changes: dict[str, Any]) -> None:
    try:
        believed = check(CLAIMS | changes)
    except Refused:
        return
    assert isinstance(believed.sub, str)
    assert believed.all["iss"] == ISSUER


@pytest.mark.row("P-15")
def test_rules_and_claims_do_not_show_secrets() -> None:
    assert "canary" not in repr(RULES)
    assert "canary" not in repr(check(CLAIMS))


@pytest.mark.row("G-04")
@pytest.mark.parametrize("nonce", ["", "other", "n\ud800"])
def test_an_id_token_for_a_refresh_token_repeats_no_other_nonce(nonce: str) -> None:
    assert (
        refusal({**CLAIMS, "nonce": nonce}, rules=rules(nonce_may_be_missing=True)) is Reason.ID_TOKEN_NONCE
    )


@pytest.mark.row("G-04")
def test_an_id_token_for_a_refresh_token_may_leave_the_nonce_out() -> None:
    claims = {name: value for name, value in CLAIMS.items() if name != "nonce"}
    assert check(claims, rules=rules(nonce_may_be_missing=True)).sub == CLAIMS["sub"]

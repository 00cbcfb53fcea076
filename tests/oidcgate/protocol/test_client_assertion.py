"""Client assertions: break one thing, and the client is not believed."""

import base64
import dataclasses
import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oidcgate.jose.jwt import sign, verify
from oidcgate.jose.keys import VerificationKey, generate_key
from oidcgate.protocol.client_assertion import (
    JWT_BEARER,
    Assertion,
    AssertionRules,
    UnverifiedAssertion,
    check_assertion_claims,
    client_assertion_claims,
    unverified_assertion,
)
from oidcgate.protocol.errors import InvalidClient

NOW = 1_800_000_000
SKEW = 10
ISSUER = "https://id.example.com"
RULES = AssertionRules("app", frozenset({ISSUER, f"{ISSUER}/token"}), SKEW, 600)
HEADER: dict[str, Any] = {"alg": "ES256", "kid": "k"}
CLAIMS: dict[str, Any] = {
    "iss": "app",
    "sub": "app",
    "aud": ISSUER,
    "jti": "j-1",
    "iat": NOW,
    "exp": NOW + 60,
}
MISSING = object()


def altered(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (CLAIMS | changes).items() if value is not MISSING}


def compact(header: Any, payload: Any, signature: str = "c2ln") -> str:
    parts = (
        base64.urlsafe_b64encode(part if isinstance(part, bytes) else json.dumps(part).encode())
        .rstrip(b"=")
        .decode()
        for part in (header, payload)
    )
    return ".".join((*parts, signature))


def test_what_is_built_says_what_it_has_to() -> None:
    assert (
        client_assertion_claims(client_id="app", audience=ISSUER, jti="j-1", now=NOW, lifetime_seconds=60)
        == CLAIMS
    )
    assert JWT_BEARER == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def test_an_hour_is_the_longest_unless_another_is_chosen() -> None:
    rules = AssertionRules("app", frozenset({ISSUER}), 0)
    assert check_assertion_claims(HEADER, altered(exp=NOW + 3600), rules, NOW).expires_at == NOW + 3600
    with pytest.raises(InvalidClient):
        check_assertion_claims(HEADER, altered(exp=NOW + 3601), rules, NOW)


@pytest.mark.row("P-07")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, Assertion("j-1", NOW + 60), id="as-built"),
        pytest.param({"aud": f"{ISSUER}/token"}, Assertion("j-1", NOW + 60), id="aud-other-name-of-ours"),
        pytest.param({"aud": [ISSUER]}, Assertion("j-1", NOW + 60), id="aud-list-of-one"),
        pytest.param(
            {"aud": [f"{ISSUER}/token", ISSUER]}, Assertion("j-1", NOW + 60), id="aud-list-of-our-names"
        ),
        pytest.param({"exp": NOW + 600 + SKEW}, Assertion("j-1", NOW + 600 + SKEW), id="exp-furthest"),
        pytest.param({"exp": NOW - SKEW + 1}, Assertion("j-1", NOW - SKEW + 1), id="exp-within-skew"),
        pytest.param({"exp": NOW + 60.25}, Assertion("j-1", NOW + 61), id="exp-fraction"),
        pytest.param({"iat": MISSING}, Assertion("j-1", NOW + 60), id="iat-missing"),
        pytest.param({"iat": NOW + SKEW}, Assertion("j-1", NOW + 60), id="iat-ahead-within-skew"),
        pytest.param({"iat": NOW - 600 - SKEW}, Assertion("j-1", NOW + 60), id="iat-oldest"),
        pytest.param({"nbf": NOW + SKEW}, Assertion("j-1", NOW + 60), id="nbf-within-skew"),
        pytest.param({"jti": "j" * 255}, Assertion("j" * 255, NOW + 60), id="jti-longest"),
        pytest.param({"jti": "ü"}, Assertion("ü", NOW + 60), id="jti-shortest"),
    ],
)
def test_believed(changes: dict[str, Any], expected: Assertion) -> None:
    assert check_assertion_claims(HEADER, altered(**changes), RULES, NOW) == expected


@pytest.mark.parametrize(
    "typ",
    ["JWT", "jwt", "application/jwt", "client-authentication+jwt", "application/Client-Authentication+JWT"],
)
def test_its_own_types_are_taken(typ: str) -> None:
    assert check_assertion_claims(HEADER | {"typ": typ}, CLAIMS, RULES, NOW).jti == "j-1"


@pytest.mark.row("P-07")
@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        pytest.param({"iss": MISSING}, "iss and sub", id="iss-missing"),
        pytest.param({"iss": "other"}, "iss and sub", id="iss-foreign"),
        pytest.param({"iss": ["app"]}, "iss and sub", id="iss-list"),
        pytest.param({"sub": MISSING}, "iss and sub", id="sub-missing"),
        pytest.param({"sub": "other"}, "iss and sub", id="sub-foreign"),
        pytest.param({"iss": "other", "sub": "other"}, "iss and sub", id="another-client"),
        pytest.param({"aud": MISSING}, "aud", id="aud-missing"),
        pytest.param(
            {"aud": ISSUER + "/"},
            f"aud has to be one of {ISSUER}, {ISSUER}/token, and name nobody else",
            id="aud-with-slash",
        ),
        pytest.param({"aud": "https://other.example"}, "aud", id="aud-foreign"),
        pytest.param({"aud": []}, "aud", id="aud-empty"),
        pytest.param({"aud": [ISSUER, "https://other.example"]}, "aud", id="aud-another-beside-us"),
        pytest.param({"aud": [ISSUER, 1]}, "aud", id="aud-beside-us-no-text"),
        pytest.param({"aud": [[ISSUER]]}, "aud", id="aud-nested"),
        pytest.param({"aud": {ISSUER: 1}}, "aud", id="aud-object"),
        pytest.param({"aud": f"{ISSUER} {ISSUER}/token"}, "aud", id="aud-two-in-one-text"),
        pytest.param({"exp": MISSING}, "exp is missing", id="exp-missing"),
        pytest.param({"exp": NOW - SKEW}, "expired", id="exp-passed"),
        pytest.param({"exp": NOW + 600 + SKEW + 1}, "exp is more than 600", id="exp-too-far-ahead"),
        pytest.param({"exp": str(NOW + 60)}, "exp is not an instant", id="exp-text"),
        pytest.param({"exp": True}, "exp is not an instant", id="exp-boolean"),
        pytest.param({"exp": math.nan}, "exp is not an instant", id="exp-nan"),
        pytest.param({"exp": 2**53}, "exp is not an instant", id="exp-beyond-json"),
        pytest.param({"iat": NOW + SKEW + 1}, "iat", id="iat-in-the-future"),
        pytest.param({"iat": NOW - 600 - SKEW - 1}, "iat", id="iat-too-long-ago"),
        pytest.param({"iat": "now"}, "iat is not an instant", id="iat-text"),
        pytest.param({"nbf": NOW + SKEW + 1}, "nbf", id="nbf-in-the-future"),
        pytest.param({"nbf": []}, "nbf is not an instant", id="nbf-list"),
        pytest.param({"jti": MISSING}, "jti", id="jti-missing"),
        pytest.param({"jti": ""}, "jti", id="jti-empty"),
        pytest.param({"jti": 1}, "jti", id="jti-number"),
        pytest.param({"jti": "j" * 256}, "jti", id="jti-oversized"),
        pytest.param({"jti": "j\x00"}, "jti", id="jti-nul"),
    ],
)
def test_one_faulty_claim_is_one_refusal(changes: dict[str, Any], detail: str) -> None:
    with pytest.raises(InvalidClient) as caught:
        check_assertion_claims(HEADER, altered(**changes), RULES, NOW)
    assert detail in caught.value.detail


@pytest.mark.row("P-07")
@pytest.mark.parametrize(
    "typ", ["at+jwt", "logout+jwt", "dpop+jwt", "", "jw", "application/", 1, None, ["JWT"]]
)
def test_another_kind_of_token_is_no_assertion(typ: Any) -> None:
    with pytest.raises(InvalidClient) as caught:
        check_assertion_claims(HEADER | {"typ": typ}, CLAIMS, RULES, NOW)
    assert "kind" in caught.value.detail


def test_the_client_is_not_told_which_check_failed() -> None:
    with pytest.raises(InvalidClient) as caught:
        check_assertion_claims(HEADER, altered(exp=0), RULES, NOW)
    assert caught.value.description == "the client assertion is not good"


@pytest.mark.row("P-07")
def test_what_a_client_signs_is_read_verified_and_believed() -> None:
    key = generate_key("ES256")
    token = sign(CLAIMS, key, "ES256", kid="k")
    assert unverified_assertion(token) == UnverifiedAssertion("ES256", "app")
    header, claims = verify(token, [VerificationKey(key, "k", None)], ["ES256"])
    assert check_assertion_claims(header, claims, RULES, NOW) == Assertion("j-1", NOW + 60)


@pytest.mark.parametrize(
    ("alg", "client_id"),
    [
        ("HS256", "app"),
        ("none", "a b:ü"),
        ("RS512", "a" * 300),
        # Two of each remainder by four, and both letters in which base64url is not base64.
        *(("ES256", "ü>>>???~" + "a" * length) for length in range(8)),
    ],
)
def test_who_it_claims_to_come_from_is_read_unverified(alg: str, client_id: str) -> None:
    token = compact({"alg": alg}, {"iss": client_id, "sub": client_id})
    assert unverified_assertion(token) == UnverifiedAssertion(alg, client_id)


@pytest.mark.row("P-07")
@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="empty"),
        pytest.param("a.b", id="two-parts"),
        pytest.param("a.b.c.d.e", id="encrypted"),
        pytest.param("ä.b.c", id="not-ascii"),
        pytest.param(compact({}, {"iss": "a", "sub": "a"}), id="no-alg"),
        pytest.param(compact({"alg": ["HS256"]}, {"iss": "a", "sub": "a"}), id="alg-list"),
        pytest.param(compact([], {"iss": "a", "sub": "a"}), id="header-list"),
        pytest.param(compact({"alg": "HS256"}, []), id="payload-list"),
        pytest.param(compact({"alg": "HS256"}, b"\xff"), id="payload-not-utf8"),
        pytest.param(compact({"alg": "HS256"}, b'{"sub":"a","sub":"b"}'), id="payload-sub-twice"),
        pytest.param(
            compact({"alg": "HS256"}, {"iss": "a", "sub": "a"}).replace(".eyJ", ".e*yJ"), id="not-base64"
        ),
        pytest.param(compact({"alg": "HS256"}, {}).replace(".e30.", ".e."), id="payload-cut"),
        pytest.param(compact({"alg": "HS256"}, {"iss": "a"}), id="sub-missing"),
        pytest.param(compact({"alg": "HS256"}, {"iss": "", "sub": ""}), id="sub-empty"),
        pytest.param(compact({"alg": "HS256"}, {"iss": 1, "sub": 1}), id="sub-number"),
        pytest.param(compact({"alg": "HS256"}, {"iss": "a\x00", "sub": "a\x00"}), id="sub-nul"),
        pytest.param(compact({"alg": "HS256"}, {"iss": "a\x1f", "sub": "a\x1f"}), id="sub-control"),
        pytest.param(compact({"alg": "HS256"}, {"iss": "a\x7f", "sub": "a\x7f"}), id="sub-del"),
        pytest.param(compact({"alg": "HS256"}, b'{"iss":"\\ud800","sub":"\\ud800"}'), id="sub-half"),
        pytest.param(compact({"alg": "HS256"}, {"sub": "a"}), id="iss-missing"),
        pytest.param(compact({"alg": "HS256"}, {"iss": "b", "sub": "a"}), id="iss-foreign"),
    ],
)
def test_what_is_no_assertion_is_refused(token: str) -> None:
    with pytest.raises(InvalidClient):
        unverified_assertion(token)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.text(max_size=30)
    | st.binary(max_size=30).map(lambda payload: compact({"alg": "HS256"}, payload))
    | st.dictionaries(st.sampled_from(["iss", "sub"]), JSON).map(
        lambda payload: compact({"alg": "HS256"}, payload)
    )
)
@example("\ud800.b.c")
@example(compact({"alg": "HS256"}, {"iss": float("nan"), "sub": float("nan")}))
def test_any_text_is_an_assertion_or_refused(token: str) -> None:
    try:
        found = unverified_assertion(token)
    except InvalidClient:
        return
    assert found.client_id


@given(st.dictionaries(st.sampled_from([*CLAIMS, "nbf"]), JSON), JSON)
@example({"aud": [{}]}, "JWT")
@example({"exp": math.inf}, "JWT")
def test_any_claims_are_believed_or_refused(changes: dict[str, Any], typ: Any) -> None:
    try:
        found = check_assertion_claims(HEADER | {"typ": typ}, CLAIMS | changes, RULES, NOW)
    except InvalidClient:
        return
    assert dataclasses.astuple(found) == (
        (CLAIMS | changes)["jti"],
        math.ceil((CLAIMS | changes)["exp"]),
    )

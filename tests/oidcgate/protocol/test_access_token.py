"""Access tokens that say what they are: break one thing, and it is refused."""

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oidcgate.protocol.access_token import (
    ACCESS_TOKEN_TYPE,
    AccessTokenClaims,
    AccessTokenRules,
    access_token_claims,
    check_access_token_claims,
)
from oidcgate.protocol.errors import InvalidToken

NOW = 1_800_000_000
SKEW = 30
ISSUER = "https://id.example.com"
API = "https://api.example.com"
RULES = AccessTokenRules(ISSUER, API, SKEW)
HEADER: dict[str, Any] = {"alg": "RS256", "kid": "k", "typ": ACCESS_TOKEN_TYPE}
MISSING = object()


def built(**changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "issuer": ISSUER,
        "audience": API,
        "sub": "alice",
        "client_id": "app",
        "scope": ("read", "write"),
        "jti": "j-1",
        "now": NOW,
        "lifetime_seconds": 300,
    }
    return access_token_claims(**(arguments | changes))


def altered(**changes: Any) -> dict[str, Any]:
    claims = built(auth_time=NOW - 10, acr="2", amr=("pwd", "otp")) | changes
    return {name: value for name, value in claims.items() if value is not MISSING}


def check(claims: dict[str, Any], header: dict[str, Any] = HEADER) -> AccessTokenClaims:
    return check_access_token_claims(header, claims, RULES, NOW)


@pytest.mark.row("E-17")
def test_what_is_built_says_what_rfc_9068_asks() -> None:
    plain = {
        "iss": ISSUER,
        "aud": API,
        "sub": "alice",
        "client_id": "app",
        "iat": NOW,
        "exp": NOW + 300,
        "jti": "j-1",
        "scope": "read write",
    }
    assert built() == plain
    assert built(auth_time=0, acr="2", amr=("pwd", "otp")) == plain | {
        "auth_time": 0,
        "acr": "2",
        "amr": ["pwd", "otp"],
    }
    assert built(audience=(API, "b"))["aud"] == [API, "b"]
    assert "scope" not in built(scope=())


def test_further_claims_never_replace_its_own() -> None:
    names = [*altered(), "nbf"]
    assert len(names) == 12
    claims = built(scope=(), extra={**dict.fromkeys(names, "canary"), "org_id": "o", "email": None})
    assert "canary" not in claims.values()
    assert (claims["org_id"], claims["email"]) == ("o", None)


@pytest.mark.row("E-17")
def test_what_the_provider_builds_is_accepted() -> None:
    claims = altered(org_id="o")
    accepted = check(claims)
    assert accepted == AccessTokenClaims(
        "alice", "app", "j-1", ("read", "write"), NOW + 300, NOW - 10, "2", ("pwd", "otp"), claims
    )
    with pytest.raises(TypeError):
        accepted.all["sub"] = "other"
    bare = check(built(scope=()))
    assert (bare.scope, bare.auth_time, bare.acr, bare.amr) == ((), None, None, ())


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"])
def test_its_type_is_known_in_any_case(typ: str) -> None:
    assert check(altered(), HEADER | {"typ": typ}).sub == "alice"


@pytest.mark.row("P-14")
@pytest.mark.parametrize("typ", [MISSING, None, "", "JWT", "logout+jwt", "at", "application/", 1, ["at+jwt"]])
def test_another_kind_of_token_is_no_access_token(typ: Any) -> None:
    with pytest.raises(InvalidToken) as caught:
        check(altered(), {name: v for name, v in (HEADER | {"typ": typ}).items() if v is not MISSING})
    assert "kind" in caught.value.detail


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"aud": ["b", API]}, id="aud-one-of-a-list"),
        pytest.param({"exp": NOW - SKEW + 1}, id="exp-within-skew"),
        pytest.param({"nbf": NOW + SKEW}, id="nbf-within-skew"),
        pytest.param({"iat": 0}, id="iat-long-ago"),
        pytest.param({"amr": None, "acr": None, "scope": None}, id="null-is-absent"),
    ],
)
def test_accepted(changes: dict[str, Any]) -> None:
    assert check(altered(**changes)).sub == "alice"


def test_instants_are_whole_seconds() -> None:
    accepted = check(altered(exp=NOW + 1.75, auth_time=NOW - 0.25))
    assert (accepted.expires_at, accepted.auth_time) == (NOW + 1, NOW - 1)


@pytest.mark.row("E-17")
@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        pytest.param({"iss": MISSING}, "iss is another", id="iss-missing"),
        pytest.param({"iss": ISSUER + "/"}, "iss is another", id="iss-with-slash"),
        pytest.param({"iss": [ISSUER]}, "iss is another", id="iss-list"),
        pytest.param({"aud": MISSING}, "aud names", id="aud-missing"),
        pytest.param({"aud": "app"}, "aud names", id="aud-foreign"),
        pytest.param({"aud": API + "/x"}, "aud names", id="aud-longer"),
        pytest.param({"aud": []}, "aud names", id="aud-empty"),
        pytest.param({"aud": [[API]]}, "aud names", id="aud-nested"),
        pytest.param({"aud": {API: 1}}, "aud names", id="aud-object"),
        pytest.param({"exp": MISSING}, "expired", id="exp-missing"),
        pytest.param({"exp": NOW - SKEW}, "expired", id="exp-passed"),
        pytest.param({"exp": "1"}, "exp is not an instant", id="exp-text"),
        pytest.param({"exp": math.inf}, "exp is not an instant", id="exp-1e400"),
        pytest.param({"iat": MISSING}, "iat is missing", id="iat-missing"),
        pytest.param({"iat": False}, "iat is not an instant", id="iat-boolean"),
        pytest.param({"nbf": NOW + SKEW + 1}, "nbf is in", id="nbf-in-the-future"),
        pytest.param({"nbf": {}}, "nbf is not an instant", id="nbf-object"),
        pytest.param({"auth_time": -1}, "auth_time is not an instant", id="auth-time-negative"),
        pytest.param({"sub": MISSING}, "sub is missing", id="sub-missing"),
        pytest.param({"sub": ""}, "sub is missing", id="sub-empty"),
        pytest.param({"sub": 1}, "sub is not of its type", id="sub-number"),
        pytest.param({"client_id": MISSING}, "client_id is missing", id="client-id-missing"),
        pytest.param({"client_id": ["app"]}, "client_id is not of its type", id="client-id-list"),
        pytest.param({"jti": MISSING}, "jti is missing", id="jti-missing"),
        pytest.param({"scope": ["read"]}, "scope is not of its type", id="scope-list"),
        pytest.param({"acr": 2}, "acr is not of its type", id="acr-number"),
        pytest.param({"amr": "pwd"}, "amr is not of its type", id="amr-text"),
        pytest.param({"amr": ""}, "amr is not of its type", id="amr-empty-text"),
        pytest.param({"amr": ["pwd", 1]}, "amr is not of its type", id="amr-number"),
    ],
)
def test_one_faulty_claim_is_one_refusal(changes: dict[str, Any], detail: str) -> None:
    with pytest.raises(InvalidToken) as caught:
        check(altered(**changes))
    assert detail in caught.value.detail
    assert caught.value.description == "the access token is not good"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*altered(), "nbf"]), JSON), JSON)
@example({"aud": [{}, []]}, "at+jwt")
@example({"exp": math.nan}, "at+jwt")
@example({"amr": [{}]}, "at+jwt")
def test_any_claims_are_accepted_or_refused(changes: dict[str, Any], typ: Any) -> None:
    for header in (HEADER, HEADER | {"typ": typ}):
        try:
            found = check(altered(**changes), header)
        except InvalidToken:
            continue
        assert found.sub
        assert found.client_id

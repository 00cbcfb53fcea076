"""Logout tokens: break one thing, and nobody is signed out by it."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.protocol.errors import InvalidRequest
from oidcgate.protocol.logout_token import (
    EVENT,
    TYPE,
    LogoutTokenClaims,
    LogoutTokenRules,
    check_logout_token,
    logout_token_claims,
)

NOW = 1_800_000_000
SKEW = 10
ISSUER = "https://id.example.com"
RULES = LogoutTokenRules(ISSUER, "app", SKEW, longest_seconds=600)
HEADER: dict[str, Any] = {"alg": "RS256", "kid": "k", "typ": "logout+jwt"}
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "alice",
    "aud": "app",
    "iat": NOW,
    "exp": NOW + 120,
    "jti": "j-1",
    "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    "sid": "s-1",
}
MISSING = object()


def altered(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (CLAIMS | changes).items() if value is not MISSING}


def test_what_is_built_says_what_it_has_to() -> None:
    made = logout_token_claims(issuer=ISSUER, client_id="app", sub="alice", sid="s-1", jti="j-1", now=NOW)
    assert made == CLAIMS
    assert TYPE == "logout+jwt"
    assert check_logout_token(HEADER, made, RULES, NOW) == LogoutTokenClaims("alice", "s-1", "j-1", NOW + 120)
    made = logout_token_claims(issuer=ISSUER, client_id="app", sub=None, sid="s-1", jti="j-1", now=NOW)
    assert made == altered(sub=MISSING)


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        pytest.param({"typ": "application/logout+jwt"}, {}, id="typ-with-application"),
        pytest.param({"typ": "JWT"}, {}, id="typ-of-any-jwt"),
        pytest.param({"typ": "Logout+JWT"}, {}, id="typ-in-capitals"),
        pytest.param({}, {"sub": MISSING}, id="sid-alone"),
        pytest.param({}, {"sid": MISSING}, id="sub-alone"),
        pytest.param({}, {"aud": ["other", "app"]}, id="aud-a-list"),
        pytest.param({}, {"events": {EVENT: {"x": 1}, "https://else": None}}, id="further-events"),
        pytest.param({}, {"iat": NOW + SKEW}, id="iat-ahead-by-the-skew"),
        pytest.param({}, {"iat": NOW - 600 - SKEW}, id="iat-as-old-as-it-may-be"),
        pytest.param({}, {"exp": NOW - SKEW + 1}, id="exp-past-by-less-than-the-skew"),
        pytest.param({}, {"exp": NOW + 600 + SKEW}, id="exp-as-far-as-it-may-be"),
        pytest.param({}, {"jti": "j" * 255, "sub": "s" * 255}, id="identifiers-as-long-as-they-may-be"),
        pytest.param({}, {"jti": "j"}, id="one-character"),
    ],
)
def test_what_is_believed(header: dict[str, Any], claims: dict[str, Any]) -> None:
    said = altered(**claims)
    found = check_logout_token({**HEADER, **header}, said, RULES, NOW)
    assert (found.sub, found.sid, found.jti) == (said.get("sub"), said.get("sid"), said["jti"])


def test_a_token_without_a_type_is_judged_by_its_claims() -> None:
    assert check_logout_token({"alg": "RS256"}, CLAIMS, RULES, NOW).sid == "s-1"


def test_the_end_is_rounded_up_to_whole_seconds() -> None:
    assert check_logout_token(HEADER, altered(exp=NOW + 0.5), RULES, NOW).expires_at == NOW + 1


KIND = "it is another kind of token"
REFUSED = [
    pytest.param({"typ": "at+jwt"}, {}, KIND, id="access-token"),
    pytest.param({"typ": ""}, {}, KIND, id="typ-empty"),
    pytest.param({"typ": 1}, {}, KIND, id="typ-no-text"),
    pytest.param({}, {"iss": MISSING}, "iss is not the provider", id="iss-missing"),
    pytest.param({}, {"iss": ISSUER + "/"}, "iss is not the provider", id="iss-foreign"),
    pytest.param({}, {"aud": MISSING}, "aud does not name this client", id="aud-missing"),
    pytest.param({}, {"aud": "other"}, "aud does not name this client", id="aud-foreign"),
    pytest.param({}, {"aud": ["other", "appx"]}, "aud does not name this client", id="aud-list-foreign"),
    pytest.param({}, {"events": MISSING}, "events does not say", id="events-missing"),
    pytest.param({}, {"events": [EVENT]}, "events does not say", id="events-a-list"),
    pytest.param({}, {"events": {}}, "events does not say", id="events-empty"),
    pytest.param({}, {"events": {EVENT: None}}, "events does not say", id="event-null"),
    pytest.param({}, {"events": {EVENT + "/": {}}}, "events does not say", id="event-other"),
    pytest.param({}, {"nonce": "n"}, "it has a nonce", id="nonce"),
    pytest.param({}, {"nonce": None}, "it has a nonce", id="nonce-null"),
    pytest.param({}, {"sub": MISSING, "sid": MISSING}, "neither a person nor", id="nobody"),
    pytest.param({}, {"sub": 1}, "sub is not 1 to 255", id="sub-a-number"),
    pytest.param({}, {"sub": ""}, "sub is not 1 to 255", id="sub-empty"),
    pytest.param({}, {"sid": ["s"]}, "sid is not 1 to 255", id="sid-a-list"),
    pytest.param({}, {"jti": MISSING}, "jti is missing", id="jti-missing"),
    pytest.param({}, {"jti": "j" * 256}, "jti is not 1 to 255", id="jti-long"),
    pytest.param({}, {"jti": "a\nb"}, "jti is not 1 to 255", id="jti-with-a-break"),
    pytest.param({}, {"iat": MISSING}, "iat is missing", id="iat-missing"),
    pytest.param({}, {"iat": NOW + SKEW + 1}, "iat is missing, in the future", id="iat-ahead"),
    pytest.param({}, {"iat": NOW - 601 - SKEW}, "or too long ago", id="iat-old"),
    pytest.param({}, {"iat": "now"}, "iat", id="iat-no-number"),
    pytest.param({}, {"exp": MISSING}, "it has expired, or does not say", id="exp-missing"),
    pytest.param({}, {"exp": NOW - SKEW}, "it has expired", id="exp-past"),
    pytest.param({}, {"exp": NOW + 601 + SKEW}, "exp is more than 600 seconds", id="exp-far"),
    pytest.param({}, {"exp": True}, "exp", id="exp-no-number"),
]


@pytest.mark.parametrize(("header", "claims", "detail"), REFUSED)
def test_what_is_refused(header: dict[str, Any], claims: dict[str, Any], detail: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_logout_token({**HEADER, **header}, altered(**claims), RULES, NOW)
    assert (refused.value.status, refused.value.description) == (400, "the logout token is not good")
    assert (refused.value.detail or "").startswith("logout token: ")
    assert detail in (refused.value.detail or "")


def test_who_needs_sid_is_told_of_no_other_session() -> None:
    rules = replace(RULES, sid_required=True)
    assert check_logout_token(HEADER, CLAIMS, rules, NOW).sid == "s-1"
    with pytest.raises(InvalidRequest) as refused:
        check_logout_token(HEADER, altered(sid=MISSING), rules, NOW)
    assert refused.value.detail == "logout token: sid is missing"


def test_how_long_a_token_may_live_when_nobody_says() -> None:
    rules = LogoutTokenRules(ISSUER, "app", 0)
    assert check_logout_token(HEADER, altered(exp=NOW + 3600), rules, NOW).expires_at == NOW + 3600
    with pytest.raises(InvalidRequest):
        check_logout_token(HEADER, altered(exp=NOW + 3601), rules, NOW)


@given(
    st.dictionaries(
        st.sampled_from([*CLAIMS, "nonce"]), st.none() | st.integers() | st.text() | st.lists(st.text())
    )
)
def test_any_claims_are_judged(changes: dict[str, Any]) -> None:
    try:
        check_logout_token(HEADER, CLAIMS | changes, RULES, NOW)
    except InvalidRequest:
        return
    assert "nonce" not in changes

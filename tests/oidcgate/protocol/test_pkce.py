"""Proof Key for Code Exchange."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.protocol.errors import InvalidGrant
from oidcgate.protocol.pkce import s256_challenge, verify_pkce

# RFC 7636 appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.row("E-05")
def test_the_example_of_rfc_7636() -> None:
    assert s256_challenge(VERIFIER) == CHALLENGE
    verify_pkce(CHALLENGE, "S256", VERIFIER)


@pytest.mark.parametrize("verifier", ["", "a" * 42, "a" * 129, "ä" * 43, "a" * 43 + "\n", "+" * 43])
def test_what_is_no_verifier_gets_no_challenge(verifier: str) -> None:
    with pytest.raises(ValueError, match="43 to 128"):
        s256_challenge(verifier)


def test_a_client_that_never_used_pkce_needs_none() -> None:
    verify_pkce(None, None, None)


@pytest.mark.row("E-05", "P-05")
@pytest.mark.parametrize(
    ("challenge", "method", "verifier", "description"),
    [
        pytest.param(CHALLENGE, "S256", None, "is missing", id="verifier-left-out"),
        pytest.param(None, None, VERIFIER, "without a code_challenge", id="challenge-left-out"),
        pytest.param(CHALLENGE, "S256", VERIFIER[:-1] + "l", "does not match", id="wrong"),
        pytest.param(CHALLENGE, "S256", CHALLENGE, "does not match", id="challenge-as-verifier"),
        pytest.param(CHALLENGE, "S256", "short", "malformed", id="too-short"),
        pytest.param(CHALLENGE, "S256", "ü" * 43, "malformed", id="not-ascii"),
        pytest.param(CHALLENGE, "plain", CHALLENGE, "malformed", id="plain"),
        pytest.param(CHALLENGE, None, CHALLENGE, "malformed", id="method-missing"),
    ],
)
def test_a_downgrade_or_a_wrong_verifier_is_invalid_grant(
    challenge: str | None, method: str | None, verifier: str | None, description: str
) -> None:
    with pytest.raises(InvalidGrant, match=description) as caught:
        verify_pkce(challenge, method, verifier)
    assert verifier is None or verifier not in str(caught.value)


@given(st.from_regex(r"[A-Za-z0-9\-._~]{43,128}", fullmatch=True), st.text(max_size=130))
def test_only_the_verifier_itself_opens_its_challenge(verifier: str, other: str) -> None:
    verify_pkce(s256_challenge(verifier), "S256", verifier)
    if other != verifier:
        with pytest.raises(InvalidGrant):
            verify_pkce(s256_challenge(verifier), "S256", other)

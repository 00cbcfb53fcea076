"""Proof Key for Code Exchange."""

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.protocol.errors import InvalidGrant, InvalidRequest
from oidcgate.protocol.pkce import check_challenge, s256_challenge, verify_pkce

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


def test_the_shortest_the_longest_and_each_character_of_a_verifier() -> None:
    for length in (43, 128):
        assert len(s256_challenge("a" * length)) == 43
    for character in map(chr, range(0x100)):
        unreserved = character in string.ascii_letters + string.digits + "-._~"
        try:
            s256_challenge("a" * 42 + character)
        except ValueError:
            assert not unreserved, ascii(character)
        else:
            assert unreserved, ascii(character)


def test_each_character_of_a_challenge() -> None:
    for character in map(chr, range(0x100)):
        try:
            check_challenge(character + "A" * 42, "S256")
        except InvalidRequest:
            assert character not in string.ascii_letters + string.digits + "-_", ascii(character)
        else:
            assert character in string.ascii_letters + string.digits + "-_", ascii(character)


def test_a_challenge_ends_in_what_32_bytes_can_end_in() -> None:
    ends = {base64.urlsafe_b64encode(bytes([*range(31), last])).decode()[42] for last in range(256)}
    for character in map(chr, range(0x100)):
        try:
            check_challenge("aZ09-_" * 7 + character, "S256")
        except InvalidRequest:
            assert character not in ends, ascii(character)
        else:
            assert character in ends, ascii(character)


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

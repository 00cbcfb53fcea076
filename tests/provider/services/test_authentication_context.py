"""`acr` and `amr` in each vocabulary: what is said of which sign-in, never more than was done."""

import pytest

from provider.client_settings import ACR_PROFILES
from provider.services.authentication_context import (
    PLAIN,
    TWO_FACTORS,
    VOCABULARIES,
    methods_told,
    reachable,
    state,
    with_method,
)

SAML = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
PASSWORD_ONLY = ("pwd",)
BOTH = ("pwd", "otp")


def test_every_profile_that_can_be_configured_has_words() -> None:
    assert tuple(VOCABULARIES) == ACR_PROFILES


@pytest.mark.row("E-06", "E-28", "A-17", "A-18", "C-11")
@pytest.mark.parametrize(
    ("profile", "used", "asked", "acr", "amr"),
    [
        pytest.param("rfc8176", PASSWORD_ONLY, "", "knowledge", ["pwd"], id="plain-password"),
        pytest.param("rfc8176", BOTH, "", "mfa", ["pwd", "otp", "mfa"], id="plain-both"),
        pytest.param("rfc8176", BOTH, "possession", "possession", ["pwd", "otp", "mfa"], id="plain-asked"),
        pytest.param("rfc8176", BOTH, "knowledge", "knowledge", ["pwd", "otp", "mfa"], id="plain-asked-less"),
        pytest.param("rfc8176", BOTH, "possession mfa", "possession", ["pwd", "otp", "mfa"], id="first-wins"),
        pytest.param("rfc8176", PASSWORD_ONLY, "mfa knowledge", "knowledge", ["pwd"], id="second-if-reached"),
        pytest.param("rfc8176", PASSWORD_ONLY, "mfa", "knowledge", ["pwd"], id="plain-not-reached"),
        pytest.param("rfc8176", PASSWORD_ONLY, "gold", "knowledge", ["pwd"], id="plain-unknown"),
        pytest.param("rfc8176", BOTH, "gold", "mfa", ["pwd", "otp", "mfa"], id="plain-unknown-both"),
        pytest.param("entrust-saml", PASSWORD_ONLY, "", f"{SAML}Password", ["pwd"], id="saml-password"),
        pytest.param("entrust-saml", BOTH, "", f"{SAML}TimeSyncToken", ["swk"], id="saml-both"),
        pytest.param(
            "entrust-saml", BOTH, f"{SAML}Password", f"{SAML}Password", ["pwd"], id="saml-asked-less"
        ),
        pytest.param(
            "entrust-saml", PASSWORD_ONLY, f"{SAML}unspecified", f"{SAML}unspecified", ["pwd"], id="saml-any"
        ),
        pytest.param(
            "entrust-saml",
            BOTH,
            f"{SAML}SmartcardPKI {SAML}MobileTwoFactorContract",
            f"{SAML}MobileTwoFactorContract",
            ["mfa"],
            id="saml-two-factors-asked",
        ),
        pytest.param(
            "entrust-saml",
            PASSWORD_ONLY,
            f"{SAML}MobileTwoFactorContract",
            f"{SAML}Password",
            ["pwd"],
            id="saml-two-factors-not-reached",
        ),
        pytest.param("entrust-saml", BOTH, "mfa", f"{SAML}TimeSyncToken", ["swk"], id="saml-foreign-word"),
        pytest.param("eam", PASSWORD_ONLY, "possessionorinherence", "knowledge", ["pwd"], id="eam-password"),
        pytest.param("eam", BOTH, "", "possession", ["otp"], id="eam-both"),
        pytest.param("eam", BOTH, "possessionorinherence", "possessionorinherence", ["otp"], id="eam-asked"),
        pytest.param(
            "eam",
            PASSWORD_ONLY,
            "knowledgeorpossession",
            "knowledge",
            ["pwd"],
            id="eam-password-is-not-enough",
        ),
    ],
)
def test_what_is_said(profile: str, used: tuple[str, ...], asked: str, acr: str, amr: list[str]) -> None:
    said = state(VOCABULARIES[profile], used, tuple(asked.split()))
    assert (said.acr, list(said.amr)) == (acr, amr)


@pytest.mark.row("E-06")
@pytest.mark.parametrize("profile", ACR_PROFILES)
def test_one_factor_and_two_differ_in_both_claims(profile: str) -> None:
    one, two = (state(VOCABULARIES[profile], used) for used in (PASSWORD_ONLY, BOTH))
    assert one.acr != two.acr
    assert one.amr != two.amr


@pytest.mark.parametrize("profile", ACR_PROFILES)
def test_no_password_reaches_what_needs_possession_whatever_is_asked(profile: str) -> None:
    vocabulary = VOCABULARIES[profile]
    for context in vocabulary.contexts:
        said = state(vocabulary, PASSWORD_ONLY, (context.value,))
        assert set(said.amr).isdisjoint({"otp", "swk", "mfa"})
        assert (said.acr == context.value) is (context.needs == {"pwd"})


def test_nothing_done_says_nothing() -> None:
    with pytest.raises(ValueError, match="no acr"):
        state(PLAIN, ())


def test_methods_keep_their_order() -> None:
    assert with_method(("pwd",), "otp") == with_method(("otp", "pwd"), "otp") == ("pwd", "otp")
    assert with_method((), "pwd") == ("pwd",)
    assert methods_told({"otp", "pwd"}) == ("pwd", "otp", "mfa")
    assert methods_told(("otp",)) == ("otp",)


def test_needs_and_methods_leave_out_what_nobody_knows() -> None:
    assert PLAIN.needs(("gold", "mfa", "knowledge")) == (TWO_FACTORS, frozenset({"pwd"}))
    assert PLAIN.methods_asked(("otp", "face")) == {"otp"}
    assert PLAIN.methods_asked(("pwd", "mfa")) == TWO_FACTORS
    assert PLAIN.methods_asked(()) == frozenset()
    assert VOCABULARIES["eam"].methods_asked(("pwd",)) == frozenset()
    assert VOCABULARIES["entrust-saml"].methods_asked(("swk",)) == {"otp"}


@pytest.mark.row("E-15")
def test_discovery_lists_what_can_be_reached() -> None:
    assert reachable(False) == ("knowledge", f"{SAML}unspecified", f"{SAML}Password")
    assert reachable(True) == (
        "knowledge",
        "possession",
        "mfa",
        f"{SAML}unspecified",
        f"{SAML}Password",
        f"{SAML}MobileTwoFactorContract",
        f"{SAML}TimeSyncToken",
        "knowledgeorpossessionorinherence",
        "knowledgeorpossession",
        "possessionorinherence",
    )

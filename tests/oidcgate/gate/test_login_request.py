"""What a link to the login route asks for, as a table."""

from typing import Any

import pytest

from oidcgate.gate.login_request import LoginFault, LoginRequest, from_another_site, of_our_own
from oidcgate.gate.policy import Access, Policy, Rule
from oidcgate.web.facts import BadRequest

ISSUERS = {"One": "https://one.example", "Two": "https://two.example"}
KEY, FORM = "A" * 22, "0f-" + "b" * 22


def ours(target: str) -> str | None:
    """A judge of targets that knows two of them."""
    return target if target in ("/a", "/b?c=d") else None


@pytest.mark.parametrize(
    ("pairs", "asked"),
    [
        pytest.param([], {"return_path": "/"}, id="nothing"),
        pytest.param([("rd", "/b?c=d")], {"return_path": "/b?c=d"}, id="target"),
        pytest.param([("rd", "//evil.example")], {"return_path": "/"}, id="target-foreign"),
        pytest.param([("rd", "/x"), ("rd", "/a")], {"return_path": "/a"}, id="the-last-of-two"),
        pytest.param([("idp", "Two")], {"issuer": "https://two.example"}, id="provider"),
        pytest.param([("prompt", "login")], {"prompt": ("login",)}, id="prompt"),
        pytest.param(
            [("prompt", "consent select_account")], {"prompt": ("consent", "select_account")}, id="two"
        ),
        pytest.param([("prompt", " none")], {"prompt": ("none",)}, id="silent"),
        pytest.param([("prompt", "none login create")], {"prompt": ("login",)}, id="prompt-of-ours-alone"),
        pytest.param([("max_age", "0")], {"max_age_seconds": 0}, id="max-age-zero"),
        pytest.param([("max_age", "999999999")], {"max_age_seconds": 999_999_999}, id="max-age-longest"),
        pytest.param([("acr_values", " a  b ")], {"acr_values": ("a", "b")}, id="contexts"),
        pytest.param(
            [("acr_values", "a b c d e f g h i j k")], {"acr_values": tuple("abcdefghij")}, id="ten-contexts"
        ),
        pytest.param([("fragment", "")], {"fragment": ""}, id="no-fragment"),
        pytest.param([("fragment", KEY)], {"fragment": KEY}, id="fragment"),
        pytest.param([("fragment", KEY + "A")], {"fragment": ""}, id="fragment-too-long"),
        pytest.param([("fragment", KEY[1:] + "!")], {"fragment": ""}, id="fragment-malformed"),
        pytest.param([("form", FORM)], {"form": FORM}, id="form"),
        pytest.param([("form", FORM[1:])], {"form": ""}, id="form-malformed"),
        pytest.param([("login_hint", "mallory")], {"login_hint": None}, id="no-hint"),
    ],
)
def test_a_link_of_our_own(pairs: list[tuple[str, str]], asked: dict[str, Any]) -> None:
    assert of_our_own(pairs, ours, ISSUERS) == LoginRequest(**{"return_path": "/", **asked})


@pytest.mark.parametrize(
    ("pairs", "fault"),
    [
        pytest.param([("idp", "Three")], LoginFault.PROVIDER, id="provider-unknown"),
        pytest.param([("idp", "")], LoginFault.PROVIDER, id="provider-empty"),
        pytest.param([("max_age", "")], LoginFault.MAX_AGE, id="max-age-empty"),
        pytest.param([("max_age", "-1")], LoginFault.MAX_AGE, id="max-age-negative"),
        pytest.param([("max_age", "٣")], LoginFault.MAX_AGE, id="max-age-other-digits"),
        pytest.param([("max_age", "1000000000")], LoginFault.MAX_AGE, id="max-age-too-long"),
    ],
)
def test_a_link_that_cannot_be_meant(pairs: list[tuple[str, str]], fault: LoginFault) -> None:
    with pytest.raises(BadRequest) as caught:
        of_our_own(pairs, ours, ISSUERS)
    assert caught.value.reason is fault


TWO = ("iss", "https://two.example")


@pytest.mark.parametrize(
    ("pairs", "hint", "asked"),
    [
        pytest.param([TWO], False, {"return_path": "/"}, id="issuer-alone"),
        pytest.param([TWO, ("target_link_uri", "/a")], False, {"return_path": "/a"}, id="target"),
        pytest.param([TWO, ("login_hint", "al")], False, {"login_hint": None}, id="hint-dropped"),
        pytest.param([TWO, ("login_hint", "al")], True, {"login_hint": "al"}, id="hint"),
        pytest.param([TWO, ("login_hint", "a")], True, {"login_hint": "a"}, id="hint-shortest"),
        pytest.param([TWO, ("login_hint", "a" * 200)], True, {"login_hint": "a" * 200}, id="hint-longest"),
        pytest.param([TWO, ("login_hint", "a" * 201)], True, {"login_hint": None}, id="hint-too-long"),
        pytest.param([TWO, ("login_hint", "")], True, {"login_hint": None}, id="hint-empty"),
        pytest.param([TWO, ("login_hint", "a\n")], True, {"login_hint": None}, id="hint-unprintable"),
        # Nobody else says what is asked of a sign-in here, nor what waits for it.
        pytest.param(
            [TWO, ("max_age", "0"), ("max_age", "x"), ("prompt", "login"), ("form", FORM), ("rd", "/a")],
            True,
            {"return_path": "/"},
            id="no-more",
        ),
    ],
)
def test_a_link_of_another_site(pairs: list[tuple[str, str]], hint: bool, asked: dict[str, Any]) -> None:
    expected = LoginRequest(**{"return_path": "/", "issuer": "https://two.example", **asked})
    assert from_another_site(pairs, ours, ISSUERS, hint=hint) == expected


@pytest.mark.parametrize(
    ("pairs", "fault"),
    [
        pytest.param([("iss", "https://three.example")], LoginFault.PROVIDER, id="issuer-unknown"),
        pytest.param([("iss", "Two")], LoginFault.PROVIDER, id="issuer-by-name"),
        pytest.param([TWO, TWO], LoginFault.REPEATED, id="issuer-twice"),
        pytest.param([TWO, ("login_hint", "a"), ("login_hint", "a")], LoginFault.REPEATED, id="hint-twice"),
        pytest.param(
            [TWO, ("target_link_uri", "https://evil.example")], LoginFault.TARGET, id="target-foreign"
        ),
        pytest.param([TWO, ("target_link_uri", "")], LoginFault.TARGET, id="target-empty"),
    ],
)
def test_a_link_of_another_site_that_cannot_be_meant(pairs: list[tuple[str, str]], fault: LoginFault) -> None:
    with pytest.raises(BadRequest) as caught:
        from_another_site(pairs, ours, ISSUERS, hint=True)
    assert caught.value.reason is fault


def test_without_an_issuer_it_is_no_other_sites() -> None:
    pairs = [("target_link_uri", "/a"), ("target_link_uri", "/b"), ("login_hint", "a")]
    assert from_another_site(pairs, ours, ISSUERS, hint=True) is None


RULE = Rule(
    "/vault/**",
    Access.KNOWN,
    max_age_seconds=300,
    acr_values=("mfa", "phr"),
    issuer="https://two.example",
    prompt=("login",),
)


@pytest.mark.parametrize(
    ("asked", "becomes"),
    [
        pytest.param(
            {},
            {
                "issuer": RULE.issuer,
                "prompt": ("login",),
                "max_age_seconds": 300,
                "acr_values": ("mfa", "phr"),
            },
            id="all-of-the-rule",
        ),
        pytest.param(
            {
                "issuer": "https://one.example",
                "prompt": ("consent",),
                "max_age_seconds": 60,
                "acr_values": ("x",),
            },
            {
                "issuer": RULE.issuer,
                "prompt": ("consent", "login"),
                "max_age_seconds": 60,
                "acr_values": ("mfa", "phr"),
            },
            id="more-than-the-rule-but-its-provider",
        ),
        pytest.param(
            {"prompt": ("none",), "acr_values": ("x", "phr")},
            {"issuer": RULE.issuer, "prompt": ("login",), "max_age_seconds": 300, "acr_values": ("phr",)},
            id="not-silently-and-of-the-contexts-those-that-serve-both",
        ),
        pytest.param(
            {"prompt": ("login",), "acr_values": ("phr", "mfa")},
            {
                "issuer": RULE.issuer,
                "prompt": ("login",),
                "max_age_seconds": 300,
                "acr_values": ("phr", "mfa"),
            },
            id="in-the-order-of-the-link",
        ),
        pytest.param(
            {"max_age_seconds": 900, "login_hint": "al", "fragment": KEY, "form": FORM},
            {
                "issuer": RULE.issuer,
                "prompt": ("login",),
                "max_age_seconds": 300,
                "acr_values": ("mfa", "phr"),
                "login_hint": "al",
                "fragment": KEY,
                "form": FORM,
            },
            id="never-less-and-the-rest-stays",
        ),
    ],
)
def test_what_the_rule_of_the_target_asks_for(asked: dict[str, Any], becomes: dict[str, Any]) -> None:
    policy = Policy([RULE])
    target = "/vault/%C5%BE?of=gold#there"
    assert LoginRequest(target, **asked).under(policy) == LoginRequest(target, **becomes)


def test_it_is_the_rule_for_looking_at_the_target() -> None:
    policy = Policy([Rule("/vault/**", Access.KNOWN, ("GET",), acr_values=("mfa",))])
    assert LoginRequest("/vault/x").under(policy).acr_values == ("mfa",)


def test_where_no_rule_asks_for_anything_nothing_is_added() -> None:
    assert LoginRequest("/elsewhere").under(Policy([RULE])) == LoginRequest("/elsewhere")
    asked = LoginRequest(
        "/elsewhere",
        issuer="https://one.example",
        prompt=("none",),
        max_age_seconds=0,
        acr_values=("x",),
    )
    assert asked.under(Policy([RULE])) == asked


def test_a_target_that_two_rules_could_mean_is_left_to_its_own_refusal() -> None:
    asked = LoginRequest("/vault;x/a")
    assert Policy([RULE]).rule_for("GET", "/vault;x/a") is None
    assert asked.under(Policy([RULE])) is asked

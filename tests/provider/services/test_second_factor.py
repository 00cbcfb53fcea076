"""`next_factor`: a table of who is asked for what, and what holds for every state."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.services.authentication_context import VOCABULARIES
from provider.services.second_factor import Factor, Means, Rule, Wish, next_factor, rule_of

PWD, BOTH = frozenset({"pwd"}), frozenset({"pwd", "otp"})
FREE, REQUIRED = Rule(required=False, may_ask=True), Rule(required=True, may_ask=True)

BARE = Means(PWD)
HAS = Means(PWD, has_code=True)
MAY = Means(PWD, may_enrol=True)
DECLINED = Means(PWD, may_enrol=True, declined=True)
DONE = Means(BOTH, has_code=True)


def wish(acr: str = "", *, essential: bool = False, amr: str = "", profile: str = "rfc8176") -> Wish:
    return Wish(tuple(acr.split()), essential, tuple(amr.split()), VOCABULARIES[profile])


NONE = wish()


@pytest.mark.row("E-15", "E-28")
@pytest.mark.parametrize(
    ("rule", "asked", "means", "expected"),
    [
        pytest.param(FREE, NONE, BARE, Factor.ENOUGH, id="nothing-asked"),
        pytest.param(FREE, NONE, HAS, Factor.ENOUGH, id="who-has-one-is-not-asked-for-nothing"),
        pytest.param(REQUIRED, NONE, HAS, Factor.CODE, id="required"),
        pytest.param(REQUIRED, NONE, MAY, Factor.ENROLMENT, id="required-and-none-yet"),
        pytest.param(REQUIRED, NONE, DECLINED, Factor.ENROLMENT, id="required-cannot-be-declined"),
        pytest.param(REQUIRED, NONE, BARE, Factor.MISSING, id="required-and-no-way"),
        pytest.param(REQUIRED, NONE, DONE, Factor.ENOUGH, id="required-and-done"),
        pytest.param(REQUIRED, wish("knowledge", essential=True), HAS, Factor.CODE, id="required-goes-first"),
        pytest.param(REQUIRED, wish("gold", essential=True), MAY, Factor.UNMET, id="no-enrolment-in-vain"),
        pytest.param(REQUIRED, wish("gold", essential=True), HAS, Factor.UNMET, id="no-code-in-vain"),
        pytest.param(FREE, wish("mfa"), HAS, Factor.CODE, id="wish"),
        pytest.param(FREE, wish("mfa"), MAY, Factor.OFFERED_ENROLMENT, id="wish-and-none-yet"),
        pytest.param(FREE, wish("mfa"), DECLINED, Factor.ENOUGH, id="wish-declined"),
        pytest.param(FREE, wish("mfa"), BARE, Factor.ENOUGH, id="wish-and-no-way"),
        pytest.param(FREE, wish("mfa"), DONE, Factor.ENOUGH, id="wish-and-done"),
        pytest.param(FREE, wish("knowledge mfa"), HAS, Factor.ENOUGH, id="the-first-is-reached"),
        pytest.param(FREE, wish("mfa knowledge"), HAS, Factor.BETTER_CODE, id="the-second-is-reached"),
        pytest.param(FREE, wish("mfa knowledge"), MAY, Factor.ENOUGH, id="no-new-one-for-a-preference"),
        pytest.param(FREE, wish("gold"), HAS, Factor.ENOUGH, id="unknown"),
        pytest.param(FREE, wish("gold mfa"), HAS, Factor.CODE, id="unknown-then-known"),
        pytest.param(FREE, wish("mfa", essential=True), HAS, Factor.CODE, id="essential"),
        pytest.param(FREE, wish("mfa", essential=True), MAY, Factor.ENROLMENT, id="essential-and-none-yet"),
        pytest.param(FREE, wish("mfa", essential=True), DECLINED, Factor.ENROLMENT, id="essential-declined"),
        pytest.param(FREE, wish("mfa", essential=True), BARE, Factor.UNMET, id="essential-and-no-way"),
        pytest.param(FREE, wish("mfa", essential=True), DONE, Factor.ENOUGH, id="essential-and-done"),
        pytest.param(FREE, wish("gold", essential=True), DONE, Factor.UNMET, id="essential-unknown"),
        pytest.param(FREE, wish("gold mfa", essential=True), HAS, Factor.CODE, id="essential-one-is-known"),
        pytest.param(FREE, wish("mfa knowledge", essential=True), HAS, Factor.ENOUGH, id="one-is-reached"),
        pytest.param(FREE, wish("", essential=True), BARE, Factor.ENOUGH, id="essential-any"),
        pytest.param(FREE, wish(amr="otp"), HAS, Factor.CODE, id="amr"),
        pytest.param(FREE, wish(amr="pwd otp"), HAS, Factor.CODE, id="amr-all-of-them"),
        pytest.param(FREE, wish(amr="pwd"), HAS, Factor.ENOUGH, id="amr-done"),
        pytest.param(FREE, wish(amr="face"), HAS, Factor.ENOUGH, id="amr-unknown"),
        pytest.param(FREE, wish(amr="otp"), BARE, Factor.ENOUGH, id="amr-and-no-way"),
        pytest.param(FREE, wish(amr="otp"), MAY, Factor.OFFERED_ENROLMENT, id="amr-and-none-yet"),
        pytest.param(FREE, wish(amr="otp"), DECLINED, Factor.ENOUGH, id="amr-declined"),
        pytest.param(FREE, wish("knowledge", amr="otp"), HAS, Factor.CODE, id="acr-met-amr-not"),
        pytest.param(
            FREE, wish("knowledge", essential=True, amr="otp"), HAS, Factor.CODE, id="essential-met-amr-not"
        ),
        pytest.param(
            FREE, wish("possessionorinherence", profile="eam"), HAS, Factor.CODE, id="eam"
        ),
        pytest.param(
            FREE, wish("mfa", essential=True, profile="eam"), HAS, Factor.UNMET, id="eam-word-of-others"
        ),
    ],
)  # fmt: skip
def test_next(rule: Rule, asked: Wish, means: Means, expected: Factor) -> None:
    assert next_factor(rule, asked, means) is expected


@pytest.mark.row("E-28")
@pytest.mark.parametrize(
    ("realm", "client", "required", "may_ask"),
    [
        ("off", "realm", False, False),
        ("acr", "realm", False, True),
        ("required", "realm", True, True),
        ("acr", "required", True, True),
        ("acr", "off", False, False),
        ("required", "off", False, False),
        ("required", "acr", False, True),
        ("off", "acr", False, False),
        ("off", "required", True, False),
    ],
)
def test_rule(realm: str, client: str, required: bool, may_ask: bool) -> None:
    assert rule_of(realm, client) == Rule(required, may_ask)


def test_an_empty_wish_asks_for_nothing() -> None:
    assert not wish()
    assert not wish(essential=True)
    assert wish("gold")
    assert wish(amr="face")


WORDS = st.sampled_from(["knowledge", "possession", "mfa", "gold"])
WISHES = st.builds(
    Wish,
    st.lists(WORDS, max_size=3, unique=True).map(tuple),
    st.booleans(),
    st.lists(st.sampled_from(["pwd", "otp", "mfa", "face"]), max_size=2, unique=True).map(tuple),
)
MEANS = st.builds(Means, st.sampled_from([PWD, BOTH]), st.booleans(), st.booleans(), st.booleans())
RULES = st.sampled_from([FREE, REQUIRED])


@pytest.mark.row("E-06", "E-28")
@given(RULES, WISHES, MEANS)
def test_never_enough_where_something_binding_is_missing(rule: Rule, asked: Wish, means: Means) -> None:
    if next_factor(rule, asked, means) is not Factor.ENOUGH:
        return
    assert not rule.required or means.used >= BOTH
    if asked.essential and asked.acr_values:
        assert any(need <= means.used for need in asked.vocabulary.needs(asked.acr_values))


@pytest.mark.row("E-15", "E-16")
@given(WISHES, MEANS)
def test_a_wish_that_is_not_essential_never_ends_a_sign_in(asked: Wish, means: Means) -> None:
    step = next_factor(FREE, Wish(asked.acr_values, False, asked.amr_values), means)
    assert step not in (Factor.UNMET, Factor.MISSING, Factor.ENROLMENT)


@given(RULES, WISHES, MEANS)
def test_only_what_can_be_given_is_asked_and_giving_it_ends_the_questions(
    rule: Rule, asked: Wish, means: Means
) -> None:
    step = next_factor(rule, asked, means)
    if step in (Factor.CODE, Factor.BETTER_CODE):
        assert means.has_code
    if step in (Factor.ENROLMENT, Factor.OFFERED_ENROLMENT):
        assert means.may_enrol
        assert not means.has_code
    if step not in (Factor.MISSING, Factor.UNMET):
        shown = Means(BOTH, True, False, means.declined)
        assert next_factor(rule, asked, shown) is Factor.ENOUGH

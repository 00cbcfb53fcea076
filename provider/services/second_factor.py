"""When a second factor is asked for: `next_factor`, pure, over a client's wishes and a person's means.

Values of `acr` and `amr` are `authentication_context` next door; where in a sign-in this question comes up is
`interaction`; how a code is checked is `provider.factors.totp`.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from provider.services.authentication_context import OTP, PLAIN, TWO_FACTORS, Vocabulary


class Rule(NamedTuple):
    """What realm and client say together.

    Attributes:
        required: Every sign-in needs two factors.
        may_ask: There is a second factor to be asked for.
    """

    required: bool
    may_ask: bool


def rule_of(realm_mode: str, client_mode: str) -> Rule:
    """Join the realm's `second_factor.mode` and the client's own.

    The client's word goes, but a realm that has no second factor cannot ask for one: what such a client
    requires nobody can give, and the sign-in ends with an error rather than without the factor.
    """
    mode = realm_mode if client_mode == "realm" else client_mode
    return Rule(required=mode == "required", may_ask=realm_mode != "off" and mode != "off")


@dataclass(frozen=True)
class Wish:
    """What a request asks of the sign-in.

    Attributes:
        acr_values: In the order of preference.
        essential: One of them has to be reached, or the request fails. Without it they are wishes.
        amr_values: Methods that are wished for, all of them.
        vocabulary: Whose words these are.
    """

    acr_values: tuple[str, ...] = ()
    essential: bool = False
    amr_values: tuple[str, ...] = ()
    vocabulary: Vocabulary = PLAIN

    def __bool__(self) -> bool:
        """Whether anything is asked for."""
        return bool(self.acr_values or self.amr_values)


@dataclass(frozen=True)
class Means:
    """What a person did and can do.

    Attributes:
        used: The methods of the live session.
        has_code: They have an authenticator, and may be asked for its code.
        may_enrol: They have none, and may set one up now.
        declined: They were offered to, here and in this session, and went on without.
    """

    used: frozenset[str]
    has_code: bool = False
    may_enrol: bool = False
    declined: bool = False


class Factor(Enum):
    """What is to be asked next, and how much depends on it."""

    ENOUGH = auto()
    """Nothing."""
    CODE = auto()
    """The code; without it the request is not answered as it was meant."""
    BETTER_CODE = auto()
    """The code, although something else the client listed is reached: it likes this better."""
    ENROLMENT = auto()
    """An authenticator has to be set up."""
    OFFERED_ENROLMENT = auto()
    """One may be set up; the client goes on without."""
    MISSING = auto()
    """Two factors are required and this person has one."""
    UNMET = auto()
    """The client insists on an `acr` that this person cannot reach."""


def next_factor(rule: Rule, wish: Wish, means: Means) -> Factor:
    """Judge whether the sign-in is strong enough, or what would make it so.

    Never `ENOUGH` where a rule or an essential wish is not met. A wish that is not essential never ends a
    sign-in: it asks those who have an authenticator, offers one to those who have none, and that is all.

    Spec: OIDC Core 3.1.2.1 (acr_values), 5.5.1.1; OIDC Core Unmet Authentication Requirements 1.0.
    """
    targets = wish.vocabulary.needs(wish.acr_values)
    insists = wish.essential and bool(wish.acr_values)
    reached = any(target <= means.used for target in targets)
    steps = [step for step in (_obtain(target, means) for target in targets) if step is not None]
    if insists and not reached and not steps:
        # First of all: nobody sets up an authenticator for a request that fails in any case.
        return Factor.UNMET
    if rule.required and not means.used >= TWO_FACTORS:
        return _obtain(TWO_FACTORS, means) or Factor.MISSING
    if insists:
        return _by_method(wish, means) if reached else steps[0]
    step = _by_preference(targets, means)
    return step if step is not Factor.ENOUGH else _by_method(wish, means)


def _by_preference(targets: tuple[frozenset[str], ...], means: Means) -> Factor:
    """The first target in reach, for a client that would like one of them."""
    for target in targets:
        if target <= means.used:
            return Factor.ENOUGH
        if _obtain(target, means) is Factor.CODE:
            reached = any(other <= means.used for other in targets)
            return Factor.BETTER_CODE if reached else Factor.CODE
    offered = any(_obtain(target, means) is Factor.ENROLMENT for target in targets)
    return Factor.OFFERED_ENROLMENT if offered and not means.declined else Factor.ENOUGH


def _by_method(wish: Wish, means: Means) -> Factor:
    """What the methods wished for add."""
    asked = wish.vocabulary.methods_asked(wish.amr_values)
    if asked <= means.used:
        return Factor.ENOUGH
    step = _obtain(asked, means)
    if step is not Factor.ENROLMENT:
        return step or Factor.ENOUGH
    return Factor.ENOUGH if means.declined else Factor.OFFERED_ENROLMENT


def _obtain(target: frozenset[str], means: Means) -> Factor | None:
    """What leads to the target, which is not reached; None when nothing does."""
    if not target <= means.used | {OTP}:
        return None
    if means.has_code:
        return Factor.CODE
    return Factor.ENROLMENT if means.may_enrol else None

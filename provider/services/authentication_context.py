"""What a sign-in is worth and what clients call it: `acr` and `amr`, as tables. Pure.

A session remembers the methods that were really used. What an ID token says of them is chosen here, in the
vocabulary of the client: the names of RFC 8176, those Entrust sends in `acr`, or those Microsoft Entra
expects of an external method. Only what can be reached here is in a table, so nothing is promised that no
sign-in gives. When to ask for one method more is `second_factor` next door.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

#: The methods a session can remember, in the order in which they are used and told. Spec: RFC 8176 2.
PASSWORD: Final = "pwd"  # noqa: S105 (the name of a method)
OTP: Final = "otp"
_ORDER: Final = (PASSWORD, OTP)

_KNOWLEDGE: Final = frozenset({PASSWORD})
_POSSESSION: Final = frozenset({OTP})
#: What "two factors" means.
TWO_FACTORS: Final = frozenset({PASSWORD, OTP})

_SAML: Final = "urn:oasis:names:tc:SAML:2.0:ac:classes:"


@dataclass(frozen=True)
class Context:
    """One value of `acr`.

    Attributes:
        value: As it stands in requests and tokens.
        needs: The methods that have to have been used for it.
        amr: What `amr` says beside it; None for the methods as they were used, and `mfa` when there were two.
    """

    value: str
    needs: frozenset[str]
    amr: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Vocabulary:
    """How one kind of client speaks of sign-ins.

    Attributes:
        contexts: Every `acr` it knows. A client that asks for none is told the last one that was reached, so
            the stronger and more telling stand further down.
        methods: What each word of `amr_values` asks for.
    """

    contexts: tuple[Context, ...]
    methods: Mapping[str, frozenset[str]]

    def needs(self, acr_values: Collection[str]) -> tuple[frozenset[str], ...]:
        """What each of the values needs, in their order; unknown values are left out."""
        known = {context.value: context.needs for context in self.contexts}
        return tuple(known[value] for value in acr_values if value in known)

    def methods_asked(self, amr_values: Collection[str]) -> frozenset[str]:
        """All methods that the words ask for together; unknown words ask for nothing."""
        return frozenset().union(*(self.methods.get(word, frozenset()) for word in amr_values))


#: By the client's `acr_profile`.
VOCABULARIES: Final[Mapping[str, Vocabulary]] = {
    "rfc8176": Vocabulary(
        contexts=(
            Context("knowledge", _KNOWLEDGE),
            Context("possession", _POSSESSION),
            Context("mfa", TWO_FACTORS),
        ),
        methods={"pwd": _KNOWLEDGE, "otp": _POSSESSION, "mfa": TWO_FACTORS},
    ),
    # One method follows from each class: the readers of these tokens take `amr` from `acr` by a table.
    "entrust-saml": Vocabulary(
        contexts=(
            Context(f"{_SAML}unspecified", _KNOWLEDGE, ("pwd",)),
            Context(f"{_SAML}Password", _KNOWLEDGE, ("pwd",)),
            # For those who ask for it: what is done here is first of all a code that depends on the time.
            Context(f"{_SAML}MobileTwoFactorContract", TWO_FACTORS, ("mfa",)),
            Context(f"{_SAML}TimeSyncToken", _POSSESSION, ("swk",)),
        ),
        methods={"pwd": _KNOWLEDGE, "swk": _POSSESSION, "otp": _POSSESSION, "mfa": TWO_FACTORS},
    ),
    # Entra has checked a password itself and wants exactly one method of another kind. A password meets none
    # of the classes with "possession" in their name, although "knowledgeorpossession" may sound like it.
    "eam": Vocabulary(
        contexts=(
            Context("knowledge", _KNOWLEDGE, ("pwd",)),
            Context("knowledgeorpossessionorinherence", _POSSESSION, ("otp",)),
            Context("knowledgeorpossession", _POSSESSION, ("otp",)),
            Context("possessionorinherence", _POSSESSION, ("otp",)),
            Context("possession", _POSSESSION, ("otp",)),
        ),
        methods={"otp": _POSSESSION},
    ),
}
PLAIN: Final = VOCABULARIES["rfc8176"]


class Stated(NamedTuple):
    """What a token says of a sign-in."""

    acr: str
    amr: tuple[str, ...]


def state(vocabulary: Vocabulary, used: Collection[str], acr_values: Collection[str] = ()) -> Stated:
    """What to say of a sign-in: the first value asked for that it reaches, else the strongest one.

    Never more than what was done: a value that was asked for and not reached is not said.

    Args:
        used: The methods the session remembers; a password is always among them.
        acr_values: What the client asked for, in its order of preference.

    Raises:
        ValueError: the methods reach nothing in this vocabulary.

    Spec: OIDC Core 2 (acr, amr), 3.1.2.1 (acr_values).
    """
    reached = {context.value: context for context in vocabulary.contexts if context.needs <= set(used)}
    if not reached:
        raise ValueError(f"no acr for {sorted(used)}")
    wanted = next((value for value in acr_values if value in reached), None)
    context = reached[wanted] if wanted is not None else list(reached.values())[-1]
    return Stated(context.value, methods_told(used) if context.amr is None else context.amr)


def methods_told(used: Collection[str]) -> tuple[str, ...]:
    """The methods in plain words: each that was used, and `mfa` when there were two. Spec: RFC 8176 2."""
    told = tuple(method for method in _ORDER if method in used)
    return (*told, "mfa") if set(used) >= TWO_FACTORS else told


def with_method(used: Collection[str], method: str) -> tuple[str, ...]:
    """The methods of a session once `method` was used too, in their order."""
    return tuple(known for known in _ORDER if known in used or known == method)


def reachable(second_factor: bool) -> tuple[str, ...]:
    """Every `acr` that some client can be told here, the plain ones first: `acr_values_supported`.

    Args:
        second_factor: Whether the realm has one.
    """
    possible = TWO_FACTORS if second_factor else _KNOWLEDGE
    vocabularies = (PLAIN, *(one for one in VOCABULARIES.values() if one is not PLAIN))
    return tuple(
        dict.fromkeys(
            context.value
            for vocabulary in vocabularies
            for context in vocabulary.contexts
            if context.needs <= possible
        )
    )

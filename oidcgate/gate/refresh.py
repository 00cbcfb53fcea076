"""When kept tokens are renewed, and what becomes of them on the way. Pure.

A refresh token leaves the record, in one compare-and-swap, before it is sent: from then on nobody else can
send it, and what the record says is "in doubt". That is the whole of the lease. It needs no renewal, for it
guards nothing that could be taken twice: however long the answer takes, whoever waited longest finds no
token. Only who took it out can put its successor in, or the token itself where it is certain that it was
never sent. Whoever dies in between leaves a session without tokens, which goes on, and signs in silently when
it needs some.

What is kept is `oidcgate.gate.kept_tokens`; who asks the provider is `oidcgate.gate.refreshing`.

Spec: RFC 6749 6; RFC 9700 4.14.2; OIDC Core 12.
"""

from enum import Enum, auto
from typing import Final, NamedTuple

import msgspec

from oidcgate.gate.kept_tokens import Kept
from oidcgate.protocol.token import RefreshedTokens, Tokens

__all__ = [
    "NEVER",
    "Next",
    "Step",
    "asked_silently",
    "begun",
    "claimed",
    "given_back",
    "in_doubt",
    "next_step",
    "renewed",
    "usable_access_token",
]

#: Later than any session lives.
NEVER: Final = 2**62
#: How long a browser that came back without tokens is left alone before it is sent to the provider again.
SILENT_PAUSE_SECONDS: Final = 60
# A provider that does not say how long its access tokens live, or says next to nothing.
_UNSAID_SECONDS: Final = 3600
_SHORTEST_SECONDS: Final = 10


class Next(Enum):
    """What a look at the kept tokens leads to."""

    GO_ON = auto()  # nothing is due before `Step.at`
    REFRESH = auto()  # the refresh token is due
    WAIT = auto()  # somebody has sent it; the answer may come until `Step.at`
    SIGN_IN = auto()  # there is none, and one is needed: the next navigation signs in silently


class Step(NamedTuple):
    """What is next, and when to look again."""

    next: Next
    at: int


def next_step(kept: Kept | None, now: int) -> Step:
    """What is to be done for a session at this moment.

    Args:
        kept: what the state store has for it.
        now: epoch seconds.
    """
    if kept is None or not kept.renew_at:
        return Step(Next.GO_ON, NEVER)
    if now < kept.renew_at:
        return Step(Next.GO_ON, kept.renew_at)
    if kept.refresh_token is not None:
        return Step(Next.REFRESH, now)
    if now < kept.answer_by:
        # With an access token that is still good nobody has to wait for the next one.
        usable = now < kept.expires_at
        return (
            Step(Next.GO_ON, min(kept.answer_by, kept.expires_at))
            if usable
            else Step(Next.WAIT, kept.answer_by)
        )
    needed_at = max(kept.expires_at, kept.silent_at)
    return Step(Next.GO_ON, needed_at) if now < needed_at else Step(Next.SIGN_IN, now)


def usable_access_token(kept: Kept | None, now: int) -> str | None:
    """The access token, while it is good."""
    return kept.access_token if kept is not None and now < kept.expires_at else None


def begun(
    session_id: str, tokens: Tokens, nonce: str, now: int, before_seconds: int, *, with_access_token: bool
) -> Kept:
    """What is kept of a sign-in.

    Args:
        nonce: that of the attempt.
        now: epoch seconds.
        before_seconds: how long before its end an access token is renewed.
        with_access_token: whether the app is given it.
    """
    renew_at, expires_at = _times(tokens.expires_in, now, before_seconds)
    return Kept(
        session_id,
        tokens.id_token,
        nonce,
        tokens.refresh_token,
        tokens.access_token if with_access_token else None,
        renew_at,
        expires_at,
    )


def claimed(kept: Kept, claim: str, answer_by: int) -> Kept:
    """The refresh token taken out, to be sent by who made `claim`."""
    return msgspec.structs.replace(kept, refresh_token=None, claim=claim, answer_by=answer_by)


def given_back(kept: Kept, refresh_token: str) -> Kept:
    """The refresh token put back by who had taken it out and is certain that it was not sent."""
    return msgspec.structs.replace(kept, refresh_token=refresh_token, claim="", answer_by=0)


def in_doubt(kept: Kept) -> Kept:
    """No answer will come any more: nobody has to wait for it."""
    return msgspec.structs.replace(kept, answer_by=0)


def renewed(kept: Kept, sent: str, tokens: RefreshedTokens, now: int, before_seconds: int) -> Kept:
    """What came for the refresh token `sent`, which goes on where no successor came.

    Spec: RFC 6749 6.
    """
    renew_at, expires_at = _times(tokens.expires_in, now, before_seconds)
    return msgspec.structs.replace(
        kept,
        id_token=tokens.id_token or kept.id_token,
        refresh_token=tokens.refresh_token or sent,
        access_token=None if kept.access_token is None else tokens.access_token,
        renew_at=renew_at,
        expires_at=expires_at,
        claim="",
        answer_by=0,
    )


def asked_silently(kept: Kept, now: int) -> Kept:
    """A browser was sent to sign in silently; nobody else is for a while, nor this one when it fails."""
    return msgspec.structs.replace(kept, silent_at=now + SILENT_PAUSE_SECONDS)


def _times(expires_in: int | None, now: int, before_seconds: int) -> tuple[int, int]:
    """When to renew an access token, and when it ends."""
    lifetime = max(_UNSAID_SECONDS if expires_in is None else expires_in, _SHORTEST_SECONDS)
    # Never in the first half of its life: a token that lives for less than `before_seconds` would be renewed
    # at each request.
    return now + lifetime - min(before_seconds, lifetime // 2), now + lifetime

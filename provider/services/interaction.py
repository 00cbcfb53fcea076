"""What an authorization request still needs from the person: `next_step`, a pure function.

Here lives the decision only; whether one factor is enough is `second_factor`. Rows and cookies are in
`browser_session` and `provider.store.interactions`; who calls this with what is in `authorization`; the pages
that ask are the endpoints `device`, `login`, `account`, `otp`, `enrol`, `no_factor`, `organization` and
`consent`. Every call judges anew from what the server knows: no step is remembered as "passed" without saying
by whom, so a second tab, the back button or another account in the same browser can never skip a step.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from oidcgate.protocol.errors import (
    AccessDenied,
    AccountSelectionRequired,
    ConsentRequired,
    InteractionRequired,
    LoginRequired,
    OAuthError,
    UnmetAuthenticationRequirements,
)
from provider.services.organizations import NO_ORGANIZATION, Choice, Stranger, Task
from provider.services.second_factor import Factor

#: How long a sign-in made for a request counts as fresh for it, however small its `max_age` is: what the
#: person is asked afterwards takes time, and asking for the password after each answer would never end.
FRESH_SECONDS: Final = 120


class LoginReason(StrEnum):
    """Why the person is asked to sign in, although a session may exist."""

    NO_SESSION = "no_session"
    PROMPT = "prompt"
    OTHER_ACCOUNT = "other_account"
    MAX_AGE = "max_age"
    OTHER_USER = "other_user"


@dataclass(frozen=True)
class SignedIn:
    """The live browser session, as far as the decision needs it.

    The caller has checked that the user is active.
    """

    user_id: str
    sid: str
    auth_time: int


@dataclass(frozen=True)
class LoginDone:
    """A sign-in that happened for this very interaction."""

    sid: str
    auth_time: int


class AccountAnswer(StrEnum):
    """What the person of the live session answered on the account page of this very interaction."""

    CONTINUE = "continue"
    OTHER = "other"


@dataclass(frozen=True)
class ConsentAnswer:
    """What the person answered on the consent page of this very interaction.

    Attributes:
        asked: The scopes that the page showed.
        agreed: Those of them that were left checked; none when the whole was refused.
        allowed: False when the whole was refused.
    """

    user_id: str
    asked: frozenset[str]
    agreed: frozenset[str]
    allowed: bool


@dataclass(frozen=True)
class InteractionState:
    """Everything `next_step` looks at.

    Attributes:
        prompt: The request's `prompt` words.
        max_age_seconds: The request's `max_age`.
        scopes: The scopes that would be granted, in the order of the request.
        to_agree: The scopes that the person is asked about, where they are asked.
        for_another: The request is for one person (an `id_token_hint` names them, say), and another is signed
            in.
        signed_in: The browser's session, if it has a live one.
        login_done: The sign-in made for this interaction, if any.
        account: Whether the person goes on as who they are; None when not asked yet.
        consent_needed: False for trusted clients and where consent is accepted automatically.
        granted: What this user agreed to for this client earlier.
        may_use: The person is among those that the client is for.
        answer: The consent given or refused in this interaction.
        factor: What the session lacks in strength for this request (`next_factor`).
        to_confirm: The person has yet to say that they mean the device whose code they typed.
        told_missing: The person has read, in this session and interaction, that they lack it for good.
        organization: Which one they sign in for, if any (`organization_of`).
    """

    prompt: frozenset[str]
    max_age_seconds: int | None
    scopes: tuple[str, ...]
    to_agree: tuple[str, ...]
    for_another: bool
    signed_in: SignedIn | None
    login_done: LoginDone | None
    consent_needed: bool
    granted: frozenset[str]
    answer: ConsentAnswer | None
    may_use: bool = True
    factor: Factor = Factor.ENOUGH
    told_missing: bool = False
    account: AccountAnswer | None = None
    organization: Task = NO_ORGANIZATION
    to_confirm: bool = False


@dataclass(frozen=True)
class AskConfirmation:
    """Show which application the typed code is for, and ask whether the person means it."""


@dataclass(frozen=True)
class AskLogin:
    """Show the sign-in page."""

    reason: LoginReason


@dataclass(frozen=True)
class AskAccount:
    """Show who is signed in, and ask whether it is the right account."""


@dataclass(frozen=True)
class AskCode:
    """Show the page that asks for the code of the person's authenticator."""


@dataclass(frozen=True)
class AskEnrolment:
    """Show the page that sets one up; `optional` when the person may go on without."""

    optional: bool


@dataclass(frozen=True)
class TellMissing:
    """Show the page that says that a second factor is required which this person cannot have."""


@dataclass(frozen=True)
class AskOrganization:
    """Show the page on which the person chooses one of these organizations."""

    org_ids: tuple[str, ...]


@dataclass(frozen=True)
class AskConsent:
    """Show the consent page for these scopes. What was agreed to before is not among them."""

    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Finish:
    """Nothing more to ask: answer the client with a code for these scopes.

    They are those that would be granted, without what the person left out.

    Attributes:
        left_out: What the person was asked about and left out.
        org_id: The organization that they sign in for.
    """

    user_id: str
    sid: str
    scopes: tuple[str, ...]
    left_out: frozenset[str] = frozenset()
    org_id: str | None = None


@dataclass(frozen=True)
class Fail:
    """Answer the client with this error."""

    error: OAuthError


Ask = (
    AskConfirmation
    | AskLogin
    | AskAccount
    | AskCode
    | AskEnrolment
    | TellMissing
    | AskOrganization
    | AskConsent
)
Step = Ask | Finish | Fail


def next_step(state: InteractionState, now: int) -> Step:
    """Judge what is to happen next.

    With `prompt=none` the answer is never an `Ask…`. `Finish` is only returned for a live session of the
    right user which is fresh enough, strong enough and, where consent is needed, covered by consent of that
    same user; for no organization but one they belong to.

    Spec: OIDC Core 3.1.2.1 (prompt, max_age, id_token_hint, acr_values), 3.1.2.3, 3.1.2.4, 3.1.2.6, 5.5.1.1;
        RFC 8628 5.4
    """
    if state.to_confirm:
        # Before anything else: a code that somebody else sent gets no further on the strength of a session.
        return AskConfirmation()
    silent = "none" in state.prompt
    reason = _login_reason(state, now)
    if reason is not None or state.signed_in is None:
        if silent:
            return Fail(LoginRequired("The person has to sign in."))
        if reason is LoginReason.OTHER_USER and _login_done_here(state):
            # They were asked, and signed in as somebody else than the hint names: asking again would be a
            # loop.
            return Fail(LoginRequired("Another account than the one in id_token_hint is signed in."))
        return AskLogin(reason or LoginReason.NO_SESSION)
    signed_in = state.signed_in
    if _account_is_open(state):
        return (
            Fail(AccountSelectionRequired("The person has to choose an account.")) if silent else AskAccount()
        )

    stronger = _factor_step(state.factor, silent, state.told_missing)
    if stronger is not None:
        return stronger

    if not state.may_use:
        # Here and not before: who may use an application is said to those who showed who they are.
        return Fail(AccessDenied("This person may not use this application."))

    if isinstance(state.organization, Stranger):
        return Fail(AccessDenied("This person does not belong to that organization."))
    if isinstance(state.organization, Choice):
        if silent:
            return Fail(InteractionRequired("The person has to choose an organization."))
        return AskOrganization(state.organization.org_ids)
    whole = Finish(signed_in.user_id, signed_in.sid, state.scopes, org_id=state.organization.org_id)

    if not state.consent_needed:
        # `prompt=consent` does not override trust: the operator has agreed for everybody.
        return whole

    known = frozenset() if "consent" in state.prompt else state.granted
    answer = state.answer
    if answer is not None and answer.user_id == signed_in.user_id:
        if not answer.allowed:
            return Fail(AccessDenied("The person refused."))
        if state.to_agree and (answer.asked | known).issuperset(state.to_agree):
            # What was left out here stays out, whatever another tab agreed to meanwhile.
            agreed = answer.agreed | (known - answer.asked)
            left_out = frozenset(state.to_agree) - agreed
            scopes = tuple(scope for scope in state.scopes if scope not in left_out)
            if not scopes:
                return Fail(AccessDenied("The person left out everything."))
            return replace(whole, scopes=scopes, left_out=left_out)

    missing = tuple(scope for scope in state.to_agree if scope not in known)
    if not missing:
        return whole
    if silent:
        return Fail(ConsentRequired("The person has to agree first."))
    return AskConsent(missing)


def _factor_step(factor: Factor, silent: bool, told_missing: bool) -> Step | None:
    """How to get the strength that is missing; None when there is nothing to ask."""
    if factor is Factor.MISSING:
        if not (silent or told_missing):
            return TellMissing()
        return Fail(AccessDenied("A second factor is required, and this person has none."))
    if factor is Factor.UNMET:
        return Fail(UnmetAuthenticationRequirements("None of the acr values can be reached."))
    if silent:
        if factor in (Factor.CODE, Factor.ENROLMENT):
            return Fail(InteractionRequired("The person has to show a second factor."))
        return None
    if factor in (Factor.CODE, Factor.BETTER_CODE):
        return AskCode()
    if factor in (Factor.ENROLMENT, Factor.OFFERED_ENROLMENT):
        return AskEnrolment(optional=factor is Factor.OFFERED_ENROLMENT)
    return None


def _login_reason(state: InteractionState, now: int) -> LoginReason | None:
    signed_in = state.signed_in
    if signed_in is None:
        return LoginReason.NO_SESSION
    here = _login_done_here(state)
    if "login" in state.prompt and not here:
        return LoginReason.PROMPT
    if state.for_another:
        return LoginReason.OTHER_USER
    if _account_is_open(state):
        # Who it is to be comes first: the password is asked of that person.
        return LoginReason.OTHER_ACCOUNT if state.account is AccountAnswer.OTHER else None
    if state.max_age_seconds is not None:
        longest = max(state.max_age_seconds, FRESH_SECONDS) if here else state.max_age_seconds
        # Instants are whole seconds, so a difference equal to max_age may already be past it: ask.
        if now - signed_in.auth_time >= longest:
            return LoginReason.MAX_AGE
    return None


def _account_is_open(state: InteractionState) -> bool:
    """Whether the person has yet to say as whom they go on. Whoever has signed in here has said so."""
    asked = "select_account" in state.prompt and not _login_done_here(state)
    return asked and state.account is not AccountAnswer.CONTINUE


def _login_done_here(state: InteractionState) -> bool:
    """True when the live session is the one this interaction's own sign-in made.

    Compared with the session, not remembered as a flag: when another tab signed in as somebody else
    meanwhile, `prompt=login` asks again.
    """
    done, signed_in = state.login_done, state.signed_in
    return (
        done is not None
        and signed_in is not None
        and done.sid == signed_in.sid
        and done.auth_time <= signed_in.auth_time
    )

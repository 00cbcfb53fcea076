"""`next_step`: a table of what happens when, and two properties that hold for every state."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.protocol.errors import (
    AccessDenied,
    AccountSelectionRequired,
    ConsentRequired,
    InteractionRequired,
    LoginRequired,
    UnmetAuthenticationRequirements,
)
from provider.services.interaction import (
    FRESH_SECONDS,
    AccountAnswer,
    AskAccount,
    AskCode,
    AskConfirmation,
    AskConsent,
    AskEnrolment,
    AskLogin,
    AskOrganization,
    ConsentAnswer,
    Fail,
    Finish,
    InteractionState,
    LoginDone,
    LoginReason,
    SignedIn,
    TellMissing,
    next_step,
)
from provider.services.organizations import NO_ORGANIZATION, Choice, Settled, Stranger
from provider.services.second_factor import Factor

NOW = 1_000_000
ALICE = SignedIn("alice", "sid-1", NOW - 100)
BOB = SignedIn("bob", "sid-2", NOW - 100)
SCOPES = ("openid", "profile", "email")

QUIET = InteractionState(
    prompt=frozenset(),
    max_age_seconds=None,
    scopes=SCOPES,
    to_agree=SCOPES,
    for_another=False,
    signed_in=ALICE,
    login_done=None,
    consent_needed=True,
    granted=frozenset(SCOPES),
    answer=None,
)


def state(**changes: object) -> InteractionState:
    if "scopes" in changes:
        changes.setdefault("to_agree", changes["scopes"])
    return replace(QUIET, **changes)


def agreed(*scopes: str, user: str = "alice", left_out: tuple[str, ...] = ()) -> ConsentAnswer:
    return ConsentAnswer(user, frozenset((*scopes, *left_out)), frozenset(scopes), allowed=True)


REFUSED = ConsentAnswer("alice", frozenset(SCOPES), frozenset(), allowed=False)


HERE = LoginDone("sid-1", NOW - 100)
STAYED = SignedIn("alice", "sid-1", NOW - 500)
SELECT = {"select_account"}
TWO = Choice(("acme", "globex"))
DONE = Finish("alice", "sid-1", SCOPES)


@pytest.mark.row("E-25", "A-13", "S-35")
@pytest.mark.parametrize(
    ("given_state", "expected"),
    [
        pytest.param(state(), DONE, id="session-and-consent"),
        pytest.param(state(to_confirm=True), AskConfirmation(), id="typed-code-and-all-else-is-there"),
        pytest.param(
            state(to_confirm=True, signed_in=None), AskConfirmation(), id="typed-code-and-nobody-signed-in"
        ),
        pytest.param(
            state(to_confirm=True, may_use=False, factor=Factor.MISSING),
            AskConfirmation(),
            id="typed-code-comes-before-any-refusal",
        ),
        pytest.param(state(signed_in=None), AskLogin(LoginReason.NO_SESSION), id="no-session"),
        pytest.param(state(prompt={"login"}), AskLogin(LoginReason.PROMPT), id="prompt-login"),
        pytest.param(state(prompt={"login"}, login_done=HERE), DONE, id="prompt-login-done-here"),
        pytest.param(
            state(prompt={"login"}, login_done=LoginDone("sid-9", NOW)),
            AskLogin(LoginReason.PROMPT),
            id="prompt-login-done-but-another-tab-changed-the-account",
        ),
        pytest.param(
            state(prompt={"login"}, login_done=LoginDone("sid-1", NOW - 99)),
            AskLogin(LoginReason.PROMPT),
            id="login-noted-later-than-the-session-says",
        ),
        pytest.param(state(prompt=SELECT), AskAccount(), id="select-account"),
        pytest.param(
            state(prompt=SELECT, signed_in=None),
            AskLogin(LoginReason.NO_SESSION),
            id="select-account-and-nobody-is-signed-in",
        ),
        pytest.param(
            state(prompt=SELECT, account=AccountAnswer.CONTINUE), DONE, id="select-account-and-go-on"
        ),
        pytest.param(
            state(prompt=SELECT, account=AccountAnswer.OTHER),
            AskLogin(LoginReason.OTHER_ACCOUNT),
            id="select-account-and-another",
        ),
        pytest.param(
            state(prompt=SELECT, account=AccountAnswer.OTHER, login_done=HERE),
            DONE,
            id="select-account-and-another-has-signed-in",
        ),
        pytest.param(
            state(prompt=SELECT, login_done=HERE), DONE, id="select-account-where-somebody-signed-in-for-it"
        ),
        pytest.param(
            state(prompt={"login", "select_account"}),
            AskLogin(LoginReason.PROMPT),
            id="login-and-select-account",
        ),
        pytest.param(
            state(prompt={"login", "select_account"}, account=AccountAnswer.CONTINUE),
            AskLogin(LoginReason.PROMPT),
            id="login-is-more-than-going-on",
        ),
        pytest.param(
            state(prompt=SELECT, max_age_seconds=0), AskAccount(), id="the-account-first-then-the-password"
        ),
        pytest.param(
            state(prompt=SELECT, max_age_seconds=0, account=AccountAnswer.CONTINUE),
            AskLogin(LoginReason.MAX_AGE),
            id="select-account-goes-on-and-is-too-old",
        ),
        pytest.param(
            state(prompt=SELECT, for_another=True),
            AskLogin(LoginReason.OTHER_USER),
            id="select-account-has-no-choice-where-a-hint-names-another",
        ),
        pytest.param(state(prompt=SELECT, factor=Factor.CODE), AskAccount(), id="the-account-before-a-code"),
        pytest.param(state(max_age_seconds=101), DONE, id="max-age-not-reached"),
        pytest.param(state(max_age_seconds=100), AskLogin(LoginReason.MAX_AGE), id="max-age-reached"),
        pytest.param(state(max_age_seconds=0, login_done=HERE), DONE, id="max-age-0-after-login-here"),
        pytest.param(
            state(max_age_seconds=60, signed_in=STAYED, login_done=LoginDone("sid-1", NOW - 500)),
            AskLogin(LoginReason.MAX_AGE),
            id="max-age-reached-on-a-page-after-the-login-here",
        ),
        pytest.param(
            state(max_age_seconds=501, signed_in=STAYED, login_done=LoginDone("sid-1", NOW - 500)),
            DONE,
            id="max-age-not-reached-after-a-long-stay",
        ),
        pytest.param(
            state(max_age_seconds=300, for_another=True),
            AskLogin(LoginReason.OTHER_USER),
            id="hint-of-another-before-max-age",
        ),
        pytest.param(state(for_another=True), AskLogin(LoginReason.OTHER_USER), id="hint-of-another"),
        pytest.param(state(granted=frozenset()), AskConsent(SCOPES), id="consent-never-given"),
        pytest.param(
            state(granted=frozenset({"openid", "email"})), AskConsent(("profile",)), id="one-new-scope"
        ),
        pytest.param(state(factor=Factor.CODE), AskCode(), id="code"),
        pytest.param(state(factor=Factor.BETTER_CODE), AskCode(), id="better-code"),
        pytest.param(state(factor=Factor.MISSING), TellMissing(), id="no-second-factor"),
        pytest.param(state(factor=Factor.CODE, told_missing=True), AskCode(), id="told-but-has-one-by-now"),
        pytest.param(state(factor=Factor.ENROLMENT), AskEnrolment(optional=False), id="enrolment"),
        pytest.param(state(factor=Factor.OFFERED_ENROLMENT), AskEnrolment(optional=True), id="offered"),
        pytest.param(
            state(factor=Factor.CODE, signed_in=None), AskLogin(LoginReason.NO_SESSION), id="password-first"
        ),
        pytest.param(
            state(factor=Factor.CODE, prompt={"login"}),
            AskLogin(LoginReason.PROMPT),
            id="fresh-password-first",
        ),
        pytest.param(state(factor=Factor.CODE, granted=frozenset()), AskCode(), id="code-before-consent"),
        pytest.param(
            state(factor=Factor.CODE, consent_needed=False), AskCode(), id="code-also-of-the-trusted"
        ),
        pytest.param(
            state(factor=Factor.BETTER_CODE, prompt={"none"}), DONE, id="none-and-a-better-code-not-given"
        ),
        pytest.param(
            state(factor=Factor.OFFERED_ENROLMENT, prompt={"none"}), DONE, id="none-and-nothing-offered"
        ),
        pytest.param(state(granted=frozenset(), consent_needed=False), DONE, id="trusted"),
        pytest.param(
            state(prompt={"consent"}, consent_needed=False), DONE, id="trusted-is-never-asked-even-by-prompt"
        ),
        pytest.param(state(prompt={"consent"}), AskConsent(SCOPES), id="prompt-consent-asks-all-again"),
        pytest.param(state(prompt={"consent"}, answer=agreed(*SCOPES)), DONE, id="prompt-consent-answered"),
        pytest.param(
            state(prompt={"consent"}, answer=agreed("openid")),
            AskConsent(SCOPES),
            id="prompt-consent-answered-in-part-is-not-filled-up-with-earlier-consent",
        ),
        pytest.param(
            state(granted=frozenset({"openid", "email"}), answer=agreed("profile")),
            DONE,
            id="new-scope-agreed",
        ),
        pytest.param(
            state(granted=frozenset(), answer=agreed("openid", "email", left_out=("profile",))),
            Finish("alice", "sid-1", ("openid", "email"), frozenset({"profile"})),
            id="one-left-out",
        ),
        pytest.param(
            state(granted=frozenset({"openid"}), answer=agreed(left_out=("profile", "email"))),
            Finish("alice", "sid-1", ("openid",), frozenset({"profile", "email"})),
            id="all-that-is-new-left-out",
        ),
        pytest.param(
            state(answer=agreed("openid", "email", left_out=("profile",))),
            Finish("alice", "sid-1", ("openid", "email"), frozenset({"profile"})),
            id="left-out-here-and-agreed-to-in-another-tab",
        ),
        pytest.param(
            state(prompt={"consent"}, answer=agreed("openid", left_out=("profile", "email"))),
            Finish("alice", "sid-1", ("openid",), frozenset({"profile", "email"})),
            id="prompt-consent-and-what-was-granted-earlier-left-out",
        ),
        pytest.param(state(scopes=(), granted=frozenset()), Finish("alice", "sid-1", ()), id="no-scopes"),
        pytest.param(
            state(
                granted=frozenset(),
                to_agree=("openid", "phone"),
                answer=agreed("openid", left_out=("phone",)),
            ),
            Finish("alice", "sid-1", SCOPES, frozenset({"phone"})),
            id="what-was-asked-for-by-a-claim-is-left-out",
        ),
        pytest.param(state(granted=frozenset(), to_agree=()), DONE, id="nobody-is-asked-about-these-scopes"),
        pytest.param(
            state(organization=Settled("acme")),
            Finish("alice", "sid-1", SCOPES, org_id="acme"),
            id="for-an-organization",
        ),
        pytest.param(
            state(
                organization=Settled("acme"),
                granted=frozenset(),
                answer=agreed("openid", left_out=("profile", "email")),
            ),
            Finish("alice", "sid-1", ("openid",), frozenset({"profile", "email"}), org_id="acme"),
            id="for-an-organization-and-in-part",
        ),
        pytest.param(
            state(organization=Settled("acme"), consent_needed=False),
            Finish("alice", "sid-1", SCOPES, org_id="acme"),
            id="for-an-organization-trusted",
        ),
        pytest.param(state(organization=TWO), AskOrganization(("acme", "globex")), id="several"),
        pytest.param(
            state(organization=TWO, granted=frozenset()),
            AskOrganization(("acme", "globex")),
            id="the-organization-before-consent",
        ),
        pytest.param(state(organization=TWO, factor=Factor.CODE), AskCode(), id="a-code-first"),
        pytest.param(
            state(organization=TWO, signed_in=None), AskLogin(LoginReason.NO_SESSION), id="chosen-after-login"
        ),
        pytest.param(
            state(granted=frozenset(), answer=agreed(*SCOPES, user="bob")),
            AskConsent(SCOPES),
            id="consent-of-another-user-counts-for-nothing",
        ),
        pytest.param(
            state(granted=frozenset(), answer=agreed("openid")),
            AskConsent(SCOPES),
            id="consent-withdrawn-while-answering-is-asked-whole",
        ),
    ],
)
def test_step(given_state: InteractionState, expected: object) -> None:
    assert next_step(given_state, NOW) == expected


@pytest.mark.row("E-25")
@pytest.mark.parametrize(
    ("given_state", "error"),
    [
        pytest.param(state(prompt={"none"}, signed_in=None), LoginRequired, id="none-without-session"),
        pytest.param(state(prompt={"none"}, max_age_seconds=1), LoginRequired, id="none-and-too-old"),
        pytest.param(state(prompt={"none"}, for_another=True), LoginRequired, id="none-and-another-user"),
        pytest.param(state(prompt={"none"}, granted=frozenset()), ConsentRequired, id="none-without-consent"),
        pytest.param(state(answer=REFUSED), AccessDenied, id="refused"),
        pytest.param(state(may_use=False), AccessDenied, id="not-for-this-person"),
        pytest.param(state(organization=Stranger()), AccessDenied, id="not-a-member"),
        pytest.param(state(organization=Stranger(), prompt={"none"}), AccessDenied, id="none-not-a-member"),
        pytest.param(state(organization=TWO, prompt={"none"}), InteractionRequired, id="none-and-several"),
        pytest.param(
            state(organization=TWO, may_use=False), AccessDenied, id="not-for-this-person-whatever-is-chosen"
        ),
        pytest.param(state(prompt=SELECT | {"none"}), AccountSelectionRequired, id="none-and-select-account"),
        pytest.param(
            state(may_use=False, prompt={"none"}, consent_needed=False),
            AccessDenied,
            id="none-and-not-for-this-person",
        ),
        pytest.param(
            state(scopes=("email",), granted=frozenset(), answer=agreed(left_out=("email",))),
            AccessDenied,
            id="everything-left-out",
        ),
        pytest.param(
            state(factor=Factor.MISSING, told_missing=True), AccessDenied, id="no-second-factor-and-told"
        ),
        pytest.param(state(factor=Factor.MISSING, prompt={"none"}), AccessDenied, id="none-and-none"),
        pytest.param(state(factor=Factor.UNMET), UnmetAuthenticationRequirements, id="acr-out-of-reach"),
        pytest.param(
            state(factor=Factor.UNMET, prompt={"none"}), UnmetAuthenticationRequirements, id="none-and-unmet"
        ),
        pytest.param(state(factor=Factor.CODE, prompt={"none"}), InteractionRequired, id="none-and-code"),
        pytest.param(
            state(factor=Factor.ENROLMENT, prompt={"none"}), InteractionRequired, id="none-and-enrolment"
        ),
        pytest.param(
            state(for_another=True, login_done=HERE),
            LoginRequired,
            id="signed-in-here-as-another-than-the-hint",
        ),
    ],
)
def test_failure(given_state: InteractionState, error: type[Exception]) -> None:
    step = next_step(given_state, NOW)
    assert isinstance(step, Fail)
    assert type(step.error) is error


def answer_of(user: str, asked: frozenset[str], checked: frozenset[str], allowed: bool) -> ConsentAnswer:
    return ConsentAnswer(user, asked, asked & checked if allowed else frozenset(), allowed)


USERS = st.sampled_from(["alice", "bob"])
SIDS = st.sampled_from(["sid-1", "sid-2"])
TIMES = st.integers(NOW - 50, NOW) | st.integers(NOW - 2 * FRESH_SECONDS, NOW)
SCOPE_SETS = st.frozensets(st.sampled_from(SCOPES))
STATES = st.builds(
    InteractionState,
    prompt=st.frozensets(st.sampled_from(["none", "login", "consent", "select_account"])),
    max_age_seconds=st.none() | st.integers(0, 60),
    scopes=st.lists(st.sampled_from(SCOPES), unique=True, min_size=1).map(tuple),
    to_agree=st.lists(st.sampled_from(SCOPES), unique=True).map(tuple),
    may_use=st.booleans(),
    for_another=st.booleans(),
    signed_in=st.none() | st.builds(SignedIn, USERS, SIDS, TIMES),
    login_done=st.none() | st.builds(LoginDone, SIDS, TIMES),
    consent_needed=st.booleans(),
    granted=SCOPE_SETS,
    answer=st.none() | st.builds(answer_of, USERS, SCOPE_SETS, SCOPE_SETS, st.booleans()),
    factor=st.sampled_from(Factor),
    told_missing=st.booleans(),
    account=st.none() | st.sampled_from(AccountAnswer),
    organization=st.sampled_from([NO_ORGANIZATION, Settled("acme"), TWO, Stranger()]),
)


@pytest.mark.row("P-10")
@given(STATES)
def test_nothing_comes_before_the_question_whose_device_it_is(given_state: InteractionState) -> None:
    assert next_step(replace(given_state, to_confirm=True), NOW) == AskConfirmation()


@pytest.mark.row("E-25", "P-10")
@given(STATES)
def test_never_finishes_where_something_is_missing(given_state: InteractionState) -> None:
    step = next_step(given_state, NOW)
    if not isinstance(step, Finish):
        return
    signed_in, done = given_state.signed_in, given_state.login_done
    assert signed_in is not None
    assert (step.user_id, step.sid) == (signed_in.user_id, signed_in.sid)
    assert step.scopes == tuple(scope for scope in given_state.scopes if scope in step.scopes)
    assert not given_state.for_another
    assert given_state.may_use
    passed_over = {Factor.BETTER_CODE, Factor.OFFERED_ENROLMENT} if "none" in given_state.prompt else set()
    assert given_state.factor in {Factor.ENOUGH, *passed_over}
    fresh = done is not None and done.sid == signed_in.sid and done.auth_time <= signed_in.auth_time
    if "login" in given_state.prompt:
        assert fresh
    if "select_account" in given_state.prompt:
        assert fresh or given_state.account is AccountAnswer.CONTINUE
    if given_state.max_age_seconds is not None:
        longest = max(given_state.max_age_seconds, FRESH_SECONDS if fresh else 0)
        assert NOW - signed_in.auth_time < longest
    assert given_state.organization == Settled(step.org_id)
    if given_state.consent_needed:
        answer = given_state.answer
        mine = answer is not None and answer.user_id == signed_in.user_id
        assert not (mine and answer is not None and not answer.allowed)
        agreed_now = answer.agreed if mine and answer is not None else frozenset()
        left_out = answer.asked - answer.agreed if mine and answer is not None else frozenset()
        before = frozenset() if "consent" in given_state.prompt else given_state.granted
        assert set(step.scopes) & set(given_state.to_agree) <= agreed_now | before
        assert set(given_state.scopes) - set(step.scopes) <= left_out
    else:
        assert step.scopes == given_state.scopes


@pytest.mark.row("E-25")
@given(STATES)
def test_prompt_none_never_asks(given_state: InteractionState) -> None:
    silent = replace(given_state, prompt=given_state.prompt | {"none"})
    assert isinstance(next_step(silent, NOW), Finish | Fail)


@pytest.mark.row("A-13")
@given(STATES)
def test_consent_is_asked_for_missing_scopes_only_and_never_of_the_trusted(
    given_state: InteractionState,
) -> None:
    step = next_step(given_state, NOW)
    if isinstance(step, AskConsent):
        assert given_state.consent_needed
        assert set(step.scopes) <= set(given_state.to_agree)
        if "consent" not in given_state.prompt:
            assert not set(step.scopes) & given_state.granted


@pytest.mark.row("S-23")
@given(STATES, USERS, SCOPE_SETS)
def test_a_sign_in_here_and_a_yes_always_end_the_questions(
    given_state: InteractionState, user: str, checked: frozenset[str]
) -> None:
    """No state asks for ever: after login, second factor, organization and consent of one person there is an
    answer.
    """
    answered = replace(
        given_state,
        signed_in=SignedIn(user, "sid-1", NOW),
        login_done=LoginDone("sid-1", NOW),
        answer=answer_of(user, frozenset(given_state.to_agree), checked, allowed=True),
        factor=Factor.ENOUGH,
        organization=Settled("acme"),
    )
    assert isinstance(next_step(answered, NOW), Finish | Fail)


@pytest.mark.row("E-25")
@given(STATES)
def test_going_on_as_who_is_signed_in_is_asked_once(given_state: InteractionState) -> None:
    answered = replace(given_state, account=AccountAnswer.CONTINUE)
    assert next_step(answered, NOW) not in (AskAccount(), AskLogin(LoginReason.OTHER_ACCOUNT))

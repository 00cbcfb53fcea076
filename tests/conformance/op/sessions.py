"""Modules with two requests: is the person asked again, and what does the second ID token say of it?"""

import secrets
import time

from tests.conformance.op.outcome import need
from tests.conformance.op.registry import module
from tests.conformance.op.run import Grant, Run

#: What says that the person has to be asked something. Spec: OIDC Core 3.1.2.6.
NEEDS_THE_PERSON = (
    "login_required",
    "interaction_required",
    "account_selection_required",
    "consent_required",
)
_CLAUSE = "OIDC Core 3.1.2.1"


def _same_person(first: Grant, second: Grant) -> None:
    one, other = first.claims["sub"], second.claims["sub"]
    need(one == other, f"sub is {other!r}, and was {one!r}", "OIDC Core 2")


def _same_sign_in(first: Grant, second: Grant) -> None:
    _same_person(first, second)
    one, other = first.claims.get("auth_time"), second.claims.get("auth_time")
    need(None in (one, other) or one == other, f"auth_time is {other!r}, and was {one!r}", "OIDC Core 2")


def _silent(second: Grant) -> None:
    need(not second.journey.asked, f"the person was asked: {second.journey.asked}", _CLAUSE)


def _signed_in_anew(first: Grant, second: Grant) -> None:
    _same_person(first, second)
    need("login" in second.journey.asked, "the person was not asked to sign in again", _CLAUSE)
    one, other = first.claims.get("auth_time"), second.claims.get("auth_time")
    if one is not None and other is not None:
        need(other > one, f"auth_time is {other}, and was {one}", "OIDC Core 2")


def _until_later(run: Run, grant: Grant, seconds: float) -> None:
    """Wait until more than so many seconds have passed since the sign-in, which is told in whole ones."""
    since = grant.claims.get("auth_time", int(time.time()))
    run.wait(max(0.0, since + seconds + 1.05 - time.time()))


@module("oidcc-prompt-login")
def _prompt_login(run: Run) -> None:
    first = run.complete()
    _until_later(run, first, 0)
    _signed_in_anew(first, run.complete(prompt="login"))


@module("oidcc-prompt-none-not-logged-in")
def _nobody_there(run: Run) -> None:
    browser = run.target.browser()
    # A long state has to come back whole.
    request = run.parameters(prompt="none", state=secrets.token_urlsafe(96))
    try:
        journey = run.authorize(request, browser)
    finally:
        browser.close()
    need(not journey.asked, f"the person was asked: {journey.asked}", _CLAUSE)
    run.refused(journey, request, *NEEDS_THE_PERSON)


@module("oidcc-prompt-none-logged-in")
def _somebody_there(run: Run) -> None:
    first = run.complete()
    second = run.complete(prompt="none")
    _silent(second)
    _same_sign_in(first, second)


@module("oidcc-max-age-1")
def _max_age_1(run: Run) -> None:
    first = run.complete()
    _until_later(run, first, 1)
    second = run.complete(max_age="1")
    need("auth_time" in second.claims, "auth_time is missing, though max_age was sent", "OIDC Core 2")
    _signed_in_anew(first, second)
    age = time.time() - second.claims["auth_time"]
    need(age < 60, f"auth_time is {age:.0f} s ago", "OIDC Core 2")


@module("oidcc-max-age-10000")
def _max_age_10000(run: Run) -> None:
    first = run.complete(max_age="15000")
    second = run.complete(max_age="10000")
    _silent(second)
    for grant in (first, second):
        need("auth_time" in grant.claims, "auth_time is missing, though max_age was sent", "OIDC Core 2")
    _same_sign_in(first, second)


@module("oidcc-id-token-hint")
def _id_token_hint(run: Run) -> None:
    first = run.complete()
    second = run.complete(prompt="none", id_token_hint=first.id_token)
    _silent(second)
    _same_sign_in(first, second)

"""The plan about back-channel logout: a person signs out, and the provider tells the client with a token.

The same person has signed in with a second browser in the same session of the provider: a good token ends
that session too, a bad one ends nothing.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

import requests

from tests.conformance.op.outcome import need
from tests.conformance.rp.alias import SUB
from tests.conformance.rp.registry import module
from tests.conformance.rp.run import Run
from tests.conformance.rp.signing import GONE, changed, signed, signed_with_secret, unsigned

_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_TYPE = "logout+jwt"
_CHECKS = "OIDC Back-Channel Logout 2.6"


def _good(run: Run, claims: Mapping[str, Any]) -> str:
    return signed(claims, run.op.signing_key, kid=run.op.signing_key.kid, typ=_TYPE)


def logout_token(
    run: Run,
    changes: Mapping[str, Any] | None = None,
    make: Callable[[Run, Mapping[str, Any]], str] = _good,
) -> str:
    """What tells the relying party that its session has ended."""
    now = int(time.time())
    claims = {
        "iss": run.op.issuer,
        "aud": run.rp.client_id,
        "iat": now,
        "exp": now + 120,
        "jti": secrets.token_urlsafe(16),
        "events": {_EVENT: {}},
        "sub": SUB,
        "sid": run.op.sid,
    }
    return make(run, changed(claims, changes or {}))


def post(run: Run, token: str) -> requests.Response:
    """What the relying party answers to a logout token."""
    with requests.Session() as session:
        session.trust_env = False
        url = run.rp.backchannel_logout_of(run.op.issuer)
        return session.post(url, data={"logout_token": token}, verify=run.rp.ca_file, timeout=30)


def _told(
    run: Run, changes: Mapping[str, Any], make: Callable[[Run, Mapping[str, Any]], str] = _good
) -> requests.Response:
    """Sign in twice and out once; what the relying party answers to the token."""
    answers: list[requests.Response] = []
    run.op.on_logout = lambda: answers.append(post(run, logout_token(run, changes, make)))
    run.accepted("OIDC Core 3.1")
    run.accepted("OIDC Core 3.1", run.other)
    end = run.browser.sign_out()
    run.no_faults()
    need(len(answers) == 1, "the provider was not asked to end the session", "OIDC RP-Initiated Logout 2")
    came_back = end.url.partition("?")[0] == run.rp.post_logout_redirect_uri and end.status_code == 200
    need(came_back, f"the sign-out ends at {end.url} with {end.status_code}", "OIDC RP-Initiated Logout 3")
    need(not run.browser.is_in(), "who signed out is still signed in", "OIDC RP-Initiated Logout 2")
    return answers[0]


@module("oidcc-client-test-rp-backchannel-rpinitlogout")
def ends_the_session(run: Run) -> None:
    answer = _told(run, {})
    status = answer.status_code
    need(status in (200, 204), f"the token is answered with {status}: {answer.text}", _CHECKS)
    need(
        "no-store" in answer.headers.get("Cache-Control", ""), "the answer may be stored", f"{_CHECKS} (2.8)"
    )
    need(not run.other.is_in(), "the session lives on", "OIDC Back-Channel Logout 2.7")


def _refused(
    run: Run, changes: Mapping[str, Any], make: Callable[[Run, Mapping[str, Any]], str] = _good
) -> None:
    status = _told(run, changes, make).status_code
    need(status == 400, f"the token is answered with {status}", "OIDC Back-Channel Logout 2.8")
    need(run.other.is_in(), "a bad token ended a session", _CHECKS)


@module("oidcc-client-test-rp-backchannel-rpinitlogout-alg-none")
def is_not_signed(run: Run) -> None:
    _refused(run, {}, lambda run, claims: unsigned(claims, _TYPE))


@module("oidcc-client-test-rp-backchannel-rpinitlogout-no-event")
def tells_of_nothing(run: Run) -> None:
    _refused(run, {"events": GONE})


@module("oidcc-client-test-rp-backchannel-rpinitlogout-with-nonce")
def could_be_an_id_token(run: Run) -> None:
    _refused(run, {"nonce": "n"})


@module("oidcc-client-test-rp-backchannel-rpinitlogout-wrong-alg")
def is_signed_otherwise(run: Run) -> None:
    """With the client's secret, which no ID token here is."""
    _refused(run, {}, lambda run, claims: signed_with_secret(claims, run.rp.client_secret, _TYPE))


@module("oidcc-client-test-rp-backchannel-rpinitlogout-wrong-aud")
def is_for_another_client(run: Run) -> None:
    _refused(run, {"aud": "another-client"})


@module("oidcc-client-test-rp-backchannel-rpinitlogout-wrong-event")
def tells_of_something_else(run: Run) -> None:
    _refused(run, {"events": {"http://schemas.openid.net/event/another": {}}})


@module("oidcc-client-test-rp-backchannel-rpinitlogout-wrong-iss")
def is_of_another_issuer(run: Run) -> None:
    _refused(run, {"iss": "https://another.example/"})

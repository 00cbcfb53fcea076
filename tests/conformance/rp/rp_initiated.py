"""The plan about sign-outs that a person begins at the client, and how they come back from the provider.

The certification wants the client to go there with the ID token and a state. It then tells the client by a
logout token as well, although the client knows already.
"""

from urllib.parse import urlsplit

import requests

from tests.conformance.op.outcome import need
from tests.conformance.rp.backchannel import logout_token, post
from tests.conformance.rp.registry import module
from tests.conformance.rp.run import Run

_CLAUSE = "OIDC RP-Initiated Logout 2"
_BACK = "OIDC RP-Initiated Logout 3"


def _signed_out(run: Run) -> requests.Response:
    """Sign in and out; where that ends."""
    run.accepted("OIDC Core 3.1")
    end = run.browser.sign_out()
    run.no_faults()
    need(len(run.op.sign_outs) == 1, "the provider was not asked to end the session", _CLAUSE)
    need(run.op.calls.count("authorize") == 1, "after the sign-out a sign-in began", _BACK)
    need(not run.browser.is_in(), "who signed out is still signed in", _CLAUSE)
    status = post(run, logout_token(run)).status_code
    told = f"told of a session that is over, it answers {status}"
    need(status in (200, 204), told, "OIDC Back-Channel Logout 2.7")
    return end


def _is_home(run: Run, end: requests.Response) -> None:
    """Who came back is on a page of the client's that is no fault of it."""
    need(end.status_code < 500, f"the relying party breaks: {end.status_code}", _BACK)
    home = urlsplit(run.rp.post_logout_redirect_uri)
    need(urlsplit(end.url)[:2] == home[:2], f"the sign-out leads on to {end.url}", _BACK)


@module("oidcc-client-test-rp-init-logout")
def comes_back(run: Run) -> None:
    end = _signed_out(run)
    _is_home(run, end)
    came_back = end.url.partition("?")[0] == run.rp.post_logout_redirect_uri and end.status_code == 200
    need(came_back, f"the sign-out ends at {end.url} with {end.status_code}", _BACK)


def _has_state(run: Run) -> None:
    need(bool(run.op.sign_outs[0].get("state")), "the sign-out has no state", _CLAUSE)


@module("oidcc-client-test-rp-init-logout-other-state")
def comes_back_with_another_state(run: Run) -> None:
    """Nobody knows whose it is. That it looks like an address makes it none to go to."""
    run.op.state_back = lambda state: f"{run.op.issuer}jwks"
    _is_home(run, _signed_out(run))
    _has_state(run)


@module("oidcc-client-test-rp-init-logout-no-state")
def comes_back_without_a_state(run: Run) -> None:
    run.op.state_back = lambda state: None
    _is_home(run, _signed_out(run))
    _has_state(run)

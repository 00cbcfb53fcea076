"""The plans about front-channel logout: a page of the provider loads the client's address in a frame.

The frame is on another site than the page: of the client's cookies only those travel that ask for it.

Spec: OpenID Connect Front-Channel Logout 1.0.
"""

import secrets
from urllib.parse import urlsplit

import requests

from tests.conformance.op.outcome import need
from tests.conformance.rp.registry import module
from tests.conformance.rp.run import Run

_CLAUSE = "OIDC Front-Channel Logout 2"
_SESSION = "OIDC Front-Channel Logout 2 (iss, sid)"


def _is_shown(run: Run, frame: requests.Response) -> None:
    """The page of the provider can hold what it loaded, and will load it anew the next time."""
    need(frame.status_code == 200, f"the frame is answered with {frame.status_code}", _CLAUSE)
    caching = frame.headers.get("Cache-Control", "")
    need("no-store" in caching, f"the answer may be stored: {caching!r}", _CLAUSE)
    policy = frame.headers.get("Content-Security-Policy", "")
    directives = {
        name: sources for name, *sources in (each.split() for each in policy.split(";") if each.split())
    }
    if "frame-ancestors" not in directives:
        # A browser looks at it only where no policy says who may hold the page.
        forbidden = frame.headers.get("X-Frame-Options")
        need(forbidden is None, f"X-Frame-Options is {forbidden}, so no browser shows it", _CLAUSE)
        return
    place = urlsplit(run.op.issuer)
    places = directives["frame-ancestors"]
    allowed = {"*", f"{place.scheme}:", f"{place.scheme}://{place.netloc}"} & set(places)
    need(bool(allowed), f"frame-ancestors is {places}, so no browser shows it", _CLAUSE)


@module("oidcc-client-test-rp-frontchannel-rpinitlogout")
def told_on_the_way_out(run: Run) -> None:
    """The client has ended its session before it is told."""
    run.op.with_frames = True
    run.accepted("OIDC Core 3.1")
    page = run.browser.sign_out()
    run.no_faults()
    need(
        len(run.op.sign_outs) == 1,
        "the provider was not asked to end the session",
        "OIDC RP-Initiated Logout 2",
    )
    need(page.url.startswith(run.op.issuer), f"the sign-out ends at {page.url}", "OIDC RP-Initiated Logout 2")
    _is_shown(run, run.browser.load_in_frame(run.rp.frontchannel_logout_of(run.op.issuer, run.op.sid)))
    end = run.browser.go(run.op.onward)
    came_back = end.url.partition("?")[0] == run.rp.post_logout_redirect_uri and end.status_code == 200
    need(came_back, f"the sign-out ends at {end.url} with {end.status_code}", "OIDC RP-Initiated Logout 3")
    need(run.browser.is_out(), "who signed out is still signed in", _CLAUSE)


@module("oidcc-client-test-rp-frontchannel-opinitlogout")
def told_out_of_the_blue(run: Run) -> None:
    """Of the certification's `oidcc-client-logout-test-plan`. Another browser has a session of its own."""
    run.accepted("OIDC Core 3.1")
    sid = run.op.sid
    run.op.sid = secrets.token_urlsafe(16)
    run.accepted("OIDC Core 3.1", run.other)

    def told(issuer: str, sid: str) -> requests.Response:
        return run.browser.load_in_frame(run.rp.frontchannel_logout_of(issuer, sid))

    told(run.op.issuer, secrets.token_urlsafe(16))
    need(run.browser.is_in(), "a frame with another sid ended the session", _SESSION)
    told("https://another.example/", sid)
    need(run.browser.is_in(), "a frame with another iss ended the session", _SESSION)
    _is_shown(run, told(run.op.issuer, sid))
    need(run.browser.is_out(), "the session lives on", _CLAUSE)
    need(run.other.is_in(), "another session ended too", _SESSION)
    run.no_faults()

"""Modules about sign-outs that a client is told of in a frame.

Spec: OpenID Connect Front-Channel Logout 1.0.
"""

from tests.conformance.op.outcome import Failure, need
from tests.conformance.op.registry import module
from tests.conformance.op.run import Run
from tests.conformance.op.screen import window
from tests.conformance.op.sign_out import SignedIn, check_members, registered

_CLAUSE = "OIDC Front-Channel Logout 2"


@module("oidcc-frontchannel-logout-discovery-endpoint-verification")
def _discovery(run: Run) -> None:
    check_members(run, "frontchannel_logout_supported", "frontchannel_logout_session_supported")


@module("oidcc-frontchannel-rp-initiated-logout")
def _told_in_a_frame(run: Run) -> None:
    client = registered(run.target.frontchannel, "frontchannel")
    uri = client.frontchannel_logout_uri
    with window(run) as screen:
        person = SignedIn(run, client, screen, run.complete(browser=screen, client=client))
        request = person.request()
        journey = person.sign_out(request)
        notice = screen.clients.first_call_to(uri, 0.1)
        if notice is None:
            raise Failure(f"nothing asked for {uri}; the sign-out ended at {journey.end}", _CLAUSE)
        need(notice.method == "GET", f"the notice is a {notice.method}", _CLAUSE)
        place = notice.headers.get("sec-fetch-dest")
        need(place in ("iframe", "frame"), f"the URI was not loaded in a frame but as {place!r}", _CLAUSE)
        names = sorted(name for name, _ in notice.query)
        need({"iss", "sid"} <= set(names), f"the notice has {names}, not iss and sid", _CLAUSE)
        run.warn_unless(names == ["iss", "sid"], f"the notice has {names}, not just iss and sid", _CLAUSE)
        told, sid = dict(notice.query), person.grant.claims.get("sid")
        need(told["iss"] == run.target.issuer, f"iss of the notice is {told['iss']!r}", _CLAUSE)
        need(told["sid"] == sid, f"sid is {told['sid']!r}, that of the ID token {sid!r}", f"{_CLAUSE}, 3")
        person.came_back(journey, request)
        person.is_over()

"""Modules about sign-outs that the provider tells a client of.

Spec: OpenID Connect Back-Channel Logout 1.0.
"""

import time
from urllib.parse import urlsplit

from tests.conformance.op import id_token
from tests.conformance.op.id_token import Claims
from tests.conformance.op.outcome import Failure, need
from tests.conformance.op.receiver import EMPTY, Call
from tests.conformance.op.registry import module
from tests.conformance.op.run import Run
from tests.conformance.op.sign_out import SignedIn, check_members, registered, signed_in

_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_CLAUSE = "OIDC Back-Channel Logout 2.4"


@module("oidcc-backchannel-logout-discovery-endpoint-verification")
def _discovery(run: Run) -> None:
    check_members(run, "backchannel_logout_supported", "backchannel_logout_session_supported")


@module("oidcc-backchannel-rp-initiated-logout")
def _told(run: Run) -> None:
    client = registered(run.target.backchannel, "backchannel")
    run.receiver.documents[urlsplit(client.backchannel_logout_uri).path] = EMPTY
    with signed_in(run, client) as person:
        request = person.request()
        journey = person.sign_out(request)
        # In which order the two come is left open.
        notice = run.receiver.first_call_to(client.backchannel_logout_uri, run.target.notice_seconds)
        if notice is None:
            raise Failure(f"nothing came to {client.backchannel_logout_uri}", "OIDC Back-Channel Logout 2.5")
        _check_claims(run, person, _claims(run, notice))
        person.came_back(journey, request)
        person.is_over()
        number = len(run.receiver.calls_to(client.backchannel_logout_uri))
        need(number == 1, f"{number} notices came of one sign-out", "OIDC Back-Channel Logout 2.5")


def _claims(run: Run, notice: Call) -> Claims:
    clause = "OIDC Back-Channel Logout 2.5"
    need(notice.method == "POST", f"the notice is a {notice.method}", clause)
    content_type = notice.headers.get("content-type")
    need(bool(notice.form), f"the notice is {content_type!r}, no form", clause)
    names = sorted(name for name, _ in notice.form)
    need("logout_token" in names, f"the notice has no logout_token but {names}", clause)
    run.warn_unless(names == ["logout_token"], f"the notice has {names}", clause)
    carried = [name for name, _ in notice.query]
    run.warn_unless(not carried, f"the query of the notice carries {carried}", clause)
    return id_token.verified(dict(notice.form)["logout_token"], run.keys, what="the logout token")


def _check_claims(run: Run, person: SignedIn, claims: Claims) -> None:
    signed = person.grant.claims
    issuer, audience = claims.get("iss"), claims.get("aud")
    need(issuer == run.target.issuer, f"iss is {issuer!r}, not {run.target.issuer!r}", _CLAUSE)
    named = audience if isinstance(audience, list) else [audience]
    need(named == [person.client.client_id], f"aud is {audience!r}, not the client", _CLAUSE)
    now = time.time()
    for name in ("iat", "exp"):
        value = claims.get(name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        need(number, f"{name} is {value!r}", _CLAUSE)
    need(abs(now - claims["iat"]) <= 300, f"iat is {now - claims['iat']:.0f} s from now", _CLAUSE)
    need(claims["exp"] > now, f"exp is {now - claims['exp']:.0f} s ago", _CLAUSE)
    identifier, events = claims.get("jti"), claims.get("events")
    need(isinstance(identifier, str) and bool(identifier), f"jti is {identifier!r}", _CLAUSE)
    need(events == {_EVENT: {}}, f"events is {events!r}", _CLAUSE)
    need("nonce" not in claims, "the logout token has a nonce", _CLAUSE)
    # The client asked for it: backchannel_logout_session_required.
    sid = claims.get("sid")
    need(isinstance(sid, str) and bool(sid), f"sid is {sid!r}", "OIDC Back-Channel Logout 2.2")
    need(sid == signed.get("sid"), f"sid is {sid!r}, that of the ID token {signed.get('sid')!r}", _CLAUSE)
    subject = claims.get("sub", signed["sub"])
    need(subject == signed["sub"], f"sub is {subject!r}, that of the ID token {signed['sub']!r}", _CLAUSE)

"""Signing out, in the order that leaves nothing alive: here, at the IdP, then a page that is not gated.

Lives here: the routes `logout` and `logged-out`. Not here: how a session is ended (`session`), the request to
the IdP (`oidcgate.protocol.logout`). Sign-outs that the IdP tells of are `backchannel` and `frontchannel`
next door.
"""

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final
from urllib.parse import urlencode

import msgspec
from werkzeug import Request, Response

from oidcgate.audit import Audit
from oidcgate.gate import events
from oidcgate.gate.answers import Answers
from oidcgate.gate.config import LOGOUT_PATH, GateConfig
from oidcgate.gate.discovery import ProviderUnavailable
from oidcgate.gate.relying_party import RelyingParty
from oidcgate.gate.session import Found, SessionUnavailable, Unavailable
from oidcgate.gate.sessions import Sessions
from oidcgate.gate.token_revocation import REQUEST_SECONDS, TokenRevocation
from oidcgate.gate.transaction import Transactions
from oidcgate.protocol.logout import build_end_session_url
from oidcgate.web.cookies import GATE_PATH, delete_cookie
from oidcgate.web.facts import Facts, RequestKind
from oidcgate.web.parameters import form_pairs, query_pairs
from oidcgate.web.sealing import Sealer

# How long a person may take at the IdP and still land where the sign-out was to lead.
_RETURN_SECONDS: Final = 600


@dataclasses.dataclass(frozen=True)
class Logout:
    """Ends sessions that their own person wants ended.

    Attributes:
        sealer: for the `state` that comes back from the IdP.
    """

    config: GateConfig
    relying_parties: Mapping[str, RelyingParty]
    transactions: Transactions
    sessions: Sessions
    answers: Answers
    audit: Audit
    clock: Callable[[], float]
    sealer: Sealer
    token_revocation: TokenRevocation

    def confirm(self, request: Request, facts: Facts) -> Response:
        """Ask before signing out: `GET /.oidcgate/logout`.

        A link or an image from elsewhere signs nobody out.

        Raises:
            BadRequest: the query cannot be read. SessionUnavailable: who is signed in cannot be said.
        """
        wanted = dict(query_pairs(request)).get("rd", "")
        session = self.sessions.load(request.headers.get("Cookie", ""), int(self.clock()))
        if isinstance(session, Unavailable):
            raise SessionUnavailable(session.reason)
        if facts.kind is not RequestKind.NAVIGATION:
            return self.answers.method_not_allowed(("POST",), "use_post")
        target = self.answers.return_path(wanted)
        return self.answers.page(
            "logout.html",
            request.environ,
            form_action=self.answers.sign_out_targets,
            user_name=session.record.user_name if isinstance(session, Found) else None,
            action=LOGOUT_PATH,
            hidden={} if target is None else {"rd": target},
            cancel_url="/",
        )

    def end(self, request: Request, facts: Facts) -> Response:
        """Sign out: `POST /.oidcgate/logout`, with `rd=PATH` for where to go afterwards.

        The session dies before anybody is asked or sent anywhere. So do the sessions that this browser's
        pending sign-ins would make: a sign-out that overtakes a callback still wins.

        Raises:
            BadRequest: the form cannot be read. SessionUnavailable, StoreUnavailable: it is not certain that
                all is ended; no cookie is deleted.
        """
        if not facts.is_same_origin((self.config.public_url,)):
            # The browser does not vouch for one of our pages. Asking is safe, and works in every browser.
            return self.confirm(request, facts)
        values = dict(form_pairs(request))
        now, cookies = int(self.clock()), request.headers.get("Cookie", "")
        session = self.sessions.load(cookies, now)
        if isinstance(session, Unavailable):
            raise SessionUnavailable(session.reason)
        record = session.record
        attempts = self.transactions.pending(cookies, now)
        begun = [self.sessions.forbid(attempt.session_id, now) for attempt in attempts]
        ended = None if record is None else self.sessions.end(record, now)
        hint = None if ended is None or ended.kept is None else ended.kept.hint
        # What is kept of sessions ends at the IdP as well, once all has ended here.
        self.token_revocation.revoke(filter(None, [ended, *begun]), REQUEST_SECONDS)
        self.audit.emit(
            events.SignedOut(
                user_name=None if record is None else record.user_name,
                sub=None if record is None else record.sub,
                issuer=None if record is None else record.iss,
                attempts=len(attempts),
            )
        )
        names = self.transactions.names
        response = self.answers.redirect(self._onward(record.iss if record else None, hint, values, now))
        for cookie in (
            self.sessions.gone(),
            *(cookie for attempt in attempts for cookie in self.transactions.end(attempt.state)),
            delete_cookie(names.loop, path=GATE_PATH, secure=names.secure),
            # Without it nobody gets the forms that wait for this browser.
            delete_cookie(names.form, path="/", secure=names.secure),
        ):
            response.headers.add("Set-Cookie", cookie)
        return response

    def logged_out(self, request: Request, facts: Facts) -> Response:
        """Where a sign-out ends: `/.oidcgate/logged-out`.

        Not gated, or signing out would sign in again (G-06).

        Leads on to where the sign-out was to lead, else to the provider's configured `logout_url`, else says
        so itself.

        Raises:
            BadRequest: the query cannot be read. SessionUnavailable: whether a session is left cannot be
                said.
        """
        now = int(self.clock())
        session = self.sessions.load(request.headers.get("Cookie", ""), now)
        if isinstance(session, Unavailable):
            raise SessionUnavailable(session.reason)
        if isinstance(session, Found):
            # A link brought somebody here who is signed in; the page would say what is not true.
            return self.answers.redirect(self.config.public_url + LOGOUT_PATH)
        onward = self._opened(dict(query_pairs(request)).get("state", ""), now)
        if onward.target is not None:
            return self.answers.redirect(self.config.public_url + onward.target)
        party = self.relying_parties.get(onward.issuer or "") or next(iter(self.relying_parties.values()))
        if party.provider.logout_url is not None:
            return self.answers.redirect(party.provider.logout_url)
        if facts.kind is not RequestKind.NAVIGATION:
            return self.answers.json(200, {"status": "logged_out"})
        return self.answers.page(
            "logged_out.html",
            request.environ,
            everywhere=onward.everywhere,
            login_url=self.answers.login_url(),
        )

    def _onward(self, issuer: str | None, hint: str | None, values: Mapping[str, str], now: int) -> str:
        """Where a browser goes once nothing of it is alive here: to the IdP if it can end its session too."""
        party = self.relying_parties.get(issuer or "") or next(iter(self.relying_parties.values()))
        target = self.answers.return_path(values.get("rd", ""))
        if values.get("switch"):
            # Where the IdP cannot end its session, only asking for the password lets another person in.
            target = self.answers.login_path(target or "/", prompt="login")
        endpoint = None
        # Of the break-glass page, or of a provider that is configured no more: then there is nobody to tell.
        if issuer is None or issuer in self.relying_parties:
            # The person wanted to be signed out here, and is; the page says that the IdP's session may live
            # on.
            with suppress(ProviderUnavailable):
                endpoint = party.discovery.metadata().end_session_endpoint
        onward = _Onward(party.provider.expected_issuer, target, endpoint is not None, now)
        state = self.sealer.seal(msgspec.msgpack.encode(onward), now)
        if endpoint is None:
            return f"{self.config.logged_out_url}?{urlencode({'state': state})}"
        return build_end_session_url(
            endpoint,
            id_token_hint=hint,
            client_id=party.provider.client_id,
            post_logout_redirect_uri=self.config.logged_out_url,
            state=state,
        )

    def _opened(self, state: str, now: int) -> "_Onward":
        plain = self.sealer.open(state) if state else None
        if plain is not None:
            try:
                onward = msgspec.msgpack.decode(plain, type=_Onward)
            except (msgspec.MsgspecError, UnicodeDecodeError):  # the latter for text that is not UTF-8
                return _NOWHERE
            if 0 <= now - onward.at < _RETURN_SECONDS:
                return onward
        return _NOWHERE


class _Onward(msgspec.Struct, frozen=True, array_like=True):
    """What the `state` of a sign-out remembers. Sealed, so it is ours and never a request's."""

    issuer: str | None
    target: str | None
    everywhere: bool
    at: int


_NOWHERE: Final = _Onward(None, None, False, 0)

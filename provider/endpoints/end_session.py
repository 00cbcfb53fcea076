"""`/end_session`: signing out, asked for by an application or by the person.

An application that shows an ID token of this very session is believed: the session ends and the browser goes
back. Whatever else arrives may come from anybody (a link, an image, a leaked token), so the person is asked
first. What is asked about is a stored request; the form names it and carries nothing of it.

What is believed of a request is `provider.services.logout_requests`, what ends `provider.services.logout`.
The answer of a sign-out carries the frames of the front channel: in the page that says so, or in one that
leads back to the application when they have loaded, and a few seconds later when they do not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection
from werkzeug import Request, Response

from oidcgate.audit import Audit
from oidcgate.protocol.logout import build_frontchannel_logout_url, parse_end_session_request
from oidcgate.web.csrf import CsrfTokens
from provider.endpoints.parameters import form_pairs, own_fields, query_pairs
from provider.endpoints.screens import Screens
from provider.events import LoggedOut, LogoutNotReturned
from provider.pages import GO_ON_SCRIPT, LogoutProblem
from provider.realm import Realm
from provider.services.browser_session import (
    Browser,
    browser_cookie,
    live_session,
    this_browser,
)
from provider.services.clients import Clients
from provider.services.logout import end_session, framed_clients
from provider.services.logout_requests import LogoutRequests, Wish
from provider.services.pending import (
    Kind,
    Pending,
    claim_request,
    finish_request,
    load_request,
    store_request,
)
from provider.services.responses import (
    PostLogoutTarget,
    form_targets,
    see_other,
)
from provider.services.session_management import signed_out_cookies
from provider.services.users import UserStore
from provider.store.clients import Client
from provider.store.engine import Store
from provider.store.sessions import BrowserSession

_FIELDS: Final = ("interaction", "csrf")
_REQUEST: Final = frozenset(
    {"id_token_hint", "client_id", "post_logout_redirect_uri", "state", "logout_hint", "ui_locales"}
)


@dataclass(frozen=True)
class EndSession:
    """The end-session endpoint. Spec: OIDC RP-Initiated Logout 1.0 section 2.

    Attributes:
        csrf: Tokens of the purpose `provider.logout`.
        frame_seconds: How long the page with the frames waits before it leads on.
    """

    store: Store
    requests: LogoutRequests
    clients: Clients
    users: UserStore
    csrf: CsrfTokens
    screens: Screens
    audit: Audit
    clock: Callable[[], float]
    frame_seconds: int

    def __call__(self, realm: Realm, request: Request) -> Response:
        """Sign out, or ask.

        Raises:
            PageError: the request names a stored request that is over.
            InvalidRequest: it is malformed.
        """
        pairs = query_pairs(request)
        if request.method == "POST":
            pairs += form_pairs(request)
        parse_end_session_request(pairs)
        browser = this_browser(realm, request.headers.get("Cookie", ""))
        now = int(self.clock())
        if request.method == "POST":
            # An application on another site posts without our cookies; the browser comes again by GET, with
            # them.
            with self.store.begin() as conn:
                pending = _store(conn, realm, pairs, None, now)
            return see_other(realm.url(f"/end_session?interaction={pending.identifier}"))
        names = {name for name, _ in pairs}
        if "interaction" in names and not names & _REQUEST:
            with self.store.begin() as conn:
                identifier = own_fields(pairs, _FIELDS)["interaction"]
                claim_request(conn, realm, identifier, browser)
                pending = load_request(conn, realm, (Kind.END_SESSION,), identifier, browser, now)
            return self._judge(realm, request, browser, pending.parameters, pending, now)
        return self._judge(realm, request, browser, pairs, None, now)

    def confirm(self, realm: Realm, request: Request) -> Response:
        """Take the form of the page that asks.

        Raises:
            PageError: there is no such request of this browser, or it is over.
            InvalidRequest: the form cannot be read.
        """
        fields = own_fields(form_pairs(request), _FIELDS)
        cookies = request.headers.get("Cookie", "")
        browser = this_browser(realm, cookies)
        now = int(self.clock())
        asked, framed = None, list[Client]()
        with self.store.begin() as conn:
            pending = load_request(conn, realm, (Kind.END_SESSION,), fields.get("interaction"), browser, now)
            session = live_session(conn, realm, cookies, now)
            wish = self.requests.judge(conn, realm, parse_end_session_request(pending.parameters))
            if session is not None:
                question = self._question(conn, realm, browser, pending, session)
                lifetime = realm.settings.lifetimes.interaction_seconds
                if self.csrf.check(fields.get("csrf"), question.binding, lifetime, now):
                    framed = self._end(conn, realm, session, wish, now)
                else:
                    asked = question
            if asked is None:
                finish_request(conn, realm, pending, now)
        if asked is not None:
            return self._ask(realm, request, asked, wish, LogoutProblem.EXPIRED, now)
        return self._done(realm, request, wish, session, framed, wish.target)

    def _judge(
        self,
        realm: Realm,
        request: Request,
        browser: Browser,
        pairs: list[tuple[str, str]],
        pending: Pending | None,
        now: int,
    ) -> Response:
        wanted = parse_end_session_request(pairs)
        asked, framed = None, list[Client]()
        with self.store.begin() as conn:
            wish = self.requests.judge(conn, realm, wanted)
            session = live_session(conn, realm, request.headers.get("Cookie", ""), now)
            if session is not None and not self.requests.needs_no_question(conn, realm, wish, session):
                pending = pending or _store(conn, realm, pairs, browser, now)
                asked = self._question(conn, realm, browser, pending, session)
            elif session is not None:
                framed = self._end(conn, realm, session, wish, now)
            if pending is not None and asked is None:
                finish_request(conn, realm, pending, now)
        if asked is not None:
            problem = LogoutProblem.NOT_RETURNING if wish.refused else None
            return self._ask(realm, request, asked, wish, problem, now)
        return self._done(realm, request, wish, session, framed, wish.unasked_target)

    def _end(
        self, conn: Connection, realm: Realm, session: BrowserSession, wish: Wish, now: int
    ) -> list[Client]:
        """End the session; returns the clients that are told by frames."""
        end_session(conn, realm, session, now, asked_by=wish.asked_by)
        return framed_clients(conn, realm, self.clients, session)

    def _question(
        self, conn: Connection, realm: Realm, browser: Browser, pending: Pending, session: BrowserSession
    ) -> "_Question":
        user = self.users.find(conn, realm, session.user_id)
        return _Question(realm, browser, pending, session, None if user is None else user.user_name)

    def _ask(
        self,
        realm: Realm,
        request: Request,
        question: "_Question",
        wish: Wish,
        problem: LogoutProblem | None,
        now: int,
    ) -> Response:
        if wish.refused:
            self.audit.emit(LogoutNotReturned(realm.id, wish.asked_by, wish.refused))
        response = self.screens.show(
            realm,
            "logout.html",
            language=self.screens.language(request),
            status=400 if problem is LogoutProblem.EXPIRED else 200,
            form_action=() if wish.target is None else form_targets(wish.target.uri),
            action=realm.url("/end_session/confirm"),
            hidden={
                "interaction": question.pending.identifier,
                "csrf": self.csrf.issue(question.binding, now),
            },
            user_name=question.user_name,
            client_name=None if wish.client is None else wish.client.name,
            problem=problem,
        )
        if question.browser.is_new:
            response.headers.add("Set-Cookie", browser_cookie(realm, question.browser))
        return response

    def _done(
        self,
        realm: Realm,
        request: Request,
        wish: Wish,
        session: BrowserSession | None,
        framed: list[Client],
        target: PostLogoutTarget | None,
    ) -> Response:
        frames = []
        if session is not None:
            self.audit.emit(LoggedOut(realm.id, session.user_id, session.sid, wish.asked_by))
            frames = [_frame(realm, client, session) for client in framed]
        language = self.screens.language(request)
        if target is None:
            response = self.screens.show(
                realm, "logged_out.html", language=language, frame_src=frames, frames=frames, everywhere=False
            )
        elif frames:
            response = self.screens.show(
                realm,
                "logging_out.html",
                language=language,
                frame_src=frames,
                script=GO_ON_SCRIPT,
                frames=frames,
                next_url=target.url,
                client_name=target.client.name,
                seconds=self.frame_seconds,
            )
        else:
            response = see_other(target.url)
        for cookie in signed_out_cookies(realm, request.headers.get("Cookie", ""), session):
            response.headers.add("Set-Cookie", cookie)
        return response


@dataclass(frozen=True)
class _Question:
    """What one page asks, and whom."""

    realm: Realm
    browser: Browser
    pending: Pending
    session: BrowserSession
    user_name: str | None

    @property
    def binding(self) -> str:
        """What the CSRF token is for. The session is part of it: another sign-in is asked about anew."""
        parts = (self.realm.id, self.pending.identifier, self.browser.token, self.session.session_hash)
        return " ".join(parts)


def _frame(realm: Realm, client: Client, session: BrowserSession) -> str:
    named = client.frontchannel_logout_session_required
    return build_frontchannel_logout_url(
        client.frontchannel_logout_uri, issuer=realm.issuer, sid=session.sid if named else None
    )


def _store(
    conn: Connection, realm: Realm, pairs: list[tuple[str, str]], browser: Browser | None, now: int
) -> Pending:
    # The columns name nobody: what is believed is judged anew from the parameters.
    return store_request(
        conn, realm, Kind.END_SESSION, pairs, browser=browser, client_id="", redirect_uri="", now=now
    )

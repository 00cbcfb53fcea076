"""`/end_session`: signing out, asked for by an application or by the person.

An application that shows an ID token of this very session is believed: the session ends and the browser goes
back. Whatever else arrives may come from anybody (a link, an image, a leaked token), so the person is asked
first. What is asked about is a stored request; the form names it and carries nothing of it.

Of tokens only those of the application that asked are revoked, and only those granted in this session
(`provider.services.logout.end_session`). Where a sign-out may lead is decided in
`provider.services.responses`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection
from werkzeug import Request, Response

from oidcgate.audit import Audit
from oidcgate.protocol.logout import EndSessionRequest, parse_end_session_request
from oidcgate.web.csrf import CsrfTokens
from provider.endpoints.parameters import form_pairs, own_fields, query_pairs
from provider.endpoints.screens import Screens
from provider.events import LoggedOut, LogoutNotReturned
from provider.pages import LogoutProblem
from provider.realm import Realm
from provider.services.browser_session import (
    Browser,
    browser_cookie,
    live_session,
    this_browser,
)
from provider.services.clients import Clients
from provider.services.id_token_hint import Hint, IdTokenHints
from provider.services.logout import end_session
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
    after_logout,
    form_targets,
    see_other,
    validate_post_logout,
)
from provider.services.session_management import signed_out_cookies
from provider.services.subjects import Subjects
from provider.services.users import UserStore
from provider.store.clients import Client
from provider.store.engine import Store
from provider.store.sessions import BrowserSession

_FIELDS: Final = ("interaction", "csrf")
_REQUEST: Final = frozenset(
    {"id_token_hint", "client_id", "post_logout_redirect_uri", "state", "logout_hint", "ui_locales"}
)


@dataclass(frozen=True)
class Wish:
    """What a request asks for, as far as it is believed.

    Attributes:
        hint: The ID token that came with it, if it is ours and fits the client.
        client: Who asks; None when nobody is named, or not believably.
        target: Where to lead back to, if that is registered for the client.
        refused: Why a named address is not followed; "" when none is named or it is followed.
    """

    hint: Hint | None
    client: Client | None
    target: PostLogoutTarget | None
    refused: str


@dataclass(frozen=True)
class EndSession:
    """The end-session endpoint. Spec: OIDC RP-Initiated Logout 1.0 section 2.

    Attributes:
        csrf: Tokens of the purpose `provider.logout`.
    """

    store: Store
    clients: Clients
    users: UserStore
    hints: IdTokenHints
    subjects: Subjects
    csrf: CsrfTokens
    screens: Screens
    audit: Audit
    clock: Callable[[], float]

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
        asked = None
        with self.store.begin() as conn:
            pending = load_request(conn, realm, (Kind.END_SESSION,), fields.get("interaction"), browser, now)
            session = live_session(conn, realm, cookies, now)
            wish = self._wish(conn, realm, parse_end_session_request(pending.parameters))
            if session is not None:
                question = self._question(conn, realm, browser, pending, session)
                lifetime = realm.settings.lifetimes.interaction_seconds
                if self.csrf.check(fields.get("csrf"), question.binding, lifetime, now):
                    end_session(conn, realm, session, now, asked_by=_asked_by(wish))
                else:
                    asked = question
            if asked is None:
                finish_request(conn, realm, pending, now)
        if asked is not None:
            return self._ask(realm, request, asked, wish, LogoutProblem.EXPIRED, now)
        return self._done(realm, request, wish, session, wish.target)

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
        asked = None
        with self.store.begin() as conn:
            wish = self._wish(conn, realm, wanted)
            session = live_session(conn, realm, request.headers.get("Cookie", ""), now)
            if session is not None and (wish.refused or not self._is_of(conn, realm, wish, session)):
                pending = pending or _store(conn, realm, pairs, browser, now)
                asked = self._question(conn, realm, browser, pending, session)
            elif session is not None:
                end_session(conn, realm, session, now, asked_by=_asked_by(wish))
            if pending is not None and asked is None:
                finish_request(conn, realm, pending, now)
        if asked is not None:
            problem = LogoutProblem.NOT_RETURNING if wish.refused else None
            return self._ask(realm, request, asked, wish, problem, now)
        # Nobody was asked, so only a hint of ours can lead back.
        return self._done(realm, request, wish, session, wish.target if wish.hint is not None else None)

    def _wish(self, conn: Connection, realm: Realm, wanted: EndSessionRequest) -> Wish:
        hint, client_id, refused = None, wanted.client_id, ""
        if wanted.id_token_hint is not None:
            hint = self.hints.read(conn, realm, wanted.id_token_hint)
            if hint is None:
                # It claims to come from somebody and does not: nothing else in it is believed either.
                client_id, refused = None, "id_token_hint is not one of ours"
            elif client_id is not None and client_id not in hint.audiences:
                hint, client_id, refused = None, None, "client_id is not the one of id_token_hint"
            elif client_id is None and len(hint.audiences) == 1:
                client_id = hint.audiences[0]
        client = None if client_id is None else self.clients.find(conn, realm, client_id)
        uri = wanted.post_logout_redirect_uri
        if uri is None:
            return Wish(hint, client, None, "")
        target = validate_post_logout(client, uri, wanted.state)
        if target is None and not refused:
            registered = [] if client is None else list(client.post_logout_redirect_uris)
            refused = (
                f"post_logout_redirect_uri {uri[:300]!r} is not registered; registered are {registered!r}"
            )
        return Wish(hint, client, target, refused)

    def _is_of(self, conn: Connection, realm: Realm, wish: Wish, session: BrowserSession) -> bool:
        """Whether the hint was given for this very session, so that nobody has to be asked."""
        hint, client = wish.hint, wish.client
        if hint is None or client is None or hint.sid != session.sid:
            return False
        return hint.sub == self.subjects.of(conn, realm, client, session.user_id)

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
            self.audit.emit(LogoutNotReturned(realm.id, _asked_by(wish), wish.refused))
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
        target: PostLogoutTarget | None,
    ) -> Response:
        if session is not None:
            self.audit.emit(LoggedOut(realm.id, session.user_id, session.sid, _asked_by(wish)))
        if target is not None:
            response = after_logout(target)
        else:
            response = self.screens.show(
                realm,
                "logged_out.html",
                language=self.screens.language(request),
                client_name=None,
                return_url=None,
            )
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


def _asked_by(wish: Wish) -> str | None:
    return None if wish.client is None else wish.client.client_id


def _store(
    conn: Connection, realm: Realm, pairs: list[tuple[str, str]], browser: Browser | None, now: int
) -> Pending:
    # The columns name nobody: what is believed is judged anew from the parameters.
    return store_request(
        conn, realm, Kind.END_SESSION, pairs, browser=browser, client_id="", redirect_uri="", now=now
    )

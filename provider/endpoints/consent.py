"""`/consent`: asks whether an application may have what it asks for, for a stored request of this browser.

What is agreed to is remembered for the person and the client; what is left out, and a no to everything, for
this request only. All lead back to `/authorize`, which answers the client. What has to be asked is
`provider.services.interaction`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection
from werkzeug import Request, Response

from oidcgate.audit import Audit, Event
from oidcgate.web.csrf import CsrfTokens
from provider.endpoints.parameters import form_pairs, own_fields, query_pairs
from provider.endpoints.screens import Screens
from provider.events import ConsentAnswered
from provider.pages import ErrorKind
from provider.realm import Realm
from provider.services.authorization import Authorizations
from provider.services.authorization_requests import Accepted, AuthorizationRequests
from provider.services.browser_session import hold_session, this_browser
from provider.services.consents import Consents
from provider.services.interaction import AskConsent, ConsentAnswer
from provider.services.pending import (
    SIGN_IN,
    Pending,
    load_request,
    save_progress,
    with_progress,
)
from provider.services.progress import consent_progress
from provider.services.responses import PageError, form_targets, see_other, shown_destination
from provider.services.scopes import OPENID
from provider.store.clients import Client
from provider.store.engine import Store
from provider.store.users import User

_FIELDS: Final = ("interaction", "csrf", "decision")
#: The name that all check boxes share: the one field of our forms that may be there more than once.
_BOX: Final = "scope"
#: Without it nobody is signed in anywhere, so it has no check box.
_NOT_OPTIONAL: Final = OPENID
_DECISIONS: Final = ("allow", "deny")


@dataclass(frozen=True)
class Consent:
    """The consent page. Spec: OIDC Core 3.1.2.4.

    Attributes:
        csrf: Tokens of the purpose `provider.consent`.
    """

    store: Store
    requests: AuthorizationRequests
    authorizations: Authorizations
    consents: Consents
    csrf: CsrfTokens
    screens: Screens
    audit: Audit
    clock: Callable[[], float]

    def __call__(self, realm: Realm, request: Request) -> Response:
        """Show the page, or take the answer.

        Raises:
            PageError: there is no such request of this browser, or it is over.
            InvalidRequest: the form or query cannot be read.
        """
        posted = request.method == "POST"
        pairs = form_pairs(request) if posted else query_pairs(request)
        fields = own_fields([pair for pair in pairs if pair[0] != _BOX], _FIELDS)
        checked = frozenset(value for name, value in pairs if name == _BOX)
        now = int(self.clock())
        cookies = request.headers.get("Cookie", "")
        browser = this_browser(realm, cookies)
        events: tuple[Event, ...] = ()
        # One transaction from judging to noting the answer: what is agreed to is what was shown, to whom it
        # was shown.
        with self.store.begin() as conn:
            hold_session(conn, realm, cookies, now)
            pending = load_request(conn, realm, SIGN_IN, fields.get("interaction"), browser, now)
            accepted = self.requests.stored(conn, realm, pending)
            judged = self.authorizations.judge(conn, realm, accepted, pending.row.state, cookies, now)
            if not isinstance(judged.step, AskConsent) or judged.user is None:
                return _go_on(realm, pending)
            asked = judged.step.scopes
            # The person, the face of the client and the scopes are part of it: another account in this
            # browser, a client that changed itself or a consent that was withdrawn meanwhile changes what
            # would be agreed to, so the page is shown anew.
            face = str(accepted.target.client.consents_from)
            binding = " ".join(
                (realm.id, pending.identifier, browser.token, judged.user.user_id, face, *asked)
            )
            lifetime = realm.settings.lifetimes.interaction_seconds
            answered = posted and self.csrf.check(fields.get("csrf"), binding, lifetime, now)
            if answered:
                answer = _answer(judged.user, asked, fields.get("decision"), checked)
                events = self._note(conn, realm, pending, accepted.target.client, asked, answer, now)
        if events:
            for event in events:
                self.audit.emit(event)
            return _go_on(realm, pending)
        token = self.csrf.issue(binding, now)
        return self._show(
            realm, request, pending, accepted, judged.user, asked, token, 400 if posted else 200
        )

    def _note(
        self,
        conn: Connection,
        realm: Realm,
        pending: Pending,
        client: Client,
        asked: tuple[str, ...],
        answer: ConsentAnswer,
        now: int,
    ) -> tuple[Event, ...]:
        save_progress(conn, realm, with_progress(pending, consent_progress(answer)))
        client_id = client.client_id
        agreed = tuple(scope for scope in asked if scope in answer.agreed)
        answered = ConsentAnswered(realm.id, answer.user_id, client_id, asked, agreed, answer.allowed)
        if not answer.allowed:
            return (answered,)
        not_stored = self.consents.remember(
            conn,
            realm,
            answer.user_id,
            client_id,
            answer.asked,
            answer.agreed,
            now,
            made_at=client.consents_from,
        )
        return (answered,) if not_stored is None else (answered, not_stored)

    def _show(
        self,
        realm: Realm,
        request: Request,
        pending: Pending,
        accepted: Accepted,
        user: User,
        asked: tuple[str, ...],
        token: str,
        status: int,
    ) -> Response:
        language = self.screens.language(request, accepted.request.ui_locales)
        target = accepted.target
        known = realm.catalogue.scopes
        lines = [
            self.screens.scope_line(language, known[scope], optional=scope != _NOT_OPTIONAL)
            for scope in asked
        ]
        return self.screens.show(
            realm,
            "consent.html",
            language=language,
            status=status,
            form_action=form_targets(target.redirect_uri),
            action=realm.url("/consent"),
            hidden={"interaction": pending.identifier, "csrf": token},
            **self.screens.about(target.client),
            user_name=user.user_name,
            scopes=lines,
            return_host=None if target.redirect_uri is None else shown_destination(target.redirect_uri),
            api=None if accepted.reach.api is None else accepted.reach.api.title,
        )


def _answer(
    user: User, asked: tuple[str, ...], decision: str | None, checked: frozenset[str]
) -> ConsentAnswer:
    """What the form says.

    Raises:
        PageError: our page does not send that.
    """
    if decision not in _DECISIONS:
        raise PageError(ErrorKind.BAD_REQUEST, detail="decision is neither allow nor deny")
    if not checked.issubset(asked):
        raise PageError(ErrorKind.BAD_REQUEST, detail="a scope is checked that was not asked for")
    if decision == "deny":
        return ConsentAnswer(user.user_id, frozenset(asked), frozenset(), allowed=False)
    agreed = frozenset(scope for scope in asked if scope in checked or scope == _NOT_OPTIONAL)
    return ConsentAnswer(user.user_id, frozenset(asked), agreed, allowed=True)


def _go_on(realm: Realm, pending: Pending) -> Response:
    return see_other(realm.url(f"/authorize?interaction={pending.identifier}"))

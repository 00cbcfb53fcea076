"""What the pages for somebody who is signed in have in common: whose page it is, and what is due.

Each visit is judged anew, as on every page of a sign-in: a step that another tab has taken is not taken
twice. The pages are `account` and `organization` next door, and those of the second factor (`factor_visit`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection
from werkzeug import Request, Response

from oidcgate.audit import Audit
from oidcgate.web.csrf import CsrfTokens
from provider.endpoints.parameters import form_pairs, own_fields, query_pairs
from provider.endpoints.screens import Screens
from provider.realm import Realm
from provider.services.authorization import Authorizations
from provider.services.authorization_requests import Accepted, AuthorizationRequests
from provider.services.browser_session import Browser, hold_session, this_browser
from provider.services.interaction import Step
from provider.services.pending import SIGN_IN, Pending, load_request, save_progress, with_progress
from provider.services.responses import form_targets, see_other
from provider.services.session_management import signed_in_cookies
from provider.store.engine import Store
from provider.store.sessions import BrowserSession
from provider.store.users import User

_FIELDS: Final = ("interaction", "csrf", "otp", "decision", "org_id")


@dataclass(frozen=True)
class Visit:
    """A request for one of the pages by somebody who is signed in."""

    realm: Realm
    request: Request
    fields: dict[str, str]
    browser: Browser
    pending: Pending
    accepted: Accepted
    step: Step
    session: BrowserSession
    user: User
    now: int

    @property
    def posted(self) -> bool:
        """Whether the form was sent."""
        return self.request.method == "POST"

    @property
    def client_id(self) -> str:
        """The application they are on the way to."""
        return self.accepted.target.client.client_id

    @property
    def binding(self) -> str:
        """What the form's CSRF token is for: this person, in this interaction, in this browser."""
        return " ".join((self.realm.id, self.pending.identifier, self.browser.token, self.user.user_id))

    def came_from(self, csrf: CsrfTokens) -> bool:
        """Whether the form was sent that this page shows, to this person and not too long ago."""
        lifetime = self.realm.settings.lifetimes.interaction_seconds
        return self.posted and csrf.check(self.fields.get("csrf"), self.binding, lifetime, self.now)

    def note(self, conn: Connection, progress: dict[str, Any]) -> None:
        """Write down what the person did.

        Raises:
            PageError: the request was finished in the meantime, in another tab.
        """
        save_progress(conn, self.realm, with_progress(self.pending, progress))

    def on(self, token: str | None = None) -> Response:
        """Back to where everything is judged; `token` is the cookie of a stronger session."""
        response = see_other(self.realm.url(f"/authorize?interaction={self.pending.identifier}"))
        if token is not None:
            cookies = self.request.headers.get("Cookie", "")
            for cookie in signed_in_cookies(self.realm, cookies, self.session, token):
                response.headers.add("Set-Cookie", cookie)
        return response


@dataclass(frozen=True)
class Desk:
    """What all these pages work with."""

    store: Store
    requests: AuthorizationRequests
    authorizations: Authorizations
    screens: Screens
    audit: Audit
    clock: Callable[[], float]

    def open(self, conn: Connection, realm: Realm, request: Request) -> Visit | Response:
        """Find the stored request of this browser and judge it; a response when nobody is signed in.

        Raises:
            PageError: there is no such request of this browser, or it is over.
            InvalidRequest: the form or query cannot be read.
        """
        pairs = form_pairs(request) if request.method == "POST" else query_pairs(request)
        fields = own_fields(pairs, _FIELDS)
        cookies, now = request.headers.get("Cookie", ""), int(self.clock())
        browser = this_browser(realm, cookies)
        hold_session(conn, realm, cookies, now)
        pending = load_request(conn, realm, SIGN_IN, fields.get("interaction"), browser, now)
        accepted = self.requests.stored(conn, realm, pending)
        judged = self.authorizations.judge(conn, realm, accepted, pending.row.state, cookies, now)
        if judged.session is None or judged.user is None:
            return see_other(realm.url(f"/authorize?interaction={pending.identifier}"))
        return Visit(
            realm, request, fields, browser, pending, accepted, judged.step, judged.session, judged.user, now
        )

    def show(
        self,
        visit: Visit,
        template: str,
        csrf: CsrfTokens,
        *,
        path: str,
        status: int,
        wait: int | None = None,
        **context: Any,
    ) -> Response:
        """Render one of the pages."""
        target = visit.accepted.target
        return self.screens.show(
            visit.realm,
            template,
            language=self.screens.language(visit.request, visit.accepted.request.ui_locales),
            status=status,
            form_action=form_targets(target.redirect_uri),
            retry_after_seconds=wait,
            action=visit.realm.url(path),
            hidden={
                "interaction": visit.pending.identifier,
                "csrf": csrf.issue(visit.binding, visit.now),
            },
            **{"client_name": target.client.name, "user_name": visit.user.user_name, **context},
        )

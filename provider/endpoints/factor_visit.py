"""What the pages of a second factor have in common: whose page it is, and whether it is due.

Each visit is judged anew, as on every page of a sign-in: a step that another tab has taken is not taken
twice. The pages are `otp` and `enrol` next door.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection
from werkzeug import Request, Response

from oidcgate.audit import Audit
from oidcgate.web.csrf import CsrfTokens
from oidcgate.web.forwarded import Network, client_network
from provider.endpoints.parameters import form_pairs, own_fields, query_pairs
from provider.endpoints.screens import Screens
from provider.pages import FactorProblem
from provider.realm import Realm
from provider.services.authentication_context import OTP
from provider.services.authorization import Accepted, Authorizations
from provider.services.browser_session import (
    Browser,
    live_session,
    session_cookie,
    strengthen_session,
    this_browser,
)
from provider.services.interaction import Step
from provider.services.pending import Kind, Pending, load_request
from provider.services.responses import form_targets, see_other
from provider.store.engine import Store
from provider.store.sessions import BrowserSession
from provider.store.users import User

#: What events call it.
TOTP: Final = "totp"
_FIELDS: Final = ("interaction", "csrf", "otp", "decision")


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

    def on(self, token: str | None = None) -> Response:
        """Back to where everything is judged; `token` is the cookie of a stronger session."""
        response = see_other(self.realm.url(f"/authorize?interaction={self.pending.identifier}"))
        if token is not None:
            response.headers.add("Set-Cookie", session_cookie(self.realm, token))
        return response


@dataclass(frozen=True)
class FactorDesk:
    """What both pages work with.

    Attributes:
        trusted_networks: Whose X-Forwarded-For is believed when tries are counted by network.
    """

    store: Store
    authorizations: Authorizations
    screens: Screens
    audit: Audit
    clock: Callable[[], float]
    trusted_networks: tuple[Network, ...]

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
        pending = load_request(conn, realm, Kind.AUTHORIZE, fields.get("interaction"), browser, now)
        accepted = self.authorizations.stored(conn, realm, pending)
        judged = self.authorizations.judge(conn, realm, accepted, pending.row.state, cookies, now)
        if judged.session is None or judged.user is None:
            return see_other(realm.url(f"/authorize?interaction={pending.identifier}"))
        return Visit(
            realm, request, fields, browser, pending, accepted, judged.step, judged.session, judged.user, now
        )

    def network(self, request: Request) -> str:
        """The network a request came from."""
        return client_network(request.remote_addr, request.headers, self.trusted_networks)

    def strengthened(self, conn: Connection, visit: Visit) -> str | None:
        """Note the second factor in the session; its new cookie, or None when it was signed out meanwhile."""
        session = live_session(conn, visit.realm, visit.request.headers.get("Cookie", ""), visit.now)
        if session is None or session.user_id != visit.user.user_id:
            return None
        made = strengthen_session(conn, visit.realm, session, OTP, visit.now)
        return None if made is None else made[1]

    def show(
        self,
        visit: Visit,
        template: str,
        csrf: CsrfTokens,
        *,
        path: str,
        problem: FactorProblem | None,
        status: int,
        wait: int | None = None,
        **context: object,
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
            client_name=target.client.name,
            user_name=visit.user.user_name,
            problem=problem,
            **context,
        )

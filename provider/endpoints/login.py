"""`/login`: asks for user name and password, for a stored request of this browser.

A right password makes a new session and leads back to `/authorize`, which judges anew; this endpoint decides
nothing about the request. A second factor has pages of its own (`otp`, `enrol`). How a password is tried is
`provider.factors.password_attempt`, what a session is `provider.services.browser_session`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from werkzeug import Request, Response

from oidcgate.audit import Audit
from oidcgate.web.csrf import CsrfTokens
from oidcgate.web.forwarded import Network, client_network
from provider.endpoints.parameters import form_pairs, own_fields, query_pairs
from provider.endpoints.screens import Screens
from provider.events import LoginFailed, LoginSucceeded
from provider.factors.password import Busy
from provider.factors.password_attempt import CHANGED, Attempt, PasswordAttempts, Right, Slowed, Wrong
from provider.pages import LoginProblem
from provider.realm import Realm
from provider.services.authentication_context import PASSWORD
from provider.services.authorization import Authorizations, Judged
from provider.services.authorization_requests import Accepted, AuthorizationRequests
from provider.services.browser_label import browser_label
from provider.services.browser_session import (
    Authenticated,
    Browser,
    begin_session,
    live_session,
    this_browser,
)
from provider.services.interaction import AskLogin, LoginReason
from provider.services.pending import (
    SIGN_IN,
    Pending,
    load_request,
    save_progress,
    with_progress,
)
from provider.services.progress import login_progress
from provider.services.responses import form_targets, see_other
from provider.services.session_management import signed_in_cookies
from provider.store.engine import Store

#: Longest name the form is filled in with; a hint is anybody's text.
_LONGEST_HINT: Final = 255
_FIELDS: Final = ("interaction", "csrf", "username", "password")
_BUSY_RETRY_SECONDS: Final = 5


@dataclass(frozen=True)
class Login:
    """The sign-in page.

    Attributes:
        csrf: Tokens of the purpose `provider.login`.
        trusted_networks: Whose X-Forwarded-For is believed when tries are counted by network.
    """

    store: Store
    requests: AuthorizationRequests
    authorizations: Authorizations
    attempts: PasswordAttempts
    csrf: CsrfTokens
    screens: Screens
    audit: Audit
    clock: Callable[[], float]
    trusted_networks: tuple[Network, ...] = field(default=())

    def __call__(self, realm: Realm, request: Request) -> Response:
        """Show the form, or take it.

        Raises:
            PageError: there is no such request of this browser, or it is over.
            InvalidRequest: the form or query cannot be read.
        """
        pairs = form_pairs(request) if request.method == "POST" else query_pairs(request)
        fields = own_fields(pairs, _FIELDS)
        browser = this_browser(realm, request.headers.get("Cookie", ""))
        now = int(self.clock())
        with self.store.read() as conn:
            pending = load_request(conn, realm, SIGN_IN, fields.get("interaction"), browser, now)
            accepted = self.requests.stored(conn, realm, pending)
            cookies = request.headers.get("Cookie", "")
            judged = self.authorizations.judge(conn, realm, accepted, pending.row.state, cookies, now)
        form = _Form(realm, request, browser, pending, accepted, now)
        if request.method == "POST":
            return self._take(form, fields)
        if not isinstance(judged.step, AskLogin):
            # Signed in meanwhile, in another tab or before the back button was pressed.
            return see_other(realm.url(f"/authorize?interaction={pending.identifier}"))
        return self._show(form, username=_first_name_shown(accepted, judged, judged.step.reason))

    def _take(self, form: "_Form", fields: dict[str, str]) -> Response:
        realm, now = form.realm, form.now
        # Phones add a space after a completed word.
        username, password = fields.get("username", "").strip(), fields.get("password", "")
        if not self.csrf.check(
            fields.get("csrf"), form.binding, realm.settings.lifetimes.interaction_seconds, now
        ):
            return self._show(form, username=username, problem=LoginProblem.EXPIRED, status=400)
        network = client_network(form.request.remote_addr, form.request.headers, self.trusted_networks)
        attempt = Attempt(username, password, form.accepted.target.client.client_id, network)
        try:
            outcome = self.attempts.make(realm, attempt, now)
        except Busy:
            return self._show(
                form, username=username, problem=LoginProblem.BUSY, status=503, wait=_BUSY_RETRY_SECONDS
            )
        if isinstance(outcome, Slowed):
            wait = outcome.wait_seconds
            return self._show(form, username=username, problem=LoginProblem.TOO_MANY, status=429, wait=wait)
        if isinstance(outcome, Wrong):
            return self._show(form, username=username, problem=LoginProblem.WRONG, status=403)
        return self._sign_in(form, outcome, network)

    def _sign_in(self, form: "_Form", right: Right, network: str) -> Response:
        """Make the session, in one transaction with the interaction's note of it."""
        realm, now, user = form.realm, form.now, right.user
        client_id = form.accepted.target.client.client_id
        label = browser_label(form.request.headers.get("User-Agent", ""))
        who = Authenticated(user.user_id, now, (PASSWORD,), label)
        with self.store.begin() as conn:
            good = right.settle(conn, realm)
            if good:
                previous = live_session(conn, realm, form.request.headers.get("Cookie", ""), now)
                session, token = begin_session(conn, realm, who, previous, now)
                save_progress(conn, realm, with_progress(form.pending, login_progress(session)))
        if not good:
            renewed = self.attempts.once_more(realm, right)
            if renewed is not None:
                return self._sign_in(form, renewed, network)
            self.audit.emit(LoginFailed(realm.id, user.user_id, client_id, CHANGED, network))
            return self._show(form, username=user.user_name, problem=LoginProblem.WRONG, status=403)
        self.audit.emit(LoginSucceeded(realm.id, user.user_id, session.sid, client_id, session.amr, network))
        response = see_other(realm.url(f"/authorize?interaction={form.pending.identifier}"))
        cookies = form.request.headers.get("Cookie", "")
        for cookie in signed_in_cookies(realm, cookies, session, token):
            response.headers.add("Set-Cookie", cookie)
        return response

    def _show(
        self,
        form: "_Form",
        *,
        username: str,
        problem: LoginProblem | None = None,
        status: int = 200,
        wait: int | None = None,
    ) -> Response:
        request, target = form.accepted.request, form.accepted.target
        return self.screens.show(
            form.realm,
            "login.html",
            language=self.screens.language(form.request, request.ui_locales),
            status=status,
            form_action=form_targets(target.redirect_uri),
            retry_after_seconds=wait,
            action=form.realm.url("/login"),
            hidden={
                "interaction": form.pending.identifier,
                "csrf": self.csrf.issue(form.binding, form.now),
            },
            username=username[:_LONGEST_HINT],
            **self.screens.about(target.client),
            problem=problem,
        )


@dataclass(frozen=True)
class _Form:
    """One request for the page, with what it belongs to."""

    realm: Realm
    request: Request
    browser: Browser
    pending: Pending
    accepted: Accepted
    now: int

    @property
    def binding(self) -> str:
        """What the form's CSRF token is for: this interaction in this browser."""
        return f"{self.realm.id} {self.pending.identifier} {self.browser.token}"


def _first_name_shown(accepted: Accepted, judged: Judged, reason: LoginReason) -> str:
    """What the name field starts with. A hint is shown as it came, known here or not (E-13)."""
    if reason is LoginReason.OTHER_ACCOUNT:
        return ""
    hint = accepted.request.login_hint or ""
    if hint.isprintable() and hint:
        return hint
    same = reason is LoginReason.PROMPT and "select_account" not in accepted.request.prompt
    if judged.user is not None and (same or reason is LoginReason.MAX_AGE):
        return judged.user.user_name
    return ""

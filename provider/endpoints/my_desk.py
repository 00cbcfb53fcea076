"""What the account pages have in common: who is there, how they come to sign in, what a form is bound to.

The pages are `my_account`, `my_profile`, `my_password`, `my_authenticator`, `my_sessions` and
`my_applications` next door. (`account` is another thing: the choice of an account on the way to an
application.) Each visit is judged as a sign-in of its own: whoever is not signed in, not as strongly as the
realm and the person want it, or not freshly enough for what they do, goes through `authorize` first and comes
back to the page, by a stored request in which only we have written.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from werkzeug import Request, Response

from oidcgate.audit import Audit
from oidcgate.web.csrf import CsrfTokens
from oidcgate.web.forwarded import Network, client_network
from provider.endpoints.parameters import form_pairs, own_fields, query_pairs
from provider.endpoints.screens import Screens
from provider.pages import MyNotice
from provider.realm import Realm
from provider.services.authorization import Authorizations
from provider.services.authorization_requests import for_account
from provider.services.browser_session import (
    SEEN_STEP_SECONDS,
    Browser,
    browser_cookie,
    note_use,
    this_browser,
)
from provider.services.interaction import Finish
from provider.services.my_pages import MyPage, parameters_for
from provider.services.pending import Kind, store_request
from provider.services.responses import see_other
from provider.services.session_management import signed_in_cookies
from provider.store.engine import Store
from provider.store.sessions import BrowserSession
from provider.store.users import User

#: How long the address that a change leads to says that it was made.
_NOTICE_SECONDS: Final = 60
_CSRF: Final = "csrf"
_DONE: Final = "done"


@dataclass(frozen=True)
class MyVisit:
    """A request for one of the pages by somebody who is signed in as it takes."""

    realm: Realm
    request: Request
    page: MyPage
    fields: dict[str, str]
    browser: Browser
    session: BrowserSession
    user: User
    now: int

    @property
    def posted(self) -> bool:
        """Whether a form was sent."""
        return self.request.method == "POST"

    def binding(self, *of: str) -> str:
        """What a form's CSRF token is for: this person on this page, in this session and browser.

        The session by the name that it keeps: signing in once more in another tab spoils no form here.

        Args:
            of: What else the form was shown for.
        """
        return " ".join(
            (self.realm.id, self.page, self.browser.token, self.session.sid, self.user.user_id, *of)
        )


@dataclass(frozen=True)
class MyDesk:
    """What all these pages work with.

    Attributes:
        csrf: Tokens of the purpose `provider.my`.
        trusted_networks: Whose X-Forwarded-For is believed when tries are counted by network.
    """

    store: Store
    authorizations: Authorizations
    screens: Screens
    csrf: CsrfTokens
    audit: Audit
    clock: Callable[[], float]
    trusted_networks: tuple[Network, ...]

    def open(
        self,
        realm: Realm,
        request: Request,
        page: MyPage,
        names: Sequence[str] = (),
        *,
        fresh_to_see: bool = False,
        fresh_to_change: bool = True,
    ) -> MyVisit | Response:
        """Find out who is there; a response when they have to sign in first.

        Args:
            names: The fields of the page's forms.
            fresh_to_see: The sign-in has to be young for the page itself, so that what is typed there is not
                lost to a sign-in in between.
            fresh_to_change: For its forms.

        Raises:
            PageError: a field is there twice.
            InvalidRequest: the form or query cannot be read.
        """
        posted = request.method == "POST"
        fields = own_fields(
            form_pairs(request) if posted else query_pairs(request), (*names, _CSRF if posted else _DONE)
        )
        cookies, now = request.headers.get("Cookie", ""), int(self.clock())
        browser = this_browser(realm, cookies)
        fresh = fresh_to_see or (posted and fresh_to_change)
        accepted = for_account(realm, page, fresh=fresh)
        with self.store.read() as conn:
            judged = self.authorizations.judge(conn, realm, accepted, {}, cookies, now)
        if not isinstance(judged.step, Finish) or judged.session is None or judged.user is None:
            if posted and judged.session is None:
                # From another site a form comes without our cookies: nobody is begun a sign-in for.
                return see_other(realm.url(page))
            return self._sign_in(realm, page, browser, fresh, now)
        if now - judged.session.seen_at >= SEEN_STEP_SECONDS:
            with self.store.begin() as conn:
                note_use(conn, realm, judged.session, now)
        return MyVisit(realm, request, page, fields, browser, judged.session, judged.user, now)

    def came_from(self, visit: MyVisit, *of: str) -> bool:
        """Whether the form was sent that this page shows, to this person and not too long ago."""
        lifetime = visit.realm.settings.lifetimes.interaction_seconds
        return visit.posted and self.csrf.check(
            visit.fields.get(_CSRF), visit.binding(*of), lifetime, visit.now
        )

    def network(self, request: Request) -> str:
        """The network a request came from."""
        return client_network(request.remote_addr, request.headers, self.trusted_networks)

    def done(
        self,
        visit: MyVisit,
        notice: MyNotice,
        page: MyPage | None = None,
        *,
        renewed: tuple[BrowserSession, str] | None = None,
    ) -> Response:
        """To a page (by default the same one) that says what was done.

        Args:
            renewed: The session with its new cookie, if it was given one.
        """
        # Bound to the session: a link cannot make the page say to somebody else that something was done.
        said = self.csrf.issue(_notice_binding(visit, notice), visit.now)
        response = see_other(visit.realm.url(f"{page or visit.page}?{_DONE}={said}"))
        if renewed is not None:
            cookies = visit.request.headers.get("Cookie", "")
            for cookie in signed_in_cookies(visit.realm, cookies, *renewed):
                response.headers.add("Set-Cookie", cookie)
        return response

    def show(
        self,
        visit: MyVisit,
        template: str,
        *,
        of: Sequence[str] = (),
        status: int = 200,
        wait: int | None = None,
        **context: Any,
    ) -> Response:
        """Render one of the pages.

        Args:
            of: What else its form is shown for (`MyVisit.binding`).
        """
        realm = visit.realm
        return self.screens.show(
            realm,
            template,
            language=self.screens.language(visit.request),
            status=status,
            retry_after_seconds=wait,
            action=realm.url(visit.page),
            hidden={_CSRF: self.csrf.issue(visit.binding(*of), visit.now)},
            user_name=visit.user.user_name,
            here=visit.page.name.lower(),
            links={page.name.lower(): realm.url(page) for page in MyPage},
            sign_out=realm.url("/end_session"),
            notice=self._notice(visit),
            **context,
        )

    def _notice(self, visit: MyVisit) -> MyNotice | None:
        said = visit.fields.get(_DONE)
        if said is None:
            return None
        found = (
            notice
            for notice in MyNotice
            if self.csrf.check(said, _notice_binding(visit, notice), _NOTICE_SECONDS, visit.now)
        )
        return next(found, None)

    def _sign_in(self, realm: Realm, page: MyPage, browser: Browser, fresh: bool, now: int) -> Response:
        with self.store.begin() as conn:
            pending = store_request(
                conn,
                realm,
                Kind.ACCOUNT,
                parameters_for(page, fresh=fresh),
                browser=browser,
                client_id="",
                redirect_uri="",
                now=now,
            )
        response = see_other(realm.url(f"/authorize?interaction={pending.identifier}"))
        if browser.is_new:
            response.headers.add("Set-Cookie", browser_cookie(realm, browser))
        return response


def _notice_binding(visit: MyVisit, notice: MyNotice) -> str:
    return f"{visit.realm.id} done {notice} {visit.session.sid} {visit.browser.token}"

"""`/authorize`: the one place where requests come in and answers to clients go out.

A request that needs the person is stored and sent on to a page next door (`login`, `account`, `otp`, `enrol`,
`no_factor`, `organization`, `consent`); these come back here as `/authorize?interaction=…`, where everything
is judged anew. Here is no form and no password. What is asked is read by `provider.services.request_objects`
where it comes as a token, and judged by `provider.services.authorization_requests`; what follows by
`provider.services.authorization`. A device whose code was typed (`device`) goes the same way and ends in a
page (`device_end`), and so does somebody on the way to their own account pages (`my_desk`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection
from werkzeug import Request, Response

from oidcgate.audit import Audit
from oidcgate.protocol.authorization import RawRequest, parse_authorization_request
from oidcgate.protocol.errors import OAuthError, TemporarilyUnavailable
from provider.endpoints import account, device, enrol, no_factor, organization, otp
from provider.endpoints.device_end import DeviceEnd
from provider.endpoints.parameters import form_pairs, own_fields, query_pairs
from provider.endpoints.screens import Screens
from provider.events import AuthorizationRefused
from provider.realm import Realm
from provider.services.authorization import Answer, Authorizations
from provider.services.authorization_requests import AcceptedRequest, AuthorizationRequests
from provider.services.browser_session import Browser, browser_cookie, this_browser
from provider.services.interaction import (
    Ask,
    AskAccount,
    AskCode,
    AskConfirmation,
    AskConsent,
    AskEnrolment,
    AskLogin,
    AskOrganization,
    Fail,
    Finish,
    TellMissing,
)
from provider.services.minting import FrontDraft
from provider.services.pending import (
    SIGN_IN,
    Kind,
    Pending,
    claim_request,
    finish_request,
    load_request,
    store_request,
)
from provider.services.request_objects import RequestObjects
from provider.services.responses import PageError, ResponseWriter, ValidatedTarget, see_other
from provider.services.session_management import UNTOLD, Told, follow, tell
from provider.store.engine import Store

#: How our own pages name the stored request they belong to.
INTERACTION: Final = "interaction"
#: Where each question is asked.
_PAGES: Final[Mapping[type[Ask], str]] = {
    AskConfirmation: device.CONFIRM,
    AskLogin: "/login",
    AskAccount: account.PATH,
    AskCode: otp.PATH,
    AskEnrolment: enrol.PATH,
    TellMissing: no_factor.PATH,
    AskOrganization: organization.PATH,
    AskConsent: "/consent",
}


@dataclass(frozen=True)
class Authorize:
    """The authorization endpoint. Spec: RFC 6749 3.1; OIDC Core 3.1.2."""

    store: Store
    objects: RequestObjects
    requests: AuthorizationRequests
    authorizations: Authorizations
    writer: ResponseWriter
    device_end: DeviceEnd
    screens: Screens
    audit: Audit
    clock: Callable[[], float]

    def __call__(self, realm: Realm, request: Request) -> Response:
        """Answer a client's request, or go on with a stored one.

        Raises:
            PageError: the request may not be answered to anybody but the person.
            InvalidRequest: its parameters cannot be read; has to be a page too.
        """
        pairs = query_pairs(request)
        if request.method == "POST":
            # Together, so that a parameter in both places counts as repeated.
            pairs += form_pairs(request)
        names = {name for name, _ in pairs}
        if request.method != "POST" and INTERACTION in names and "client_id" not in names:
            return self._resume(realm, request, own_fields(pairs, (INTERACTION,))[INTERACTION])
        return self._begin(realm, request, pairs)

    def _begin(self, realm: Realm, request: Request, pairs: list[tuple[str, str]]) -> Response:
        raw = parse_authorization_request(pairs)
        try:
            asked = self.objects.asked(realm, raw)
        except OAuthError as error:
            return self._refuse(realm, request, self._target_beside(realm, raw, error), error)
        accepted = self._accept(realm, request, asked)
        if isinstance(accepted, Response):
            return accepted
        if request.method == "POST":
            # From another site such a request arrives without our cookies: reading the session here would
            # find nobody signed in. The browser comes again by GET, with them.
            now = int(self.clock())
            with self.store.begin() as conn:
                pending = _store(conn, realm, accepted, None, now)
            return see_other(_page(realm, "/authorize", pending))
        browser = this_browser(realm, request.headers.get("Cookie", ""))
        return self._answer(realm, request, accepted, browser, None)

    def _resume(self, realm: Realm, request: Request, identifier: str) -> Response:
        browser = this_browser(realm, request.headers.get("Cookie", ""))
        with self.store.begin() as conn:
            claim_request(conn, realm, identifier, browser)
            pending = load_request(conn, realm, SIGN_IN, identifier, browser, int(self.clock()))
        if pending.kind is Kind.DEVICE:
            return self._answer_device(realm, request, pending)
        if pending.kind is Kind.ACCOUNT:
            return self._answer_account(realm, request, pending)
        raw = parse_authorization_request(pending.parameters, signed=pending.signed)
        accepted = self._accept(realm, request, raw)
        if isinstance(accepted, Response):
            return accepted
        return self._answer(realm, request, accepted, browser, pending)

    def _target_beside(self, realm: Realm, raw: RawRequest, error: OAuthError) -> ValidatedTarget:
        """Where the parameters beside a refused request object lead; it itself leads nowhere (P-02)."""
        with self.store.read() as conn:
            try:
                return self.requests.target(conn, realm, raw)
            except PageError as page:
                refusal = f"{error.code}: {error.detail or error.description}"
                raise PageError(page.kind, detail=f"{refusal}; {page.detail}") from None

    def _accept(self, realm: Realm, request: Request, raw: RawRequest) -> AcceptedRequest | Response:
        with self.store.read() as conn:
            target = self.requests.target(conn, realm, raw)
            try:
                return self.requests.accept(conn, realm, target, raw)
            except TemporarilyUnavailable:
                raise  # the store's, not the client's fault
            except OAuthError as error:
                refusal = error
        return self._refuse(realm, request, target, refusal)

    def _answer(
        self,
        realm: Realm,
        request: Request,
        accepted: AcceptedRequest,
        browser: Browser,
        pending: Pending | None,
    ) -> Response:
        """Do what is next.

        One transaction: a stored request is closed where its code is written, or neither.
        """
        try:
            self.authorizations.prepare(accepted)
        except OAuthError as error:
            return self._refuse(realm, request, accepted.target, error)
        now, cookies = int(self.clock()), request.headers.get("Cookie", "")
        answer = Answer(FrontDraft(), None)
        with self.store.begin() as conn:
            progress = {} if pending is None else pending.row.state
            judged = self.authorizations.judge(
                conn, realm, accepted, progress, cookies, now, silent=accepted.silent
            )
            step = judged.step
            if isinstance(step, Ask):
                pending = pending or _store(conn, realm, accepted, browser, now)
                response = see_other(_page(realm, _PAGES[type(step)], pending))
                if browser.is_new:
                    response.headers.add("Set-Cookie", browser_cookie(realm, browser))
                return _with(response, follow(realm, cookies, judged.session))
            if pending is not None:
                finish_request(conn, realm, pending, now)
            if isinstance(step, Finish):
                answer = self.authorizations.issue(conn, realm, accepted, judged, step, now)
        told = tell(realm, accepted.target, cookies, judged.session, silent=accepted.silent)
        if isinstance(step, Fail):
            return self._refuse(realm, request, accepted.target, step.error, told)
        if answer.event is not None:
            self.audit.emit(answer.event)
        language = self.screens.language(request, accepted.request.ui_locales)
        parameters = {**answer.draft.parameters(), **told.parameters}
        response = self.writer.success(realm, accepted.target, parameters, language=language)
        return _with(response, told.cookies)

    def _answer_device(self, realm: Realm, request: Request, pending: Pending) -> Response:
        """Do what is next for a device: the same steps, and an end that leads to no client."""
        now, cookies = int(self.clock()), request.headers.get("Cookie", "")
        with self.store.begin() as conn:
            accepted = self.requests.device(conn, realm, pending)
            judged = self.authorizations.judge(conn, realm, accepted, pending.row.state, cookies, now)
            if isinstance(judged.step, Ask):
                return see_other(_page(realm, _PAGES[type(judged.step)], pending))
            finish_request(conn, realm, pending, now)
            ending = self.device_end.reach(conn, realm, accepted, judged, pending.row.state, now)
        return self.device_end.show(realm, request, accepted, ending)

    def _answer_account(self, realm: Realm, request: Request, pending: Pending) -> Response:
        """Do what is next for somebody on the way to an account page: the same steps, which end there."""
        now, cookies = int(self.clock()), request.headers.get("Cookie", "")
        accepted = self.requests.account(realm, pending)
        with self.store.begin() as conn:
            judged = self.authorizations.judge(conn, realm, accepted, pending.row.state, cookies, now)
            if isinstance(judged.step, Ask):
                return see_other(_page(realm, _PAGES[type(judged.step)], pending))
            finish_request(conn, realm, pending, now)
        # Who lacks a factor that the realm requires was told so, and is nowhere.
        return see_other(realm.url(accepted.page if isinstance(judged.step, Finish) else "/"))

    def _refuse(
        self, realm: Realm, request: Request, target: ValidatedTarget, error: OAuthError, told: Told = UNTOLD
    ) -> Response:
        detail = error.detail or error.description
        self.audit.emit(AuthorizationRefused(realm.id, target.client.client_id, error.code, detail))
        language = self.screens.language(request)
        response = self.writer.error(realm, target, error, language=language, beside=told.parameters)
        return _with(response, told.cookies)


def _store(
    conn: Connection,
    realm: Realm,
    accepted: AcceptedRequest,
    browser: Browser | None,
    now: int,
) -> Pending:
    target = accepted.target
    return store_request(
        conn,
        realm,
        Kind.AUTHORIZE,
        accepted.raw.pairs,
        browser=browser,
        client_id=target.client.client_id,
        redirect_uri=target.redirect_uri,
        now=now,
        signed=accepted.raw.signed,
    )


def _with(response: Response, cookies: Iterable[str]) -> Response:
    for cookie in cookies:
        response.headers.add("Set-Cookie", cookie)
    return response


def _page(realm: Realm, path: str, pending: Pending) -> str:
    return realm.url(f"{path}?{INTERACTION}={pending.identifier}")

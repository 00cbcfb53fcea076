"""`/device`: a person types the code that a device shows, and says that it is their device.

A code under which a device waits is stored as a request of this browser and led on like any other: from here
on only this browser goes on with it. The page that follows says which application it is and asks; then
`authorize` leads through sign-in and consent as for every application, and `device_end` is where that ends.
A code in a link fills the field in and no more: somebody else may have sent the link.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection
from werkzeug import Request, Response

from oidcgate.audit import Audit
from oidcgate.protocol.device import shown_user_code
from oidcgate.web.csrf import CsrfTokens
from oidcgate.web.forwarded import Network, client_network
from provider.endpoints.device_end import DeviceEnd
from provider.endpoints.parameters import form_pairs, own_fields, query_pairs
from provider.endpoints.screens import Screens
from provider.events import DeviceCodeSlowed, DeviceCodeUnknown
from provider.pages import DeviceProblem, ErrorKind
from provider.realm import Realm
from provider.services.authorization import Authorizations, Judged
from provider.services.authorization_requests import AcceptedDevice, AuthorizationRequests
from provider.services.browser_session import Browser, browser_cookie, this_browser
from provider.services.devices import PATH, Devices
from provider.services.interaction import AskConfirmation
from provider.services.pending import (
    Kind,
    Pending,
    finish_request,
    load_request,
    save_progress,
    store_request,
    with_progress,
)
from provider.services.progress import confirmed_progress
from provider.services.responses import PageError, see_other
from provider.services.throttle import device_scopes_of, give_back, take_attempt
from provider.store.engine import Store

#: Where the person says that they mean it.
CONFIRM: Final = "/device/confirm"
_DECISIONS: Final = ("allow", "deny")
#: What the field is filled in with is anybody's text.
_LONGEST_SHOWN: Final = 32


@dataclass(frozen=True)
class DevicePages:
    """The page with the field and the one that asks. Spec: RFC 8628 3.3, 3.3.1, 5.1, 5.4.

    Attributes:
        csrf: Tokens of the purpose `provider.device`.
        trusted_networks: Whose X-Forwarded-For is believed when wrong codes are counted by network.
    """

    store: Store
    requests: AuthorizationRequests
    authorizations: Authorizations
    devices: Devices
    end: DeviceEnd
    csrf: CsrfTokens
    screens: Screens
    audit: Audit
    clock: Callable[[], float]
    trusted_networks: tuple[Network, ...] = field(default=())

    def __call__(self, realm: Realm, request: Request) -> Response:
        """Show the form, or take it.

        Raises:
            PageError: a field is there twice.
            InvalidRequest: the form or query cannot be read.
        """
        posted = request.method == "POST"
        fields = own_fields(form_pairs(request) if posted else query_pairs(request), ("user_code", "csrf"))
        browser = this_browser(realm, request.headers.get("Cookie", ""))
        text, now = fields.get("user_code", ""), int(self.clock())
        if not posted:
            return self._show(realm, request, browser, text)
        lifetime = realm.settings.lifetimes.interaction_seconds
        if not self.csrf.check(fields.get("csrf"), _binding(realm, browser), lifetime, now):
            return self._show(realm, request, browser, text, DeviceProblem.EXPIRED, status=400)
        network = client_network(request.remote_addr, request.headers, self.trusted_networks)
        scopes = device_scopes_of(network, realm.settings.throttle)
        with self.store.begin() as conn:
            # Counted in the transaction that looks: of a hundred guesses at once each sees the one before.
            wait = take_attempt(conn, realm.id, scopes, now)
            pending = None if wait else self._begin(conn, realm, browser, text, now)
            if pending is not None:
                give_back(conn, realm.id, scopes)
        if pending is not None:
            return see_other(realm.url(f"{CONFIRM}?interaction={pending.identifier}"))
        if wait:
            self.audit.emit(DeviceCodeSlowed(realm.id, network, wait))
            return self._show(realm, request, browser, text, DeviceProblem.TOO_MANY, status=429, wait=wait)
        self.audit.emit(DeviceCodeUnknown(realm.id, network))
        return self._show(realm, request, browser, text, DeviceProblem.WRONG, status=403)

    def confirm(self, realm: Realm, request: Request) -> Response:
        """Show which application waits, or take the answer.

        Raises:
            PageError: there is no such request of this browser, or it is over; another person has answered.
            InvalidRequest: the form or query cannot be read.
        """
        posted = request.method == "POST"
        pairs = form_pairs(request) if posted else query_pairs(request)
        fields = own_fields(pairs, ("interaction", "csrf", "decision"))
        now, cookies = int(self.clock()), request.headers.get("Cookie", "")
        browser = this_browser(realm, cookies)
        # One transaction from judging to noting the answer: what is meant is what was shown.
        with self.store.begin() as conn:
            pending = load_request(conn, realm, (Kind.DEVICE,), fields.get("interaction"), browser, now)
            accepted = self.requests.device(conn, realm, pending)
            judged = self.authorizations.judge(conn, realm, accepted, pending.row.state, cookies, now)
            on = see_other(realm.url(f"/authorize?interaction={pending.identifier}"))
            if not isinstance(judged.step, AskConfirmation):
                return on
            user_id = None if judged.user is None else judged.user.user_id
            # Another account in this browser is asked anew: the grant will be of who says yes here.
            binding = f"{_binding(realm, browser)} {pending.identifier} {user_id or ''}"
            lifetime = realm.settings.lifetimes.interaction_seconds
            if not (posted and self.csrf.check(fields.get("csrf"), binding, lifetime, now)):
                return self._ask(realm, request, pending, accepted, judged, self.csrf.issue(binding, now))
            decision = fields.get("decision")
            if decision not in _DECISIONS:
                raise PageError(ErrorKind.BAD_REQUEST, detail="decision is neither allow nor deny")
            if decision == "allow":
                save_progress(conn, realm, with_progress(pending, confirmed_progress(user_id)))
                return on
            finish_request(conn, realm, pending, now)
            ending = self.end.deny(conn, realm, accepted, user_id, now)
        return self.end.show(realm, request, accepted, ending)

    def _begin(self, conn: Connection, realm: Realm, browser: Browser, text: str, now: int) -> Pending | None:
        """Store what waits under the code as a request of this browser; None when nothing does."""
        device = self.devices.typed(conn, realm, text, now)
        if device is None:
            return None
        return store_request(
            conn,
            realm,
            Kind.DEVICE,
            [("user_code", device.user_code)],
            browser=browser,
            client_id=device.client_id,
            redirect_uri="",
            now=now,
        )

    def _show(
        self,
        realm: Realm,
        request: Request,
        browser: Browser,
        text: str,
        problem: DeviceProblem | None = None,
        *,
        status: int = 200,
        wait: int | None = None,
    ) -> Response:
        response = self.screens.show(
            realm,
            "device.html",
            language=self.screens.language(request),
            status=status,
            retry_after_seconds=wait,
            action=realm.url(PATH),
            hidden={"csrf": self.csrf.issue(_binding(realm, browser), int(self.clock()))},
            user_code=text[:_LONGEST_SHOWN] if text.isprintable() else "",
            problem=problem,
        )
        if browser.is_new:
            response.headers.add("Set-Cookie", browser_cookie(realm, browser))
        return response

    def _ask(
        self,
        realm: Realm,
        request: Request,
        pending: Pending,
        accepted: AcceptedDevice,
        judged: Judged,
        token: str,
    ) -> Response:
        return self.screens.show(
            realm,
            "device_confirm.html",
            language=self.screens.language(request),
            status=400 if request.method == "POST" else 200,
            action=realm.url(CONFIRM),
            hidden={"interaction": pending.identifier, "csrf": token},
            client_name=accepted.target.client.name,
            user_code=shown_user_code(accepted.device.user_code),
            user_name=None if judged.user is None else judged.user.user_name,
        )


def _binding(realm: Realm, browser: Browser) -> str:
    """What a form's CSRF token is for: this browser."""
    return f"{realm.id} {browser.token}"

"""`/account/authenticator`: somebody looks at, sets up, replaces or removes their own authenticator.

A new secret waits in the form itself, sealed for this session: it is shown on that very page, and counts only
once a code of it was right. On the way to an application this is `enrol`; what a code is stands in
`provider.factors.totp`, what is shown in `provider.factors.enrolment`.
"""

from dataclasses import dataclass
from typing import Final

from werkzeug import Request, Response

from oidcgate.audit import Event
from provider.endpoints.factor_visit import TOTP
from provider.endpoints.my_desk import MyDesk, MyVisit
from provider.events import FactorEnrolled, FactorRemoved, FactorReplaced
from provider.factors.enrolment import grouped, otpauth_uri, qr_code
from provider.factors.totp import TotpSecrets, matching_step, new_secret
from provider.instants import moment
from provider.pages import ErrorKind, FactorProblem, MyNotice
from provider.realm import Realm
from provider.services.authentication_context import OTP
from provider.services.browser_session import renew_session, strengthen_session
from provider.services.my_pages import MyPage
from provider.services.responses import PageError, see_other
from provider.store import totp
from provider.store.totp import Totp

_STATUS: Final = {FactorProblem.EXPIRED: 400, FactorProblem.WRONG: 403}


@dataclass(frozen=True)
class MyAuthenticatorPages:
    """The page that says whether there is an authenticator, and the one that sets up another."""

    desk: MyDesk
    secrets: TotpSecrets

    def __call__(self, realm: Realm, request: Request) -> Response:
        """Show what there is, or remove it.

        Raises:
            PageError: our page does not send that.
            InvalidRequest: the form or query cannot be read.
        """
        visit = self.desk.open(realm, request, MyPage.AUTHENTICATOR, ("decision",))
        if isinstance(visit, Response):
            return visit
        with self.desk.store.read() as conn:
            found = totp.find(conn, realm.id, visit.user.user_id)
        if self.desk.came_from(visit, _shown(found)):
            if visit.fields.get("decision") != "remove" or found is None or not _removable(realm):
                raise PageError(ErrorKind.BAD_REQUEST, detail="there is no authenticator that may be removed")
            return self._remove(visit)
        return self.desk.show(
            visit,
            "my_authenticator.html",
            of=(_shown(found),),
            status=400 if visit.posted else 200,
            expired=visit.posted,
            enrolled_at=None if found is None else moment(found.enrolled_at),
            offered=_offered(realm),
            removable=_removable(realm),
        )

    def new(self, realm: Realm, request: Request) -> Response:
        """Show a new secret, or take the first code of it.

        Raises:
            PageError: the realm has no second factor; a field is there twice.
            InvalidRequest: the form or query cannot be read.
        """
        visit = self.desk.open(
            realm, request, MyPage.NEW_AUTHENTICATOR, ("otp", "waiting"), fresh_to_see=True
        )
        if isinstance(visit, Response):
            return visit
        if not _offered(realm):
            raise PageError(ErrorKind.NOT_FOUND, status=404, detail="the realm has no second factor")
        with self.desk.store.read() as conn:
            found = totp.find(conn, realm.id, visit.user.user_id)
        if not visit.posted:
            return self._show(visit, found, new_secret())
        sealed = visit.fields.get("waiting", "")
        secret = self.secrets.waiting(realm, visit.session.sid, sealed)
        if secret is None or not self.desk.came_from(visit, _shown(found), sealed):
            return self._show(visit, found, new_secret(), FactorProblem.EXPIRED)
        drift = realm.settings.second_factor.drift_steps
        step = matching_step(secret, visit.fields.get("otp", ""), visit.now, drift)
        if step is None:
            return self._show(visit, found, secret, FactorProblem.WRONG)
        return self._keep(visit, found, secret, step)

    def _keep(self, visit: MyVisit, found: Totp | None, secret: str, step: int) -> Response:
        realm, user_id, now = visit.realm, visit.user.user_id, visit.now
        made = Totp(user_id, self.secrets.seal(realm, user_id, secret, now), step, now)
        with self.desk.store.begin() as conn:
            kept = (
                totp.add(conn, realm.id, made)
                if found is None
                else totp.replace(conn, realm.id, made, found.enrolled_at)
            )
            renewed = strengthen_session(conn, realm, visit.session, OTP, now) if kept else None
        if not kept:
            # Another tab was first: nobody replaces what they have not seen.
            return self._show(visit, found, new_secret(), FactorProblem.EXPIRED)
        network = self.desk.network(visit.request)
        event: Event = FactorReplaced(realm.id, user_id, TOTP, network)
        if found is None:
            event = FactorEnrolled(realm.id, user_id, TOTP, "", network)
        self.desk.audit.emit(event)
        return self.desk.done(visit, MyNotice.AUTHENTICATOR_ADDED, MyPage.AUTHENTICATOR, renewed=renewed)

    def _remove(self, visit: MyVisit) -> Response:
        realm, user_id = visit.realm, visit.user.user_id
        with self.desk.store.begin() as conn:
            removed = totp.remove(conn, realm.id, user_id)
            renewed = renew_session(conn, realm, visit.session, visit.now) if removed else None
        if not removed:
            return see_other(realm.url(visit.page))
        self.desk.audit.emit(FactorRemoved(realm.id, user_id, TOTP, "person"))
        return self.desk.done(visit, MyNotice.AUTHENTICATOR_REMOVED, renewed=renewed)

    def _show(
        self, visit: MyVisit, found: Totp | None, secret: str, problem: FactorProblem | None = None
    ) -> Response:
        uri = otpauth_uri(secret, account=visit.user.user_name, issuer=visit.realm.site)
        sealed = self.secrets.wait(visit.realm, visit.session.sid, secret, visit.now)
        return self.desk.show(
            visit,
            "my_new_authenticator.html",
            of=(_shown(found), sealed),
            status=200 if problem is None else _STATUS[problem],
            waiting=sealed,
            replaces=found is not None,
            problem=problem,
            qr=qr_code(uri),
            otpauth_uri=uri,
            secret=grouped(secret),
        )


def _offered(realm: Realm) -> bool:
    return realm.settings.second_factor.mode != "off"


def _removable(realm: Realm) -> bool:
    """Where two factors are required, one is replaced: without it nobody would get in again."""
    return realm.settings.second_factor.mode != "required"


def _shown(found: Totp | None) -> str:
    """What a form is bound to: the authenticator that the page spoke of."""
    return "none" if found is None else str(found.enrolled_at)

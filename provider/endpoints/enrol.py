"""`/login/enrol`: lets somebody who is signed in set up an authenticator, where the realm allows it.

The secret waits, sealed, in the stored request, and counts only once a code of it was right; until then
nothing about the person has changed. Asking for codes from then on is `otp` next door; what is shown to set
one up is `provider.factors.enrolment`.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection
from werkzeug import Request, Response

from oidcgate.audit import Event
from oidcgate.web.csrf import CsrfTokens
from provider.endpoints.factor_visit import TOTP, FactorDesk
from provider.endpoints.visit import Visit
from provider.events import FactorEnrolled
from provider.factors.enrolment import grouped, otpauth_uri, qr_code
from provider.factors.totp import TotpSecrets, matching_step, new_secret
from provider.pages import FactorProblem
from provider.realm import Realm
from provider.services.interaction import AskEnrolment
from provider.services.progress import declined_progress
from provider.store import totp
from provider.store.totp import Totp

PATH: Final = "/login/enrol"
#: Where the secret waits in the interaction's state.
_WAITING: Final = "enrolling"
_STATUS: Final = {FactorProblem.EXPIRED: 400, FactorProblem.WRONG: 403}


@dataclass(frozen=True)
class EnrolPage:
    """The page with the QR code and the field for the first code.

    Attributes:
        csrf: Tokens of the purpose `provider.enrol`.
    """

    desk: FactorDesk
    secrets: TotpSecrets
    csrf: CsrfTokens

    def __call__(self, realm: Realm, request: Request) -> Response:
        """Show the form, or take it.

        Raises:
            PageError: there is no such request of this browser, or it is over.
            InvalidRequest: the form or query cannot be read.
        """
        # One transaction from judging to storing: what counts from now on is what was allowed just now.
        with self.desk.store.begin() as conn:
            visit = self.desk.open(conn, realm, request)
            if isinstance(visit, Response):
                return visit
            if not isinstance(visit.step, AskEnrolment):
                return visit.on()
            optional, waiting = visit.step.optional, self._waiting(visit)
            secret = waiting or self._make(conn, visit)
            answer: _Done | FactorProblem | None = None
            if visit.posted:
                # Without a secret that waits, the form is not of this person and this sign-in.
                answer = self._take(conn, visit, optional, waiting) if waiting else FactorProblem.EXPIRED
        if not isinstance(answer, _Done):
            return self._show(visit, optional, secret, answer)
        if answer.event is not None:
            self.desk.audit.emit(answer.event)
        return visit.on(answer.token)

    def _take(self, conn: Connection, visit: Visit, optional: bool, secret: str) -> "_Done | FactorProblem":
        realm, user_id, now = visit.realm, visit.user.user_id, visit.now
        if not visit.came_from(self.csrf):
            return FactorProblem.EXPIRED
        if optional and visit.fields.get("decision") == "skip":
            visit.note(conn, declined_progress(visit.session))
            return _Done()
        drift = realm.settings.second_factor.drift_steps
        step = matching_step(secret, visit.fields.get("otp", ""), now, drift)
        if step is None:
            return FactorProblem.WRONG
        sealed = self.secrets.seal(realm, user_id, secret, now)
        if not totp.add(conn, realm.id, Totp(user_id, sealed, step, now)):
            return _Done()  # another tab was first: the code of that one will be asked for
        visit.note(conn, {_WAITING: None})
        network = self.desk.network(visit.request)
        event = FactorEnrolled(realm.id, user_id, TOTP, visit.client_id, network)
        return _Done(self.desk.strengthened(conn, visit), event)

    def _waiting(self, visit: Visit) -> str | None:
        """The secret that was made for this person in this sign-in."""
        note = visit.pending.row.state.get(_WAITING)
        if note is None or note["user_id"] != visit.user.user_id:
            return None
        return self.secrets.open(visit.realm, visit.user.user_id, note["sealed"])

    def _make(self, conn: Connection, visit: Visit) -> str:
        secret, user_id = new_secret(), visit.user.user_id
        sealed = self.secrets.seal(visit.realm, user_id, secret, visit.now)
        visit.note(conn, {_WAITING: {"user_id": user_id, "sealed": sealed}})
        return secret

    def _show(self, visit: Visit, optional: bool, secret: str, problem: FactorProblem | None) -> Response:
        uri = otpauth_uri(secret, account=visit.user.user_name, issuer=visit.realm.site)
        return self.desk.show(
            visit,
            "enrol.html",
            self.csrf,
            path=PATH,
            problem=problem,
            status=200 if problem is None else _STATUS[problem],
            optional=optional,
            qr=qr_code(uri),
            otpauth_uri=uri,
            secret=grouped(secret),
        )


@dataclass(frozen=True)
class _Done:
    """Nothing more to do on this page; `token` is the cookie of the session that became stronger."""

    token: str | None = None
    event: Event | None = None

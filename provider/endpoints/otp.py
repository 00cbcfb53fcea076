"""`/login/otp`: asks somebody who is signed in for the code of their authenticator.

A right code makes the session stronger and leads back to `/authorize`, which judges anew. What a right code
is stands in `provider.factors.totp`, that it is good once in `provider.store.totp`; how tries are slowed is
`provider.services.throttle`; setting an authenticator up is `enrol` next door.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from sqlalchemy import Connection
from werkzeug import Request, Response

from oidcgate.audit import Event
from oidcgate.web.csrf import CsrfTokens
from provider.endpoints.factor_visit import TOTP, FactorDesk
from provider.endpoints.visit import Visit
from provider.events import FactorFailed, FactorReplayed, FactorSlowed, FactorSucceeded
from provider.factors.totp import TotpSecrets, matching_step
from provider.pages import FactorProblem
from provider.realm import Realm
from provider.services.interaction import AskCode
from provider.services.throttle import code_scopes_of, forgive, take_attempt
from provider.store import totp

PATH: Final = "/login/otp"


class _Outcome(Enum):
    RIGHT = auto()
    WRONG = auto()
    USED = auto()
    UNREADABLE = auto()
    GONE = auto()
    """The authenticator was taken away while the page was open."""


@dataclass(frozen=True)
class OtpPage:
    """The page with the field for the code.

    Attributes:
        csrf: Tokens of the purpose `provider.otp`.
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
        with self.desk.store.read() as conn:
            visit = self.desk.open(conn, realm, request)
        if isinstance(visit, Response):
            return visit
        if not isinstance(visit.step, AskCode):
            return visit.on()
        return self._take(visit) if visit.posted else self._show(visit)

    def _take(self, visit: Visit) -> Response:
        realm, user_id, now = visit.realm, visit.user.user_id, visit.now
        if not visit.came_from(self.csrf):
            return self._show(visit, FactorProblem.EXPIRED, status=400)
        network = self.desk.network(visit.request)
        scopes = code_scopes_of(user_id, network, realm.settings.throttle)
        # Charged and committed before the code is looked at: a hundred guesses at once are a hundred
        # failures.
        with self.desk.store.begin() as conn:
            wait = take_attempt(conn, realm.id, scopes, now)
        if wait:
            self.desk.audit.emit(FactorSlowed(realm.id, user_id, TOTP, visit.client_id, network, wait))
            return self._show(visit, FactorProblem.TOO_MANY, status=429, wait=wait)
        with self.desk.store.begin() as conn:
            outcome = self._use(conn, visit)
            token = None
            if outcome is _Outcome.RIGHT:
                token = self.desk.strengthened(conn, visit)
                forgive(conn, realm.id, scopes)
        event = self._event(visit, outcome, network)
        if event is not None:
            self.desk.audit.emit(event)
        match outcome:
            case _Outcome.RIGHT | _Outcome.GONE:
                return visit.on(token)
            case _Outcome.WRONG:
                return self._show(visit, FactorProblem.WRONG, status=403)
            case _Outcome.USED:
                return self._show(visit, FactorProblem.USED, status=403)
            case _Outcome.UNREADABLE:
                return self._show(visit, FactorProblem.UNREADABLE, status=503)

    def _use(self, conn: Connection, visit: Visit) -> _Outcome:
        """Compare the code and use it up."""
        realm, user_id, now = visit.realm, visit.user.user_id, visit.now
        row = totp.find(conn, realm.id, user_id)
        if row is None:
            return _Outcome.GONE
        secret = self.secrets.open(realm, user_id, row.sealed_secret)
        if secret is None:
            return _Outcome.UNREADABLE
        drift = realm.settings.second_factor.drift_steps
        step = matching_step(secret, visit.fields.get("otp", ""), now, drift)
        if step is None:
            return _Outcome.WRONG
        sealed = self.secrets.seal(realm, user_id, secret, now)
        return _Outcome.RIGHT if totp.accept(conn, realm.id, user_id, step, sealed) else _Outcome.USED

    def _event(self, visit: Visit, outcome: _Outcome, network: str) -> Event | None:
        realm_id, user_id, client_id = visit.realm.id, visit.user.user_id, visit.client_id
        match outcome:
            case _Outcome.RIGHT:
                return FactorSucceeded(realm_id, user_id, TOTP, visit.session.sid, client_id, network)
            case _Outcome.USED:
                return FactorReplayed(realm_id, user_id, TOTP, client_id, network)
            case _Outcome.WRONG:
                return FactorFailed(realm_id, user_id, TOTP, client_id, "wrong_code", network)
            case _Outcome.UNREADABLE:
                return FactorFailed(realm_id, user_id, TOTP, client_id, "unreadable", network)
            case _Outcome.GONE:
                return None

    def _show(
        self,
        visit: Visit,
        problem: FactorProblem | None = None,
        *,
        status: int = 200,
        wait: int | None = None,
    ) -> Response:
        return self.desk.show(
            visit, "otp.html", self.csrf, path=PATH, problem=problem, status=status, wait=wait
        )

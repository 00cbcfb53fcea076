"""`/login/no-second-factor`: tells somebody that they would need an authenticator and may not set one up.

A dead end that is said here before the application hears of it, since few applications say it well. Whether
it is one is judged by `provider.services.second_factor`.
"""

from dataclasses import dataclass
from typing import Final

from werkzeug import Request, Response

from oidcgate.web.csrf import CsrfTokens
from provider.endpoints.visit import Desk
from provider.realm import Realm
from provider.services.interaction import TellMissing
from provider.services.progress import told_progress

PATH: Final = "/login/no-second-factor"


@dataclass(frozen=True)
class NoFactorPage:
    """The page that says so, with the way back to the application.

    Attributes:
        csrf: Tokens of the purpose `provider.no_factor`.
    """

    desk: Desk
    csrf: CsrfTokens

    def __call__(self, realm: Realm, request: Request) -> Response:
        """Show the page, or note that it was read.

        Raises:
            PageError: there is no such request of this browser, or it is over.
            InvalidRequest: the form or query cannot be read.
        """
        with self.desk.store.begin() as conn:
            visit = self.desk.open(conn, realm, request)
            if isinstance(visit, Response):
                return visit
            if not isinstance(visit.step, TellMissing):
                return visit.on()
            if visit.came_from(self.csrf):
                visit.note(conn, told_progress(visit.session))
                return visit.on()
        status = 400 if visit.posted else 200
        return self.desk.show(visit, "no_factor.html", self.csrf, path=PATH, status=status)

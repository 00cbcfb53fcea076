"""`/login/organization`: asks somebody who belongs to several organizations for which one they sign in.

After the sign-in, since who belongs where is nobody's business before. Which ones there are to choose from is
`provider.services.organizations`.
"""

from dataclasses import dataclass
from typing import Final

from werkzeug import Request, Response

from oidcgate.web.csrf import CsrfTokens
from provider.endpoints.visit import Desk
from provider.pages import ErrorKind, OrganizationLine
from provider.realm import Realm
from provider.services.interaction import AskOrganization
from provider.services.progress import organization_progress
from provider.services.responses import PageError

PATH: Final = "/login/organization"


@dataclass(frozen=True)
class OrganizationPage:
    """The page with one button for each organization.

    Attributes:
        csrf: Tokens of the purpose `provider.organization`.
    """

    desk: Desk
    csrf: CsrfTokens

    def __call__(self, realm: Realm, request: Request) -> Response:
        """Show the page, or take the choice.

        Raises:
            PageError: there is no such request of this browser, or it is over; our page does not send that.
            InvalidRequest: the form or query cannot be read.
        """
        with self.desk.store.begin() as conn:
            visit = self.desk.open(conn, realm, request)
            if isinstance(visit, Response):
                return visit
            if not isinstance(visit.step, AskOrganization):
                return visit.on()
            org_ids = visit.step.org_ids
            if visit.came_from(self.csrf):
                chosen = visit.fields.get("org_id")
                if chosen not in org_ids:
                    raise PageError(
                        ErrorKind.BAD_REQUEST, detail="an organization is chosen that is not shown"
                    )
                visit.note(conn, organization_progress(visit.session, chosen))
                return visit.on()
        known, expired = realm.catalogue.organizations, visit.posted
        return self.desk.show(
            visit,
            "organization.html",
            self.csrf,
            path=PATH,
            status=400 if expired else 200,
            expired=expired,
            organizations=[OrganizationLine(org_id, known[org_id].title) for org_id in org_ids],
        )

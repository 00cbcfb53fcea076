"""`/account/applications`: what each application of somebody may see and holds, and taking it away.

What that means is `provider.services.applications`.
"""

from dataclasses import dataclass

from werkzeug import Request, Response

from provider.endpoints.my_desk import MyDesk, MyVisit
from provider.instants import moment
from provider.pages import ApplicationLine, ErrorKind, MyNotice
from provider.realm import Realm
from provider.services.applications import Application, Applications
from provider.services.my_pages import MyPage
from provider.services.responses import PageError

_LONGEST_CLIENT_ID = 100


@dataclass(frozen=True)
class MyApplicationsPage:
    """The page with the applications that have access, and a button to end that of each."""

    desk: MyDesk
    applications: Applications

    def __call__(self, realm: Realm, request: Request) -> Response:
        """Show them, or take from one what it has.

        Raises:
            PageError: our page does not send that.
            InvalidRequest: the form or query cannot be read.
        """
        visit = self.desk.open(realm, request, MyPage.APPLICATIONS, ("client_id",))
        if isinstance(visit, Response):
            return visit
        return self._revoke(visit) if self.desk.came_from(visit) else self._show(visit)

    def _revoke(self, visit: MyVisit) -> Response:
        client_id = visit.fields.get("client_id")
        if not client_id or len(client_id) > _LONGEST_CLIENT_ID or "\0" in client_id:
            raise PageError(ErrorKind.BAD_REQUEST, detail="no application is named")
        with self.desk.store.begin() as conn:
            event = self.applications.revoke(
                conn, visit.realm, visit.user.user_id, client_id, visit.now, by="person"
            )
        if event is not None:
            self.desk.audit.emit(event)
        # What another tab took away meanwhile is gone too, which is what was asked for.
        return self.desk.done(visit, MyNotice.ACCESS_REVOKED)

    def _show(self, visit: MyVisit) -> Response:
        with self.desk.store.read() as conn:
            found = self.applications.of(conn, visit.realm, visit.user.user_id, visit.now)
        language = self.desk.screens.language(visit.request)
        return self.desk.show(
            visit,
            "my_applications.html",
            status=400 if visit.posted else 200,
            expired=visit.posted,
            applications=[self._line(visit.realm, language, one) for one in found],
        )

    def _line(self, realm: Realm, language: str, application: Application) -> ApplicationLine:
        known, last = realm.catalogue.scopes, application.last_given_at
        return ApplicationLine(
            client_id=application.client_id,
            name=application.name,
            # A scope that was taken out of the configuration is no longer granted to anybody.
            scopes=[
                self.desk.screens.scope_line(language, known[scope], optional=False)
                for scope in known
                if scope in application.scopes
            ],
            agreed=application.agreed,
            since=moment(application.since),
            tokens=application.tokens,
            last_given_at=None if last is None else moment(last),
        )

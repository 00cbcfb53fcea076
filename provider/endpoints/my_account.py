"""`/account`: where people begin to look after their account. It leads to the pages for each part of it."""

from dataclasses import dataclass

from werkzeug import Request, Response

from provider.endpoints.my_desk import MyDesk
from provider.realm import Realm
from provider.services.applications import Applications
from provider.services.my_pages import MyPage
from provider.services.person_sessions import sessions_of
from provider.store import totp


@dataclass(frozen=True)
class MyAccountPage:
    """The page on which people begin to look after their account."""

    desk: MyDesk
    applications: Applications

    def __call__(self, realm: Realm, request: Request) -> Response:
        """Show it to whoever is signed in.

        Raises:
            InvalidRequest: the query cannot be read.
        """
        visit = self.desk.open(realm, request, MyPage.OVERVIEW)
        if isinstance(visit, Response):
            return visit
        user_id = visit.user.user_id
        with self.desk.store.read() as conn:
            sessions, _ = sessions_of(conn, realm, user_id, visit.now, this=visit.session.sid)
            applications = len(self.applications.of(conn, realm, user_id, visit.now))
            has_authenticator = totp.find(conn, realm.id, user_id) is not None
        return self.desk.show(
            visit,
            "my_account.html",
            sessions=len(sessions),
            applications=applications,
            has_authenticator=has_authenticator,
        )

"""`/account/sessions`: in which browsers somebody is signed in, and ending one of them or all.

What ends with a session is `provider.services.logout`. The one in this browser ends as at any sign-out: there
(`end_session`).
"""

from dataclasses import dataclass
from typing import Final

from werkzeug import Request, Response

from provider.endpoints.my_desk import MyDesk, MyVisit
from provider.events import LoggedOut, SignedOutEverywhere
from provider.instants import moment
from provider.pages import ErrorKind, MyNotice, SessionLine
from provider.realm import Realm
from provider.services.logout import end_everything, end_named
from provider.services.my_pages import MyPage
from provider.services.opaque import CHARACTERS
from provider.services.person_sessions import sessions_of
from provider.services.responses import PageError, see_other
from provider.services.session_management import signed_out_cookies
from provider.store.sessions import BrowserSession

#: What the button for all of them sends.
_EVERYWHERE: Final = "everywhere"


@dataclass(frozen=True)
class MySessionsPage:
    """The page with the signed-in browsers, and a button to end each."""

    desk: MyDesk

    def __call__(self, realm: Realm, request: Request) -> Response:
        """Show them, or end what the form names.

        Raises:
            PageError: our page does not send that.
            InvalidRequest: the form or query cannot be read.
        """
        visit = self.desk.open(realm, request, MyPage.SESSIONS, ("sid", "decision"))
        if isinstance(visit, Response):
            return visit
        if self.desk.came_from(visit):
            if visit.fields.get("decision") == _EVERYWHERE:
                return self._end_all(visit)
            return self._end_one(visit)
        return self._show(visit)

    def _end_one(self, visit: MyVisit) -> Response:
        realm, user_id, sid = visit.realm, visit.user.user_id, visit.fields.get("sid", "")
        if len(sid) != CHARACTERS or not sid.isascii() or not sid.isprintable():
            raise PageError(ErrorKind.BAD_REQUEST, detail="no session is named")
        if sid == visit.session.sid:
            return see_other(realm.url("/end_session"))
        with self.desk.store.begin() as conn:
            ended = end_named(conn, realm, sid, visit.now, user_id=user_id)
        if ended is not None:
            self.desk.audit.emit(LoggedOut(realm.id, user_id, sid, None))
        # One that has ended meanwhile is gone too, which is what was asked for.
        return self.desk.done(visit, MyNotice.SESSION_ENDED)

    def _end_all(self, visit: MyVisit) -> Response:
        realm, user_id = visit.realm, visit.user.user_id
        with self.desk.store.begin() as conn:
            ended = end_everything(conn, realm, user_id, visit.now, "signed_out_everywhere")
        self.desk.audit.emit(SignedOutEverywhere(realm.id, user_id, len(ended)))
        screens = self.desk.screens
        response = screens.show(
            realm, "logged_out.html", language=screens.language(visit.request), frames=(), everywhere=True
        )
        cookies = visit.request.headers.get("Cookie", "")
        for cookie in signed_out_cookies(realm, cookies, visit.session):
            response.headers.add("Set-Cookie", cookie)
        return response

    def _show(self, visit: MyVisit) -> Response:
        with self.desk.store.read() as conn:
            found, all_of_them = sessions_of(
                conn, visit.realm, visit.user.user_id, visit.now, this=visit.session.sid
            )
        return self.desk.show(
            visit,
            "my_sessions.html",
            status=400 if visit.posted else 200,
            expired=visit.posted,
            sessions=[_line(session, visit.session.sid) for session in found],
            more=not all_of_them,
        )


def _line(session: BrowserSession, this_sid: str) -> SessionLine:
    return SessionLine(
        sid=session.sid,
        browser=session.browser,
        amr=session.amr,
        since=moment(session.auth_time),
        seen_at=moment(session.seen_at),
        this=session.sid == this_sid,
    )

"""`/account/password`: somebody changes their own password.

The one they have is tried as at sign-in, counted and slowed by the same counters; what a new one has to be is
`provider.services.passwords`. Where the password is kept elsewhere (`PasswordStore`) the page says so.
"""

from dataclasses import dataclass, field
from typing import Final

from werkzeug import Request, Response

from provider.endpoints.my_desk import MyDesk, MyVisit
from provider.events import LoginFailed, PasswordChanged
from provider.factors.password import Busy
from provider.factors.password_attempt import CHANGED, Attempt, PasswordAttempts, Right, Slowed, Wrong
from provider.pages import MyNotice, PasswordProblem
from provider.realm import Realm
from provider.services.browser_session import renew_session
from provider.services.logout import end_everything
from provider.services.my_pages import MyPage
from provider.services.passwords import weakness_of
from provider.services.users import PasswordStore
from provider.store.sessions import BrowserSession

_FIELDS: Final = ("password", "new_password", "new_password_again", "end_others")
_STATUS: Final = {
    PasswordProblem.WRONG: 403,
    PasswordProblem.TOO_MANY: 429,
    PasswordProblem.BUSY: 503,
}
_BUSY_RETRY_SECONDS: Final = 5


@dataclass(frozen=True)
class MyPasswordPage:
    """The page on which people change their password.

    Attributes:
        keeper: Who keeps passwords; None where that is somebody else's business for everybody.
    """

    desk: MyDesk
    attempts: PasswordAttempts
    keeper: PasswordStore | None

    def __call__(self, realm: Realm, request: Request) -> Response:
        """Show the form, or take it.

        Raises:
            PageError: a field is there twice.
            InvalidRequest: the form or query cannot be read.
        """
        visit = self.desk.open(realm, request, MyPage.PASSWORD, _FIELDS, fresh_to_see=True)
        if isinstance(visit, Response):
            return visit
        keeper = self._keeper_of(visit)
        if keeper is None or not visit.posted:
            return self._show(visit)
        if not self.desk.came_from(visit):
            return self._show(visit, PasswordProblem.EXPIRED)
        return self._take(visit, keeper)

    def _keeper_of(self, visit: MyVisit) -> PasswordStore | None:
        keeper = self.keeper
        return keeper if keeper is not None and keeper.keeps_password_of(visit.realm, visit.user) else None

    def _take(self, visit: MyVisit, keeper: PasswordStore) -> Response:
        realm, user, fields = visit.realm, visit.user, visit.fields
        old, new = fields.get("password", ""), fields.get("new_password", "")
        # Before the one they have is tried, so that a slip of the fingers here costs no try.
        problem = _problem(visit, old, new)
        if problem is not None:
            return self._show(visit, problem)
        network = self.desk.network(visit.request)
        try:
            outcome = self.attempts.make(realm, Attempt(user.user_name, old, "", network), visit.now)
            if isinstance(outcome, Slowed):
                return self._show(visit, PasswordProblem.TOO_MANY, wait=outcome.wait_seconds)
            # The name may have become another person's since.
            if isinstance(outcome, Wrong) or outcome.user.user_id != user.user_id:
                return self._show(visit, PasswordProblem.WRONG)
            new_hash = self.attempts.factor.hash(new)
        except Busy:
            return self._show(visit, PasswordProblem.BUSY, wait=_BUSY_RETRY_SECONDS)
        changed = self._change(visit, keeper, outcome, new_hash)
        if changed is None:
            # Another tab was first, or an operator: what was right is the password no more.
            self.desk.audit.emit(LoginFailed(realm.id, user.user_id, "", CHANGED, network))
            return self._show(visit, PasswordProblem.WRONG)
        self.desk.audit.emit(
            PasswordChanged(realm.id, user.user_id, visit.session.sid, changed.ended, network)
        )
        return self.desk.done(visit, MyNotice.PASSWORD_CHANGED, renewed=changed.renewed)

    def _change(
        self, visit: MyVisit, keeper: PasswordStore, right: Right, new_hash: str
    ) -> "_Changed | None":
        """Replace the password and this session's cookie, and end what is to end; None where the proof is no
        more.
        """
        realm = visit.realm
        with self.desk.store.begin() as conn:
            if not right.settle(conn, realm):
                return None
            keeper.keep_password(conn, realm, right.user, new_hash)
            # Whoever has copied the cookie of this session is to be out as well as those elsewhere.
            renewed = renew_session(conn, realm, visit.session, visit.now)
            if "end_others" not in visit.fields:
                return _Changed(0, renewed)
            # One that somebody else has renewed meanwhile may be theirs: it ends as well.
            keep = None if renewed is None else visit.session.sid
            ended = end_everything(conn, realm, visit.user.user_id, visit.now, "password_changed", keep=keep)
            return _Changed(len(ended), renewed)

    def _show(
        self, visit: MyVisit, problem: PasswordProblem | None = None, *, wait: int | None = None
    ) -> Response:
        return self.desk.show(
            visit,
            "my_password.html",
            status=200 if problem is None else _STATUS.get(problem, 400),
            changeable=self._keeper_of(visit) is not None,
            fewest=visit.realm.settings.account.password_characters,
            ends_others=not visit.posted or "end_others" in visit.fields,
            problem=problem,
            wait=wait,
        )


@dataclass(frozen=True)
class _Changed:
    """What a change did: how many sessions it ended, and this one with its new cookie, unless it is over."""

    ended: int
    renewed: tuple[BrowserSession, str] | None = field(repr=False)


def _problem(visit: MyVisit, old: str, new: str) -> PasswordProblem | None:
    """What is wrong with the form, before anything is tried."""
    fewest = visit.realm.settings.account.password_characters
    weakness = weakness_of(new, fewest=fewest, user_name=visit.user.user_name)
    if weakness is not None:
        return PasswordProblem(weakness.value)
    if new != visit.fields.get("new_password_again"):
        return PasswordProblem.DIFFERENT
    return PasswordProblem.SAME if new == old else None

"""`/login/account`: shows who is signed in in this browser, for a request with `prompt=select_account`.

Going on as that person asks for no password; using another account leads to the sign-in page (`login`). Where
nobody is signed in there is nothing to choose, and the sign-in page comes at once.
"""

from dataclasses import dataclass
from typing import Final

from werkzeug import Request, Response

from oidcgate.web.csrf import CsrfTokens
from provider.endpoints.visit import Desk
from provider.pages import ErrorKind
from provider.realm import Realm
from provider.services.interaction import AccountAnswer, AskAccount, AskLogin, LoginReason, Step
from provider.services.progress import account_progress
from provider.services.responses import PageError

PATH: Final = "/login/account"


@dataclass(frozen=True)
class AccountPage:
    """The page with the two buttons. Spec: OIDC Core 3.1.2.1 (prompt=select_account).

    Attributes:
        csrf: Tokens of the purpose `provider.account`.
    """

    desk: Desk
    csrf: CsrfTokens

    def __call__(self, realm: Realm, request: Request) -> Response:
        """Show the page, or take the answer.

        Raises:
            PageError: there is no such request of this browser, or it is over; our page does not send that.
            InvalidRequest: the form or query cannot be read.
        """
        with self.desk.store.begin() as conn:
            visit = self.desk.open(conn, realm, request)
            if isinstance(visit, Response):
                return visit
            if not _is_open(visit.step):
                return visit.on()
            if visit.came_from(self.csrf):
                answer = _answer(visit.fields.get("decision"))
                visit.note(conn, account_progress(visit.session, answer))
                return visit.on()
        expired = visit.posted
        status = 400 if expired else 200
        about = self.desk.screens.about(visit.accepted.target.client)
        return self.desk.show(
            visit, "account.html", self.csrf, path=PATH, status=status, expired=expired, **about
        )


def _is_open(step: Step) -> bool:
    """Whether the choice is to be made, or can be made anew from the sign-in page it led to."""
    return isinstance(step, AskAccount) or step == AskLogin(LoginReason.OTHER_ACCOUNT)


def _answer(decision: str | None) -> AccountAnswer:
    try:
        return AccountAnswer(decision or "")
    except ValueError:
        raise PageError(ErrorKind.BAD_REQUEST, detail="decision is neither continue nor other") from None

"""One request before its decision: the session is loaded, its person looked at, and the policy asked.

Every front (`wsgi`, `asgi`, and with them the sidecar) judges here, so that none can leave out a step. What
follows from facts, session and rules is next door in `decision`; what becomes of a refusal in `refusals`.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from oidcgate.gate import session as sessions
from oidcgate.gate.decision import Allow, Decision, Reason, Refuse, decide
from oidcgate.gate.forwarding import Forwarding, NotForwardable
from oidcgate.gate.known_users import KnownUsers
from oidcgate.gate.policy import Policy
from oidcgate.gate.sessions import Sessions
from oidcgate.web.cookies import GATE_PATH
from oidcgate.web.facts import Facts

__all__ = ["Judge", "Judgement"]

_NO_SESSION: Final = sessions.Absent(sessions.AbsentReason.NO_COOKIE)
_PUBLIC: Final = Allow(Reason.PUBLIC, identified=False)

Session = sessions.Found | sessions.Absent | sessions.Unavailable


class Judgement(NamedTuple):
    """What was decided, and on which session.

    Attributes:
        session: `Found` whenever the decision is an `Allow` that says who it is; its `forwarded` then holds
            the headers that say so.
    """

    decision: Decision
    session: Session


@dataclass(frozen=True)
class Judge:
    """Judges requests.

    Attributes:
        forwarding: how the app is told who the user is: somebody who cannot be named to it is not let in.
    """

    sessions: Sessions
    known_users: KnownUsers
    policy: Policy
    forwarding: Forwarding

    def __call__(self, facts: Facts, cookies: str, now: int) -> Judgement:
        """Judge one request.

        Args:
            facts: the request.
            cookies: its Cookie header; "" when there is none.
            now: epoch seconds.

        Raises:
            WouldWait: under `oidcgate.waiting.at_once`, when store or directory have to be asked.
        """
        session: Session = _NO_SESSION
        if cookies and not facts.path.startswith(GATE_PATH):
            session = self.sessions.load(cookies, now)
            if type(session) is sessions.Found:
                session = self.known_users.refresh(session, now) or session
        decision = decide(facts, session, self.policy, now)
        if (
            type(decision) is Allow
            and decision.identified
            and type(session) is sessions.Found
            and session.forwarded_to is not session.person
        ):
            try:
                # Computed once for each look at the directory, not for each request.
                session.forwarded = self.forwarding.headers(session.person.identity)
            except NotForwardable:
                if decision.reason is Reason.PUBLIC:
                    return Judgement(_PUBLIC, session)
                name = session.person.identity.user_name
                return Judgement(Refuse(Reason.NAME_NOT_FORWARDABLE, 403, name), session)
            session.forwarded_to = session.person
        return Judgement(decision, session)

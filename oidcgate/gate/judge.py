"""One request before its decision: the session is loaded, its person looked at, and the policy asked.

Every front (`wsgi`, `asgi`, and with them the sidecar) judges here, so that none can leave out a step. What
follows from facts, session and rules is next door in `decision`; what becomes of a refusal in `refusals`.
"""

from typing import Final

from oidcgate.gate.decision import Allow, Decision, Reason, Refuse, decide
from oidcgate.gate.forwarding import Forwarding, NotForwardable
from oidcgate.gate.known_users import KnownUsers
from oidcgate.gate.policy import Policy
from oidcgate.gate.session import Absent, AbsentReason, Found, Session
from oidcgate.gate.sessions import Sessions
from oidcgate.web.cookies import GATE_PATH
from oidcgate.web.facts import Facts

__all__ = ["Judge", "Judgement"]

_NO_SESSION: Final = Absent(AbsentReason.NO_COOKIE)
_PUBLIC: Final = Allow(Reason.PUBLIC, identified=False)

#: What was decided, and on which session: `Found` whenever the decision is an `Allow` that says who it is;
#: its `forwarded` then holds the headers that say so.
Judgement = tuple[Decision, Session]


class Judge:
    """Judges requests."""

    def __init__(
        self, sessions: Sessions, known_users: KnownUsers, policy: Policy, forwarding: Forwarding
    ) -> None:
        """Compose.

        Args:
            sessions: where sessions are found.
            known_users: what the directory says of their people.
            policy: the rules.
            forwarding: how the app is told who the user is: somebody who cannot be named to it is not let in.
        """
        self._load = sessions.load
        self._refresh = known_users.refresh
        self._policy = policy
        # Most gates in process name nobody in a header, and then there is nothing to look at.
        self._headers = forwarding.headers if forwarding.names else None

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
            session = self._load(cookies, now)
            if type(session) is Found:
                session = self._refresh(session, now) or session
        decision = decide(facts, session, self._policy, now)
        if (
            self._headers is not None
            and type(decision) is Allow
            and decision.identified
            and type(session) is Found
            and session.forwarded_to is not session.person
        ):
            # Read once: another thread may replace it meanwhile, and the headers are those of this one.
            person = session.person
            try:
                # Computed once for each look at the directory, not for each request.
                session.forwarded = self._headers(person.identity)
            except NotForwardable:
                if decision.reason is Reason.PUBLIC:
                    return _PUBLIC, session
                return Refuse(Reason.NAME_NOT_FORWARDABLE, 403, person.identity.user_name), session
            session.forwarded_to = person
        return decision, session

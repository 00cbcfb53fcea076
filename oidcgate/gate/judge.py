"""One request before its decision: the session is loaded, its person looked at, and the policy asked.

Every front (`wsgi`, `asgi`, and with them the sidecar) judges here, so that none can leave out a step. What
follows from facts, session and rules is next door in `decision`; what becomes of a refusal in `refusals`.
"""

from typing import TYPE_CHECKING, Final

from oidcgate.gate.decision import Allow, Decision, Reason, Refuse, decide, silent_login
from oidcgate.gate.forwarding import Forwarding, NotForwardable
from oidcgate.gate.known_users import KnownUsers
from oidcgate.gate.policy import Policy
from oidcgate.gate.session import Absent, AbsentReason, Found, Session
from oidcgate.gate.sessions import Sessions
from oidcgate.web.cookies import GATE_PATH
from oidcgate.web.facts import Facts

if TYPE_CHECKING:
    # Loads what asks an IdP, which nobody needs who is let through.
    from oidcgate.gate.refreshing import Refresher

__all__ = ["Judge", "Judgement"]

_NO_SESSION: Final = Absent(AbsentReason.NO_COOKIE)
_PUBLIC: Final = Allow(Reason.PUBLIC, identified=False)
# Spec: oauth2-proxy, "pass_access_token".
_TOKEN_HEADER: Final = b"x-forwarded-access-token"

#: What was decided, and on which session: `Found` whenever the decision is an `Allow` that says who it is;
#: its `forwarded` then holds the headers that say so.
Judgement = tuple[Decision, Session]


class Judge:
    """Judges requests."""

    def __init__(
        self,
        sessions: Sessions,
        known_users: KnownUsers,
        policy: Policy,
        forwarding: Forwarding,
        refresher: "Refresher | None" = None,
        *,
        token_header: bool = False,
    ) -> None:
        """Compose.

        Args:
            sessions: where sessions are found.
            known_users: what the directory says of their people.
            policy: the rules.
            forwarding: how the app is told who the user is: somebody who cannot be named to it is not let in.
            refresher: renews the tokens that sessions keep; None where they keep none.
            token_header: whether the app gets the access token in a header.
        """
        self._load = sessions.load
        self._refresh = known_users.refresh
        self._policy = policy
        self._refresher = refresher
        # Most gates in process name nobody in a header, and then there is nothing to look at.
        self._headers = forwarding.headers if forwarding.names or token_header else None
        self._token_header = token_header

    def asks_provider(self, session: Session, now: int) -> bool:
        """Whether the judgement of a session waits for the provider, which `ask=False` left out."""
        return self._refresher is not None and type(session) is Found and now >= session.tokens_at

    def __call__(self, facts: Facts, cookies: str, now: int, ask: bool = True) -> Judgement:
        """Judge one request.

        Args:
            facts: the request.
            cookies: its Cookie header; "" when there is none.
            now: epoch seconds.
            ask: whether the provider may be asked for new tokens of the session, and waited for.

        Raises:
            WouldWait: under `oidcgate.waiting.at_once`, when store or directory have to be asked.
        """
        session: Session = _NO_SESSION
        refresher = self._refresher
        if cookies and not facts.path.startswith(GATE_PATH):
            session = self._load(cookies, now)
            if refresher is not None and type(session) is Found and now >= session.tokens_at:
                session = refresher.look(session, now, ask=ask)
            if type(session) is Found:
                session = self._refresh(session, now) or session
        decision = decide(facts, session, self._policy, now)
        if refresher is not None and type(session) is Found and session.unconfirmed:
            silent = silent_login(facts, decision)
            if silent is not None and refresher.sends_to_sign_in(session, now):
                return silent, session
        if (
            self._headers is not None
            and type(decision) is Allow
            and decision.identified
            and type(session) is Found
            and session.forwarded_to is not session.person
        ):
            # Read once: another thread may replace it meanwhile, and the headers are those of this one.
            person, token = session.person, session.access_token
            try:
                # Computed once for each look at the directory, not for each request.
                headers = self._headers(person.identity)
            except NotForwardable:
                if decision.reason is Reason.PUBLIC:
                    return _PUBLIC, session
                return Refuse(Reason.NAME_NOT_FORWARDABLE, 403, person.identity.user_name), session
            if token is not None and self._token_header:
                headers += ((_TOKEN_HEADER, token.encode()),)
            session.forwarded = headers
            # A token that another thread has put there since would not be in them.
            session.forwarded_to = person if session.access_token is token else None
        return decision, session

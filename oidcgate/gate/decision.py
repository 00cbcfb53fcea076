"""The one decision: may this request pass, and what happens to it if not. Pure.

`decide` takes the facts of a request, what is known of its session and the policy, and returns a value; it
sends nothing and asks nobody. Every front (in process, sidecar, forward-auth) gets its facts elsewhere and
speaks a refusal in its own way, and asks here. The rules are in `oidcgate.gate.policy`, sessions in
`oidcgate.gate.session`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from oidcgate.gate.policy import Access, Policy, Rule
from oidcgate.gate.session import Absent, Found, SessionRecord
from oidcgate.gate.session import Unavailable as SessionUnavailable
from oidcgate.web.canonical_path import quote_path, safe_return_path
from oidcgate.web.cookies import GATE_PATH
from oidcgate.web.facts import Facts, RequestKind

__all__ = [
    "Allow",
    "Answer",
    "Decision",
    "Preflight",
    "Reason",
    "Refuse",
    "StartLogin",
    "StepUp",
    "Unavailable",
    "can_be_sent_away",
    "decide",
    "return_path_of",
    "silent_login",
]


class Reason(StrEnum):
    """Why, where neither the session's own reason nor a fault of the request says it."""

    PUBLIC = "public"
    SIGNED_IN = "signed_in"
    KNOWN_USER = "known_user"
    GATE_ROUTE = "gate_route"
    PREFLIGHT = "preflight"
    UNKNOWN_USER = "unknown_user"
    AMBIGUOUS_PATH = "path_parameters_change_the_rule"
    AUTHENTICATION_TOO_OLD = "authentication_too_old"
    AUTHENTICATION_CONTEXT = "authentication_context_not_met"
    APP_ASKS = "the_app_asks_for_another_sign_in"
    OTHER_PROVIDER = "signed_in_at_another_provider"
    FOREIGN_ORIGIN = "websocket_from_a_foreign_origin"
    NAME_NOT_FORWARDABLE = "user_name_cannot_be_forwarded"
    WITHOUT_TOKENS = "session_without_tokens"


@dataclass(frozen=True, slots=True)
class Allow:
    """The app is called.

    Attributes:
        identified: whether the app is told who it is.
    """

    reason: StrEnum
    identified: bool


@dataclass(frozen=True, slots=True)
class StartLogin:
    """Somebody who navigates is sent to sign in.

    Attributes:
        return_path: path and query to come back to; always one of our own.
        silent: nobody is to be shown anything; where that cannot be, the session that is there goes on.
    """

    reason: StrEnum
    return_path: str
    silent: bool = False


@dataclass(frozen=True, slots=True)
class StepUp:
    """Somebody signed in, but not recently, strongly enough or at the right provider, is sent to do so.

    Attributes:
        return_path: path and query to come back to; always one of our own.
        max_age_seconds: how old the authentication may be; None: any age.
        acr_values: authentication contexts of which one is needed; empty: any.
    """

    reason: StrEnum
    return_path: str
    max_age_seconds: int | None
    acr_values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refuse:
    """The request ends here.

    Attributes:
        status: 400, 421 (it is for a host that is none of ours), 401 (signing in would help, but this request
            cannot be sent there) or 403 (it would not).
        user_name: whom a 403 is about, for the page and the log.
    """

    reason: StrEnum
    status: int
    user_name: str | None = None


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Nobody can say; 503. The cookie stays.

    Attributes:
        retry_after_seconds: when to try again.
    """

    reason: StrEnum
    retry_after_seconds: int = 5


@dataclass(frozen=True, slots=True)
class Preflight:
    """A CORS preflight to something that is not public: answered without any grant, and without the app."""

    reason: StrEnum = Reason.PREFLIGHT


@dataclass(frozen=True, slots=True)
class Answer:
    """The gate answers itself: the path is one of its routes."""

    reason: StrEnum = Reason.GATE_ROUTE


Decision = Allow | StartLogin | StepUp | Refuse | Unavailable | Preflight | Answer

# Made once: the allowed request is the one that has to be quick.
_PUBLIC: Final = Allow(Reason.PUBLIC, identified=False)
_PUBLIC_IDENTIFIED: Final = Allow(Reason.PUBLIC, identified=True)
_SIGNED_IN: Final = Allow(Reason.SIGNED_IN, identified=True)
_KNOWN: Final = Allow(Reason.KNOWN_USER, identified=True)
_ANSWER: Final = Answer()
_PREFLIGHT: Final = Preflight()
_AMBIGUOUS: Final = Refuse(Reason.AMBIGUOUS_PATH, 400)
_FOREIGN: Final = Refuse(Reason.FOREIGN_ORIGIN, 403)
# A member of an Enum takes longer to find than the rest of a decision.
_ANYONE, _KNOWN_USERS = Access.ANYONE, Access.KNOWN
_AS_PREFLIGHT, _AS_UPGRADE = RequestKind.PREFLIGHT, RequestKind.UPGRADE
# RFC 3986 query characters, and "%": what is escaped already stays as it is.
_QUERY_SAFE: Final = "/?!$&'()*+,;=:@~%"
_GATE_ROOT: Final = GATE_PATH.rstrip("/")


def decide(facts: Facts, session: Found | Absent | SessionUnavailable, policy: Policy, now: int) -> Decision:
    """What happens to a request.

    Args:
        facts: the request.
        session: what is known of its session; `Unavailable` also when the directory could not be asked.
        policy: the rules.
        now: epoch seconds.

    Returns:
        `Allow` only under a rule that says so: with no matching rule only for users the directory knows.
    """
    if facts.path.startswith(GATE_PATH) or facts.path == _GATE_ROOT:
        return _ANSWER
    rule = policy.rule_for(facts.method, facts.path)
    if rule is None:
        return _AMBIGUOUS
    if facts.other_path is not None and policy.rule_for(facts.method, facts.other_path) is not rule:
        # The app reads it in one of two ways, and nobody here knows in which.
        return _AMBIGUOUS
    allow, kind = rule.allow, facts.kind
    if allow is _ANYONE:
        # Somebody the directory does not know is nobody to a public page: the name could be another's there.
        known = isinstance(session, Found) and session.person.known
        foreign = kind is _AS_UPGRADE and _is_foreign(facts, policy)
        return _PUBLIC_IDENTIFIED if known and not foreign else _PUBLIC
    if kind is _AS_PREFLIGHT:
        # Before the session is looked at: a browser sends none, so nobody else should get an answer either.
        return _PREFLIGHT
    if kind is _AS_UPGRADE and _is_foreign(facts, policy):
        return _FOREIGN
    if isinstance(session, Found):
        # Whom the directory has switched off is let in nowhere, as at sign-in: "signed-in" is for strangers.
        if session.person.barred or (allow is _KNOWN_USERS and not session.person.known):
            return Refuse(Reason.UNKNOWN_USER, 403, session.record.user_name)
        if rule.max_age_seconds is not None or rule.acr_values or rule.issuer:
            reason = _unmet(rule, session.record, now)
            if reason is not None:
                return _step_up(facts, rule, reason)
        return _KNOWN if allow is _KNOWN_USERS else _SIGNED_IN
    if isinstance(session, SessionUnavailable):
        return Unavailable(session.reason)
    if can_be_sent_away(facts):
        return StartLogin(session.reason, return_path_of(facts))
    return Refuse(session.reason, 401)


def silent_login(facts: Facts, decision: Decision) -> StartLogin | None:
    """What an allowed request becomes when its session is to get new tokens first.

    Returns:
        None for what cannot be sent away, or needs no session.
    """
    if type(decision) is Allow and decision.reason is not Reason.PUBLIC and can_be_sent_away(facts):
        return StartLogin(Reason.WITHOUT_TOKENS, return_path_of(facts), silent=True)
    return None


def _is_foreign(facts: Facts, policy: Policy) -> bool:
    """Whether, by an upgrade, a page of somebody else opens a connection in the name of whoever looks at it.

    The rules that keep a page from reading another origin's answers do not hold for WebSockets. A client that
    sends no Origin is no browser. Spec: RFC 6455 10.2.
    """
    if facts.origin:
        return facts.origin not in policy.origins
    return facts.fetch_site in ("cross-site", "same-site")


def _unmet(rule: Rule, record: SessionRecord, now: int) -> Reason | None:
    # Another provider's word is not this one's: under the same name there it may be somebody else.
    if rule.issuer and record.iss != rule.issuer:
        return Reason.OTHER_PROVIDER
    # A provider that does not say when has not said "recently".
    if rule.max_age_seconds is not None and (
        record.auth_time is None or now - record.auth_time > rule.max_age_seconds
    ):
        return Reason.AUTHENTICATION_TOO_OLD
    if rule.acr_values and record.acr not in rule.acr_values:
        return Reason.AUTHENTICATION_CONTEXT
    return None


def _step_up(facts: Facts, rule: Rule, reason: Reason) -> StepUp | Refuse:
    if can_be_sent_away(facts):
        return StepUp(reason, return_path_of(facts), rule.max_age_seconds, rule.acr_values)
    return Refuse(reason, 401)


def can_be_sent_away(facts: Facts) -> bool:
    """Whether whoever asks can go and sign in, and ask the same again."""
    # A form that was posted would come back empty from the login; a script cannot follow to another origin.
    return facts.kind is RequestKind.NAVIGATION and facts.method in ("GET", "HEAD")


def return_path_of(facts: Facts) -> str:
    """Path and query by which somebody who goes to sign in comes back to what they asked for."""
    path = quote_path(facts.path)
    if facts.query:
        # Browsers leave "[" and others as they are in a query; a URL made by us has them escaped.
        query = quote(facts.query, safe=_QUERY_SAFE, encoding="latin-1")
        path = safe_return_path(f"{path}?{query}", ()) or path
    return safe_return_path(path, ()) or "/"

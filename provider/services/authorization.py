"""An authorization request, from its parameters to a code: what is accepted, for whom, what is missing.

Phases, each with a class of error of its own: `target` finds out where an answer may go (`PageError`),
`accept` judges everything else (`OAuthError`, which goes there by redirect), `judge` asks the pure
`next_step` what the person still has to do, `issue` writes the code. Parameters are parsed by
`oidcgate.protocol.authorization`; the endpoints `authorize`, `login` and `consent` call these; the answer is
written by `responses`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from oidcgate.protocol.authorization import (
    AuthorizationRequest,
    RawRequest,
    client_and_redirect,
    complete,
    parse_authorization_request,
)
from oidcgate.protocol.claims_parameter import parse_claims
from oidcgate.protocol.errors import (
    InvalidRequest,
    InvalidScope,
    OAuthError,
    UnauthorizedClient,
    UnsupportedResponseType,
)
from provider.config import DEFAULT_SCOPES
from provider.pages import ErrorKind
from provider.realm import Realm
from provider.services.authentication_context import VOCABULARIES, state
from provider.services.browser_session import live_session, note_use
from provider.services.clients import Clients
from provider.services.id_token_hint import IdTokenHints
from provider.services.interaction import (
    ConsentAnswer,
    Finish,
    InteractionState,
    LoginDone,
    SignedIn,
    Step,
    next_step,
)
from provider.services.pending import Pending
from provider.services.responses import PageError, ValidatedTarget, validate_target
from provider.services.second_factor import Factor, Means, Wish, next_factor, rule_of
from provider.services.tokens import Authorization, issue_code
from provider.services.users import UserStore
from provider.store import consents, totp
from provider.store.sessions import BrowserSession
from provider.store.users import User

#: What `response_type` may be so far.
RESPONSE_TYPES: Final = ("code",)


@dataclass(frozen=True)
class Accepted:
    """A request with nothing wrong in it.

    Attributes:
        scopes: What would be granted: known here, allowed to the client, each once, in the order of the
            request.
        required_user: The `sub` of the `id_token_hint`, or None.
        wish: How strong the sign-in should be.
    """

    request: AuthorizationRequest
    target: ValidatedTarget
    scopes: tuple[str, ...]
    required_user: str | None
    wish: Wish


@dataclass(frozen=True)
class Judged:
    """What is to happen next, and for whom. `session` and `user` are both there or both None."""

    step: Step
    session: BrowserSession | None
    user: User | None


@dataclass(frozen=True)
class Authorizations:
    """The phases of an authorization request, over whoever knows the clients, the people and our keys."""

    clients: Clients
    users: UserStore
    hints: IdTokenHints

    def target(self, conn: Connection, realm: Realm, raw: RawRequest) -> ValidatedTarget:
        """Find where answers to this request may go.

        Raises:
            PageError: nowhere. Nothing of the request is followed.
        """
        try:
            client_id, redirect_uri = client_and_redirect(raw)
        except InvalidRequest as error:
            detail = error.detail or error.description
            raise PageError(ErrorKind.BAD_REQUEST, detail=detail) from None
        return validate_target(
            self.clients.find(conn, realm, client_id),
            redirect_uri,
            response_type=raw.response_type,
            response_mode=raw.response_mode,
            state=raw.state,
        )

    def accept(self, conn: Connection, realm: Realm, target: ValidatedTarget, raw: RawRequest) -> Accepted:
        """Judge everything but the person.

        Raises:
            OAuthError: to be answered to the target.

        Spec: RFC 6749 4.1.1; RFC 7636 4.4.1; OIDC Core 3.1.2.2.
        """
        request = complete(raw)
        client = target.client
        if request.response_type not in RESPONSE_TYPES:
            raise UnsupportedResponseType("This response_type is not supported; use code.")
        if "authorization_code" not in client.flows:
            raise UnauthorizedClient("This client may not use the authorization code flow.")
        if request.nonce is not None and "\0" in request.nonce:
            # Kept until the code is redeemed, and PostgreSQL keeps none in a text.
            raise InvalidRequest("nonce holds a NUL.")
        if request.code_challenge is None and client.public:
            raise InvalidRequest("A public client has to send a code_challenge.")
        return Accepted(
            request,
            target,
            _granted_scopes(request.scope, target),
            self._required_user(conn, realm, target, request.id_token_hint),
            _wish(request, target),
        )

    def stored(self, conn: Connection, realm: Realm, pending: Pending) -> Accepted:
        """The stored request of a page, judged again: the client may have been changed since.

        Raises:
            PageError: it would not be accepted any more.
        """
        raw = parse_authorization_request(pending.parameters)
        target = self.target(conn, realm, raw)
        try:
            return self.accept(conn, realm, target, raw)
        except OAuthError as error:
            raise PageError(
                ErrorKind.EXPIRED, detail=f"not acceptable any more: {error.description}"
            ) from None

    def judge(
        self,
        conn: Connection,
        realm: Realm,
        accepted: Accepted,
        progress: Mapping[str, Any],
        cookies: str,
        now: int,
    ) -> Judged:
        """Say what is next for the person at this browser.

        Args:
            progress: The interaction's state; empty before there is one.
            cookies: The Cookie header.
        """
        session = live_session(conn, realm, cookies, now)
        user = None if session is None else self.users.find(conn, realm, session.user_id)
        if user is None or not user.active:
            # A person who was switched off is not signed in, whatever the browser holds.
            session = user = None
        client = accepted.target.client
        granted: frozenset[str] = frozenset()
        if user is not None:
            granted = consents.granted_scopes(conn, realm.id, user.user_id, client.client_id)
        found = InteractionState(
            prompt=frozenset(accepted.request.prompt),
            max_age_seconds=accepted.request.max_age,
            scopes=accepted.scopes,
            required_user=accepted.required_user,
            signed_in=None if session is None else SignedIn(session.user_id, session.sid, session.auth_time),
            login_done=login_in(progress),
            consent_needed=not (client.trusted or realm.settings.consent.auto_accept),
            granted=granted,
            answer=answer_in(progress),
            factor=_factor(conn, realm, accepted, session, progress),
            told_missing=session is not None and _noted(progress, "told_missing", session),
        )
        return Judged(next_step(found, now), session, user)

    def issue(
        self,
        conn: Connection,
        realm: Realm,
        accepted: Accepted,
        session: BrowserSession,
        step: Finish,
        now: int,
    ) -> str:
        """Write a code for a finished request; returns it. Each authorization gets a grant of its own."""
        note_use(conn, realm, session, now)
        request = accepted.request
        stated = state(accepted.wish.vocabulary, session.amr, accepted.wish.acr_values)
        authorization = Authorization(
            client_id=accepted.target.client.client_id,
            user_id=step.user_id,
            sid=step.sid,
            redirect_uri=accepted.target.redirect_uri,
            scope=step.scopes,
            nonce=request.nonce,
            code_challenge=request.code_challenge,
            code_challenge_method=request.code_challenge_method,
            auth_time=session.auth_time,
            acr=stated.acr,
            amr=stated.amr,
        )
        return issue_code(conn, realm, authorization, now)

    def _required_user(
        self, conn: Connection, realm: Realm, target: ValidatedTarget, token: str | None
    ) -> str | None:
        if token is None:
            return None
        hint = self.hints.read(conn, realm, token)
        if hint is None or target.client.client_id not in hint.audiences:
            raise InvalidRequest("id_token_hint is not an ID token that this provider gave to this client.")
        return hint.sub


def login_progress(session: BrowserSession) -> dict[str, Any]:
    """The note that this interaction's own sign-in made this session."""
    return {"login": {"sid": session.sid, "auth_time": session.auth_time}}


def declined_progress(session: BrowserSession) -> dict[str, Any]:
    """The note that whoever is signed in went on without setting up a second factor."""
    return {"declined": {"sid": session.sid}}


def told_progress(session: BrowserSession) -> dict[str, Any]:
    """The note that whoever is signed in has read that a second factor is missing."""
    return {"told_missing": {"sid": session.sid}}


def consent_progress(answer: ConsentAnswer) -> dict[str, Any]:
    """The note of an answer on the consent page."""
    asked, agreed = sorted(answer.asked), sorted(answer.agreed)
    return {
        "consent": {"user_id": answer.user_id, "asked": asked, "agreed": agreed, "allowed": answer.allowed}
    }


def login_in(progress: Mapping[str, Any]) -> LoginDone | None:
    """Read `login_progress`."""
    note = progress.get("login")
    return None if note is None else LoginDone(note["sid"], note["auth_time"])


def answer_in(progress: Mapping[str, Any]) -> ConsentAnswer | None:
    """Read `consent_progress`."""
    note = progress.get("consent")
    if note is None:
        return None
    return ConsentAnswer(
        note["user_id"], frozenset(note["asked"]), frozenset(note["agreed"]), note["allowed"]
    )


def _wish(request: AuthorizationRequest, target: ValidatedTarget) -> Wish:
    """How strong the sign-in should be. The values in `claims` go before those of `acr_values`.

    Raises:
        InvalidRequest: `claims` cannot be read.
    """
    asked = parse_claims(request.claims).acr
    return Wish(
        acr_values=asked.values or request.acr_values,
        essential=asked.essential,
        amr_values=request.amr_values,
        vocabulary=VOCABULARIES[target.client.acr_profile],
    )


def _factor(
    conn: Connection,
    realm: Realm,
    accepted: Accepted,
    session: BrowserSession | None,
    progress: Mapping[str, Any],
) -> Factor:
    """What a signed-in person's session lacks. The authenticator is looked for only where it could matter."""
    settings = realm.settings.second_factor
    rule = rule_of(settings.mode, accepted.target.client.second_factor)
    if session is None or not (rule.required or accepted.wish):
        return Factor.ENOUGH
    has_code = rule.may_ask and totp.find(conn, realm.id, session.user_id) is not None
    means = Means(
        used=frozenset(session.amr),
        has_code=has_code,
        may_enrol=rule.may_ask and settings.enrol_at_sign_in and not has_code,
        declined=_noted(progress, "declined", session),
    )
    return next_factor(rule, accepted.wish, means)


def _noted(progress: Mapping[str, Any], what: str, session: BrowserSession) -> bool:
    """Whether the note is there and of this very session: another person's does not count."""
    return bool(progress.get(what, {}).get("sid") == session.sid)


def _granted_scopes(asked: tuple[str, ...], target: ValidatedTarget) -> tuple[str, ...]:
    """What of the requested scopes would be granted.

    A value that nobody here knows is ignored; one that is known but not allowed to this client is refused, so
    that the developer learns of it. `offline_access` is ignored where it could not lead to a refresh token.

    Spec: OIDC Core 3.1.2.1 and 11; RFC 6749 3.3.
    """
    known = tuple(dict.fromkeys(scope for scope in asked if scope in DEFAULT_SCOPES))
    forbidden = [scope for scope in known if scope not in target.client.scopes]
    if forbidden:
        raise InvalidScope(f"This client may not ask for: {' '.join(forbidden)}.")
    if "refresh_token" not in target.client.flows:
        known = tuple(scope for scope in known if scope != "offline_access")
    if "openid" not in known:
        raise InvalidScope("scope has to contain openid.")
    return known

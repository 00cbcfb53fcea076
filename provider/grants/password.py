"""The grant `password`: a person's name and password, typed into the application itself, for tokens.

For applications that cannot open a browser and are trusted with passwords; `docs/how-to/flows` says why not
to use it. There is no page, so what a page would ask is refused or left out:

- a second factor: where one is required nobody gets tokens, and neither does a person who has an
  authenticator and could be asked for it: what protects their sign-in is not to be walked around;
- consent: whoever has the password has the account, there is nothing left to withhold;
- an organization: tokens carry none.

A refusal that depends on the person has one text, and leaves the try charged: a right password that is
refused looks like a wrong one.
"""

from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import Connection

from oidcgate.audit import Audit
from oidcgate.protocol.errors import InvalidGrant, InvalidRequest, TemporarilyUnavailable
from provider.events import LoginFailed, LoginSucceeded
from provider.factors.password import Busy
from provider.factors.password_attempt import CHANGED, Attempt, PasswordAttempts, Right, Slowed, Wrong
from provider.grants.base import TokenCall
from provider.services.allowed_people import may_use
from provider.services.authentication_context import PASSWORD, VOCABULARIES, state
from provider.services.issuing import Authorization, Issuing, begin_grant
from provider.services.scopes import Reach, reach_of, scopes_open_to
from provider.services.second_factor import Rule, rule_of
from provider.services.tokens import Issued, Refusal, first_tokens
from provider.store import totp
from provider.store.engine import Store
from provider.store.users import User


@dataclass(frozen=True)
class PasswordGrant:
    """Spec: RFC 6749 4.3. RFC 9700 2.4 advises against it."""

    grant_type: ClassVar[str] = "password"
    flow: ClassVar[str] = "password"
    gives_id_tokens: ClassVar[bool] = True
    store: Store
    attempts: PasswordAttempts
    issuing: Issuing
    audit: Audit

    def exchange(self, call: TokenCall) -> Issued | Refusal:
        """Check the password outside of every transaction, then give tokens in one."""
        realm, client, request = call.realm, call.client.client, call.request
        if request.username is None or request.password is None:
            raise InvalidRequest("username or password is missing")
        asked = request.scope or scopes_open_to(realm.catalogue, client, request.api)
        reach = reach_of(realm.catalogue, client, asked, request.api, refreshable=True)
        rule = rule_of(realm.settings.second_factor.mode, client.second_factor)
        if rule.required:
            # Before the password is looked at: the answer is the same for everybody.
            raise InvalidGrant(
                "sign-ins of this client need a second factor, which this grant cannot ask for"
            )
        attempt = Attempt(request.username, request.password, client.client_id, call.network)
        try:
            outcome = self.attempts.make(realm, attempt, call.now)
        except Busy:
            raise TemporarilyUnavailable("too many sign-ins at once; try again later") from None
        if isinstance(outcome, Slowed):
            # RFC 6749 5.2 has no 429: a client that knows that RFC alone takes this for a wrong password.
            return Refusal(
                InvalidGrant("too many failures; try again later", retry_after_seconds=outcome.wait_seconds)
            )
        if isinstance(outcome, Wrong):
            return _refused("wrong name or password")
        return self._give(call, reach, rule, outcome)

    def _give(self, call: TokenCall, reach: Reach, rule: Rule, right: Right) -> Issued | Refusal:
        realm, client, user = call.realm, call.client.client, right.user
        sign_in = state(VOCABULARIES[client.acr_profile], (PASSWORD,))
        authorization = Authorization(
            client.client_id,
            reach.scopes,
            user_id=user.user_id,
            auth_time=call.now,
            acr=sign_in.acr,
            amr=sign_in.amr,
            api=reach.audience,
            sector=client.subject_sector,
        )
        with self.store.begin() as conn:
            reason = _why_not(conn, call, rule, user)
            if reason is None and not right.settle(conn, realm):
                reason = CHANGED
            if reason is None:
                grant = begin_grant(conn, realm, authorization, call.now)
                given = first_tokens(
                    conn, realm, self.issuing, client, user, grant, reach.scopes, self.grant_type, call.now
                )
        if reason is not None:
            renewed = self.attempts.once_more(realm, right) if reason == CHANGED else None
            if renewed is not None:
                return self._give(call, reach, rule, renewed)
            event = LoginFailed(realm.id, user.user_id, client.client_id, reason, call.network)
            return _refused(reason, event)
        self.audit.emit(
            LoginSucceeded(realm.id, user.user_id, None, client.client_id, (PASSWORD,), call.network)
        )
        return given


def _why_not(conn: Connection, call: TokenCall, rule: Rule, user: User) -> str | None:
    """Why a person whose password was right gets nothing, as the audit log names it."""
    if not may_use(call.client.client, user):
        return "not_allowed"
    if rule.may_ask and totp.find(conn, call.realm.id, user.user_id) is not None:
        return "second_factor"
    return None


def _refused(detail: str, event: LoginFailed | None = None) -> Refusal:
    return Refusal(
        InvalidGrant("name or password is wrong, or they cannot be used here", detail=detail), event
    )

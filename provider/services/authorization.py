"""An accepted request, from the person at the browser to what it gets.

Two phases: `judge` asks the pure `next_step` what the person still has to do, `issue` (for a device:
`approve`) writes down what was granted. What is accepted of a request is `authorization_requests`; the
endpoints call both; the answer is written by `responses`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection

from oidcgate.protocol.errors import ServerError
from provider.events import TokensIssued
from provider.realm import Realm
from provider.services.allowed_people import may_use
from provider.services.authentication_context import state
from provider.services.authorization_requests import (
    Accepted,
    AcceptedAccount,
    AcceptedDevice,
    AcceptedRequest,
)
from provider.services.browser_session import live_session, note_use, silent_session
from provider.services.claims import without_claims_of
from provider.services.consents import Consents
from provider.services.devices import settle
from provider.services.interaction import Finish, InteractionState, SignedIn, Step, next_step
from provider.services.issuing import Authorization, CodeRequest, Issuing, begin_grant, issue_code
from provider.services.minting import FrontDraft
from provider.services.organizations import NO_ORGANIZATION, Task, memberships, organization_of
from provider.services.progress import (
    account_in,
    answer_in,
    confirmed_in,
    login_in,
    noted,
    organization_in,
)
from provider.services.second_factor import Factor, Means, next_factor, rule_of
from provider.services.subjects import Subjects
from provider.services.users import UserStore
from provider.store import totp
from provider.store.grants import GrantRow
from provider.store.participants import take_part
from provider.store.sessions import BrowserSession
from provider.store.users import User


@dataclass(frozen=True)
class Judged:
    """What is to happen next, and for whom. `session` and `user` are both there or both None."""

    step: Step
    session: BrowserSession | None
    user: User | None


class Answer(NamedTuple):
    """What a finished request gets: to be committed, reported, signed and sent. No event for a mere code."""

    draft: FrontDraft
    event: TokensIssued | None


@dataclass(frozen=True)
class Authorizations:
    """What follows from a request, over whoever knows the people, their consents and our keys."""

    users: UserStore
    issuing: Issuing
    consents: Consents
    subjects: Subjects

    def prepare(self, accepted: AcceptedRequest) -> None:
        """See to it that what a request asks for can be given. May fetch; call it outside of a transaction.

        Raises:
            TemporarilyUnavailable: it cannot; to be answered to the target.
        """
        if accepted.response_type.gives_id_token:
            self.issuing.client_tokens.prepare_id_tokens(accepted.target.client)

    def judge(
        self,
        conn: Connection,
        realm: Realm,
        accepted: Accepted,
        progress: Mapping[str, Any],
        cookies: str,
        now: int,
        *,
        silent: bool = False,
    ) -> Judged:
        """Say what is next for the person at this browser.

        Args:
            progress: The interaction's state; empty before there is one.
            cookies: The Cookie header.
            silent: The cookie for silent requests counts as well, as `AcceptedRequest.silent` says: where
                `/authorize` itself answers, and on no page.
        """
        session = live_session(conn, realm, cookies, now)
        if session is None and silent:
            session = silent_session(conn, realm, cookies, now)
        user = None if session is None else self.users.find(conn, realm, session.user_id)
        if user is None or not user.active:
            # A person who was switched off is not signed in, whatever the browser holds.
            session = user = None
        client = accepted.target.client
        consent_needed = not (client.trusted or realm.settings.consent.auto_accept)
        granted: frozenset[str] = frozenset()
        if user is not None and consent_needed:
            granted = self.consents.granted(
                conn, realm, user.user_id, client.client_id, made_at=client.consents_from
            )
        found = InteractionState(
            prompt=frozenset(accepted.request.prompt),
            max_age_seconds=_max_age(accepted),
            scopes=accepted.reach.scopes,
            to_agree=accepted.to_agree,
            for_another=user is not None and self._for_another(conn, realm, accepted, user),
            signed_in=None if session is None else SignedIn(session.user_id, session.sid, session.auth_time),
            login_done=login_in(progress),
            consent_needed=consent_needed,
            granted=granted,
            may_use=user is None or may_use(client, user),
            answer=answer_in(progress),
            factor=_factor(conn, realm, accepted, session, progress),
            to_confirm=isinstance(accepted, AcceptedDevice) and not confirmed_in(progress),
            told_missing=session is not None and noted(progress, "told_missing", session),
            account=None if session is None else account_in(progress, session),
            organization=_organization(realm, accepted, session, user, progress),
        )
        return Judged(next_step(found, now), session, user)

    def _for_another(self, conn: Connection, realm: Realm, accepted: Accepted, user: User) -> bool:
        if isinstance(accepted, AcceptedRequest):
            required = accepted.required_sub
            client = accepted.target.client
            return required is not None and required != self.subjects.of(conn, realm, client, user.user_id)
        return isinstance(accepted, AcceptedDevice) and accepted.typist not in (None, user.user_id)

    def issue(
        self,
        conn: Connection,
        realm: Realm,
        accepted: AcceptedRequest,
        judged: Judged,
        step: Finish,
        now: int,
    ) -> Answer:
        """Write down what a finished request gets, and draft the answer. Each gets a grant of its own.

        Raises:
            ServerError: nobody is signed in, which `judge` never lets finish.
        """
        grant, user = self._grant(conn, realm, accepted, judged, step, now)
        request, client, response_type = accepted.request, accepted.target.client, accepted.response_type
        code = access = id_token = None
        if response_type.gives_code:
            bound = CodeRequest(
                accepted.target.redirect_uri,
                request.nonce,
                request.code_challenge,
                request.code_challenge_method,
            )
            code = issue_code(conn, realm, grant, bound, now)
        if response_type.gives_access_token:
            access = self.issuing.access_token(conn, realm, client, user, grant, grant.scope, now)
        if response_type.gives_id_token:
            id_token = self.issuing.id_token(
                conn,
                realm,
                client,
                user,
                grant,
                grant.scope,
                request.nonce,
                now,
                alone=not (response_type.gives_code or response_type.gives_access_token),
            )
        event = None
        if response_type.front_channel_tokens:
            event = TokensIssued(
                realm.id, client.client_id, user.user_id, grant.grant_id, response_type.flow, grant.scope
            )
        return Answer(FrontDraft(code, access, id_token), event)

    def approve(
        self,
        conn: Connection,
        realm: Realm,
        accepted: AcceptedDevice,
        judged: Judged,
        step: Finish,
        now: int,
    ) -> GrantRow:
        """Write down what a device gets, which collects it by itself.

        Raises:
            PageError: another person was first, or it took too long.
            ServerError: nobody is signed in, which `judge` never lets finish.
        """
        grant, _ = self._grant(conn, realm, accepted, judged, step, now)
        settle(conn, realm, accepted.device, grant, now)
        return grant

    def _grant(
        self, conn: Connection, realm: Realm, accepted: Accepted, judged: Judged, step: Finish, now: int
    ) -> tuple[GrantRow, User]:
        session, user = judged.session, judged.user
        if session is None or user is None:
            raise ServerError(detail="a request was finished for nobody")
        note_use(conn, realm, session, now)
        stated = state(accepted.wish.vocabulary, session.amr, accepted.wish.acr_values)
        authorization = Authorization(
            client_id=accepted.target.client.client_id,
            user_id=step.user_id,
            sid=step.sid,
            scope=step.scopes,
            auth_time=session.auth_time,
            acr=stated.acr,
            amr=stated.amr,
            api=accepted.reach.audience,
            claims=without_claims_of(realm.catalogue, accepted.asked, step.left_out),
            org_id=step.org_id,
            sector=accepted.target.client.subject_sector,
        )
        # `judge` has locked the session: whatever ends it comes after this, and finds the client.
        take_part(conn, realm.id, session.sid, authorization.client_id, session.expires_at)
        return begin_grant(conn, realm, authorization, now), user


def _max_age(accepted: Accepted) -> int | None:
    """The request's, else what its client is registered for. Spec: OIDC Registration 2 (default_max_age)."""
    asked = accepted.request.max_age
    return accepted.target.client.default_max_age if asked is None else asked


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
        # On their account pages people set one up when they like, and are not asked on the way.
        declined=isinstance(accepted, AcceptedAccount) or noted(progress, "declined", session),
    )
    return next_factor(rule, accepted.wish, means)


def _organization(
    realm: Realm,
    accepted: Accepted,
    session: BrowserSession | None,
    user: User | None,
    progress: Mapping[str, Any],
) -> Task:
    """Which organization a signed-in person signs in for, or has to choose from."""
    if session is None or user is None or not accepted.target.client.organizations:
        return NO_ORGANIZATION
    of = memberships(realm.catalogue, user.attributes)
    return organization_of(accepted.request.org_id, of, organization_in(progress, session))

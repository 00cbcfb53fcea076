"""An authorization request, from its parameters to a code: what is accepted, for whom, what is missing.

Phases, each with a class of error of its own: `target` finds out where an answer may go (`PageError`),
`accept` judges everything else (`OAuthError`, which goes there by redirect), `judge` asks the pure
`next_step` what the person still has to do, `issue` writes the code. Parameters are parsed by
`oidcgate.protocol.authorization`; the endpoints `authorize`, `login` and `consent` call these; the answer is
written by `responses`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection

from oidcgate.protocol.authorization import (
    AuthorizationRequest,
    RawRequest,
    client_and_redirect,
    complete,
    parse_authorization_request,
)
from oidcgate.protocol.claims_parameter import ClaimsRequest, parse_claims
from oidcgate.protocol.errors import (
    InvalidRequest,
    InvalidScope,
    OAuthError,
    ServerError,
    UnauthorizedClient,
    UnsupportedResponseType,
)
from oidcgate.protocol.response_type import ResponseType, parse_response_type
from provider.events import TokensIssued
from provider.pages import ErrorKind
from provider.realm import Realm
from provider.services.allowed_people import may_use
from provider.services.authentication_context import VOCABULARIES, state
from provider.services.browser_session import live_session, note_use
from provider.services.claims import askable, scopes_of_claims, without_claims_of
from provider.services.clients import Clients
from provider.services.consents import Consents
from provider.services.devices import FLOW as DEVICE_FLOW
from provider.services.devices import settle
from provider.services.id_token_hint import IdTokenHints
from provider.services.interaction import Finish, InteractionState, SignedIn, Step, next_step
from provider.services.issuing import Authorization, CodeRequest, Issuing, begin_grant, issue_code
from provider.services.minting import FrontDraft
from provider.services.organizations import NO_ORGANIZATION, Task, memberships, organization_of
from provider.services.pending import Kind, Pending
from provider.services.progress import (
    account_in,
    answer_in,
    confirmed_in,
    login_in,
    noted,
    organization_in,
    typist_in,
)
from provider.services.responses import DeviceTarget, PageError, ValidatedTarget, validate_target
from provider.services.scopes import OPENID, Reach, reach_of
from provider.services.second_factor import Factor, Means, Wish, next_factor, rule_of
from provider.services.users import UserStore
from provider.store import device_codes, totp
from provider.store.clients import Client
from provider.store.device_codes import DeviceCode
from provider.store.grants import GrantRow
from provider.store.sessions import BrowserSession
from provider.store.users import User


@dataclass(frozen=True)
class Accepted:
    """A request with nothing wrong in it: of an application (`AcceptedRequest`), or a device's.

    Attributes:
        reach: What would be granted, and for which API.
        asked: Claims that it names one by one, by place; those there are and this client may have.
        to_agree: The scopes that the person is asked about: what would be granted, and what the claims named
            one by one belong to.
        required_user: The `sub` of the `id_token_hint`, or None.
        wish: How strong the sign-in should be.
    """

    request: AuthorizationRequest
    target: ValidatedTarget | DeviceTarget
    reach: Reach
    asked: Mapping[str, tuple[str, ...]]
    to_agree: tuple[str, ...]
    required_user: str | None
    wish: Wish


@dataclass(frozen=True)
class AcceptedRequest(Accepted):
    """One that is answered through the browser."""

    target: ValidatedTarget
    response_type: ResponseType


@dataclass(frozen=True)
class AcceptedDevice(Accepted):
    """What a device asks for whose code was typed in this browser. `required_user` is who typed it."""

    target: DeviceTarget
    device: DeviceCode


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
    """The phases of an authorization request, over whoever knows the clients, the people and our keys."""

    clients: Clients
    users: UserStore
    hints: IdTokenHints
    issuing: Issuing
    consents: Consents

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

    def accept(
        self, conn: Connection, realm: Realm, target: ValidatedTarget, raw: RawRequest
    ) -> AcceptedRequest:
        """Judge everything but the person.

        Raises:
            OAuthError: to be answered to the target.

        Spec: RFC 6749 4.1.1; RFC 7636 4.4.1; OIDC Core 3.1.2.2.
        """
        request = complete(raw)
        client = target.client
        response_type = _response_type(realm, client, request)
        if request.nonce is not None and "\0" in request.nonce:
            # Kept until the code is redeemed, and PostgreSQL keeps none in a text.
            raise InvalidRequest("nonce holds a NUL.")
        if request.nonce is None and response_type.gives_id_token:
            raise InvalidRequest("nonce is missing: an ID token that comes this way is bound to it.")
        if request.code_challenge is None and response_type.gives_code and client.needs_pkce:
            raise InvalidRequest("This client has to send a code_challenge.")
        reach = reach_of(
            realm.catalogue, client, request.scope, request.api, refreshable=response_type.gives_code
        )
        if response_type.gives_id_token and OPENID not in reach.scopes:
            raise InvalidScope("scope has to contain openid.")
        if request.org_id is not None and not client.organizations:
            # Left out in silence, somebody who is not a member would seem to be one.
            raise InvalidRequest("This client signs nobody in for an organization, so org_id is refused.")
        claims = parse_claims(request.claims)
        asked = askable(realm.catalogue, client, claims, reach.audience)
        return AcceptedRequest(
            request=request,
            target=target,
            reach=reach,
            asked=asked,
            to_agree=_to_agree(realm, client, reach, asked),
            required_user=self._required_user(conn, realm, target, request.id_token_hint, claims.sub),
            wish=_wish(request, target, claims),
            response_type=response_type,
        )

    def stored(self, conn: Connection, realm: Realm, pending: Pending) -> Accepted:
        """The stored request of a page, judged again: the client may have been changed since.

        Raises:
            PageError: it would not be accepted any more; another person has answered the device.
        """
        if pending.kind is Kind.DEVICE:
            return self.device(conn, realm, pending)
        raw = parse_authorization_request(pending.parameters)
        target = self.target(conn, realm, raw)
        try:
            return self.accept(conn, realm, target, raw)
        except OAuthError as error:
            raise PageError(
                ErrorKind.EXPIRED, detail=f"not acceptable any more: {error.description}"
            ) from None

    def prepare(self, accepted: AcceptedRequest) -> None:
        """See to it that what a request asks for can be given. May fetch; call it outside of a transaction.

        Raises:
            TemporarilyUnavailable: it cannot; to be answered to the target.
        """
        if accepted.response_type.gives_id_token:
            self.issuing.client_tokens.prepare_id_tokens(accepted.target.client)

    def device(self, conn: Connection, realm: Realm, pending: Pending) -> AcceptedDevice:
        """What the device asks for whose code was typed, judged again like any stored request.

        Raises:
            PageError: it would not be accepted any more; another person has answered it.
        """
        ((_, user_code),) = pending.parameters
        device = device_codes.find_typed(conn, realm.id, user_code)
        if device is None or device.decided_at is not None:
            raise PageError(ErrorKind.DEVICE_CODE, detail="the device was answered, or its code is gone")
        client = self.clients.find(conn, realm, device.client_id)
        if client is None or not client.enabled or DEVICE_FLOW not in client.flows:
            raise PageError(ErrorKind.UNKNOWN_CLIENT, detail="the device's client may not use the flow")
        try:
            reach = reach_of(realm.catalogue, client, device.scope, device.api, refreshable=True)
        except OAuthError as error:
            raise PageError(
                ErrorKind.EXPIRED, detail=f"not acceptable any more: {error.description}"
            ) from None
        return AcceptedDevice(
            request=AuthorizationRequest(client_id=client.client_id, redirect_uri=None),
            target=DeviceTarget(client),
            reach=reach,
            asked={},
            to_agree=_to_agree(realm, client, reach, {}),
            required_user=typist_in(pending.row.state),
            wish=Wish(vocabulary=VOCABULARIES[client.acr_profile]),
            device=device,
        )

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
        consent_needed = not (client.trusted or realm.settings.consent.auto_accept)
        granted: frozenset[str] = frozenset()
        if user is not None and consent_needed:
            granted = self.consents.granted(conn, realm, user.user_id, client.client_id)
        found = InteractionState(
            prompt=frozenset(accepted.request.prompt),
            max_age_seconds=accepted.request.max_age,
            scopes=accepted.reach.scopes,
            to_agree=accepted.to_agree,
            required_user=accepted.required_user,
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
        )
        return begin_grant(conn, realm, authorization, now), user

    def _required_user(
        self,
        conn: Connection,
        realm: Realm,
        target: ValidatedTarget,
        token: str | None,
        asked_sub: str | None,
    ) -> str | None:
        """The `sub` that the hint or the claims parameter names. Spec: OIDC Core 3.1.2.1, 5.5.1."""
        if token is None:
            return asked_sub
        hint = self.hints.read(conn, realm, token)
        if hint is None or target.client.client_id not in hint.audiences:
            raise InvalidRequest("id_token_hint is not an ID token that this provider gave to this client.")
        if asked_sub is not None and asked_sub != hint.sub:
            raise InvalidRequest("id_token_hint and claims name two people.")
        return hint.sub


def _wish(request: AuthorizationRequest, target: ValidatedTarget, claims: ClaimsRequest) -> Wish:
    """How strong the sign-in should be. The values in `claims` go before those of `acr_values`."""
    asked = claims.acr
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
        declined=noted(progress, "declined", session),
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


def _response_type(realm: Realm, client: Client, request: AuthorizationRequest) -> ResponseType:
    """The response type, if the realm has it and the client may use it in that response mode.

    Raises:
        UnsupportedResponseType, UnauthorizedClient, InvalidRequest: it may not.

    Spec: OAuth 2.0 Multiple Response Types 2.1, 3, 5; RFC 9700 2.1.2.
    """
    response_type = parse_response_type(request.response_type)
    if response_type.value == "token" and not realm.settings.insecure_oauth_implicit:
        raise UnsupportedResponseType("This response_type is not supported; use code.")
    if response_type.flow not in client.flows or (response_type.flow == "hybrid" and client.public):
        raise UnauthorizedClient(f"This client may not use the {response_type.flow} flow.")
    if request.response_mode == "query" and response_type.front_channel_tokens:
        raise InvalidRequest("response_mode query is not for tokens; use fragment or form_post.")
    return response_type


def _to_agree(
    realm: Realm, client: Client, reach: Reach, asked: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    unasked = reach.api.scopes if reach.api is not None and not reach.api.require_consent else ()
    scopes = tuple(scope for scope in reach.scopes if scope not in unasked)
    named = scopes_of_claims(realm.catalogue, client, scopes, asked, reach.audience)
    return tuple(dict.fromkeys((*scopes, *named)))

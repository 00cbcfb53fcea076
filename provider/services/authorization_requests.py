"""An authorization request as it came: what is accepted of it, and for whom.

Two phases, each with a class of error of its own: `target` finds out where an answer may go (`PageError`),
`accept` judges everything else but the person (`OAuthError`, which goes there by redirect). What a page has
stored is judged by the same rules again (`stored`, `device`). Parameters are parsed by
`oidcgate.protocol.authorization`, those that come as a token were read by `request_objects`; what follows
from an accepted request is `authorization`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

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
    UnauthorizedClient,
    UnsupportedResponseType,
)
from oidcgate.protocol.response_type import ResponseType, parse_response_type
from provider.pages import ErrorKind
from provider.realm import Realm
from provider.services.authentication_context import PLAIN, TWO_FACTORS, VOCABULARIES, state
from provider.services.claims import askable, scopes_of_claims
from provider.services.clients import Clients
from provider.services.devices import FLOW as DEVICE_FLOW
from provider.services.id_token_hint import IdTokenHints
from provider.services.my_pages import MyPage, ourselves, page_in
from provider.services.pending import Kind, Pending
from provider.services.progress import typist_in
from provider.services.request_objects import has_to_sign
from provider.services.responses import (
    AccountTarget,
    DeviceTarget,
    PageError,
    ValidatedTarget,
    validate_target,
)
from provider.services.scopes import OPENID, Reach, reach_of
from provider.services.second_factor import Wish
from provider.store import device_codes
from provider.store.clients import Client
from provider.store.device_codes import DeviceCode


@dataclass(frozen=True)
class Accepted:
    """A request with nothing wrong in it: an application's (`AcceptedRequest`), a device's, or for our pages.

    Attributes:
        reach: What would be granted, and for which API.
        asked: Claims that it names one by one, by place; those there are and this client may have.
        to_agree: The scopes that the person is asked about: what would be granted, and what the claims named
            one by one belong to.
        wish: How strong the sign-in should be.
    """

    request: AuthorizationRequest
    target: ValidatedTarget | DeviceTarget | AccountTarget
    reach: Reach
    asked: Mapping[str, tuple[str, ...]]
    to_agree: tuple[str, ...]
    wish: Wish


@dataclass(frozen=True)
class AcceptedRequest(Accepted):
    """One that is answered through the browser.

    Attributes:
        required_sub: Whom the `id_token_hint` or the claims parameter names, as the client knows them.
        raw: What is kept of it while a person is busy.
    """

    target: ValidatedTarget
    response_type: ResponseType
    required_sub: str | None
    raw: RawRequest

    @property
    def silent(self) -> bool:
        """Whether the cookie for silent requests counts (`browser_session.silent_session`)."""
        return "none" in self.request.prompt and self.target.client.session_management


@dataclass(frozen=True)
class AcceptedDevice(Accepted):
    """What a device asks for whose code was typed in this browser.

    Attributes:
        typist: Who typed it, if somebody was signed in.
    """

    target: DeviceTarget
    device: DeviceCode
    typist: str | None


@dataclass(frozen=True)
class AcceptedAccount(Accepted):
    """Somebody wants one of their own account pages, which asks for nothing in the name of a client."""

    target: AccountTarget
    page: MyPage


def for_account(realm: Realm, page: MyPage, *, fresh: bool) -> AcceptedAccount:
    """The sign-in that an account page needs.

    Who has an authenticator shows it here, also where applications do without: else the password alone would
    be enough to take the authenticator away.

    Args:
        fresh: The sign-in has to be young (`account.fresh_minutes`).
    """
    client = ourselves(realm)
    longest = realm.settings.account.fresh_seconds if fresh else None
    return AcceptedAccount(
        request=AuthorizationRequest(client_id=client.client_id, redirect_uri=None, max_age=longest),
        target=AccountTarget(client),
        reach=Reach((), None),
        asked={},
        to_agree=(),
        wish=Wish(acr_values=(state(PLAIN, TWO_FACTORS).acr,), vocabulary=PLAIN),
        page=page,
    )


@dataclass(frozen=True)
class AuthorizationRequests:
    """Judges requests, over whoever knows the clients and reads hints."""

    clients: Clients
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
        client = self.clients.find(conn, realm, client_id)
        if client is None:
            raise PageError(ErrorKind.UNKNOWN_CLIENT, detail=f"client {client_id[:500]!r} is not registered")
        return validate_target(
            client,
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
        if has_to_sign(realm, client) and not raw.signed:
            raise InvalidRequest("This client has to send a signed request object.")
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
            wish=_wish(request, target, claims),
            response_type=response_type,
            required_sub=self._required_sub(conn, realm, target, request.id_token_hint, claims.sub),
            raw=raw,
        )

    def stored(self, conn: Connection, realm: Realm, pending: Pending) -> Accepted:
        """The stored request of a page, judged again: the client may have been changed since.

        Raises:
            PageError: it would not be accepted any more; another person has answered the device.
        """
        if pending.kind is Kind.DEVICE:
            return self.device(conn, realm, pending)
        if pending.kind is Kind.ACCOUNT:
            return self.account(realm, pending)
        raw = parse_authorization_request(pending.parameters, signed=pending.signed)
        target = self.target(conn, realm, raw)
        try:
            return self.accept(conn, realm, target, raw)
        except OAuthError as error:
            raise PageError(
                ErrorKind.EXPIRED, detail=f"not acceptable any more: {error.description}"
            ) from None

    @staticmethod
    def account(realm: Realm, pending: Pending) -> AcceptedAccount:
        """The account page that somebody was on the way to."""
        page, fresh = page_in(pending.parameters)
        return for_account(realm, page, fresh=fresh)

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
            wish=Wish(client.default_acr_values, vocabulary=VOCABULARIES[client.acr_profile]),
            device=device,
            typist=typist_in(pending.row.state),
        )

    def _required_sub(
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
    """How strong the sign-in should be. The values in `claims` go before those of `acr_values`.

    Those that the client is registered for are wishes, and only where the request says nothing of its own.

    Spec: OIDC Registration 2 (default_acr_values).
    """
    asked = claims.acr
    default = () if asked.essential else target.client.default_acr_values
    return Wish(
        acr_values=asked.values or request.acr_values or default,
        essential=asked.essential,
        amr_values=request.amr_values,
        vocabulary=VOCABULARIES[target.client.acr_profile],
    )


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

"""Codes and tokens: what may be issued, exchanged and used. Every rule that says "once" is here.

Each function runs inside a transaction that its caller opened, and is judged whole by it: a code is used up
in the transaction that issues what it is exchanged for. A refusal that must leave a trace (a second use stops
the grant) is returned, not raised, so that the caller commits before it answers. Rows are in
`provider.store.grants`, phases of the endpoint in `provider.endpoints.token`.
"""

import json
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection

from oidcgate.audit import Event
from oidcgate.protocol.errors import InvalidGrant, InvalidRequest, InvalidScope, InvalidToken, OAuthError
from oidcgate.protocol.id_token import half_hash, id_token_claims
from oidcgate.protocol.pkce import verify_pkce
from oidcgate.protocol.token import TokenResponse
from oidcgate.web.sealing import KeyRing, Sealer
from provider.events import CodeReused, RefreshTokenReused, TokensIssued
from provider.realm import Realm
from provider.services.claims import id_token_claims_of
from provider.services.clients import Clients
from provider.services.keyring import SIGNING_ALGORITHM, SigningKeys
from provider.services.opaque import new_token, token_hash
from provider.services.users import UserStore
from provider.store.clients import Client
from provider.store.grants import (
    AccessTokenRow,
    CodeRow,
    GrantRow,
    RefreshTokenRow,
    consume_code,
    consume_refresh_token,
    find_access_token,
    find_code,
    find_grant,
    find_refresh_token,
    find_successor,
    insert_access_token,
    insert_code,
    insert_grant,
    insert_refresh_token,
    revoke_grant,
)
from provider.store.users import User


@dataclass(frozen=True)
class Authorization:
    """What a person agreed to at the authorization endpoint, and how that person signed in.

    Attributes:
        sid: the browser session, as the ID token names it.
        redirect_uri: the validated URI that the code goes to; the token request must repeat it.
        scope: what was granted, in the order asked for.
        code_challenge_method: `S256` whenever there is a challenge.
        auth_time: when the person really signed in.
    """

    client_id: str
    user_id: str
    sid: str
    redirect_uri: str
    scope: tuple[str, ...]
    nonce: str | None
    code_challenge: str | None
    code_challenge_method: str | None
    auth_time: int
    acr: str
    amr: tuple[str, ...]


class LiveToken(NamedTuple):
    """An access token that is good now, with what it stands for."""

    token: AccessTokenRow
    client: Client
    user: User


class Issued(NamedTuple):
    """An exchange that succeeded: to be committed, reported and answered."""

    response: TokenResponse
    event: Event


class Refusal(NamedTuple):
    """An exchange that failed: to be committed (it may have stopped a grant), reported and answered."""

    error: OAuthError
    event: Event | None = None


def issue_code(conn: Connection, realm: Realm, authorization: Authorization, now: int) -> str:
    """Write a grant and a code for it; returns the code, which is stored only as a hash.

    Raises:
        InvalidRequest: the challenge is not of the method S256.

    Spec: RFC 6749 4.1.2, RFC 7636 4.4.
    """
    if authorization.code_challenge is not None and authorization.code_challenge_method != "S256":
        raise InvalidRequest("code_challenge_method must be S256")
    code = new_token()
    grant = GrantRow(
        grant_id=secrets.token_urlsafe(16),
        client_id=authorization.client_id,
        user_id=authorization.user_id,
        sid=authorization.sid,
        scope=authorization.scope,
        auth_time=authorization.auth_time,
        acr=authorization.acr,
        amr=authorization.amr,
        created_at=now,
        expires_at=now + realm.settings.lifetimes.refresh_token_seconds,
    )
    insert_grant(conn, realm.id, grant)
    row = CodeRow(
        code_hash=token_hash(code),
        grant_id=grant.grant_id,
        client_id=grant.client_id,
        redirect_uri=authorization.redirect_uri,
        nonce=authorization.nonce,
        code_challenge=authorization.code_challenge,
        scope=authorization.scope,
        expires_at=now + realm.settings.lifetimes.code_seconds,
    )
    insert_code(conn, realm.id, row)
    return code


@dataclass(frozen=True)
class Tokens:
    """Exchanging and checking, over whoever knows the clients, the people and the keys."""

    clients: Clients
    users: UserStore
    keys: SigningKeys

    def redeem_code(
        self,
        conn: Connection,
        realm: Realm,
        client: Client,
        *,
        code: str,
        redirect_uri: str,
        code_verifier: str | None,
        now: int,
    ) -> Issued | Refusal:
        """Exchange a code for tokens, once. A second use stops the grant and everything it gave.

        Spec: RFC 6749 4.1.3, 4.1.4, 10.5; RFC 7636 4.6; OIDC Core 3.1.3.2.
        """
        row = find_code(conn, realm.id, token_hash(code))
        if row is None:
            return _refuse("unknown code")
        if row.client_id != client.client_id:
            # Nothing is stopped: one client must not be able to end the sign-ins of another.
            return _refuse(f"code of client {row.client_id}")
        # Locked before the code is judged, so that a second use waits for the first one and then sees it.
        grant = find_grant(conn, realm.id, row.grant_id, for_update=True)
        if grant is None:
            return _refuse("code without a grant")
        if row.consumed_at is not None:
            return self._code_reused(conn, realm, grant, now)
        if now >= row.expires_at:
            return _refuse("code expired")
        if redirect_uri != row.redirect_uri:
            return _refuse("redirect_uri differs from the authorization request")
        try:
            verify_pkce(row.code_challenge, None if row.code_challenge is None else "S256", code_verifier)
        except OAuthError as error:
            return Refusal(error)
        subject = self._live_subject(conn, realm, grant)
        if isinstance(subject, str):
            return _refuse(subject)
        current, user = subject
        if current.public and row.code_challenge is None:
            return _refuse("code of a public client without a challenge")
        if not consume_code(conn, realm.id, row.code_hash, now):
            return self._code_reused(conn, realm, grant, now)
        refresh = None
        if "offline_access" in row.scope and "refresh_token" in current.flows:
            refresh = new_token()
            insert_refresh_token(conn, realm.id, _refresh_row(refresh, grant, row.scope, None, now))
        access = new_token()
        access_row = self._insert_access(conn, realm, grant, access, row.scope, now)
        id_token = self._id_token(conn, realm, grant, user, access, row.scope, row.nonce, now)
        return self._issued(realm, grant, access, access_row, refresh, id_token, "authorization_code", now)

    def refresh(
        self,
        conn: Connection,
        realm: Realm,
        client: Client,
        *,
        refresh_token: str,
        scope: tuple[str, ...] | None,
        now: int,
    ) -> Issued | Refusal:
        """Exchange a refresh token for its successor and an access token.

        The immediate predecessor of an unused token gets that same token again for `refresh_grace_seconds`,
        because its answer may have been lost; any other second use stops the family.

        Args:
            scope: what was asked for, at most what was granted; None for all of it.

        Spec: RFC 6749 6; RFC 9700 4.14.2; OIDC Core 12.
        """
        row = find_refresh_token(conn, realm.id, token_hash(refresh_token))
        if row is None:
            return _refuse("unknown refresh token")
        grant = find_grant(conn, realm.id, row.grant_id, for_update=True)
        if grant is None or grant.client_id != client.client_id:
            return _refuse("refresh token of another client")
        # Read again under the grant's lock: whoever held it may have used this token.
        row = find_refresh_token(conn, realm.id, row.token_hash) or row
        if now >= row.expires_at:
            return _refuse("refresh token expired")
        subject = self._live_subject(conn, realm, grant)
        if isinstance(subject, str):
            return _refuse(subject)
        current, user = subject
        if "refresh_token" not in current.flows:
            return _refuse("the client may not refresh any more")
        allowed = tuple(word for word in row.scope if word in current.scopes)
        wanted = allowed if scope is None else scope
        if not set(wanted) <= set(allowed):
            return Refusal(InvalidScope("the scope exceeds what was granted"))
        if row.consumed_at is not None:
            return self._repeat(conn, realm, grant, user, row, refresh_token, wanted, now)
        successor, access = new_token(), new_token()
        sealed = _pair_sealer(refresh_token, row).seal(json.dumps([successor, access]).encode(), now)
        if not consume_refresh_token(conn, realm.id, row.token_hash, now, sealed):
            return self._family_stopped(conn, realm, grant, now)
        insert_refresh_token(conn, realm.id, _refresh_row(successor, grant, row.scope, row.token_hash, now))
        access_row = self._insert_access(conn, realm, grant, access, wanted, now)
        id_token = self._id_token(conn, realm, grant, user, access, wanted, None, now)
        return self._issued(realm, grant, access, access_row, successor, id_token, "refresh_token", now)

    def check(self, conn: Connection, realm: Realm, access_token: str, now: int) -> LiveToken:
        """What an access token stands for, if it is good.

        Good means: not expired, skew included, and its grant, client and person are live.

        Raises:
            InvalidToken: it is not; the reason is in `detail` only.

        Spec: RFC 6750 2, 3.1; RFC 6749 7.
        """
        row = find_access_token(conn, realm.id, token_hash(access_token))
        if row is None:
            raise InvalidToken(detail="unknown access token")
        if now >= row.expires_at + realm.settings.lifetimes.clock_skew_seconds:
            raise InvalidToken(detail="access token expired")
        grant = find_grant(conn, realm.id, row.grant_id)
        subject = "token without a grant" if grant is None else self._live_subject(conn, realm, grant)
        if isinstance(subject, str):
            raise InvalidToken(detail=subject)
        return LiveToken(row, *subject)

    def _live_subject(self, conn: Connection, realm: Realm, grant: GrantRow) -> tuple[Client, User] | str:
        """The client and the person of a grant, or why nothing may be done with it."""
        if grant.revoked_at is not None:
            return f"grant revoked: {grant.revoke_reason}"
        client = self.clients.find(conn, realm, grant.client_id)
        if client is None or not client.enabled:
            return "client disabled"
        user = self.users.find(conn, realm, grant.user_id)
        if user is None or not user.active:
            return "user inactive"
        return client, user

    def _repeat(
        self,
        conn: Connection,
        realm: Realm,
        grant: GrantRow,
        user: User,
        row: RefreshTokenRow,
        refresh_token: str,
        wanted: Collection[str],
        now: int,
    ) -> Issued | Refusal:
        """Answer a refresh token that was used already: again inside the grace, else the family ends."""
        grace_seconds = realm.settings.lifetimes.refresh_grace_seconds
        successor_row = find_successor(conn, realm.id, row.token_hash)
        opened = None
        # At most `grace` old, and its successor untouched: two that are both in use means that one of them
        # was stolen.
        if (
            row.consumed_at is not None
            and row.successor_sealed is not None
            and now < row.consumed_at + grace_seconds
            and successor_row is not None
            and successor_row.consumed_at is None
        ):
            opened = _pair_sealer(refresh_token, row).open(row.successor_sealed)
        if opened is None:
            return self._family_stopped(conn, realm, grant, now)
        successor, access = json.loads(opened)
        access_row = find_access_token(conn, realm.id, token_hash(access))
        if access_row is None or set(access_row.scope) != set(wanted):
            # Two parts of a client that ask for different scopes at once: one family still, each its own
            # access token.
            access = new_token()
            access_row = self._insert_access(conn, realm, grant, access, tuple(wanted), now)
        id_token = self._id_token(conn, realm, grant, user, access, access_row.scope, None, now)
        return self._issued(realm, grant, access, access_row, successor, id_token, "refresh_token", now)

    def _code_reused(self, conn: Connection, realm: Realm, grant: GrantRow, now: int) -> Refusal:
        revoke_grant(conn, realm.id, grant.grant_id, now, "code_reused")
        return _refuse(
            "code used twice", CodeReused(realm.id, grant.client_id, grant.user_id, grant.grant_id)
        )

    def _family_stopped(self, conn: Connection, realm: Realm, grant: GrantRow, now: int) -> Refusal:
        revoke_grant(conn, realm.id, grant.grant_id, now, "refresh_token_reused")
        event = RefreshTokenReused(realm.id, grant.client_id, grant.user_id, grant.grant_id)
        return _refuse("refresh token used twice", event)

    def _insert_access(
        self, conn: Connection, realm: Realm, grant: GrantRow, access: str, scope: tuple[str, ...], now: int
    ) -> AccessTokenRow:
        row = AccessTokenRow(
            token_hash=token_hash(access),
            grant_id=grant.grant_id,
            client_id=grant.client_id,
            scope=scope,
            audience=(realm.issuer,),
            issued_at=now,
            expires_at=now + realm.settings.lifetimes.access_token_seconds,
        )
        insert_access_token(conn, realm.id, row)
        return row

    def _id_token(
        self,
        conn: Connection,
        realm: Realm,
        grant: GrantRow,
        user: User,
        access: str,
        scope: Collection[str],
        nonce: str | None,
        now: int,
    ) -> str | None:
        """Spec: OIDC Core 2, 3.1.3.6; 12.2 for those made by refreshing, which carry no nonce."""
        if "openid" not in scope:
            return None
        claims = id_token_claims(
            issuer=realm.issuer,
            sub=user.user_id,
            client_id=grant.client_id,
            now=now,
            lifetime_seconds=realm.settings.lifetimes.id_token_seconds,
            nonce=nonce,
            auth_time=grant.auth_time,
            acr=grant.acr,
            amr=grant.amr,
            sid=grant.sid,
            extra={"at_hash": half_hash(access, SIGNING_ALGORITHM), **id_token_claims_of(user, scope)},
        )
        return self.keys.sign(conn, realm, claims, now)

    def _issued(
        self,
        realm: Realm,
        grant: GrantRow,
        access: str,
        access_row: AccessTokenRow,
        refresh: str | None,
        id_token: str | None,
        grant_type: str,
        now: int,
    ) -> Issued:
        response = TokenResponse(
            access_token=access,
            expires_in=access_row.expires_at - now,
            refresh_token=refresh,
            id_token=id_token,
            scope=access_row.scope,
        )
        event = TokensIssued(
            realm.id, grant.client_id, grant.user_id, grant.grant_id, grant_type, access_row.scope
        )
        return Issued(response, event)


def _refuse(detail: str, event: Event | None = None) -> Refusal:
    # One text for every reason: which of them it was would tell a guesser that a code or token exists.
    return Refusal(InvalidGrant("the code or token is not valid", detail=detail), event)


def _refresh_row(
    token: str, grant: GrantRow, scope: tuple[str, ...], predecessor_hash: str | None, now: int
) -> RefreshTokenRow:
    # The end is the grant's: rotation moves it on, but never further.
    return RefreshTokenRow(token_hash(token), grant.grant_id, predecessor_hash, scope, now, grant.expires_at)


def _pair_sealer(refresh_token: str, row: RefreshTokenRow) -> Sealer:
    # The key is the presented token itself, which the database does not hold.
    return Sealer(KeyRing([refresh_token.encode()]), "provider-refresh-successor", row.grant_id)

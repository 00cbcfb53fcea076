"""Codes and tokens: what may be issued, exchanged and used. Every rule that says "once" is here.

Each function runs inside a transaction that its caller opened, and is judged whole by it: a code is used up
in the transaction that issues what it is exchanged for. A refusal that must leave a trace (a second use stops
the grant) is returned, not raised, so that the caller commits before it answers. Rows are in
`provider.store.grants`, phases of the endpoint in `provider.endpoints.token`.
"""

import json
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection

from oidcgate.audit import Event
from oidcgate.protocol.errors import InvalidGrant, InvalidScope, InvalidTarget, OAuthError
from oidcgate.protocol.pkce import verify_pkce
from oidcgate.web.sealing import KeyRing, Sealer
from provider.events import CodeReused, RefreshTokenReused, TokensIssued
from provider.realm import Realm
from provider.services.issuing import Issuing, access_token_hash
from provider.services.minting import AccessDraft, IdTokenDraft, TokenDraft
from provider.services.opaque import new_token, token_hash
from provider.services.scopes import OFFLINE_ACCESS, still_open
from provider.services.token_checks import TokenChecks, may_refresh
from provider.store.clients import Client
from provider.store.grants import (
    GrantRow,
    RefreshTokenRow,
    consume_code,
    consume_refresh_token,
    find_access_token,
    find_code,
    find_grant,
    find_refresh_token,
    find_successor,
    insert_refresh_token,
    revoke_grant,
)
from provider.store.sessions import has_ended
from provider.store.users import User


class Issued(NamedTuple):
    """An exchange that succeeded: to be committed, reported, signed and answered."""

    draft: TokenDraft
    event: Event


class Refusal(NamedTuple):
    """An exchange that failed: to be committed (it may have stopped a grant), reported and answered."""

    error: OAuthError
    event: Event | None = None


@dataclass(frozen=True)
class Tokens:
    """Exchanging, over whoever says what is good and makes what is given."""

    checks: TokenChecks
    issuing: Issuing

    def redeem_code(
        self,
        conn: Connection,
        realm: Realm,
        client: Client,
        *,
        code: str,
        redirect_uri: str,
        code_verifier: str | None,
        api: str | None,
        now: int,
    ) -> Issued | Refusal:
        """Exchange a code for tokens, once. A second use stops the grant and everything it gave.

        Args:
            api: The audience that the token request names, which has to be the one of the grant.

        Spec: RFC 6749 4.1.3, 4.1.4, 10.5; RFC 7636 4.6; OIDC Core 3.1.3.2; RFC 8707 2.2.
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
        if grant.sid is not None and has_ended(conn, realm.id, grant.sid):
            # The client was told, or is being told: it must not begin a session of its own after that.
            return _refuse("the session of the code was signed out")
        if redirect_uri != row.redirect_uri:
            return _refuse("redirect_uri differs from the authorization request")
        try:
            verify_pkce(row.code_challenge, None if row.code_challenge is None else "S256", code_verifier)
        except OAuthError as error:
            return Refusal(error)
        if api is not None and api != grant.api:
            return Refusal(InvalidTarget("The code was given for another API."))
        subject = self.checks.subject_of(conn, realm, grant)
        if isinstance(subject, str):
            return _refuse(subject)
        current, user = subject
        if user is None:
            return _refuse("code without a person")
        if current.needs_pkce and row.code_challenge is None:
            return _refuse("code without a challenge, which the client needs")
        scope = still_open(realm.catalogue, current, grant.scope)
        if not scope:
            return _refuse("nothing is left of the scope of the code")
        if not consume_code(conn, realm.id, row.code_hash, now):
            return self._code_reused(conn, realm, grant, now)
        return first_tokens(
            conn, realm, self.issuing, current, user, grant, scope, "authorization_code", now, nonce=row.nonce
        )

    def refresh(
        self,
        conn: Connection,
        realm: Realm,
        client: Client,
        *,
        refresh_token: str,
        scope: tuple[str, ...] | None,
        api: str | None,
        now: int,
    ) -> Issued | Refusal:
        """Exchange a refresh token for its successor and an access token.

        The immediate predecessor of an unused token gets that same token again for `refresh_grace_seconds`,
        because its answer may have been lost; any other second use stops the family.

        Args:
            scope: what was asked for, at most what was granted; None for all of it.
            api: the audience that the request names, which has to be the one of the grant.

        Spec: RFC 6749 6; RFC 9700 4.14.2; OIDC Core 12; RFC 8707 2.2.
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
        subject = self.checks.subject_of(conn, realm, grant)
        if isinstance(subject, str):
            return _refuse(subject)
        current, user = subject
        if user is None or not may_refresh(realm, current, grant):
            return _refuse("the client may not refresh any more")
        given_before = None
        if row.consumed_at is not None:
            # Before anything else is judged: a wrong scope must not tell a thief whether the family lives.
            given_before = _given_before(conn, realm, row, refresh_token, now)
            if given_before is None:
                return self._family_stopped(conn, realm, grant, now)
        if api is not None and api != grant.api:
            return Refusal(InvalidTarget("The refresh token was given for another API."))
        allowed = still_open(realm.catalogue, current, row.scope)
        wanted = allowed if scope is None else scope
        if not set(wanted) <= set(allowed):
            return Refusal(InvalidScope("the scope exceeds what was granted"))
        if given_before is not None:
            return self._repeat(conn, realm, current, grant, user, given_before, tuple(wanted), now)
        access = self.issuing.access_token(conn, realm, current, user, grant, wanted, now)
        successor = new_token()
        sealed = _pair_sealer(refresh_token, row).seal(json.dumps([successor, access.handle]).encode(), now)
        if not consume_refresh_token(conn, realm.id, row.token_hash, now, sealed):
            return self._family_stopped(conn, realm, grant, now)
        insert_refresh_token(conn, realm.id, _refresh_row(successor, grant, row.scope, row.token_hash, now))
        id_token = self.issuing.id_token(conn, realm, current, user, grant, wanted, None, now)
        return _issued(realm, grant, access, wanted, successor, id_token, "refresh_token")

    def _repeat(
        self,
        conn: Connection,
        realm: Realm,
        client: Client,
        grant: GrantRow,
        user: User,
        given_before: tuple[str, str],
        wanted: tuple[str, ...],
        now: int,
    ) -> Issued:
        """Answer a refresh token that was used already as it was answered then."""
        successor, handle = given_before
        given = find_access_token(conn, realm.id, access_token_hash(realm, grant, handle))
        access = None
        if given is not None and now < given.expires_at:
            access = self.issuing.access_again(conn, realm, client, user, grant, given, handle, wanted, now)
        if access is None or set(access.scope) != set(self.issuing.carried(realm, grant, wanted)):
            # Two parts of a client that ask for different scopes at once: one family still, each its own
            # access token.
            access = self.issuing.access_token(conn, realm, client, user, grant, wanted, now)
        id_token = self.issuing.id_token(conn, realm, client, user, grant, wanted, None, now)
        return _issued(realm, grant, access, wanted, successor, id_token, "refresh_token")

    def _code_reused(self, conn: Connection, realm: Realm, grant: GrantRow, now: int) -> Refusal:
        revoke_grant(conn, realm.id, grant.grant_id, now, "code_reused")
        return _refuse(
            "code used twice", CodeReused(realm.id, grant.client_id, grant.user_id, grant.grant_id)
        )

    def _family_stopped(self, conn: Connection, realm: Realm, grant: GrantRow, now: int) -> Refusal:
        revoke_grant(conn, realm.id, grant.grant_id, now, "refresh_token_reused")
        event = RefreshTokenReused(realm.id, grant.client_id, grant.user_id, grant.grant_id)
        return _refuse("refresh token used twice", event)


def first_tokens(
    conn: Connection,
    realm: Realm,
    issuing: Issuing,
    client: Client,
    user: User,
    grant: GrantRow,
    scope: tuple[str, ...],
    grant_type: str,
    now: int,
    *,
    nonce: str | None = None,
) -> Issued:
    """Give a person's grant its first tokens: whatever the scope and the client ask for.

    Args:
        scope: What is given of the grant's.
        grant_type: How they were asked for, for the event.
        nonce: Of the authorization request.

    Raises:
        TemporarilyUnavailable: the ID token cannot be encrypted for the client.
    """
    refresh = None
    if OFFLINE_ACCESS in scope and may_refresh(realm, client, grant):
        refresh = new_token()
        insert_refresh_token(conn, realm.id, _refresh_row(refresh, grant, scope, None, now))
    access = issuing.access_token(conn, realm, client, user, grant, scope, now)
    id_token = issuing.id_token(conn, realm, client, user, grant, scope, nonce, now)
    return _issued(realm, grant, access, scope, refresh, id_token, grant_type)


def _issued(
    realm: Realm,
    grant: GrantRow,
    access: AccessDraft,
    scope: tuple[str, ...],
    refresh_token: str | None,
    id_token: IdTokenDraft | None,
    grant_type: str,
) -> Issued:
    """What was given, with the event that says so."""
    event = TokensIssued(realm.id, grant.client_id, grant.user_id, grant.grant_id, grant_type, scope)
    return Issued(TokenDraft(access, scope, refresh_token, id_token), event)


def _given_before(
    conn: Connection, realm: Realm, row: RefreshTokenRow, refresh_token: str, now: int
) -> tuple[str, str] | None:
    """What a used refresh token was exchanged for, if it may be given again: successor and access token.

    At most `refresh_grace_seconds` ago, and its successor untouched: two that are both in use means that one
    of them was stolen.
    """
    grace_seconds = realm.settings.lifetimes.refresh_grace_seconds
    successor_row = find_successor(conn, realm.id, row.token_hash)
    if (
        row.consumed_at is None
        or row.successor_sealed is None
        or now >= row.consumed_at + grace_seconds
        or successor_row is None
        or successor_row.consumed_at is not None
    ):
        return None
    opened = _pair_sealer(refresh_token, row).open(row.successor_sealed)
    if opened is None:
        return None
    successor, handle = json.loads(opened)
    return successor, handle


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

"""Tokens that their client gives back.

Who may is `provider.endpoints.revoke`; what is good is `token_checks` next door; rows are
`provider.store.grants`.
"""

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection

from oidcgate.protocol.errors import InvalidToken
from provider.events import TokenRevoked
from provider.realm import Realm
from provider.services.opaque import token_hash
from provider.services.token_checks import TokenChecks
from provider.store.clients import Client
from provider.store.grants import (
    AccessTokenRow,
    delete_access_token,
    find_grant,
    find_refresh_token,
    insert_revoked,
    revoke_grant,
)


class Revocable(NamedTuple):
    """A token of the client that gives it back; `access` is None for a refresh token."""

    grant_id: str | None
    user_id: str | None
    access: AccessTokenRow | None


@dataclass(frozen=True)
class Revocation:
    """Over whoever knows what was given."""

    checks: TokenChecks

    def find(self, conn: Connection, realm: Realm, client: Client, text: str, now: int) -> Revocable | None:
        """The token that a text is, if it is this client's own and there is something left to stop.

        Not only a good token: one of a person who is locked out today is stopped for the day they are not.
        """
        refresh = find_refresh_token(conn, realm.id, token_hash(text))
        if refresh is not None:
            # A used one too: whoever could not read the answer to its last use has no other.
            access, grant_id = None, refresh.grant_id
        else:
            try:
                access = self.checks.given(conn, realm, text, now)
            except InvalidToken:
                return None
            if access.stands_alone:
                return Revocable(None, None, access) if access.client_id == client.client_id else None
            grant_id = access.grant_id
        grant = find_grant(conn, realm.id, grant_id)
        if grant is None or grant.client_id != client.client_id or grant.revoked_at is not None:
            return None
        return Revocable(grant_id, grant.user_id, access)

    @staticmethod
    def stop(
        conn: Connection, realm: Realm, client: Client, token: Revocable, now: int
    ) -> TokenRevoked | None:
        """Stop an access token, or with a refresh token all that hangs on its grant; None when it was before.

        Spec: RFC 7009 2.1.
        """
        access = token.access
        if access is None:
            stopped = revoke_grant(conn, realm.id, token.grant_id or "", now, "revoked_by_client")
        elif access.stands_alone:
            stopped = insert_revoked(conn, realm.id, access.token_hash, access.expires_at)
        else:
            stopped = delete_access_token(conn, realm.id, access.token_hash)
        if not stopped:
            return None
        kind = "refresh_token" if access is None else "access_token"
        return TokenRevoked(realm.id, client.client_id, token.user_id, token.grant_id, kind)

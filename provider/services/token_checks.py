"""Whether a token is good now: its own end, and the grant, client and person that it hangs on.

Asked by our own endpoints, which therefore notice a revocation at once. An API that reads a JWT by itself
notices it when the token ends. What tokens are made of is `issuing`; rows are `provider.store.grants`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection

from oidcgate.jose.jwt import JWTError, verify
from oidcgate.protocol.access_token import AccessTokenRules, check_access_token_claims
from oidcgate.protocol.errors import InvalidToken
from provider.realm import Realm
from provider.services.allowed_people import may_use
from provider.services.clients import Clients
from provider.services.issuing import CLIENT_ITSELF
from provider.services.keyring import SigningKeys
from provider.services.opaque import jti_hash, token_hash
from provider.services.organizations import memberships
from provider.services.scopes import gives_refresh_tokens, is_open
from provider.services.users import UserStore
from provider.store.clients import Client
from provider.store.grants import (
    AccessTokenRow,
    GrantRow,
    RefreshTokenRow,
    find_access_token,
    find_grant,
    find_refresh_token,
    is_revoked,
)
from provider.store.users import User


class Subject(NamedTuple):
    """Whose a grant is; `user` is None where the client acts for itself."""

    client: Client
    user: User | None


class LiveToken(NamedTuple):
    """An access token that is good now, with what it stands for; `grant` is None where it needs no row."""

    token: AccessTokenRow
    client: Client
    user: User | None
    grant: GrantRow | None


class LiveRefreshToken(NamedTuple):
    """A refresh token that can be used now, with what it stands for."""

    token: RefreshTokenRow
    client: Client
    user: User
    grant: GrantRow


@dataclass(frozen=True)
class TokenChecks:
    """Looks tokens up, over whoever knows the clients, the people and the keys."""

    clients: Clients
    users: UserStore
    keys: SigningKeys

    def access_token(self, conn: Connection, realm: Realm, text: str, now: int) -> LiveToken:
        """What an access token stands for, if it is good.

        Good means: not expired, skew included, and its grant, client and person are live.

        Raises:
            InvalidToken: it is not; the reason is in `detail` only.

        Spec: RFC 6750 2, 3.1; RFC 6749 7; RFC 9068 4.
        """
        row = self.given(conn, realm, text, now)
        if row.stands_alone:
            return self._of_client(conn, realm, row)
        grant = find_grant(conn, realm.id, row.grant_id)
        subject = "token without a grant" if grant is None else self.subject_of(conn, realm, grant)
        if isinstance(subject, str):
            raise InvalidToken(detail=subject)
        return LiveToken(row, *subject, grant)

    def given(self, conn: Connection, realm: Realm, text: str, now: int) -> AccessTokenRow:
        """The access token that a text is, if this realm gave it and it has not ended.

        Whether it was stopped, and whose it is, is not looked at.

        Raises:
            InvalidToken: it is none.
        """
        claims = self._claims(conn, realm, text, now) if "." in text else None
        if claims is not None and claims.get(CLIENT_ITSELF) is True:
            return _row_of(realm, claims)
        stored = token_hash(text) if claims is None else jti_hash(str(claims["jti"]))
        row = find_access_token(conn, realm.id, stored)
        if row is None:
            raise InvalidToken(detail="unknown access token")
        if now >= row.expires_at + realm.settings.lifetimes.clock_skew_seconds:
            raise InvalidToken(detail="access token expired")
        return row

    def refresh_token(self, conn: Connection, realm: Realm, text: str, now: int) -> LiveRefreshToken:
        """What a refresh token stands for, if it would be exchanged.

        One that was used is not, although a retry that comes at once is answered as it was.

        Raises:
            InvalidToken: it would not be; the reason is in `detail` only.
        """
        row = find_refresh_token(conn, realm.id, token_hash(text))
        grant = None if row is None else find_grant(conn, realm.id, row.grant_id)
        if row is None or grant is None:
            raise InvalidToken(detail="unknown refresh token")
        if row.consumed_at is not None or now >= row.expires_at:
            raise InvalidToken(detail="refresh token used or expired")
        subject = self.subject_of(conn, realm, grant)
        if isinstance(subject, str):
            raise InvalidToken(detail=subject)
        client, user = subject
        if user is None or not may_refresh(realm, client, grant):
            raise InvalidToken(detail="the client may not refresh any more")
        return LiveRefreshToken(row, client, user, grant)

    def subject_of(self, conn: Connection, realm: Realm, grant: GrantRow) -> Subject | str:
        """The client and the person of a grant, or why nothing may be done with it."""
        if grant.revoked_at is not None:
            return f"grant revoked: {grant.revoke_reason}"
        client = self.clients.find(conn, realm, grant.client_id)
        if client is None or not client.enabled:
            return "client disabled"
        if grant.created_at < client.created_at:
            return "granted to another client, which had this id before"
        if grant.api is not None and not _is_open(realm, client, grant.api):
            return "API closed"
        if grant.user_id is None:
            return Subject(client, None)
        if grant.sector != client.subject_sector:
            # Refreshed, or asked for claims, it would name the person otherwise than before: to a sector that
            # they never signed in for.
            return "people are others to the client since"
        user = self.users.find(conn, realm, grant.user_id)
        if user is None or not user.active:
            return "user inactive"
        if not may_use(client, user):
            return "user not allowed to use the client"
        if grant.org_id is not None and grant.org_id not in memberships(realm.catalogue, user.attributes):
            return "user not in the organization any more"
        return Subject(client, user)

    def _claims(self, conn: Connection, realm: Realm, text: str, now: int) -> Mapping[str, Any]:
        """The claims of an access token that this realm signed, for whichever API."""
        try:
            keys = self.keys.verification_keys(conn, realm, published_at=now)
            # Those of our keys, not of the configuration: what was signed before it changed is still good.
            header, claims = verify(text, keys, {key.alg for key in keys if key.alg is not None})
        except JWTError as error:
            raise InvalidToken(detail=f"access token: {error.reason}") from None
        audience = claims.get("aud")
        known = {realm.audience, *realm.catalogue.resources}
        if not isinstance(audience, str) or audience not in known:
            raise InvalidToken(detail="access token: unknown audience")
        rules = AccessTokenRules(realm.issuer, audience, realm.settings.lifetimes.clock_skew_seconds)
        check_access_token_claims(header, claims, rules, now)
        return claims

    def _of_client(self, conn: Connection, realm: Realm, row: AccessTokenRow) -> LiveToken:
        client = self.clients.find(conn, realm, row.client_id)
        if client is None or not client.enabled:
            raise InvalidToken(detail="client disabled")
        if row.issued_at < max(client.own_tokens_from, client.created_at):
            raise InvalidToken(detail="client disabled since")
        if row.api is not None and not _is_open(realm, client, row.api):
            raise InvalidToken(detail="API closed")
        if is_revoked(conn, realm.id, row.token_hash):
            raise InvalidToken(detail="access token revoked")
        return LiveToken(row, client, None, None)


def _row_of(realm: Realm, claims: Mapping[str, Any]) -> AccessTokenRow:
    """What would be written down of a token that needs no row."""
    audience = str(claims["aud"])
    return AccessTokenRow(
        token_hash=jti_hash(str(claims["jti"])),
        grant_id="",
        client_id=str(claims["client_id"]),
        scope=tuple(str(claims.get("scope", "")).split()),
        api=audience if audience in realm.catalogue.resources else None,
        issued_at=int(claims["iat"]),
        expires_at=int(claims["exp"]),
    )


def may_refresh(realm: Realm, client: Client, grant: GrantRow) -> bool:
    """Whether a grant still gives refresh tokens."""
    return gives_refresh_tokens(client, realm.catalogue.api(grant.api))


def _is_open(realm: Realm, client: Client, audience: str) -> bool:
    api = realm.catalogue.resources.get(audience)
    return api is not None and is_open(realm.catalogue, client, api)

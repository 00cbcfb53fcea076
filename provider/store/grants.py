"""Rows of `grants`, and of the codes and tokens that hang on them.

A grant is what one person allowed one client in one sign-in; revoking it stops everything that came of it.
Tokens are looked up by their SHA-256. The rules (what may be redeemed, when a family ends) are in
`provider.services.tokens`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from provider.store.schema import access_tokens, codes, grants, refresh_tokens, revoked_tokens


@dataclass(frozen=True)
class GrantRow:
    """What one person allowed one client, or the client has of itself. `expires_at` is when refreshing ends.

    Attributes:
        user_id, auth_time, acr: None where the client acts for itself.
        sid: None where there was no browser.
        api: The audience of the API that its access tokens are for.
        claims: Those asked for one by one, by place.
        sector: By which the client knew the person; None where it knew them as every public client does.
    """

    grant_id: str
    client_id: str
    user_id: str | None
    sid: str | None
    scope: tuple[str, ...]
    auth_time: int | None
    acr: str | None
    amr: tuple[str, ...]
    created_at: int
    expires_at: int
    api: str | None = None
    claims: Mapping[str, Sequence[str]] = field(default_factory=dict)
    org_id: str | None = None
    sector: str | None = None
    revoked_at: int | None = None
    revoke_reason: str | None = None


@dataclass(frozen=True)
class CodeRow:
    """An authorization code, by its hash."""

    code_hash: str
    grant_id: str
    client_id: str
    redirect_uri: str
    nonce: str | None
    code_challenge: str | None
    expires_at: int
    consumed_at: int | None = None


@dataclass(frozen=True)
class AccessTokenRow:
    """An access token, by its hash."""

    token_hash: str
    grant_id: str
    client_id: str
    scope: tuple[str, ...]
    api: str | None
    issued_at: int
    expires_at: int

    @property
    def stands_alone(self) -> bool:
        """It hangs on no grant, and there is no such row: a client's JWT for itself."""
        return self.grant_id == ""


@dataclass(frozen=True)
class RefreshTokenRow:
    """A refresh token, by its hash; `successor_sealed` opens only with the token itself."""

    token_hash: str
    grant_id: str
    predecessor_hash: str | None
    scope: tuple[str, ...]
    issued_at: int
    expires_at: int
    consumed_at: int | None = None
    successor_sealed: str | None = None


def insert_grant(conn: Connection, realm_id: str, row: GrantRow) -> None:
    """Add a grant."""
    values = _values(row)
    conn.execute(insert(grants).values(realm_id=realm_id, **values))


def find_grant(
    conn: Connection, realm_id: str, grant_id: str, *, for_update: bool = False
) -> GrantRow | None:
    """The grant of that id, revoked or not.

    `for_update` keeps others from revoking it until the transaction ends.
    """
    query = select(grants).where(grants.c.realm_id == realm_id, grants.c.grant_id == grant_id)
    if for_update:
        query = query.with_for_update()
    row = conn.execute(query).mappings().first()
    return None if row is None else GrantRow(**_fields(row))


def revoke_grant(conn: Connection, realm_id: str, grant_id: str, now: int, reason: str) -> bool:
    """Stop everything that hangs on a grant; False when it was stopped before."""
    query = update(grants).where(
        grants.c.realm_id == realm_id, grants.c.grant_id == grant_id, grants.c.revoked_at.is_(None)
    )
    return conn.execute(query.values(revoked_at=now, revoke_reason=reason)).rowcount == 1


def revoke_session_grants(
    conn: Connection, realm_id: str, sid: str, now: int, reason: str, *, client_id: str | None = None
) -> int:
    """Stop what was granted in one browser session, to one client or to all; returns how many grants."""
    query = update(grants).where(
        grants.c.realm_id == realm_id, grants.c.sid == sid, grants.c.revoked_at.is_(None)
    )
    if client_id is not None:
        query = query.where(grants.c.client_id == client_id)
    return conn.execute(query.values(revoked_at=now, revoke_reason=reason)).rowcount


def revoke_grants_of_sessions(
    conn: Connection, realm_id: str, sids: Sequence[str], now: int, reason: str
) -> None:
    """Stop what was granted in any of these browser sessions, to whomever."""
    query = update(grants).where(
        grants.c.realm_id == realm_id, grants.c.sid == bindparam("of_sid"), grants.c.revoked_at.is_(None)
    )
    if sids:
        conn.execute(query.values(revoked_at=now, revoke_reason=reason), [{"of_sid": sid} for sid in sids])


def revoke_user_grants(
    conn: Connection, realm_id: str, user_id: str, now: int, reason: str, *, keep: str | None = None
) -> int:
    """Stop everything that was granted in a person's name; returns how many grants.

    Args:
        keep: The `sid` of a session of which what was granted in it goes on.
    """
    query = update(grants).where(
        grants.c.realm_id == realm_id, grants.c.user_id == user_id, grants.c.revoked_at.is_(None)
    )
    if keep is not None:
        query = query.where(or_(grants.c.sid.is_(None), grants.c.sid != keep))
    return conn.execute(query.values(revoked_at=now, revoke_reason=reason)).rowcount


def revoke_user_client_grants(
    conn: Connection, realm_id: str, user_id: str, client_id: str, now: int, reason: str
) -> int:
    """Stop what was granted to a client in a person's name; returns how many grants."""
    query = update(grants).where(
        grants.c.realm_id == realm_id,
        grants.c.user_id == user_id,
        grants.c.client_id == client_id,
        grants.c.revoked_at.is_(None),
    )
    return conn.execute(query.values(revoked_at=now, revoke_reason=reason)).rowcount


def revoke_client_grants(conn: Connection, realm_id: str, client_id: str, now: int, reason: str) -> int:
    """Stop everything that was granted to a client, by whomever; returns how many grants."""
    query = update(grants).where(
        grants.c.realm_id == realm_id, grants.c.client_id == client_id, grants.c.revoked_at.is_(None)
    )
    return conn.execute(query.values(revoked_at=now, revoke_reason=reason)).rowcount


def insert_code(conn: Connection, realm_id: str, row: CodeRow) -> None:
    """Add a code."""
    values = _values(row)
    conn.execute(insert(codes).values(realm_id=realm_id, **values))


def find_code(conn: Connection, realm_id: str, code_hash: str) -> CodeRow | None:
    """The code of that hash, consumed or not."""
    query = select(codes).where(codes.c.realm_id == realm_id, codes.c.code_hash == code_hash)
    row = conn.execute(query).mappings().first()
    return None if row is None else CodeRow(**_fields(row))


def consume_code(conn: Connection, realm_id: str, code_hash: str, now: int) -> bool:
    """Use up a code. True for exactly one caller, whatever races."""
    query = update(codes).where(
        codes.c.realm_id == realm_id, codes.c.code_hash == code_hash, codes.c.consumed_at.is_(None)
    )
    return conn.execute(query.values(consumed_at=now)).rowcount == 1


def insert_access_token(conn: Connection, realm_id: str, row: AccessTokenRow) -> None:
    """Add an access token."""
    values = _values(row)
    conn.execute(insert(access_tokens).values(realm_id=realm_id, **values))


def find_access_token(conn: Connection, realm_id: str, token_hash: str) -> AccessTokenRow | None:
    """The access token of that hash, expired or not."""
    query = select(access_tokens).where(
        access_tokens.c.realm_id == realm_id, access_tokens.c.token_hash == token_hash
    )
    row = conn.execute(query).mappings().first()
    return None if row is None else AccessTokenRow(**_fields(row))


def delete_access_token(conn: Connection, realm_id: str, token_hash: str) -> bool:
    """Make an access token unknown; False when it was so before."""
    query = delete(access_tokens).where(
        access_tokens.c.realm_id == realm_id, access_tokens.c.token_hash == token_hash
    )
    return conn.execute(query).rowcount == 1


def insert_revoked(conn: Connection, realm_id: str, token_hash: str, expires_at: int) -> bool:
    """Stop an access token that has no row of its own; False when it was stopped before.

    Args:
        expires_at: When the token ends by itself.
    """
    row = {"realm_id": realm_id, "token_hash": token_hash, "expires_at": expires_at}
    try:
        with conn.begin_nested():
            conn.execute(insert(revoked_tokens).values(row))
    except IntegrityError:
        return False
    return True


def is_revoked(conn: Connection, realm_id: str, token_hash: str) -> bool:
    """Whether an access token that has no row of its own was revoked."""
    table = revoked_tokens
    query = select(table.c.token_hash).where(table.c.realm_id == realm_id, table.c.token_hash == token_hash)
    return conn.execute(query).first() is not None


def insert_refresh_token(conn: Connection, realm_id: str, row: RefreshTokenRow) -> None:
    """Add a refresh token.

    Raises:
        sqlalchemy.exc.IntegrityError: its predecessor has another successor.
    """
    values = _values(row)
    conn.execute(insert(refresh_tokens).values(realm_id=realm_id, **values))


def find_refresh_token(conn: Connection, realm_id: str, token_hash: str) -> RefreshTokenRow | None:
    """The refresh token of that hash, consumed or not."""
    query = select(refresh_tokens).where(
        refresh_tokens.c.realm_id == realm_id, refresh_tokens.c.token_hash == token_hash
    )
    row = conn.execute(query).mappings().first()
    return None if row is None else RefreshTokenRow(**_fields(row))


def find_successor(conn: Connection, realm_id: str, token_hash: str) -> RefreshTokenRow | None:
    """The refresh token that replaced the one of that hash."""
    query = select(refresh_tokens).where(
        refresh_tokens.c.realm_id == realm_id, refresh_tokens.c.predecessor_hash == token_hash
    )
    row = conn.execute(query).mappings().first()
    return None if row is None else RefreshTokenRow(**_fields(row))


def consume_refresh_token(
    conn: Connection, realm_id: str, token_hash: str, now: int, successor_sealed: str
) -> bool:
    """Use up a refresh token, leaving its sealed successor. True for exactly one caller, whatever races."""
    query = update(refresh_tokens).where(
        refresh_tokens.c.realm_id == realm_id,
        refresh_tokens.c.token_hash == token_hash,
        refresh_tokens.c.consumed_at.is_(None),
    )
    return conn.execute(query.values(consumed_at=now, successor_sealed=successor_sealed)).rowcount == 1


def _values(row: GrantRow | CodeRow | AccessTokenRow | RefreshTokenRow) -> dict[str, Any]:
    return {name: _plain(value) for name, value in vars(row).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: list(entries) for name, entries in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _fields(row: Any) -> dict[str, Any]:
    return {name: _frozen(value) for name, value in row.items() if name != "realm_id"}


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: tuple(entries) for name, entries in value.items()}
    return tuple(value) if isinstance(value, list) else value

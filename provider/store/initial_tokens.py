"""Rows of `initial_tokens`: what lets somebody register clients.

What such a token is good for is `provider.services.registration`.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from provider.store.schema import initial_tokens


class InitialToken(NamedTuple):
    """A token, but for itself; `note` is what its maker wrote down of it."""

    token_id: str
    note: str
    uses_left: int
    created_at: int
    expires_at: int


def insert_initial_token(conn: Connection, realm_id: str, row: InitialToken, token_hash: str) -> None:
    """Add a token."""
    conn.execute(insert(initial_tokens).values(realm_id=realm_id, token_hash=token_hash, **row._asdict()))


def list_initial_tokens(conn: Connection, realm_id: str) -> Sequence[InitialToken]:
    """Every token that is not deleted, used up and expired ones among them, the oldest first."""
    table = initial_tokens
    query = select(*(table.c[name] for name in InitialToken._fields)).where(table.c.realm_id == realm_id)
    return [InitialToken(*row) for row in conn.execute(query.order_by(table.c.created_at, table.c.token_id))]


def delete_initial_token(conn: Connection, realm_id: str, token_id: str) -> bool:
    """Forget a token; False when there is none of that id."""
    table = initial_tokens
    query = delete(table).where(table.c.realm_id == realm_id, table.c.token_id == token_id)
    return conn.execute(query).rowcount == 1


def is_good_initial_token(conn: Connection, realm_id: str, token_hash: str, now: int) -> bool:
    """Whether a token could be used now."""
    query = select(initial_tokens.c.token_id).where(*_good(realm_id, token_hash, now))
    return conn.execute(query).first() is not None


def use_initial_token(conn: Connection, realm_id: str, token_hash: str, now: int) -> str | None:
    """Use a token once, whatever races; its id, or None when it is not good (any more)."""
    table = initial_tokens
    query = update(table).where(*_good(realm_id, token_hash, now)).values(uses_left=table.c.uses_left - 1)
    if conn.execute(query).rowcount != 1:
        return None
    mine = (table.c.realm_id == realm_id, table.c.token_hash == token_hash)
    return str(conn.execute(select(table.c.token_id).where(*mine)).scalar_one())


def _good(realm_id: str, token_hash: str, now: int) -> tuple[ColumnElement[bool], ...]:
    table = initial_tokens
    return (
        table.c.realm_id == realm_id,
        table.c.token_hash == token_hash,
        table.c.uses_left > 0,
        table.c.expires_at > now,
    )

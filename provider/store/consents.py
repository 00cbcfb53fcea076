"""Rows of the `consents` table: what a user agreed to for a client. One row for each (user, client).

When consent has to be asked is `provider.services.interaction`.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, insert, select, update

from provider.store import schema
from provider.store.engine import lock_names


def granted_scopes(conn: Connection, realm_id: str, user_id: str, client_id: str) -> frozenset[str]:
    """The scopes this user agreed to for this client; empty when never asked."""
    table = schema.consents
    scopes = conn.execute(
        select(table.c.scopes).where(
            table.c.realm_id == realm_id, table.c.user_id == user_id, table.c.client_id == client_id
        )
    ).scalar_one_or_none()
    return frozenset(scopes or ())


def add_scopes(
    conn: Connection, realm_id: str, user_id: str, client_id: str, scopes: Iterable[str], now: int
) -> None:
    """Add scopes to what was agreed before. Must run inside a writing transaction."""
    table = schema.consents
    mine = (table.c.realm_id == realm_id, table.c.user_id == user_id, table.c.client_id == client_id)
    # A row that is not there yet cannot be locked.
    lock_names(conn, [f"consent {realm_id} {user_id} {client_id}"])
    before = conn.execute(select(table.c.scopes).where(*mine)).scalar_one_or_none()
    merged = sorted(set(before or ()) | set(scopes))
    if before is None:
        conn.execute(
            insert(table).values(
                realm_id=realm_id, user_id=user_id, client_id=client_id, scopes=merged, granted_at=now
            )
        )
    else:
        conn.execute(update(table).where(*mine).values(scopes=merged, granted_at=now))

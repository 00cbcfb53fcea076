"""Rows of `session_clients`: which clients were given something in which browser session.

Written in the transaction that gives it, which has the session to itself: what ends the session waits for it,
and then finds the client here. Grants are no such list: they are deleted by a clock of their own.
"""

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update

from provider.store.schema import clients, session_clients


def take_part(conn: Connection, realm_id: str, sid: str, client_id: str, expires_at: int) -> None:
    """Note that a client was given something in a session that the transaction has locked.

    Args:
        expires_at: The absolute end of the session.
    """
    table = session_clients
    known = select(table.c.sid).where(
        table.c.realm_id == realm_id, table.c.sid == sid, table.c.client_id == client_id
    )
    if conn.execute(known).first() is None:
        row = {"realm_id": realm_id, "sid": sid, "client_id": client_id, "expires_at": expires_at}
        conn.execute(insert(table).values(row))


def prolong(conn: Connection, realm_id: str, sid: str, expires_at: int) -> None:
    """Keep the clients of a session for as long as it lasts now."""
    table = session_clients
    query = update(table).where(table.c.realm_id == realm_id, table.c.sid == sid)
    conn.execute(query.values(expires_at=expires_at))


def wanting(setting: str, configured: Collection[str]) -> ColumnElement[bool]:
    """Over `session_clients` with the rows of `clients` beside it: whose client has something in a setting.

    Args:
        setting: A text of the settings of a client.
        configured: The ids of those written in the file that have it.
    """
    stored = and_(clients.c.enabled, clients.c.settings[setting].as_string() != "")
    return or_(stored, session_clients.c.client_id.in_(configured))


def beside_clients() -> ColumnElement[bool]:
    """How the rows of `clients` come beside those of `session_clients`."""
    return and_(
        clients.c.realm_id == session_clients.c.realm_id, clients.c.client_id == session_clients.c.client_id
    )


def with_setting(
    conn: Connection, realm_id: str, sid: str, setting: str, configured: Collection[str]
) -> list[str]:
    """The clients of a session that have something in a setting, in the order of their ids."""
    table = session_clients
    query = (
        select(table.c.client_id)
        .outerjoin(clients, beside_clients())
        .where(table.c.realm_id == realm_id, table.c.sid == sid, wanting(setting, configured))
        .order_by(table.c.client_id)
    )
    return list(conn.scalars(query))


def clients_of(conn: Connection, realm_id: str, sid: str) -> list[str]:
    """Every client of a session, in the order of their ids."""
    table = session_clients
    query = select(table.c.client_id).where(table.c.realm_id == realm_id, table.c.sid == sid)
    return list(conn.scalars(query.order_by(table.c.client_id)))

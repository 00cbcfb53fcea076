"""Rows of `user_attributes`: the attributes of people that the provider itself writes.

People of the file, of the database and of a store of one's own have them alike. What is in one is the
business of who writes it (`provider.services.consents`).
"""

from collections.abc import Collection

from sqlalchemy import Connection, delete, insert, select, update

from provider.store.engine import lock_names, to_be_judged
from provider.store.schema import user_attributes


def find_attribute(
    conn: Connection, realm_id: str, user_id: str, name: str, *, to_write: bool = False
) -> str | None:
    """The value, if the person has one; nobody changes it until a transaction that writes has ended.

    `to_write` keeps others who ask so away also where there is none yet.
    """
    if to_write:
        lock_names(conn, [f"attribute {realm_id} {name} {user_id}"])
    table = user_attributes
    mine = (table.c.realm_id == realm_id, table.c.user_id == user_id, table.c.name == name)
    return conn.execute(to_be_judged(conn, select(table.c.value).where(*mine))).scalar_one_or_none()


def find_attributes(conn: Connection, realm_id: str, user_id: str, names: Collection[str]) -> dict[str, str]:
    """Those of these attributes that the person has, by name."""
    table = user_attributes
    query = select(table.c.name, table.c.value).where(
        table.c.realm_id == realm_id, table.c.user_id == user_id, table.c.name.in_(names)
    )
    return {row.name: row.value for row in conn.execute(query)}


def put_attribute(conn: Connection, realm_id: str, user_id: str, name: str, value: str) -> None:
    """Give the person this value; the one before was found `to_write` in the same transaction."""
    table = user_attributes
    mine = (table.c.realm_id == realm_id, table.c.user_id == user_id, table.c.name == name)
    if conn.execute(update(table).where(*mine).values(value=value)).rowcount == 0:
        conn.execute(insert(table).values(realm_id=realm_id, user_id=user_id, name=name, value=value))


def remove_attribute(conn: Connection, realm_id: str, user_id: str, name: str) -> bool:
    """Take the value away; False when there is none."""
    table = user_attributes
    gone = conn.execute(
        delete(table).where(table.c.realm_id == realm_id, table.c.user_id == user_id, table.c.name == name)
    )
    return gone.rowcount == 1

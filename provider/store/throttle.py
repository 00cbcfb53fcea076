"""Rows of the `throttle` table: one counter of failed sign-ins for each scope.

What is counted is `provider.services.throttle`, when somebody has to wait `oidcgate.slowing`.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, insert, select, update

from oidcgate.slowing import Counter
from provider.store import schema
from provider.store.engine import lock_names


def read_for_update(conn: Connection, realm_id: str, keys: Sequence[str]) -> Mapping[str, Counter]:
    """The counters that exist. All of them, also those that do not, are this transaction's until it ends.

    A transaction asks once, for everything it is going to change: two that asked in turns could each wait for
    the other.
    """
    lock_names(conn, [f"throttle {realm_id} {key}" for key in keys])
    table = schema.throttle
    found = conn.execute(
        select(table.c.scope_key, table.c.failures, table.c.charged_at, table.c.blocked_until).where(
            table.c.realm_id == realm_id, table.c.scope_key.in_(keys)
        )
    )
    return {row.scope_key: Counter(row.failures, row.charged_at, row.blocked_until) for row in found}


def write(conn: Connection, realm_id: str, key: str, counter: Counter) -> None:
    """Insert or replace one counter, which `read_for_update` was asked for."""
    table = schema.throttle
    changed = conn.execute(
        update(table)
        .where(table.c.realm_id == realm_id, table.c.scope_key == key)
        .values(**counter._asdict())
    )
    if changed.rowcount == 0:
        conn.execute(insert(table).values(realm_id=realm_id, scope_key=key, **counter._asdict()))


def delete_counters(conn: Connection, realm_id: str, keys: Sequence[str]) -> None:
    """Forget these counters, which `read_for_update` was asked for."""
    table = schema.throttle
    conn.execute(delete(table).where(table.c.realm_id == realm_id, table.c.scope_key.in_(keys)))

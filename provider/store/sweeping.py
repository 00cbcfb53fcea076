"""Deleting rows whose time is over, a few at a time. How long past its end each kind is kept is
`provider.services.housekeeping`.
"""

from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, exists, select, tuple_

from provider.store.schema import (
    access_tokens,
    browser_sessions,
    codes,
    grants,
    interactions,
    refresh_tokens,
    throttle,
)


def _expired(table: Table) -> Callable[[int], ColumnElement[bool]]:
    return lambda before: table.c.expires_at < before


def _quiet(before: int) -> ColumnElement[bool]:
    """Neither charged nor waited on."""
    return and_(throttle.c.charged_at < before, throttle.c.blocked_until < before)


def _over(before: int) -> ColumnElement[bool]:
    """Nothing can be refreshed any more, and no access token hangs on it: checking one reads its grant."""
    tokens = access_tokens.c
    hanging = exists().where(tokens.realm_id == grants.c.realm_id, tokens.grant_id == grants.c.grant_id)
    return and_(grants.c.expires_at < before, ~hanging)


#: What can be swept, and which of its rows had ended before an instant.
ENDED: Final[Mapping[Table, Callable[[int], ColumnElement[bool]]]] = {
    interactions: _expired(interactions),
    browser_sessions: _expired(browser_sessions),
    throttle: _quiet,
    codes: _expired(codes),
    access_tokens: _expired(access_tokens),
    refresh_tokens: _expired(refresh_tokens),
    grants: _over,
}


def sweep(conn: Connection, realm_id: str, table: Table, *, before: int, limit: int) -> int:
    """Delete at most `limit` rows that had ended before `before`; returns how many.

    Rows that somebody else is changing, or sweeping, are left for the next time.
    """
    key = [column for column in table.primary_key.columns if column.name != "realm_id"]
    old = select(*key).where(table.c.realm_id == realm_id, ENDED[table](before)).limit(limit)
    # Two statements: one with a limit inside the other may be run more than once, and delete more.
    found = [tuple(row) for row in conn.execute(old.with_for_update(of=table, skip_locked=True))]
    if found:
        mine = tuple_(*key).in_(found) if len(key) > 1 else key[0].in_([value for (value,) in found])
        conn.execute(delete(table).where(table.c.realm_id == realm_id, mine))
    return len(found)

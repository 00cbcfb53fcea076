"""Deleting rows whose time is over, a few at a time. How long past its end each kind is kept is
`provider.services.housekeeping`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Table, delete, exists, select, tuple_

from provider.store.schema import (
    access_tokens,
    assertions,
    browser_sessions,
    codes,
    device_codes,
    grants,
    initial_tokens,
    interactions,
    logout_notices,
    refresh_tokens,
    revoked_tokens,
    session_clients,
    throttle,
)


def _hanging() -> ColumnElement[bool]:
    """An access token hangs on the grant: checking one reads its grant."""
    tokens = access_tokens.c
    return exists().where(tokens.realm_id == grants.c.realm_id, tokens.grant_id == grants.c.grant_id)


def _told() -> ColumnElement[bool]:
    """Whom to tell of the end of the session is written down."""
    return browser_sessions.c.ended_at.is_(None) | browser_sessions.c.told_at.is_not(None)


def _awaited() -> ColumnElement[bool]:
    """Whom to tell of the end of the session is still to be written down, out of this row."""
    ended, mine = browser_sessions.c, session_clients.c
    return exists().where(ended.realm_id == mine.realm_id, ended.sid == mine.sid, ~_told())


#: What can be swept, and the column that says when a row ended.
ENDED: Final[Mapping[Table, Column[int]]] = {
    interactions: interactions.c.expires_at,
    browser_sessions: browser_sessions.c.expires_at,
    session_clients: session_clients.c.expires_at,
    logout_notices: logout_notices.c.failed_at,
    throttle: throttle.c.charged_at,
    codes: codes.c.expires_at,
    device_codes: device_codes.c.expires_at,
    access_tokens: access_tokens.c.expires_at,
    refresh_tokens: refresh_tokens.c.expires_at,
    grants: grants.c.expires_at,
    assertions: assertions.c.expires_at,
    initial_tokens: initial_tokens.c.expires_at,
    revoked_tokens: revoked_tokens.c.expires_at,
}
#: What may go only when it says so itself.
_DONE: Final[Mapping[Table, Callable[[int], ColumnElement[bool]]]] = {
    throttle: lambda before: throttle.c.blocked_until < before,
    browser_sessions: lambda _before: _told(),
}
#: What may go only when nothing else wants it.
_ALONE: Final[Mapping[Table, Callable[[], ColumnElement[bool]]]] = {
    session_clients: lambda: ~_awaited(),
    grants: lambda: ~_hanging(),
}
#: The end and the key of a row.
Place = tuple[Any, ...]


class Swept(NamedTuple):
    """What a sweep did.

    Attributes:
        deleted: How many rows went.
        more: Whether there may be more.
        place: Where to go on then; None: from the beginning, for all that was looked at is gone.
    """

    deleted: int
    more: bool
    place: Place | None


def sweep(
    conn: Connection, realm_id: str, table: Table, *, before: int, limit: int, after: Place | None = None
) -> Swept:
    """Delete at most `limit` rows that had ended before `before`, the oldest first.

    Rows that somebody else is changing, or sweeping, are left for the next time.

    Args:
        after: The place of the last sweep, so that rows which have to stay hide no others.
    """
    ended = ENDED[table]
    key = [column for column in table.primary_key.columns if column.name != "realm_id"]
    old = select(ended, *key).where(table.c.realm_id == realm_id, ended < before)
    if table in _DONE:
        old = old.where(_DONE[table](before))
    paged = table in _ALONE
    old = old.order_by(ended, *key) if paged else old.order_by(ended)
    if after is not None:
        # The end by itself as well: SQLite finds no pairs by an index.
        old = old.where(ended >= after[0], tuple_(ended, *key) > after)
    # Two statements: one with a limit inside the other may be run more than once, and delete more; and what
    # hangs on a row is looked up for these few, not for a whole table.
    found = [tuple(row) for row in conn.execute(old.limit(limit).with_for_update(skip_locked=True))]
    if not found:
        return Swept(0, False, None)
    query = delete(table).where(table.c.realm_id == realm_id, key[0].in_([row[1] for row in found]))
    if len(key) > 1:
        query = query.where(tuple_(*key).in_([row[1:] for row in found]))
    if paged:
        query = query.where(_ALONE[table]())
    more = len(found) == limit
    return Swept(conn.execute(query).rowcount, more, found[-1] if more and paged else None)

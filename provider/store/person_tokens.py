"""What applications hold in the name of one person, summed up by application. Reads only.

Rows and their changes are `grants` next door; what it means is `provider.services.applications`.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, select

from provider.store.schema import access_tokens, grants, refresh_tokens
from provider.store.statements import BesideIndexes, portions


@dataclass(frozen=True)
class Held:
    """What one client holds.

    Attributes:
        tokens: How many that are good now: access tokens, and refresh tokens that were not replaced.
        last_given_at: When it got the last of them.
    """

    client_id: str
    tokens: int
    last_given_at: int


@dataclass(frozen=True)
class Given:
    """What one client was granted last, and since when it was granted anything that is not over."""

    client_id: str
    scope: tuple[str, ...]
    since: int


def held_of_user(conn: Connection, realm_id: str, user_id: str, now: int) -> dict[str, Held]:
    """What each client holds in a person's name, by client; clients that hold nothing are left out."""
    found: dict[str, Held] = {}
    mine = select(grants.c.grant_id, grants.c.client_id).where(*_of_user(realm_id, user_id))
    client_of = {row.grant_id: row.client_id for row in conn.execute(mine)}
    # Not joined: SQLite would begin with the tokens, and look at everybody's.
    for table, unused in ((access_tokens, ()), (refresh_tokens, (refresh_tokens.c.consumed_at.is_(None),))):
        for grant_ids in portions(list(client_of)):
            query = (
                select(table.c.grant_id, func.count(), func.max(table.c.issued_at))
                .where(
                    table.c.realm_id == realm_id,
                    table.c.grant_id.in_(grant_ids),
                    BesideIndexes(table.c.expires_at) > now,
                    *unused,
                )
                .group_by(table.c.grant_id)
            )
            for grant_id, count, last in conn.execute(query):
                client_id = client_of[grant_id]
                before = found.get(client_id, Held(client_id, 0, 0))
                found[client_id] = Held(client_id, before.tokens + count, max(before.last_given_at, last))
    return found


def given_to_clients(
    conn: Connection, realm_id: str, user_id: str, client_ids: Collection[str]
) -> dict[str, Given]:
    """What each of these clients was granted last in a person's name, by client."""
    found: dict[str, Given] = {}
    for asked in portions(sorted(client_ids)):
        query = (
            select(grants.c.client_id, grants.c.scope, grants.c.created_at)
            .where(*_of_user(realm_id, user_id), grants.c.client_id.in_(asked))
            .order_by(grants.c.created_at)
        )
        for client_id, scope, created_at in conn.execute(query):
            since = found[client_id].since if client_id in found else created_at
            found[client_id] = Given(client_id, tuple(scope), since)
    return found


def clients_of_user(conn: Connection, realm_id: str, user_id: str) -> list[str]:
    """Every client that was granted something in a person's name which nobody has stopped."""
    query = select(grants.c.client_id).where(*_of_user(realm_id, user_id)).distinct()
    return sorted(conn.scalars(query))


def _of_user(realm_id: str, user_id: str) -> tuple[ColumnElement[bool], ...]:
    """What was granted in a person's name and nobody has stopped."""
    return grants.c.realm_id == realm_id, grants.c.user_id == user_id, grants.c.revoked_at.is_(None)

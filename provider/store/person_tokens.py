"""What applications hold in the name of one person, summed up by application. Reads only.

Rows and their changes are `grants` next door; what it means is `provider.services.applications`.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from provider.store.schema import access_tokens, grants, refresh_tokens


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
    for table, unused in ((access_tokens, ()), (refresh_tokens, (refresh_tokens.c.consumed_at.is_(None),))):
        query = (
            select(grants.c.client_id, func.count(), func.max(table.c.issued_at))
            .join(
                table,
                (table.c.realm_id == grants.c.realm_id) & (table.c.grant_id == grants.c.grant_id),
            )
            .where(
                grants.c.realm_id == realm_id,
                grants.c.user_id == user_id,
                grants.c.revoked_at.is_(None),
                table.c.expires_at > now,
                *unused,
            )
            .group_by(grants.c.client_id)
        )
        for client_id, count, last in conn.execute(query):
            before = found.get(client_id, Held(client_id, 0, 0))
            found[client_id] = Held(client_id, before.tokens + count, max(before.last_given_at, last))
    return found


def given_to_clients(
    conn: Connection, realm_id: str, user_id: str, client_ids: Collection[str]
) -> dict[str, Given]:
    """What each of these clients was granted last in a person's name, by client."""
    found: dict[str, Given] = {}
    for client_id in sorted(client_ids):
        mine = (
            grants.c.realm_id == realm_id,
            grants.c.user_id == user_id,
            grants.c.client_id == client_id,
            grants.c.revoked_at.is_(None),
        )
        latest = select(grants.c.scope).where(*mine).order_by(grants.c.created_at.desc()).limit(1)
        scope = conn.execute(latest).scalar_one_or_none()
        since = conn.execute(select(func.min(grants.c.created_at)).where(*mine)).scalar_one()
        if scope is not None:
            found[client_id] = Given(client_id, tuple(scope), since)
    return found


def clients_of_user(conn: Connection, realm_id: str, user_id: str) -> list[str]:
    """Every client that was granted something in a person's name which nobody has stopped."""
    query = (
        select(grants.c.client_id)
        .where(grants.c.realm_id == realm_id, grants.c.user_id == user_id, grants.c.revoked_at.is_(None))
        .distinct()
    )
    return sorted(conn.scalars(query))

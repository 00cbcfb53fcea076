"""Rows of the `interactions` table: requests that wait for a person, bound to one browser.

A row holds the request as it was accepted, so that what is judged after the pages is what was judged before
them: no form carries a copy. The identifier in the URL is random and only its hash is stored; it is worth
nothing without the browser cookie the row is bound to. What happens with a row is
`provider.services.authorization`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from provider.store import schema

#: `browser_hash` of a row stored by a cross-site POST, without cookies of ours: the first browser takes it.
UNCLAIMED = ""


@dataclass(frozen=True)
class Interaction:
    """One stored request.

    Attributes:
        request: The accepted request: {"kind": …, "parameters": [[name, value], …], "signed": …}.
        state: What the person did so far (see `provider.services.authorization`).
    """

    id_hash: str
    browser_hash: str
    client_id: str
    redirect_uri: str
    request: Mapping[str, Any]
    state: Mapping[str, Any]
    created_at: int
    expires_at: int
    finished_at: int | None


def add(conn: Connection, realm_id: str, interaction: Interaction) -> None:
    """Store a new interaction."""
    conn.execute(insert(schema.interactions).values(realm_id=realm_id, **vars(interaction)))


def find(conn: Connection, realm_id: str, id_hash: str) -> Interaction | None:
    """The row of this identifier, finished and expired ones included."""
    table = schema.interactions
    row = conn.execute(
        select(table).where(table.c.realm_id == realm_id, table.c.id_hash == id_hash)
    ).one_or_none()
    if row is None:
        return None
    return Interaction(
        id_hash=row.id_hash,
        browser_hash=row.browser_hash,
        client_id=row.client_id,
        redirect_uri=row.redirect_uri,
        request=row.request,
        state=row.state,
        created_at=row.created_at,
        expires_at=row.expires_at,
        finished_at=row.finished_at,
    )


def claim(conn: Connection, realm_id: str, id_hash: str, browser_hash: str) -> bool:
    """Bind an unclaimed row to a browser; exactly one browser gets True."""
    table = schema.interactions
    changed = conn.execute(
        update(table)
        .where(table.c.realm_id == realm_id, table.c.id_hash == id_hash, table.c.browser_hash == UNCLAIMED)
        .values(browser_hash=browser_hash)
    )
    return changed.rowcount == 1


def set_state(conn: Connection, realm_id: str, id_hash: str, state: Mapping[str, Any]) -> bool:
    """Replace the state of an unfinished row. Returns False when it was finished meanwhile."""
    table = schema.interactions
    changed = conn.execute(
        update(table)
        .where(table.c.realm_id == realm_id, table.c.id_hash == id_hash, table.c.finished_at.is_(None))
        .values(state=dict(state))
    )
    return changed.rowcount == 1


def finish(conn: Connection, realm_id: str, id_hash: str, now: int) -> bool:
    """Close a row. Exactly one caller gets True, and only that one may answer the client with a code."""
    table = schema.interactions
    changed = conn.execute(
        update(table)
        .where(table.c.realm_id == realm_id, table.c.id_hash == id_hash, table.c.finished_at.is_(None))
        .values(finished_at=now)
    )
    return changed.rowcount == 1

"""Rows of `subject_secrets`: one for each realm, sealed. What it is for is `provider.services.subjects`."""

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from provider.store.schema import subject_secrets


def find(conn: Connection, realm_id: str) -> str | None:
    """The sealed secret of a realm."""
    table = subject_secrets
    return conn.scalar(select(table.c.sealed_secret).where(table.c.realm_id == realm_id))


def add(conn: Connection, realm_id: str, sealed_secret: str, now: int) -> bool:
    """Write the secret of a realm down. Returns False when it has one: it is never replaced by another."""
    row = {"realm_id": realm_id, "sealed_secret": sealed_secret, "created_at": now}
    try:
        with conn.begin_nested():
            conn.execute(insert(subject_secrets).values(row))
    except IntegrityError:
        return False
    return True


def reseal(conn: Connection, realm_id: str, before: str, after: str) -> bool:
    """Keep the same secret sealed otherwise. Returns False when somebody else has done so."""
    table = subject_secrets
    query = update(table).where(table.c.realm_id == realm_id, table.c.sealed_secret == before)
    return conn.execute(query.values(sealed_secret=after)).rowcount == 1

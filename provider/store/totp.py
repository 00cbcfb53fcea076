"""Rows of the `totp` table: the authenticator of a person, one at most.

Secrets are sealed. What a code is and when it is right is `provider.factors.totp`.
"""

from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from provider.store import schema


class Totp(NamedTuple):
    """One authenticator; `last_step` is that of the last code that was accepted."""

    user_id: str
    sealed_secret: str
    last_step: int
    enrolled_at: int


def find(conn: Connection, realm_id: str, user_id: str) -> Totp | None:
    """The authenticator of that person."""
    table = schema.totp
    row = conn.execute(
        select(table.c.user_id, table.c.sealed_secret, table.c.last_step, table.c.enrolled_at).where(
            table.c.realm_id == realm_id, table.c.user_id == user_id
        )
    ).one_or_none()
    return None if row is None else Totp(*row)


def add(conn: Connection, realm_id: str, totp: Totp) -> bool:
    """Store a new authenticator. Returns False when the person has one, which stays as it is."""
    try:
        with conn.begin_nested():
            conn.execute(insert(schema.totp).values(realm_id=realm_id, **totp._asdict()))
    except IntegrityError:
        return False
    return True


def replace(conn: Connection, realm_id: str, totp: Totp, enrolled_at: int) -> bool:
    """Store an authenticator in place of the one that was set up at that instant. Returns False when that one
    is not there any more.
    """
    table = schema.totp
    changed = conn.execute(
        update(table)
        .where(
            table.c.realm_id == realm_id,
            table.c.user_id == totp.user_id,
            table.c.enrolled_at == enrolled_at,
        )
        .values(**totp._asdict())
    )
    return changed.rowcount == 1


def accept(conn: Connection, realm_id: str, user_id: str, step: int, sealed_secret: str) -> bool:
    """Use up the code of a step, and with it all earlier ones; True for one caller, whatever races.

    Args:
        sealed_secret: The secret sealed anew, so that an older key can be dropped some day.
    """
    table = schema.totp
    changed = conn.execute(
        update(table)
        .where(table.c.realm_id == realm_id, table.c.user_id == user_id, table.c.last_step < step)
        .values(last_step=step, sealed_secret=sealed_secret)
    )
    return changed.rowcount == 1


def remove(conn: Connection, realm_id: str, user_id: str) -> bool:
    """Forget the authenticator of a person; False when there is none."""
    table = schema.totp
    return (
        conn.execute(delete(table).where(table.c.realm_id == realm_id, table.c.user_id == user_id)).rowcount
        == 1
    )

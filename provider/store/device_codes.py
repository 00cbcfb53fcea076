"""Rows of `device_codes`: what a device asked for, the code that a person types for it, and their answer.

The device's own code is looked up by its SHA-256. Each answer is one conditional UPDATE, so whoever is first
has given it. When a code may be typed, asked about or redeemed is `provider.services.devices`.
"""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from provider.store.engine import lock_names
from provider.store.schema import device_codes


@dataclass(frozen=True)
class DeviceCode:
    """What one device asked for.

    Attributes:
        user_code: Without the dash.
        interval_seconds: How long the device has to wait between two questions.
        polled_at: When it last asked.
        decided_at: When somebody answered; `grant_id` is None where the answer was no.
    """

    device_hash: str
    user_code: str = field(repr=False)
    client_id: str
    scope: tuple[str, ...]
    api: str | None
    interval_seconds: int
    created_at: int
    expires_at: int
    polled_at: int | None = None
    decided_at: int | None = None
    grant_id: str | None = None
    consumed_at: int | None = None


def lock_starts(conn: Connection, realm_id: str) -> None:
    """Be the only one who adds rows to this realm until the transaction ends."""
    lock_names(conn, [f"device_codes {realm_id}"])


def count_waiting(conn: Connection, realm_id: str, client_id: str, now: int) -> int:
    """How many codes of a client wait for an answer and have not ended."""
    table = device_codes
    query = select(func.count()).where(
        table.c.realm_id == realm_id,
        table.c.client_id == client_id,
        table.c.expires_at > now,
        table.c.decided_at.is_(None),
    )
    return int(conn.execute(query).scalar_one())


def add(conn: Connection, realm_id: str, row: DeviceCode) -> None:
    """Add a row.

    Raises:
        sqlalchemy.exc.IntegrityError: its user code is there already.
    """
    values = {**vars(row), "scope": list(row.scope)}
    conn.execute(insert(device_codes).values(realm_id=realm_id, **values))


def find(conn: Connection, realm_id: str, device_hash: str, *, for_update: bool = False) -> DeviceCode | None:
    """The row of a device's own code, whatever became of it.

    `for_update` keeps others from changing it until the transaction ends.
    """
    table = device_codes
    query = select(table).where(table.c.realm_id == realm_id, table.c.device_hash == device_hash)
    if for_update:
        query = query.with_for_update()
    return _row(conn.execute(query).mappings().first())


def find_typed(conn: Connection, realm_id: str, user_code: str) -> DeviceCode | None:
    """The row of a code that people type, whatever became of it."""
    table = device_codes
    query = select(table).where(table.c.realm_id == realm_id, table.c.user_code == user_code)
    return _row(conn.execute(query).mappings().first())


def decide(conn: Connection, realm_id: str, device_hash: str, grant_id: str | None, now: int) -> bool:
    """Note the answer; without a grant it is no. True for exactly one caller, and none after the end."""
    table = device_codes
    query = update(table).where(
        table.c.realm_id == realm_id,
        table.c.device_hash == device_hash,
        table.c.decided_at.is_(None),
        table.c.expires_at > now,
    )
    return conn.execute(query.values(decided_at=now, grant_id=grant_id)).rowcount == 1


def note_poll(conn: Connection, realm_id: str, device_hash: str, interval_seconds: int, now: int) -> None:
    """Note when the device asked, and how long it has to wait from now on."""
    table = device_codes
    query = update(table).where(table.c.realm_id == realm_id, table.c.device_hash == device_hash)
    conn.execute(query.values(polled_at=now, interval_seconds=interval_seconds))


def consume(conn: Connection, realm_id: str, device_hash: str, now: int) -> bool:
    """Use up a code that was approved. True for exactly one caller, whatever races."""
    table = device_codes
    query = update(table).where(
        table.c.realm_id == realm_id,
        table.c.device_hash == device_hash,
        table.c.grant_id.is_not(None),
        table.c.consumed_at.is_(None),
    )
    return conn.execute(query.values(consumed_at=now)).rowcount == 1


def delete_device_codes_of(conn: Connection, realm_id: str, client_id: str) -> None:
    """Forget whatever devices of a client asked for."""
    table = device_codes
    conn.execute(delete(table).where(table.c.realm_id == realm_id, table.c.client_id == client_id))


def _row(found: Any) -> DeviceCode | None:
    if found is None:
        return None
    values = {name: value for name, value in found.items() if name != "realm_id"}
    return DeviceCode(**{**values, "scope": tuple(values["scope"])})

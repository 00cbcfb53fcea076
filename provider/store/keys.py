"""Rows of `keys`. What a state means, and when it changes, is `provider.services.keyring`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert, select, update

from provider.store.engine import lock_names
from provider.store.schema import keys


@dataclass(frozen=True)
class KeyRow:
    """A signing key.

    Attributes:
        state: next (published, does not sign yet), current (signs) or retired (published until
            `published_until`).
        sealed_private: the private part, sealed under the provider's secret; None once retired.
    """

    kid: str
    use: str
    alg: str
    state: str
    not_before: int
    published_until: int | None
    sealed_private: str | None = field(repr=False)
    public_jwk: Mapping[str, Any]
    created_at: int


def list_keys(conn: Connection, realm_id: str, *, for_update: bool = False) -> list[KeyRow]:
    """Every key of the realm, in the order in which they sign.

    `for_update` keeps others who ask so from changing or adding keys until the transaction ends.
    """
    if for_update:
        lock_names(conn, [f"keys {realm_id}"])
    query = select(keys).where(keys.c.realm_id == realm_id).order_by(keys.c.not_before, keys.c.kid)
    return [
        KeyRow(
            kid=row.kid,
            use=row.use,
            alg=row.alg,
            state=row.state,
            not_before=row.not_before,
            published_until=row.published_until,
            sealed_private=row.sealed_private,
            public_jwk=row.public_jwk,
            created_at=row.created_at,
        )
        for row in conn.execute(query)
    ]


def insert_key(conn: Connection, realm_id: str, row: KeyRow) -> None:
    """Add a key.

    Raises:
        sqlalchemy.exc.IntegrityError: there is one of that state already.
    """
    conn.execute(
        insert(keys).values(
            realm_id=realm_id,
            kid=row.kid,
            use=row.use,
            alg=row.alg,
            state=row.state,
            not_before=row.not_before,
            published_until=row.published_until,
            sealed_private=row.sealed_private,
            public_jwk=dict(row.public_jwk),
            created_at=row.created_at,
        )
    )


def retire_key(conn: Connection, realm_id: str, kid: str, published_until: int) -> None:
    """Stop a current key from signing: the public part stays until `published_until`, the private goes."""
    query = update(keys).where(keys.c.realm_id == realm_id, keys.c.kid == kid, keys.c.state == "current")
    conn.execute(query.values(state="retired", published_until=published_until, sealed_private=None))


def promote_key(conn: Connection, realm_id: str, kid: str) -> None:
    """Make the next key the one that signs."""
    query = update(keys).where(keys.c.realm_id == realm_id, keys.c.kid == kid, keys.c.state == "next")
    conn.execute(query.values(state="current"))

"""Rows of `keys`. What a state means, and when it changes, is `provider.services.keyring`.

Of those that open what was encrypted to them it is `provider.services.encryption_keys`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, or_, select, update

from provider.store.engine import lock_names
from provider.store.schema import keys


@dataclass(frozen=True)
class KeyRow:
    """A key that signs, or one that opens what was encrypted to it.

    Attributes:
        use: `sig` or `enc`.
        state: next (published, does not sign yet), current (signs, or is encrypted to) or retired (published,
            or still opens, until `published_until`).
        sealed_private: the private part, sealed under the provider's secret; None once it stopped to sign.
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


def list_keys(conn: Connection, realm_id: str, use: str = "sig", *, for_update: bool = False) -> list[KeyRow]:
    """Every key of the realm that signs (`enc`: that opens), in the order in which they begin to.

    `for_update` keeps others who ask so from changing or adding keys until the transaction ends.
    """
    if for_update:
        lock_names(conn, [f"keys {realm_id}"])
    query = select(keys).where(keys.c.realm_id == realm_id, keys.c.use == use)
    return [_key_row(row) for row in conn.execute(query.order_by(keys.c.not_before, keys.c.kid))]


def list_signing_keys(conn: Connection, realm_id: str, alg: str) -> list[KeyRow]:
    """The current and the next key of one algorithm: at most two rows, found by their index."""
    query = select(keys).where(
        keys.c.realm_id == realm_id, keys.c.use == "sig", keys.c.alg == alg, keys.c.state != "retired"
    )
    return [_key_row(row) for row in conn.execute(query)]


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


def delete_key(conn: Connection, realm_id: str, kid: str) -> None:
    """Forget a key: one that never signed, or whose tokens ended long ago."""
    conn.execute(delete(keys).where(keys.c.realm_id == realm_id, keys.c.kid == kid))


def delete_retired_keys(conn: Connection, realm_id: str, before: int) -> None:
    """Forget the keys that were published until before then."""
    query = delete(keys).where(keys.c.realm_id == realm_id, keys.c.state == "retired")
    conn.execute(query.where(keys.c.published_until < before))


def replace_public_jwk(conn: Connection, realm_id: str, kid: str, public_jwk: Mapping[str, Any]) -> None:
    """Publish a key otherwise: it got another certificate."""
    query = update(keys).where(keys.c.realm_id == realm_id, keys.c.kid == kid)
    conn.execute(query.values(public_jwk=dict(public_jwk)))


def claim_telling(conn: Connection, realm_id: str, kid: str, now: int, told_before: int) -> bool:
    """Note that the operator is told of this key's certificate now; whether it is for the caller to tell.

    It is when nobody told since `told_before`: of any number that ask at once, one is let.
    """
    query = update(keys).where(keys.c.realm_id == realm_id, keys.c.kid == kid)
    free = or_(keys.c.told_at.is_(None), keys.c.told_at < told_before)
    return conn.execute(query.where(free).values(told_at=now)).rowcount == 1


def retire_key(
    conn: Connection, realm_id: str, kid: str, published_until: int, *, keep_private: bool = False
) -> None:
    """Stop a current key: it stays until `published_until`, without its private part if that is not kept."""
    query = update(keys).where(keys.c.realm_id == realm_id, keys.c.kid == kid, keys.c.state == "current")
    gone: dict[str, None] = {} if keep_private else {"sealed_private": None}
    conn.execute(query.values(state="retired", published_until=published_until, **gone))


def promote_key(conn: Connection, realm_id: str, kid: str, not_before: int) -> None:
    """Make the next key the one that signs, from `not_before` on."""
    query = update(keys).where(keys.c.realm_id == realm_id, keys.c.kid == kid, keys.c.state == "next")
    conn.execute(query.values(state="current", not_before=not_before))


def _key_row(row: Row[Any]) -> KeyRow:
    return KeyRow(
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

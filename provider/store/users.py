"""Rows of `users`. People written in `provider.toml` are not here: `provider.services.users` joins both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from provider.store.engine import to_be_judged
from provider.store.schema import users


@dataclass(frozen=True)
class User:
    """A person.

    Attributes:
        user_id: the `sub`; never given to another person.
        user_name: the name to sign in with, and `preferred_username`.
        attributes: values as they are kept; by property as `provider.services.people` gives them.
        read_only: the person is written in `provider.toml`.
    """

    user_id: str
    user_name: str
    user_name_key: str
    password_hash: str | None = field(repr=False)
    active: bool
    attributes: Mapping[str, Any] = field(repr=False)
    created_at: int
    read_only: bool = False


def find_user(conn: Connection, realm_id: str, user_id: str) -> User | None:
    """The person of that `sub`, active or not."""
    row = conn.execute(select(users).where(users.c.realm_id == realm_id, users.c.user_id == user_id)).first()
    return None if row is None else _user(row)


def find_user_by_name(conn: Connection, realm_id: str, user_name_key: str) -> User | None:
    """The person of that folded name (`provider.user_settings.fold_user_name`), active or not."""
    query = select(users).where(users.c.realm_id == realm_id, users.c.user_name_key == user_name_key)
    row = conn.execute(query).first()
    return None if row is None else _user(row)


def lock_user(conn: Connection, realm_id: str, user_id: str) -> None:
    """Keep others from changing the row of that `sub`, if there is one, until this transaction ends."""
    query = select(users.c.user_id).where(users.c.realm_id == realm_id, users.c.user_id == user_id)
    conn.execute(to_be_judged(conn, query))


def list_users(conn: Connection, realm_id: str, *, after: str = "", limit: int = 1000) -> list[User]:
    """People in the order of their folded names, at most `limit`, from the one following `after`."""
    query = select(users).where(users.c.realm_id == realm_id, users.c.user_name_key > after)
    return [_user(row) for row in conn.execute(query.order_by(users.c.user_name_key).limit(limit))]


def count_users(conn: Connection, realm_id: str) -> int:
    """How many people there are."""
    return conn.execute(select(func.count()).where(users.c.realm_id == realm_id)).scalar_one()


def existing_users(
    conn: Connection, realm_id: str, user_ids: Sequence[str], user_name_keys: Sequence[str]
) -> tuple[set[str], set[str]]:
    """Those of the given ids, and of the given folded names, that have a row."""
    in_realm = users.c.realm_id == realm_id
    by_id = conn.scalars(select(users.c.user_id).where(in_realm, users.c.user_id.in_(user_ids)))
    by_name = conn.scalars(
        select(users.c.user_name_key).where(in_realm, users.c.user_name_key.in_(user_name_keys))
    )
    return set(by_id), set(by_name)


def insert_user(conn: Connection, realm_id: str, user: User) -> None:
    """Add a person.

    Raises:
        sqlalchemy.exc.IntegrityError: the id or the name is taken.
    """
    conn.execute(
        insert(users).values(
            realm_id=realm_id,
            user_id=user.user_id,
            user_name=user.user_name,
            user_name_key=user.user_name_key,
            password_hash=user.password_hash,
            active=user.active,
            attributes=dict(user.attributes),
            created_at=user.created_at,
        )
    )


def set_user_active(conn: Connection, realm_id: str, user_id: str, active: bool) -> bool:
    """Let a person sign in or not; False when there is none of that id."""
    query = update(users).where(users.c.realm_id == realm_id, users.c.user_id == user_id)
    return conn.execute(query.values(active=active)).rowcount == 1


def set_password_hash(conn: Connection, realm_id: str, user_id: str, password_hash: str) -> bool:
    """Replace the stored password; False when there is nobody of that id."""
    query = update(users).where(users.c.realm_id == realm_id, users.c.user_id == user_id)
    return conn.execute(query.values(password_hash=password_hash)).rowcount == 1


def _user(row: Row[tuple[object, ...]]) -> User:
    return User(
        user_id=row.user_id,
        user_name=row.user_name,
        user_name_key=row.user_name_key,
        password_hash=row.password_hash,
        active=row.active,
        attributes=row.attributes,
        created_at=row.created_at,
    )

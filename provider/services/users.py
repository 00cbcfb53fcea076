"""The people of a realm: those written in `provider.toml` and those in the database, as one.

The written ones are read-only; a name or id in both is refused at start and when somebody is added. Checking
a password is `provider.services.passwords`; the rows are `provider.store.users`. `UserStore` is what another
store of people has to offer.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from oidcgate.settings import Problem, SettingsError
from provider.config import ProviderSettings
from provider.property_settings import attribute_problems
from provider.realm import Realm, realms_of
from provider.services.clients import ReadOnlyObject, UnknownObject
from provider.services.logout import end_everything
from provider.store import totp
from provider.store.users import (
    User,
    count_users,
    existing_users,
    find_user,
    find_user_by_name,
    insert_user,
    list_users,
    set_password_hash,
    set_user_active,
)
from provider.user_settings import UserSettings, fold_user_name, user_name_problem


class UserStore(Protocol):
    """Where the provider finds people: the two questions that signing in and checking a token ask."""

    def find(self, conn: Connection, realm: Realm, user_id: str) -> User | None:
        """The person of that `sub`, active or not: the caller looks at `active`."""

    def find_by_name(self, conn: Connection, realm: Realm, name: str) -> User | None:
        """The person of that name in any spelling, active or not."""


@runtime_checkable
class PasswordStore(Protocol):
    """A store of people that also keeps the password that somebody chooses on their account page.

    In another store people look, and change their password where it is kept.
    """

    def keeps_password_of(self, realm: Realm, user: User) -> bool:
        """Whether it can be changed here for this person, who was found in this store."""

    def keep_password(self, conn: Connection, realm: Realm, user: User, password_hash: str) -> None:
        """Replace the password. Sessions and tokens are the caller's."""


@dataclass(frozen=True)
class Users:
    """Every person, by realm.

    Attributes:
        by_id: realm id -> `sub` -> person, for those written in the file.
        by_name: realm id -> folded name -> person, the same people.
    """

    by_id: Mapping[str, Mapping[str, User]]
    by_name: Mapping[str, Mapping[str, User]]

    @classmethod
    def from_settings(cls, settings: ProviderSettings) -> "Users":
        """Those written in the file; what is in the database is read when asked for."""
        by_id = {
            realm.id: {user.user_id: user for user in (_configured(realm, u) for u in realm.settings.users)}
            for realm in realms_of(settings)
        }
        by_name = {
            realm_id: {u.user_name_key: u for u in people.values()} for realm_id, people in by_id.items()
        }
        return cls(by_id, by_name)

    def find(self, conn: Connection, realm: Realm, user_id: str) -> User | None:
        """The person of that `sub`, active or not: the caller looks at `active`."""
        return self.by_id[realm.id].get(user_id) or find_user(conn, realm.id, user_id)

    def find_by_name(self, conn: Connection, realm: Realm, name: str) -> User | None:
        """The person of that name in any spelling, active or not."""
        if user_name_problem(name) is not None:
            return None
        key = fold_user_name(name)
        return self.by_name[realm.id].get(key) or find_user_by_name(conn, realm.id, key)

    def list(self, conn: Connection, realm: Realm) -> Iterable[User]:
        """The written ones, then those of the database, each in the order of their names."""
        yield from sorted(self.by_id[realm.id].values(), key=lambda user: user.user_name_key)
        after = ""
        while page := list_users(conn, realm.id, after=after):
            yield from page
            after = page[-1].user_name_key

    def count(self, conn: Connection, realm: Realm) -> int:
        """How many there are, active or not."""
        return len(self.by_id[realm.id]) + count_users(conn, realm.id)

    def add(
        self,
        conn: Connection,
        realm: Realm,
        name: str,
        password_hash: str | None,
        attributes: Mapping[str, Any],
        now: int,
    ) -> User:
        """Add a person to the database, under a new `sub`.

        Raises:
            SettingsError: the name or an attribute is wrong, or the name is taken.
        """
        problems = []
        wrong = user_name_problem(name)
        if wrong:
            problems.append(Problem("user_name", name, wrong, "choose another"))
        problems += attribute_problems(realm.settings.all_properties, attributes)
        problems += realm.settings.membership_problems(attributes)
        taken = Problem("user_name", name, "is taken by another person", "choose another")
        user = User(str(uuid.uuid4()), name, fold_user_name(name), password_hash, True, dict(attributes), now)
        if user.user_name_key in self.by_name[realm.id]:
            problems.append(taken)
        if problems:
            raise SettingsError(problems)
        try:
            insert_user(conn, realm.id, user)
        except IntegrityError:
            raise SettingsError([taken]) from None
        return user

    def set_active(self, conn: Connection, realm: Realm, name: str, active: bool, now: int) -> User:
        """Let a person of the database sign in or not; returns who that is.

        Switching off ends sessions and tokens for good: switching on again brings none of them back.

        Raises:
            ReadOnlyObject: the person is written in the file.
            UnknownObject: there is nobody of that name.
        """
        user = self._changeable(conn, realm, name, "set `active` there")
        set_user_active(conn, realm.id, user.user_id, active)
        if not active:
            end_everything(conn, realm, user.user_id, now, "user_disabled")
        return user

    def set_password_hash(
        self, conn: Connection, realm: Realm, name: str, password_hash: str, now: int
    ) -> User:
        """Replace the password of a person of the database; returns who that is.

        Whoever knew the old one may be signed in with it, so sessions and tokens end.

        Raises:
            ReadOnlyObject: the person is written in the file.
            UnknownObject: there is nobody of that name.
        """
        user = self._changeable(conn, realm, name, "write `password_hash` there")
        set_password_hash(conn, realm.id, user.user_id, password_hash)
        end_everything(conn, realm, user.user_id, now, "password_changed")
        return user

    def keeps_password_of(self, _realm: Realm, user: User) -> bool:
        """Those of the file are read-only."""
        return not user.read_only

    def keep_password(self, conn: Connection, realm: Realm, user: User, password_hash: str) -> None:
        """Replace the password of a person of the database."""
        set_password_hash(conn, realm.id, user.user_id, password_hash)

    @staticmethod
    def remove_second_factor(conn: Connection, realm: Realm, user_id: str, now: int) -> bool:
        """Forget a person's authenticator, whoever keeps the rest of them; False when there was none.

        It may be in other hands, so sessions and tokens end.
        """
        if not totp.remove(conn, realm.id, user_id):
            return False
        end_everything(conn, realm, user_id, now, "second_factor_removed")
        return True

    def collisions(self, conn: Connection, realm: Realm) -> Iterable[Problem]:
        """Names and ids that are both in the file and in the database."""
        ids, names = existing_users(conn, realm.id, list(self.by_id[realm.id]), list(self.by_name[realm.id]))
        for value in sorted(ids | names):
            yield Problem(
                "users", value, "is also in the database",
                "rename or remove the person in the file: two people cannot have one name or id",
            )  # fmt: skip

    def _changeable(self, conn: Connection, realm: Realm, name: str, fix: str) -> User:
        user = self.known(conn, realm, name)
        if user.read_only:
            raise ReadOnlyObject(f"user {user.user_name} is written in the configuration: {fix}")
        return user

    def known(self, conn: Connection, realm: Realm, name: str) -> User:
        """The person of that name in any spelling, active or not.

        Raises:
            UnknownObject: there is nobody of that name.
        """
        user = self.find_by_name(conn, realm, name)
        if user is None:
            raise UnknownObject(f"there is no user {name!r} in realm {realm.id}")
        return user


def _configured(realm: Realm, settings: UserSettings) -> User:
    key = fold_user_name(settings.user_name)
    # Derived, so that the file need not carry it: the same at each start and on each host.
    user_id = settings.user_id or str(uuid.uuid5(uuid.NAMESPACE_URL, f"{realm.issuer}#user={key}"))
    return User(
        user_id=user_id,
        user_name=settings.user_name,
        user_name_key=key,
        password_hash=None if settings.password_hash is None else settings.password_hash.reveal(),
        active=settings.active,
        attributes=settings.all_attributes(),
        created_at=0,
        read_only=True,
    )

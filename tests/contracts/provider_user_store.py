"""What every store of people promises the provider (`provider.services.users.UserStore`)."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection

from provider.realm import Realm
from provider.services.users import UserStore


class UserStoreContract:
    """A store that holds Alice (active, `user_name` "alice", groups) and Carol (inactive), and nobody else.

    A test class inherits this and gives `opened` and `sub_of`.
    """

    @contextmanager
    def opened(self) -> Iterator[tuple[UserStore, Connection, Realm]]:
        """The store, a connection to the provider's database, and the realm."""
        raise NotImplementedError
        yield  # pragma: no cover

    def sub_of(self, name: str) -> str:
        """The `sub` under which the store holds a person."""
        raise NotImplementedError

    @pytest.mark.row("S-60")
    @pytest.mark.parametrize("typed", ["alice", "ALICE", "Alice"])
    def test_a_person_is_found_by_any_spelling_of_the_name(self, typed: str) -> None:
        with self.opened() as (store, conn, realm):
            user = store.find_by_name(conn, realm, typed)
            assert user is not None
            assert (user.user_name, user.active) == ("alice", True)
            assert user.attributes["email"] == "alice@id.example"

    @pytest.mark.row("S-60")
    def test_a_person_is_found_by_sub_and_is_the_same(self) -> None:
        with self.opened() as (store, conn, realm):
            user = store.find(conn, realm, self.sub_of("alice"))
            assert user is not None
            assert user == store.find_by_name(conn, realm, "alice")

    @pytest.mark.row("S-60")
    def test_somebody_switched_off_is_found_and_says_so(self) -> None:
        with self.opened() as (store, conn, realm):
            user = store.find(conn, realm, self.sub_of("carol"))
            assert user is not None
            assert not user.active

    @pytest.mark.row("S-60")
    @pytest.mark.parametrize("typed", ["", "nobody", "alice ", "ali\0ce", "a" * 10_000, "' OR 1=1 --"])
    def test_others_are_nobody(self, typed: str) -> None:
        with self.opened() as (store, conn, realm):
            assert store.find_by_name(conn, realm, typed) is None
            assert store.find(conn, realm, typed) is None

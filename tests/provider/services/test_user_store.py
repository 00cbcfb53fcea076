"""The stores of people: file, database, and one of somebody's own that the whole provider runs on."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection

from oidcgate import settings
from oidcgate.net.wsgi import WSGIAdapter
from provider import Provider
from provider.config import ProviderSettings
from provider.realm import Realm
from provider.services.users import UserStore
from provider.store.users import User
from provider.user_settings import fold_user_name
from tests.contracts.provider_user_store import UserStoreContract
from tests.provider.world import ALICE_HASH, config
from tests.support.user_agent import UserAgent

SUBS = {"alice": str(uuid.UUID(int=1)), "carol": str(uuid.UUID(int=2))}


class TestFile(UserStoreContract):
    @pytest.fixture(autouse=True)
    def written(self, tmp_path: Path) -> None:
        people = [
            {"user_name": "alice", "user_id": SUBS["alice"], "email": "alice@id.example"},
            {"user_name": "carol", "user_id": SUBS["carol"], "active": False},
        ]
        parsed = settings.parse(ProviderSettings, config(tmp_path / "provider.db", users=people))
        self.parts = Provider.from_settings(parsed).parts

    @contextmanager
    def opened(self) -> Iterator[tuple[UserStore, Connection, Realm]]:
        with self.parts.store.read() as conn:
            yield self.parts.users, conn, self.parts.realms[0]

    def sub_of(self, name: str) -> str:
        return SUBS[name]


class TestDatabase(UserStoreContract):
    @pytest.fixture(autouse=True)
    def added(self, tmp_path: Path) -> None:
        parsed = settings.parse(ProviderSettings, config(tmp_path / "provider.db", users=[]))
        self.parts = Provider.from_settings(parsed).parts
        realm = self.parts.realms[0]
        with self.parts.store.begin() as conn:
            alice = self.parts.users.add(conn, realm, "alice", None, {"email": "alice@id.example"}, 1)
            carol = self.parts.users.add(conn, realm, "carol", None, {}, 1)
            self.parts.users.set_active(conn, realm, "carol", False, 1)
        self.subs = {"alice": alice.user_id, "carol": carol.user_id}

    @contextmanager
    def opened(self) -> Iterator[tuple[UserStore, Connection, Realm]]:
        with self.parts.store.read() as conn:
            yield self.parts.users, conn, self.parts.realms[0]

    def sub_of(self, name: str) -> str:
        return self.subs[name]


class OwnPeople:
    """Somebody's own store: a dictionary."""

    def __init__(self) -> None:
        alice = User(
            SUBS["alice"],
            "alice",
            "alice",
            ALICE_HASH,
            True,
            {"email": "alice@id.example"},
            0,
            read_only=True,
        )
        carol = User(SUBS["carol"], "carol", "carol", ALICE_HASH, False, {}, 0, read_only=True)
        self.people = {user.user_id: user for user in (alice, carol)}

    def find(self, conn: Connection, realm: Realm, user_id: str) -> User | None:
        return self.people.get(user_id)

    def find_by_name(self, conn: Connection, realm: Realm, name: str) -> User | None:
        key = fold_user_name(name)
        return next((user for user in self.people.values() if user.user_name_key == key), None)


class TestOwn(UserStoreContract):
    @pytest.fixture(autouse=True)
    def plugged_in(self, tmp_path: Path) -> None:
        parsed = settings.parse(ProviderSettings, config(tmp_path / "provider.db", users=[]))
        self.provider = Provider.from_settings(parsed, user_store=OwnPeople())

    @contextmanager
    def opened(self) -> Iterator[tuple[UserStore, Connection, Realm]]:
        with self.provider.parts.store.read() as conn:
            yield OwnPeople(), conn, self.provider.parts.realms[0]

    def sub_of(self, name: str) -> str:
        return SUBS[name]

    @pytest.mark.row("S-60")
    @pytest.mark.parametrize(("name", "shown"), [("Alice", "page-consent"), ("carol", "page-login")])
    def test_the_provider_signs_in_whom_the_store_holds(self, name: str, shown: str) -> None:
        agent = UserAgent({"https://id.example": WSGIAdapter(self.provider)})
        page = agent.open(
            "https://id.example/authorize?client_id=app&response_type=code&scope=openid"
            "&redirect_uri=https%3A%2F%2Fapp.example%2Fcb"
        )
        assert agent.press(page, "login", {"username": name, "password": "demo-alice"}).main_id == shown

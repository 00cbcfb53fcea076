"""Clients, people and keys: what is written comes back the same, twice is once, and realms share nothing."""

from dataclasses import replace

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from provider.store.clients import (
    Client,
    existing_client_ids,
    find_client,
    insert_client,
    list_clients,
    set_client_enabled,
)
from provider.store.engine import Store
from provider.store.keys import KeyRow, insert_key, list_keys, promote_key, retire_key
from provider.store.users import (
    User,
    existing_users,
    find_user,
    find_user_by_name,
    insert_user,
    list_users,
    set_password_hash,
    set_user_active,
)
from tests.provider.databases import one_after_the_other

CLIENT = Client(
    client_id="shop",
    name="Kauf \u4e16\u754c \U0001f6d2 'quoted'; --",
    enabled=True,
    secret_hash="a" * 64,
    auth_method="client_secret_basic",
    redirect_uris=("https://shop.example/cb?a=b", "https://shop.example/\u00e4"),
    post_logout_redirect_uris=(),
    flows=("authorization_code", "refresh_token"),
    scopes=("openid",),
    trusted=False,
    created_at=1_800_000_000,
)
USER = User(
    "sub-1", "Zo\u00eb", "zo\u00eb", "$argon2id$x", True, {"name": "Zo\u00eb \U0001f600", "n": [1, None]}, 5
)
KEY = KeyRow("kid-1", "sig", "RS256", "current", 10, None, "sealed", {"kty": "RSA", "n": "x"}, 10)


def test_a_client_comes_back_as_it_was_written(store: Store) -> None:
    with store.begin() as conn:
        insert_client(conn, "r", CLIENT)
        public = replace(CLIENT, client_id="c" * 100, secret_hash=None, auth_method="none", trusted=True)
        insert_client(conn, "r", public)
    with store.read() as conn:
        assert find_client(conn, "r", "shop") == CLIENT
        assert find_client(conn, "r", "c" * 100) == public
        assert find_client(conn, "other", "shop") is None
        assert find_client(conn, "r", "Shop") is None
        assert existing_client_ids(conn, "r", ["shop", "nobody"]) == {"shop"}
        assert existing_client_ids(conn, "r", []) == set()


def test_clients_are_listed_in_pages(store: Store) -> None:
    with store.begin() as conn:
        for name in "dabce":
            insert_client(conn, "r", replace(CLIENT, client_id=name))
        insert_client(conn, "other", CLIENT)
    with store.read() as conn:
        first = list_clients(conn, "r", limit=2)
        rest = list_clients(conn, "r", after=first[-1].client_id)
    assert [client.client_id for client in first + rest] == list("abcde")


def test_a_client_is_switched_in_its_own_realm(store: Store) -> None:
    with store.begin() as conn:
        insert_client(conn, "r", CLIENT)
        insert_client(conn, "other", CLIENT)
        assert set_client_enabled(conn, "r", "shop", False)
        assert not set_client_enabled(conn, "r", "nobody", False)
        found = [find_client(conn, realm, "shop") for realm in ("r", "other")]
    assert [client is not None and client.enabled for client in found] == [False, True]


def test_of_two_who_add_one_client_the_second_is_told(store: Store) -> None:
    def add(conn: Connection) -> None:
        insert_client(conn, "r", CLIENT)

    with pytest.raises(IntegrityError):
        one_after_the_other(store, add, add)
    with store.read() as conn:
        assert len(list_clients(conn, "r")) == 1


def test_a_person_comes_back_as_they_were_written(store: Store) -> None:
    with store.begin() as conn:
        insert_user(conn, "r", USER)
        nobody = User("u" * 255, "n" * 255, "n" * 255, None, False, {}, 0)
        insert_user(conn, "r", nobody)
    with store.read() as conn:
        assert find_user(conn, "r", "sub-1") == find_user_by_name(conn, "r", "zo\u00eb") == USER
        assert find_user_by_name(conn, "r", "n" * 255) == nobody
        assert find_user(conn, "other", "sub-1") is None
        assert find_user_by_name(conn, "r", "ZO\u00cb") is None
        assert existing_users(conn, "r", ["sub-1", "x"], ["zo\u00eb", "y"]) == ({"sub-1"}, {"zo\u00eb"})


def test_people_are_listed_in_pages(store: Store) -> None:
    with store.begin() as conn:
        for name in "bca":
            insert_user(conn, "r", replace(USER, user_id=name, user_name_key=name))
    with store.read() as conn:
        first = list_users(conn, "r", limit=2)
        rest = list_users(conn, "r", after=first[-1].user_name_key)
    assert [user.user_name_key for user in first + rest] == list("abc")


def test_a_person_is_changed(store: Store) -> None:
    with store.begin() as conn:
        insert_user(conn, "r", USER)
        assert set_user_active(conn, "r", "sub-1", False)
        assert set_password_hash(conn, "r", "sub-1", "$argon2id$y")
        assert not set_user_active(conn, "other", "sub-1", False)
        assert not set_password_hash(conn, "r", "nobody", "x")
        assert find_user(conn, "r", "sub-1") == replace(USER, active=False, password_hash="$argon2id$y")


@pytest.mark.parametrize("same", ["user_id", "user_name_key"])
def test_of_two_who_add_one_person_the_second_is_told(store: Store, same: str) -> None:
    other = replace(replace(USER, user_id="sub-2", user_name_key="other"), **{same: getattr(USER, same)})

    with pytest.raises(IntegrityError):
        one_after_the_other(
            store, lambda conn: insert_user(conn, "r", USER), lambda conn: insert_user(conn, "r", other)
        )
    with store.read() as conn:
        assert list_users(conn, "r") == [USER]


def test_a_key_goes_its_way(store: Store) -> None:
    later = replace(KEY, kid="kid-2", state="next", not_before=20)
    with store.begin() as conn:
        insert_key(conn, "r", later)
        insert_key(conn, "r", KEY)
        insert_key(conn, "other", KEY)
        assert list_keys(conn, "r") == [KEY, later]
        retire_key(conn, "r", "kid-2", 99)  # it is not the current one
        assert list_keys(conn, "r") == [KEY, later]
        retire_key(conn, "r", "kid-1", 99)
        promote_key(conn, "r", "kid-2", 30)
        gone = replace(KEY, state="retired", published_until=99, sealed_private=None)
        assert list_keys(conn, "r") == [gone, replace(later, state="current", not_before=30)]
        assert list_keys(conn, "other") == [KEY]


@pytest.mark.parametrize("state", ["current", "next"])
def test_there_is_one_key_of_a_state_whoever_races(store: Store, state: str) -> None:
    first, second = (replace(KEY, kid=kid, state=state) for kid in ("kid-1", "kid-2"))

    with pytest.raises(IntegrityError):
        one_after_the_other(
            store, lambda conn: insert_key(conn, "r", first), lambda conn: insert_key(conn, "r", second)
        )
    with store.begin() as conn:
        assert list_keys(conn, "r") == [first]
        for kid in ("old-1", "old-2"):
            insert_key(conn, "r", replace(KEY, kid=kid, state="retired"))


def test_who_looks_at_the_keys_to_change_them_sees_what_was_added_meanwhile(store: Store) -> None:
    def add_unless_there(conn: Connection) -> list[str]:
        found = [row.kid for row in list_keys(conn, "r", for_update=True)]
        if not found:
            insert_key(conn, "r", KEY)
        return found

    assert one_after_the_other(store, add_unless_there, add_unless_there) == ([], ["kid-1"])

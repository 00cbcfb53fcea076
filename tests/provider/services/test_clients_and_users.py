"""Clients and people of file and database as one: who wins, who may be changed, what is made."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from oidcgate.settings import SettingsError, parse
from provider.client_settings import ClientSettings
from provider.services.client_secrets import secret_hash
from provider.services.clients import ReadOnlyObject, UnknownObject
from provider.store.clients import Client
from provider.store.sessions import BrowserSession
from provider.store.sessions import add as add_session
from provider.user_settings import UserSettings
from tests.provider.world import ALICE, ALICE_HASH, APP_SECRET, REDIRECT_URI, World, error_of

WANTED = {"redirect_uris": [REDIRECT_URI]}


def add_client(world: World, wanted: Mapping[str, Any] = WANTED) -> Any:
    with world.provider.parts.store.begin() as conn:
        return world.provider.parts.clients.add(conn, world.realm, wanted, world.now)


def add_user(world: World, name: str, **attributes: Any) -> Any:
    with world.provider.parts.store.begin() as conn:
        return world.provider.parts.users.add(conn, world.realm, name, None, attributes, world.now)


def test_what_is_said_of_a_client_reaches_the_provider_and_older_rows_mean_what_the_file_means() -> None:
    said = {entry.name: entry for entry in fields(ClientSettings)}
    kept = {entry.name: entry for entry in fields(Client)}
    # These two become `secret`, `secret_hash` or `sealed_secret`.
    assert said.keys() - kept.keys() == {"client_secret", "client_secret_sha256"}
    for name in said.keys() & kept.keys():
        default = kept[name].default
        if default is not MISSING:
            assert default == said[name].default, name


@pytest.mark.row("S-47")
def test_id_and_secret_are_made_and_unlike_any_other(world: World) -> None:
    made = [add_client(world) for _ in range(20)]
    secrets = [one.secret.reveal() for one in made]
    assert len({one.client.client_id for one in made}) == len(set(secrets)) == 20
    assert all(len(secret) == 86 for secret in secrets)
    stored = str(world.rows("clients"))
    assert all(secret not in stored for secret in secrets)
    assert secret_hash(secrets[0]) in stored
    assert secrets[0] not in repr(made[0])


def test_the_made_secret_works(world: World) -> None:
    made = add_client(world)
    form = {"grant_type": "authorization_code", "code": "x", "redirect_uri": REDIRECT_URI}
    right = world.token(form, auth=(made.client.client_id, made.secret.reveal()))
    assert right.get_json()["error"] == "invalid_grant"
    assert world.token(form, auth=(made.client.client_id, made.secret.reveal() + "x")).status_code == 401


def test_a_public_client_has_no_secret(world: World) -> None:
    wanted = {"client_id": "cli", "auth_method": "none", "redirect_uris": [REDIRECT_URI]}
    made = add_client(world, wanted)
    assert made.secret is None
    assert made.client.secret_hash is None


@pytest.mark.parametrize(
    ("client_id", "uri", "key"),
    [
        pytest.param("app", REDIRECT_URI, "client_id", id="taken-in-the-file"),
        pytest.param("stored", REDIRECT_URI, "client_id", id="taken-in-the-database"),
        pytest.param("a b", REDIRECT_URI, "client_id", id="illegal-id"),
        pytest.param("x", "http://app.example/cb", "redirect_uris[0]", id="http"),
        pytest.param("x", "http://localhost/cb", "redirect_uris[0]", id="loopback-without-the-switch"),
    ],
)
@pytest.mark.row("S-53")
def test_clients_that_are_not_added(world: World, client_id: str, uri: str, key: str) -> None:
    add_client(world, {"client_id": "stored", "redirect_uris": [REDIRECT_URI]})
    with pytest.raises(SettingsError) as caught:
        add_client(world, {"client_id": client_id, "redirect_uris": [uri]})
    assert [problem.key for problem in caught.value.problems] == [key]
    assert len(world.rows("clients")) == 1


@pytest.mark.row("S-45")
def test_disabling_a_client(world: World) -> None:
    made = add_client(world)
    clients, store = world.provider.parts.clients, world.provider.parts.store
    form = {"grant_type": "authorization_code", "code": "x", "redirect_uri": REDIRECT_URI}
    auth = (made.client.client_id, made.secret.reveal())
    with store.begin() as conn:
        clients.set_enabled(conn, world.realm, made.client.client_id, False, 1)
    assert world.token(form, auth=auth).get_json()["error"] == "invalid_client"
    with store.begin() as conn:
        clients.set_enabled(conn, world.realm, made.client.client_id, True, 1)
    assert world.token(form, auth=auth).get_json()["error"] == "invalid_grant"


def test_what_the_file_says_is_changed_in_the_file(world: World) -> None:
    parts = world.provider.parts
    with parts.store.begin() as conn:
        with pytest.raises(ReadOnlyObject, match="configuration"):
            parts.clients.set_enabled(conn, world.realm, "app", False, 1)
        with pytest.raises(ReadOnlyObject, match="configuration"):
            parts.users.set_active(conn, world.realm, "ALICE", False, world.now)
        with pytest.raises(UnknownObject):
            parts.clients.set_enabled(conn, world.realm, "nobody", False, 1)
        with pytest.raises(UnknownObject):
            parts.users.set_password_hash(conn, world.realm, "nobody", "x", world.now)


@pytest.mark.row("P-12")
@pytest.mark.parametrize("change", ["password", "disabled-and-enabled"])
def test_a_new_password_or_a_switch_ends_what_the_person_had(world: World, change: str) -> None:
    users, store = world.provider.parts.users, world.provider.parts.store
    added, other = add_user(world, "dora"), add_user(world, "emil")
    tokens = world.tokens(user_id=added.user_id)
    others = world.tokens(user_id=other.user_id)
    with store.begin() as conn:
        for number, person in enumerate((added, other)):
            session = BrowserSession(
                f"hash-{number}", f"sid-{number}", person.user_id, 1, "a", ("pwd",), 1, 1, 2
            )
            add_session(conn, world.realm.id, session)

    with store.begin() as conn:
        if change == "password":
            users.set_password_hash(conn, world.realm, "dora", ALICE_HASH, world.now)
        else:
            users.set_active(conn, world.realm, "dora", False, world.now)
            users.set_active(conn, world.realm, "dora", True, world.now)

    assert world.userinfo(tokens["access_token"]).status_code == 401
    assert error_of(world.refresh(tokens["refresh_token"])) == (400, "invalid_grant")
    ended = {row["session_hash"]: row["ended_at"] for row in world.rows("browser_sessions")}
    assert ended == {"hash-0": world.now, "hash-1": None}
    assert world.userinfo(others["access_token"]).status_code == 200


@pytest.mark.row("S-54")
def test_one_id_in_file_and_database_is_a_start_up_error(database: Path, world: World) -> None:
    add_client(world, {"client_id": "both", "redirect_uris": [REDIRECT_URI]})
    add_user(world, "Both")
    client = {"client_id": "both", "client_secret": APP_SECRET, "redirect_uris": [REDIRECT_URI]}
    with pytest.raises(SettingsError) as caught:
        World.over(database, clients=[client], users=[{"user_name": "BOTH"}])
    assert [(p.key, p.value) for p in caught.value.problems] == [("clients", "both"), ("users", "both")]


def test_lists_name_everybody_once(world: World) -> None:
    add_client(world, {"client_id": "aaa", "redirect_uris": [REDIRECT_URI]})
    add_user(world, "Bob")
    parts = world.provider.parts
    with parts.store.read() as conn:
        clients = [(c.client_id, c.read_only) for c in parts.clients.list(conn, world.realm)]
        users = [(u.user_name, u.read_only) for u in parts.users.list(conn, world.realm)]
    assert clients == [("app", True), ("native", True), ("other", True), ("aaa", False)]
    assert users == [("alice", True), ("Bob", False)]


@pytest.mark.parametrize("name", ["alice", "ALICE", "Ａlice"])
def test_names_are_found_in_any_spelling(world: World, name: str) -> None:
    parts = world.provider.parts
    with parts.store.read() as conn:
        user = parts.users.find_by_name(conn, world.realm, name)
    assert user is not None
    assert user.user_id == ALICE


@pytest.mark.parametrize("name", ["", " alice", "al\0ice", "bob", "x" * 300, "\ud800"])
def test_names_of_nobody(world: World, name: str) -> None:
    parts = world.provider.parts
    with parts.store.read() as conn:
        assert parts.users.find_by_name(conn, world.realm, name) is None


@pytest.mark.parametrize("name", ["bob", "BOB", "ALICE", "", " x", "a\nb"])
def test_people_who_are_not_added(world: World, name: str) -> None:
    add_user(world, "Bob")
    with pytest.raises(SettingsError):
        add_user(world, name)
    assert len(world.rows("users")) == 1


def test_an_attribute_that_is_no_claim_is_refused(world: World) -> None:
    with pytest.raises(SettingsError, match="is no attribute"):
        add_user(world, "bob", shoe_size=43)


def test_the_sub_is_a_uuid_and_stays(database: Path, world: World) -> None:
    bob = add_user(world, "bob")
    assert len(bob.user_id) == 36
    users = [{"user_name": "carol"}]
    first, second = (World.over(database, users=users).provider.parts.users for _ in range(2))
    assert first.by_name["default"]["carol"].user_id == second.by_name["default"]["carol"].user_id
    elsewhere = World.over(database, users=users, issuer="https://other.example").provider.parts.users
    assert elsewhere.by_name["default"]["carol"].user_id != first.by_name["default"]["carol"].user_id


def test_hashes_do_not_show(world: World) -> None:
    client = parse(
        ClientSettings, {"client_id": "x", "client_secret_sha256": "ab" * 32, "redirect_uris": ["https://x"]}
    )
    assert client.client_secret is None
    user = parse(UserSettings, {"user_name": "x"})
    assert user.password_hash is None
    alice = world.provider.parts.users.by_id["default"][ALICE]
    app = world.provider.parts.clients.configured["default"]["app"]
    assert "argon2" not in repr(alice)
    assert secret_hash(APP_SECRET) not in repr(app)

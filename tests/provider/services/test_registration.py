"""Registration over each database: removal for good, clients that nobody uses, and who is asked for what."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from oidcgate.protocol.errors import InvalidToken
from provider.services.housekeeping import INTERVAL_SECONDS
from provider.services.opaque import token_hash
from provider.services.registration import Registrations
from tests.provider.databases import is_postgresql, until, waiting
from tests.provider.registering import (
    CALLBACK,
    GOOD,
    initial_token,
    manage,
    register,
    registered,
    registering,
)
from tests.provider.world import ALICE, VERIFIER, World, basic, error_of

DAY = 86_400
API = "https://api.example"
POLICY = {
    "flows": [
        "authorization_code",
        "refresh_token",
        "implicit",
        "client_credentials",
        "device_code",
        "revocation",
    ],
    "scopes": ["*"],
    "audiences": [API],
}
FLOWS = ["authorization_code", "refresh_token"]


@pytest.fixture
def world(url: str) -> Iterator[World]:
    """Tokens of APIs are JWTs, so that a client that acts for itself leaves no row."""
    made = registering(
        url,
        registration=POLICY,
        resources=[{"audience": API, "scopes": ["orders"], "access_token_format": "jwt"}],
        scopes=[{"value": "orders"}],
    )
    yield made
    made.provider.parts.store.dispose()


def events(world: World, name: str) -> list[dict[str, Any]]:
    return [event for event in map(json.loads, world.events) if event["event"] == f"provider.{name}"]


def auth(told: dict[str, Any]) -> tuple[str, str]:
    return told["client_id"], told["client_secret"]


def tokens(world: World, told: dict[str, Any]) -> dict[str, Any]:
    """What a sign-in gives it."""
    code = world.code(client_id=told["client_id"], redirect_uri=CALLBACK)
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    response = world.token(form, auth=auth(told))
    assert response.status_code == 200, response.text
    return dict(response.get_json())


def itself(world: World, told: dict[str, Any]) -> str:
    """A token that a client gets for itself."""
    form = {"grant_type": "client_credentials", "scope": "orders", "resource": API}
    response = world.token(form, auth=auth(told))
    assert response.status_code == 200, response.text
    return str(response.get_json()["access_token"])


def sweep(world: World, seconds: float) -> None:
    """Let so much time pass, and then sweep."""
    world.clock.move(seconds)
    world.provider.parts.housekeeping.sweep(world.now)


def client_ids(world: World) -> set[str]:
    return {row["client_id"] for row in world.rows("clients")}


def add(world: World, client_id: str) -> None:
    said = {"client_id": client_id, "redirect_uris": [CALLBACK], "flows": FLOWS}
    with world.provider.parts.store.begin() as conn:
        world.provider.parts.clients.add(conn, world.realm, said, world.now)


def test_what_a_deleted_client_was_given_ends_for_good(world: World) -> None:
    told = registered(world, grant_types=FLOWS)
    given, code = tokens(world, told), world.code(client_id=told["client_id"], redirect_uri=CALLBACK)
    world.clock.move(1)
    assert world.userinfo(given["access_token"]).status_code == 200
    assert manage(world, "DELETE", told).status_code == 204
    add(world, told["client_id"])
    assert error_of(world.userinfo(given["access_token"])) == (401, "invalid_token")
    with world.provider.parts.store.begin() as conn:
        secret = world.provider.parts.clients.renew_secret(
            conn, world.realm, told["client_id"], world.now
        ).secret
    now = (told["client_id"], secret.reveal())
    form = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
    assert error_of(world.token(form, auth=now)) == (400, "invalid_grant")
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    assert error_of(world.token(form, auth=now)) == (400, "invalid_grant")
    assert {row["revoke_reason"] for row in world.rows("grants")} == {"client_removed"}


def test_a_grant_of_another_client_that_had_this_id_is_none(world: World) -> None:
    """Also where it was written down at the moment in which that one went."""
    told = registered(world, grant_types=FLOWS)
    given = tokens(world, told)
    world.clock.move(1)
    with world.provider.parts.store.begin() as conn:
        parts = world.provider.parts
        conn.exec_driver_sql("DELETE FROM clients")
        said = {"client_id": told["client_id"], "redirect_uris": [CALLBACK], "flows": FLOWS}
        parts.clients.add(conn, world.realm, said, world.now)
    assert error_of(world.userinfo(given["access_token"])) == (401, "invalid_token")


def test_a_token_that_a_client_got_for_itself_ends_with_it(world: World) -> None:
    told = registered(world, grant_types=["client_credentials"], redirect_uris=None)
    asking = registered(world, grant_types=FLOWS)
    for _ in range(2):
        token = itself(world, told)
        sweep(world, INTERVAL_SECONDS)
    with world.provider.parts.store.begin() as conn:
        parts = world.provider.parts
        parts.clients.change(
            conn, world.realm, asking["client_id"], {"flows": ["introspection", *FLOWS]}, world.now
        )

    def active() -> bool:
        answer = world.post("/introspect", {"token": token}, headers={"Authorization": basic(*auth(asking))})
        return bool(answer.get_json()["active"])

    assert active()
    manage(world, "DELETE", told)
    assert not active()
    world.clock.move(1)
    with world.provider.parts.store.begin() as conn:
        parts.clients.add(
            conn, world.realm, {"client_id": told["client_id"], "flows": ["client_credentials"]}, world.now
        )
    assert not active()


@pytest.mark.row("S-41")
def test_what_people_agreed_to_for_a_client_that_is_gone_says_nothing_of_the_next(world: World) -> None:
    told, parts = registered(world), world.provider.parts
    client_id, scopes = told["client_id"], frozenset({"openid", "email"})

    def agreed() -> frozenset[str]:
        with parts.store.read() as conn:
            client = parts.clients.find(conn, world.realm, client_id)
            return parts.consents.granted(conn, world.realm, ALICE, client_id, made_at=client.created_at)

    def agree(what: frozenset[str]) -> None:
        with parts.store.begin() as conn:
            made_at = parts.clients.find(conn, world.realm, client_id).created_at
            parts.consents.remember(
                conn, world.realm, ALICE, client_id, what, what, world.now, made_at=made_at
            )

    agree(scopes)
    assert agreed() == scopes
    manage(world, "DELETE", told)
    world.clock.move(1)
    add(world, client_id)
    assert agreed() == frozenset()
    agree(frozenset({"openid"}))
    assert agreed() == {"openid"}


def test_devices_that_wait_for_a_client_wait_for_nobody_else(world: World) -> None:
    told = registered(world, grant_types=["urn:ietf:params:oauth:grant-type:device_code"], redirect_uris=None)
    started = world.post(
        "/device_authorization", {"scope": "openid"}, headers={"Authorization": basic(*auth(told))}
    )
    assert started.status_code == 200
    manage(world, "DELETE", told)
    assert world.rows("device_codes") == []


def test_who_was_never_given_anything_goes_in_time(world: World) -> None:
    unused, used, itself_, added = (
        registered(world, grant_types=FLOWS),
        registered(world, grant_types=FLOWS),
        registered(world, grant_types=["client_credentials"], redirect_uris=None),
        "added",
    )
    add(world, added)
    tokens(world, used)
    itself(world, itself_)
    assert {row["used_at"] for row in world.rows("clients")} == {None}
    sweep(world, INTERVAL_SECONDS)
    seen = {row["client_id"]: row["used_at"] for row in world.rows("clients")}
    assert seen == {
        unused["client_id"]: None, used["client_id"]: world.now, itself_["client_id"]: world.now, added: None,
    }  # fmt: skip
    # A token that proves itself is written down no more.
    before = len(world.rows("grants"))
    itself(world, itself_)
    assert len(world.rows("grants")) == before

    sweep(world, 30 * DAY - INTERVAL_SECONDS)
    assert unused["client_id"] in client_ids(world)
    sweep(world, INTERVAL_SECONDS)
    assert client_ids(world) == {used["client_id"], itself_["client_id"], added}
    (gone,) = events(world, "registration_changed")
    assert (gone["client_id"], gone["change"]) == (unused["client_id"], "expired")
    assert gone["token_id"].startswith("iat-")


def test_a_changed_registration_is_as_old_as_it_was_and_as_used(world: World) -> None:
    told = registered(world, grant_types=FLOWS)
    tokens(world, told)
    sweep(world, INTERVAL_SECONDS)
    (before,) = world.rows("clients")
    said = {"client_id": told["client_id"], "redirect_uris": [CALLBACK]}
    assert manage(world, "PUT", told, said).status_code == 200
    (after,) = world.rows("clients")
    kept = ("created_at", "used_at", "initial_token_id", "registration_hash", "secret_hash")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert after["used_at"] is not None


def test_they_stay_where_the_realm_says_so(url: str) -> None:
    world = registering(url, registration={"unused_days": 0})
    registered(world)
    sweep(world, 9999 * DAY)
    assert len(world.rows("clients")) == 1
    world.provider.parts.store.dispose()


def test_a_full_batch_goes_on_with_the_next_request(world: World) -> None:
    housekeeping = world.provider.parts.housekeeping
    housekeeping.batch = 2
    for _ in range(3):
        registered(world)
    sweep(world, 31 * DAY)
    assert len(client_ids(world)) == 1
    assert housekeeping.is_due(world.now)
    sweep(world, 0)
    assert client_ids(world) == set()


def test_what_is_reported(world: World) -> None:
    token = initial_token(world)
    told = register(world, token=token).get_json()
    said = {"client_id": told["client_id"], "redirect_uris": [CALLBACK]}
    manage(world, "PUT", told, said)
    manage(world, "PUT", told, {**said, "redirect_uris": ["http://x.example/"]})
    manage(world, "DELETE", told, token="x")
    manage(world, "DELETE", told)
    register(world, {**GOOD, "scope": "nothing"}, token=token)
    token_id = world.rows("initial_tokens")[0]["token_id"]
    (came,) = events(world, "client_registered")
    assert (came["client_id"], came["token_id"]) == (told["client_id"], token_id)
    changes = [
        (one["change"], one["client_id"], one["token_id"]) for one in events(world, "registration_changed")
    ]
    assert changes == [(change, told["client_id"], token_id) for change in ("changed", "deleted")]
    assert [(event["client_id"], event["error"]) for event in events(world, "registration_refused")] == [
        (told["client_id"], "invalid_redirect_uri"),
        (told["client_id"], "invalid_token"),
        (None, "invalid_client_metadata"),
    ]
    written = "".join(world.events)
    for secret in (token, told["client_secret"], told["registration_access_token"], token_hash(token)):
        assert secret not in written


def test_expired_tokens_are_swept(world: World) -> None:
    initial_token(world, life_seconds=60)
    initial_token(world, life_seconds=DAY)
    sweep(world, INTERVAL_SECONDS + 1)
    assert len(world.rows("initial_tokens")) == 1


def test_what_an_operator_did_stays_and_who_got_more_than_the_policy_changes_itself_no_more(
    world: World,
) -> None:
    told, parts = registered(world), world.provider.parts
    said = {"client_id": told["client_id"], "redirect_uris": [CALLBACK]}

    def operator(**changes: Any) -> None:
        with parts.store.begin() as conn:
            parts.clients.change(conn, world.realm, told["client_id"], changes, world.now)

    operator(require_pkce=True, restricted_scopes=["email"], allowed_groups=["staff"])
    assert manage(world, "PUT", told, said).status_code == 200
    settings = world.rows("clients")[0]["settings"]
    assert (settings["require_pkce"], settings["restricted_scopes"]) == (True, ["email"])
    assert settings["allowed_groups"] == ["staff"]

    operator(trusted=True)
    refused = manage(world, "PUT", told, said)
    assert error_of(refused) == (400, "invalid_client_metadata")
    assert "trusted" in refused.get_json()["error_description"]
    assert manage(world, "GET", told).status_code == 200
    assert manage(world, "DELETE", told).status_code == 204


@pytest.mark.row("P-13")
def test_a_policy_that_became_narrower_holds_for_what_was_registered_before(url: str) -> None:
    wide = registering(url, registration={"application_types": ["web", "native"]})
    told = registered(wide, application_type="native", redirect_uris=["com.example.app:/cb"])
    wide.provider.parts.store.dispose()
    narrow = registering(url)
    said = {"client_id": told["client_id"], "redirect_uris": ["com.example.app:/cb"]}
    for application_type in ("native", "web"):
        answer = manage(narrow, "PUT", told, {**said, "application_type": application_type})
        assert answer.status_code == 400
    assert manage(narrow, "PUT", told, {**said, "redirect_uris": [CALLBACK]}).status_code == 200
    narrow.provider.parts.store.dispose()


def test_what_changes_and_what_deletes_a_client_at_once_come_one_after_the_other(world: World) -> None:
    told, parts = registered(world), world.provider.parts
    registrations = Registrations(parts.store, parts.clients, parts.sectors, world.clock)
    client_id, token = told["client_id"], told["registration_access_token"]
    said = {"client_id": client_id, "redirect_uris": [CALLBACK], "client_name": "Second"}

    def change() -> str:
        try:
            return registrations.replace(world.realm, client_id, token, said).client.name
        except InvalidToken as error:
            return error.code

    with ThreadPoolExecutor(1) as second:
        with parts.store.begin() as conn:
            parts.clients.remove(conn, world.realm, client_id, world.now)
            late = second.submit(change)
            # It has read the client as it still is for others, and waits to change it.
            until(lambda: not is_postgresql(parts.store) or waiting(parts.store) == 1)
            assert not late.done()
        assert late.result(30) == "invalid_token"
    assert world.rows("clients") == []


@pytest.mark.row("P-13", "S-52")
def test_an_api_that_the_policy_opens_no_more_is_closed_to_them_at_once(url: str) -> None:
    resources = [{"audience": API, "scopes": ["orders"]}]
    scopes = [{"value": "orders"}]
    world = registering(url, registration=POLICY, resources=resources, scopes=scopes)
    flows = ["authorization_code", "refresh_token", "client_credentials"]
    told = registered(world, grant_types=flows)
    code = world.code(
        client_id=told["client_id"], redirect_uri=CALLBACK, scope=("orders", "offline_access"), api=API
    )
    redeem = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    given = world.token({**redeem, "code_verifier": VERIFIER}, auth=auth(told)).get_json()
    closed = {name: value for name, value in POLICY.items() if name != "audiences"}
    later = registering(url, registration=closed, resources=resources, scopes=scopes)
    for form, error in (
        ({"grant_type": "client_credentials", "scope": "orders", "resource": API}, "invalid_target"),
        ({"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}, "invalid_grant"),
    ):
        assert error_of(later.token(form, auth=auth(told))) == (400, error)
    listed = [{**resources[0], "clients": [told["client_id"]]}]
    by_name = registering(url, registration=closed, resources=listed, scopes=scopes)
    assert itself(by_name, told)
    for made in (world, later, by_name):
        made.provider.parts.store.dispose()

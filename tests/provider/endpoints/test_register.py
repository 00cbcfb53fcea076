"""`/register`: who may register, what comes of it, and how an application manages what it registered."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provider.services.client_secrets import secret_hash
from provider.services.opaque import token_hash
from tests.provider.asserting import claims, key, presenting, public, sign
from tests.provider.registering import (
    CALLBACK,
    GOOD,
    bearer,
    initial_token,
    manage,
    register,
    registered,
    registering,
)
from tests.provider.world import ISSUER, World, basic, error_of

METADATA = "/.well-known/openid-configuration"
ELSEWHERE = "https://new.example/elsewhere"


@pytest.fixture
def world(database: Path) -> Iterator[World]:
    made = registering(database)
    yield made
    made.provider.parts.store.dispose()


def changed(told: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """What an application sends that changes its registration: all of it, but for what it must not say."""
    ours = ("registration_access_token", "registration_client_uri", "client_secret_expires_at")
    said = {name: value for name, value in told.items() if name not in (*ours, "client_id_issued_at")}
    return {name: value for name, value in {**said, **changes}.items() if value is not None}


@pytest.mark.row("E-23")
@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_a_realm_that_does_not_want_it_has_no_such_path(database: Path, method: str) -> None:
    world = registering(
        database, registration={"enabled": False}, realms=[{"name": "on", "registration": {"enabled": True}}]
    )
    browser = world.browser()
    said = browser.open("/register", method=method, json=GOOD)
    nothing = browser.open("/nothing", method=method, json=GOOD)
    assert said.status_code == nothing.status_code == 404
    assert set(said.headers.keys()) == set(nothing.headers.keys())
    assert browser.open("/r/on/register", method=method, json=GOOD).status_code != 404
    assert "registration_endpoint" not in browser.get(METADATA).get_json()
    endpoint = browser.get(f"/r/on{METADATA}").get_json()["registration_endpoint"]
    assert endpoint == "https://id.example/r/on/register"
    world.provider.parts.store.dispose()


def test_what_an_application_is_told(world: World) -> None:
    response = register(world)
    told = response.get_json()
    assert response.status_code == 201
    assert response.headers["Cache-Control"] == "no-store"
    client_id, secret = told.pop("client_id"), told.pop("client_secret")
    access = told.pop("registration_access_token")
    assert told == {
        "client_id_issued_at": world.now,
        "client_secret_expires_at": 0,
        "registration_client_uri": f"https://id.example/register?client_id={client_id}",
        "client_name": "New",
        "application_type": "web",
        "subject_type": "public",
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "scope": "openid profile email address phone offline_access",
        "id_token_signed_response_alg": "RS256",
    }
    (row,) = world.rows("clients")
    assert row["client_id"] == client_id
    assert row["secret_hash"] == secret_hash(secret)
    assert row["registration_hash"] == token_hash(access)
    assert access not in str(row)
    assert secret not in str(row)


def test_it_signs_people_in(world: World) -> None:
    told = registered(world, grant_types=["authorization_code", "refresh_token"])
    code = world.code(client_id=told["client_id"], redirect_uri=CALLBACK)
    form = {
        "grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": "v" * 43,
    }  # fmt: skip
    tokens = world.token(form, auth=(told["client_id"], told["client_secret"]))
    assert tokens.status_code == 200
    assert {"access_token", "refresh_token", "id_token"} <= tokens.get_json().keys()
    gone = world.post(
        "/revoke",
        {"token": tokens.get_json()["refresh_token"]},
        headers={"Authorization": basic(told["client_id"], told["client_secret"])},
    )
    assert gone.status_code == 200


@pytest.mark.row("P-07", "P-13")
@pytest.mark.parametrize("allowed", [False, True])
def test_it_signs_for_the_token_endpoint_where_the_policy_says_so(database: Path, allowed: bool) -> None:
    world = registering(database, registration={"insecure_token_endpoint_audience": allowed})
    jwks = public(key("RSA", "k1"))
    told = registered(world, token_endpoint_auth_method="private_key_jwt", jwks=jwks)
    # It may change itself, whatever it was given.
    assert manage(world, "PUT", told, changed(told, client_name="Newer")).status_code == 200
    client_id = told["client_id"]
    form = {
        "grant_type": "authorization_code", "redirect_uri": CALLBACK, "code_verifier": "v" * 43,
        "code": world.code(client_id=client_id, redirect_uri=CALLBACK),
    }  # fmt: skip
    said = claims(world, iss=client_id, sub=client_id, aud=f"{ISSUER}/token")
    assertion = sign(said, key("RSA", "k1"), "RS256")
    response = world.token({**form, **presenting(assertion)}, auth=None)
    assert response.status_code == (200 if allowed else 401), response.text
    world.provider.parts.store.dispose()


BAD_TOKENS = [
    pytest.param(None, id="none"),
    pytest.param("Bearer x", id="unknown"),
    pytest.param("Bearer " + "\u00e4" * 43, id="malformed"),
    pytest.param("Basic YTpi", id="another-scheme"),
    pytest.param("", id="empty"),
]


@pytest.mark.parametrize("header", BAD_TOKENS)
def test_nobody_registers_without_a_token(world: World, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    response = world.browser().post("/register", json=GOOD, headers=headers)
    assert error_of(response) == (401, "invalid_token")
    assert response.headers["WWW-Authenticate"].startswith("Bearer ")
    assert world.rows("clients") == []


def test_a_token_is_good_so_often_and_so_long_and_a_refusal_uses_nothing(world: World) -> None:
    twice, short = initial_token(world, uses=2), initial_token(world, life_seconds=60)
    refused = register(world, {"redirect_uris": ["http://x.example/"]}, token=twice)
    assert error_of(refused) == (400, "invalid_redirect_uri")
    assert "WWW-Authenticate" not in refused.headers
    assert [register(world, token=twice).status_code for _ in range(3)] == [201, 201, 401]
    world.clock.move(59)
    assert register(world, token=short).status_code == 201
    world.clock.move(1)
    assert register(world, token=short).status_code == 401
    assert len(world.rows("clients")) == 3


def test_the_token_of_another_realm_is_not_good(database: Path) -> None:
    world = registering(database, realms=[{"name": "on", "registration": {"enabled": True}}])
    token = initial_token(world)
    response = world.browser().post("/r/on/register", json=GOOD, headers=bearer(token))
    assert error_of(response) == (401, "invalid_token")
    world.provider.parts.store.dispose()


def test_where_anybody_may_a_network_has_so_many(database: Path) -> None:
    policy = {"insecure_open_registration": True, "per_network": 2}
    world = registering(database, registration=policy)
    browser, here = world.browser(), {"REMOTE_ADDR": "192.0.2.7"}
    answers = [browser.post("/register", json=GOOD, environ_base=here) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    slowed = browser.post("/register", json=GOOD, environ_base=here)
    assert error_of(slowed) == (400, "slow_down")
    assert int(slowed.headers["Retry-After"]) > 0
    elsewhere = browser.post("/register", json=GOOD, environ_base={"REMOTE_ADDR": "198.51.100.9"})
    assert elsewhere.status_code == 201
    # A token is asked for nowhere, and one that is shown has to be good.
    assert browser.post("/register", json=GOOD, headers=bearer("x")).status_code == 401
    assert register(world).status_code == 201
    world.provider.parts.store.dispose()


def test_there_are_never_more_than_there_may_be(database: Path) -> None:
    world = registering(database, registration={"max_clients": 1})
    told = registered(world)
    full = register(world)
    assert error_of(full) == (503, "temporarily_unavailable")
    assert manage(world, "DELETE", told).status_code == 204
    assert register(world).status_code == 201
    world.provider.parts.store.dispose()


def test_a_registration_is_read_changed_and_deleted(world: World) -> None:
    told = registered(world, post_logout_redirect_uris=[ELSEWHERE])
    secret = told["client_secret"]
    known = {name: v for name, v in told.items() if name not in ("client_secret", "client_secret_expires_at")}
    read = manage(world, "GET", told)
    assert read.status_code == 200
    assert read.headers["Cache-Control"] == "no-store"
    assert read.get_json() == known

    put = manage(world, "PUT", told, changed(told, redirect_uris=[ELSEWHERE], post_logout_redirect_uris=None))
    assert put.status_code == 200
    expected = {**known, "redirect_uris": [ELSEWHERE]}
    del expected["post_logout_redirect_uris"]
    assert put.get_json() == manage(world, "GET", told).get_json() == expected
    assert world.rows("clients")[0]["secret_hash"] == secret_hash(secret)

    deleted = manage(world, "DELETE", told)
    assert (deleted.status_code, deleted.data) == (204, b"")
    assert world.rows("clients") == []
    for method in ("GET", "PUT", "DELETE"):
        assert error_of(manage(world, method, told, changed(told))) == (401, "invalid_token")
    form = {"grant_type": "authorization_code", "code": "x", "redirect_uri": ELSEWHERE}
    assert error_of(world.token(form, auth=(told["client_id"], secret))) == (401, "invalid_client")


def test_what_is_left_out_of_a_change_is_removed(world: World) -> None:
    told = registered(
        world, id_token_signed_response_alg="RS256", scope="openid email", contacts=["a@b.example"]
    )
    put = manage(world, "PUT", told, {"client_id": told["client_id"], "redirect_uris": [CALLBACK]})
    assert put.status_code == 200
    assert "client_name" not in put.get_json()
    assert put.get_json()["scope"] == "openid profile email address phone offline_access"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "whose", ["nobodys", "anothers", "initial", "an-access-token", "none", "in-the-query"]
)
def test_a_wrong_token_learns_nothing(world: World, method: str, whose: str) -> None:
    told, other = registered(world), registered(world)
    before = world.rows("clients")
    token = {
        "nobodys": "x" * 43,
        "anothers": other["registration_access_token"],
        "initial": initial_token(world),
        "an-access-token": world.tokens()["access_token"],
        "none": None,
        "in-the-query": None,
    }[whose]
    path = f"/register?client_id={told['client_id']}"
    if whose == "in-the-query":
        path += f"&access_token={told['registration_access_token']}"
    texts = set()
    for address in (path, "/register?client_id=nobody", "/register?client_id=app", "/register"):
        response = world.browser().open(address, method=method, headers=bearer(token), data=b"{")
        assert error_of(response) == (401, "invalid_token")
        texts.add(response.text)
    assert len(texts) == 1
    assert world.rows("clients") == before


def test_a_client_that_an_operator_added_or_disabled_is_not_managed_so(world: World) -> None:
    told = registered(world)
    parts = world.provider.parts
    with parts.store.begin() as conn:
        added = parts.clients.add(conn, world.realm, {"redirect_uris": [CALLBACK]}, world.now)
        parts.clients.set_enabled(conn, world.realm, told["client_id"], False, world.now)
    path = f"/register?client_id={added.client.client_id}"
    for token in ("", "None", "x"):
        assert world.browser().get(path, headers=bearer(token)).status_code == 401
    for method in ("GET", "PUT", "DELETE"):
        assert manage(world, method, told, changed(told)).status_code == 401


NOT_ITS_OWN = [
    pytest.param({"client_id": "app"}, id="another-client"),
    pytest.param({"client_id": None}, id="no-client"),
    pytest.param({"client_id": ["app"]}, id="client-of-another-type"),
    pytest.param({"client_secret": "x" * 86}, id="a-secret-of-its-own-choice"),
    pytest.param({"client_secret": 5}, id="secret-of-another-type"),
    pytest.param({"registration_access_token": "x"}, id="registration_access_token"),
    pytest.param({"registration_client_uri": "https://x.example"}, id="registration_client_uri"),
    pytest.param({"client_secret_expires_at": 0}, id="client_secret_expires_at"),
    pytest.param({"client_id_issued_at": 1}, id="client_id_issued_at"),
]


@pytest.mark.parametrize("changes", NOT_ITS_OWN)
def test_what_is_not_its_own_to_say(world: World, changes: dict[str, Any]) -> None:
    told = registered(world)
    before = world.rows("clients")
    assert error_of(manage(world, "PUT", told, changed(told, **changes))) == (400, "invalid_request")
    assert world.rows("clients") == before


def test_whoever_registers_chooses_neither_id_nor_secret(world: World) -> None:
    told = registered(world, client_id="app", client_secret="x" * 86)
    assert told["client_id"] not in ("app", "")
    assert told["client_secret"] != "x" * 86


def test_a_secret_is_made_only_when_there_is_none_that_will_do(world: World) -> None:
    told = registered(world, token_endpoint_auth_method="none")
    assert told.keys() & {"client_secret", "client_secret_expires_at"} == set()
    with_secret = manage(world, "PUT", told, changed(told, token_endpoint_auth_method="client_secret_post"))
    secret = with_secret.get_json()["client_secret"]
    assert with_secret.get_json()["client_secret_expires_at"] == 0
    # The same again, and a hash is not enough to sign with.
    again = manage(world, "PUT", told, changed(with_secret.get_json()))
    assert "client_secret" not in again.get_json()
    signing = manage(
        world, "PUT", told, changed(again.get_json(), token_endpoint_auth_method="client_secret_jwt")
    )
    assert signing.get_json()["client_secret"] != secret
    without = manage(
        world, "PUT", told, changed(signing.get_json(), token_endpoint_auth_method="none", client_secret=None)
    )
    assert "client_secret" not in without.get_json()
    (row,) = world.rows("clients")
    assert (row["secret_hash"], row["sealed_secret"]) == (None, None)

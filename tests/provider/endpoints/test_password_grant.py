"""The grant `password`: who gets tokens, that every refusal looks the same, and that guessing is slowed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Connection
from werkzeug.test import TestResponse

from oidcgate.jose.jwt import verify
from oidcgate.jose.keys import import_public_keys
from provider.endpoints.login import Login
from provider.factors.password import PasswordFactor, _unmatched_hash
from provider.store import totp
from provider.store.engine import Store
from provider.store.totp import Totp
from tests.provider.endpoints.apis import (
    LEGACY,
    ORDERS,
    SECRETS,
    as_client,
    with_client,
    world_with_apis,
)
from tests.provider.endpoints.test_introspect import introspect
from tests.provider.sign_in import place
from tests.provider.world import ALICE, ALICE_HASH, ISSUER, World, basic, error_of

INVALID_GRANT = (400, "invalid_grant")
INVALID_REQUEST = (400, "invalid_request")
INVALID_SCOPE = (400, "invalid_scope")
QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
USERS: list[dict[str, Any]] = [
    {"user_name": "alice", "user_id": ALICE, "password_hash": ALICE_HASH, "groups": ["staff"]},
    {"user_name": "gone", "user_id": "sub-gone", "password_hash": ALICE_HASH, "active": False},
    {"user_name": "keyless", "user_id": "sub-keyless"},
]


def factor_of(world: World) -> PasswordFactor:
    (login,) = (route.endpoint for route in world.provider.parts.routes if route.path == "/login")
    assert isinstance(login, Login)
    return login.attempts.factor


def started(database: Path | str, **changes: Any) -> World:
    """A provider whose hashes cost little: these tests are about the grant."""
    world = world_with_apis(database, **{"users": USERS, **changes})
    factor = factor_of(world)
    factor._hasher, factor._nobody = QUICK, _unmatched_hash(QUICK)
    return world


@pytest.fixture
def till(database) -> Iterator[World]:
    world = started(database)
    yield world
    world.provider.parts.store.dispose()


def sign_in(
    world: World, username: str = "alice", password: str = "demo-alice", **form: str
) -> TestResponse:  # what people type
    form = {"scope": "openid", **form}
    return as_client(
        world, "till", "/token", grant_type="password", username=username, password=password, **form
    )


def events(world: World, name: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in world.events]
    return [event for event in found if event["event"] == f"provider.{name}"]


@pytest.mark.row("S-11", "E-01", "E-11")
def test_a_person_gets_every_token(url: str) -> None:
    world = started(url)
    response = sign_in(world, scope="openid email offline_access")

    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    body = response.get_json()
    assert body["scope"] == "openid email offline_access"
    keys = import_public_keys(world.browser().get("/jwks").get_json())
    claims = dict(verify(body["id_token"], keys, ["RS256"]).claims)
    assert len(claims.pop("at_hash")) == 22
    # No browser session and no authorization request: neither sid nor nonce.
    assert claims == {
        "iss": ISSUER,
        "sub": ALICE,
        "aud": "till",
        "iat": world.now,
        "exp": world.now + 3600,
        "auth_time": world.now,
        "acr": "knowledge",
        "amr": ["pwd"],
    }
    assert world.userinfo(body["access_token"]).get_json()["sub"] == ALICE
    refreshed = as_client(
        world, "till", "/token", grant_type="refresh_token", refresh_token=body["refresh_token"]
    ).get_json()
    again = verify(refreshed["id_token"], keys, ["RS256"]).claims
    assert (again["sub"], again["auth_time"], refreshed["scope"]) == (ALICE, world.now, body["scope"])
    (grant,) = world.rows("grants")
    assert grant["scope"] == body["scope"].split()
    (event,) = events(world, "login_succeeded")
    told = {"realm": "default", "user_id": ALICE, "client_id": "till", "sid": None, "amr": ["pwd"]}
    assert {**event, **told, "network": "unknown"} == event
    assert [event["grant_type"] for event in events(world, "tokens_issued")] == ["password", "refresh_token"]
    assert "demo-alice" not in "".join(world.events)
    world.provider.parts.store.dispose()


@pytest.mark.row("S-11", "E-09", "E-17", "S-52")
@pytest.mark.parametrize(
    ("form", "expected"),
    [
        pytest.param({"scope": "openid profile"}, "openid profile", id="oidc"),
        pytest.param({"scope": "", "resource": ORDERS}, "orders.read orders.write", id="all-of-an-api"),
        pytest.param({"scope": "openid orders.read", "audience": ORDERS}, "openid orders.read", id="api"),
        pytest.param({"scope": ""}, INVALID_SCOPE, id="nothing-asked"),
        pytest.param({"scope": "nonsense"}, INVALID_SCOPE, id="unknown-alone"),
        pytest.param({"scope": "openid orders.read"}, INVALID_SCOPE, id="of-an-api-not-named"),
        pytest.param({"scope": "orders.erase", "resource": ORDERS}, INVALID_SCOPE, id="restricted"),
        pytest.param({"resource": "https://nowhere.example"}, (400, "invalid_target"), id="api-unknown"),
        pytest.param(
            {"resource": ORDERS, "audience": LEGACY}, INVALID_REQUEST, id="resource-and-audience-differ"
        ),
        pytest.param({"username": ""}, INVALID_REQUEST, id="username-empty"),
        pytest.param({"password": ""}, INVALID_REQUEST, id="password-empty"),
        pytest.param({"username": "x" * 5000}, INVALID_REQUEST, id="username-oversized"),
        pytest.param({"password": "x" * 5000}, INVALID_REQUEST, id="password-oversized"),
        pytest.param({"username": "a\0b"}, INVALID_REQUEST, id="username-with-nul"),
    ],
)
def test_what_may_be_asked_for(database, form: dict[str, str], expected: str | tuple[int, str]) -> None:
    world = started(database, clients=with_client("till", restricted_scopes=["orders.erase"]))
    response = sign_in(world, **form)
    if isinstance(expected, str):
        assert (response.status_code, response.get_json()["scope"]) == (200, expected)
    else:
        assert error_of(response) == expected
        assert not events(world, "login_failed")


@pytest.mark.row("S-11", "E-09", "E-10")
def test_a_token_for_an_api_is_the_persons_and_that_apis(till: World) -> None:
    body = sign_in(till, scope="openid orders.read", resource=ORDERS).get_json()
    keys = import_public_keys(till.browser().get("/jwks").get_json())
    claims = verify(body["access_token"], keys, ["RS256"]).claims
    assert (claims["sub"], claims["aud"], claims["scope"]) == (ALICE, ORDERS, "orders.read")
    assert (claims["auth_time"], claims["amr"]) == (till.now, ["pwd"])
    assert error_of(till.userinfo(body["access_token"])) == (403, "insufficient_scope")


def test_a_pairwise_client_is_told_the_sub_of_its_sector(database) -> None:
    listed = {"subject_type": "pairwise", "sector_identifier_uri": "https://till.example/sector.json"}
    world = started(
        database, clients=with_client("till", **listed), subjects={"types": ["public", "pairwise"]}
    )
    body = sign_in(world).get_json()
    said = world.userinfo(body["access_token"])
    assert said.status_code == 200
    keys = import_public_keys(world.browser().get("/jwks").get_json())
    assert said.get_json()["sub"] == verify(body["id_token"], keys, ["RS256"]).claims["sub"] != ALICE


@pytest.mark.row("S-11")
@pytest.mark.parametrize("name", ["username", "password", "scope", "grant_type"])
def test_a_repeated_parameter_is_refused(till: World, name: str) -> None:
    form = {"grant_type": "password", "username": "alice", "password": "demo-alice", "scope": "openid"}
    headers = {"Authorization": basic("till", SECRETS["till"])}
    response = till.post("/token", [*form.items(), (name, form[name])], headers=headers)
    assert error_of(response) == INVALID_REQUEST
    assert till.rows("throttle") == []


@pytest.mark.row("S-11", "S-50")
@pytest.mark.parametrize("client", ["app", "robot", "inspector"])
def test_only_a_client_with_the_flow(till: World, client: str) -> None:
    response = as_client(
        till, client, "/token", grant_type="password", username="alice", password="demo-alice", scope="openid"
    )
    assert error_of(response) == (400, "unauthorized_client")
    assert till.rows("throttle") == []


@pytest.mark.row("S-11", "E-11")
@pytest.mark.parametrize(
    ("flows", "scope", "given"),
    [
        pytest.param(["password", "refresh_token"], "openid offline_access", True, id="both"),
        pytest.param(["password", "refresh_token"], "openid", False, id="not-asked-for"),
        pytest.param(["password"], "openid offline_access", False, id="flow-is-off"),
    ],
)
def test_a_refresh_token_needs_its_flow_and_its_scope(
    database, flows: list[str], scope: str, given: bool
) -> None:
    world = started(database, clients=with_client("till", flows=flows))
    body = sign_in(world, scope=scope).get_json()
    assert ("refresh_token" in body, "offline_access" in body["scope"]) == (given, given)


REASONS = [
    pytest.param("alice", "wrong", {}, "wrong_password", id="wrong-password"),
    pytest.param("nobody", "demo-alice", {}, "unknown_user", id="unknown-user"),
    pytest.param("keyless", "x", {}, "no_password", id="without-password"),
    pytest.param("gone", "demo-alice", {}, "inactive", id="inactive"),
    pytest.param("alice", "p" * 4000, {}, "wrong_password", id="long-password"),
    pytest.param("alice", "a\0b", {}, "wrong_password", id="nul-in-password"),
    pytest.param("alice", "demo-alice", {"allowed_users": ["bob"]}, "not_allowed", id="not-for-them"),
    pytest.param("alice", "demo-alice", {"allowed_groups": ["board"]}, "not_allowed", id="not-for-groups"),
]


@pytest.mark.row("S-11", "E-27", "P-15")
@pytest.mark.parametrize(("name", "password", "changes", "reason"), REASONS)
def test_every_refusal_of_a_person_looks_the_same(
    database,
    name: str,
    password: str,
    changes: dict[str, Any],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "provider")
    world = started(database, clients=with_client("till", **changes))
    factor = factor_of(world)

    with patch.object(factor, "_compare", wraps=factor._compare) as compared:
        response = sign_in(world, name, password)

    assert error_of(response) == INVALID_GRANT
    assert response.data == sign_in(started(database), "alice", "wrong").data
    assert "Retry-After" not in response.headers
    # One hash each, so that time tells as little.
    assert compared.call_count == 1
    (event,) = events(world, "login_failed")
    owners = {"alice": ALICE, "gone": "sub-gone", "keyless": "sub-keyless"}
    assert {name: event[name] for name in ("realm", "user_id", "client_id", "reason", "network")} == {
        "realm": "default",
        "user_id": owners.get(name),
        "client_id": "till",
        "reason": reason,
        "network": "unknown",
    }
    # The operator reads more than the client, who reads one text.
    assert (reason if reason == "not_allowed" else "wrong name or password") in caplog.text
    assert response.get_json()["error_description"].startswith("name or password is wrong")
    # Charged and not forgiven, right password or not.
    assert all(row["failures"] for row in world.rows("throttle"))
    assert world.rows("grants") == []


@pytest.mark.row("S-11", "E-27")
def test_a_member_of_an_allowed_group(database) -> None:
    world = started(database, clients=with_client("till", allowed_groups=["staff"]))
    assert sign_in(world).status_code == 200


def enrol(world: World) -> None:
    with world.provider.parts.store.begin() as conn:
        assert totp.add(conn, world.realm.id, Totp(ALICE, "sealed", 0, world.now))


@pytest.mark.row("S-11")
@pytest.mark.parametrize(
    ("realm_mode", "client_mode", "enrolled", "outcome"),
    [
        pytest.param("off", "realm", True, None, id="the-realm-has-none"),
        pytest.param("acr", "realm", False, None, id="not-set-up"),
        pytest.param("acr", "realm", True, "second_factor", id="set-up"),
        pytest.param("acr", "off", True, None, id="the-client-never-asks"),
        pytest.param("acr", "required", False, "required", id="the-client-requires-it"),
        pytest.param("required", "realm", False, "required", id="the-realm-requires-it"),
        pytest.param("required", "realm", True, "required", id="the-realm-requires-it-and-it-is-set-up"),
        pytest.param("required", "acr", True, "second_factor", id="the-client-eases-it"),
    ],
)
def test_a_second_factor_is_not_walked_around(
    database, realm_mode: str, client_mode: str, enrolled: bool, outcome: str | None
) -> None:
    world = started(
        database,
        second_factor={"mode": realm_mode},
        clients=with_client("till", second_factor=client_mode),
    )
    if enrolled:
        enrol(world)
    wrong = sign_in(world, password="wrong")
    world.events.clear()

    response = sign_in(world)

    if outcome is None:
        assert response.status_code == 200
        return
    assert error_of(response) == INVALID_GRANT
    # Whether the password was right is not said in either case.
    assert response.data == wrong.data
    reasons = [event["reason"] for event in events(world, "login_failed")]
    if outcome == "required":
        # Nothing was tried, so nothing can be guessed here.
        assert "second factor" in response.get_json()["error_description"]
        assert (reasons, world.rows("throttle")) == ([], [])
    else:
        assert reasons == [outcome]


@pytest.mark.row("S-11", "P-28")
def test_guessing_is_slowed(url: str) -> None:
    world = started(url)
    for name in ("alice", "ALICE", "Alice", "alice", "aLICE", "alice"):
        assert error_of(sign_in(world, name, "wrong")) == INVALID_GRANT

    slowed = sign_in(world)

    assert error_of(slowed) == INVALID_GRANT
    # The one thing that is told apart from a wrong password: to come back later.
    assert slowed.get_json()["error_description"].startswith("too many failures")
    wait = int(slowed.headers["Retry-After"])
    assert wait > 0
    (event,) = events(world, "login_slowed")
    assert (event["client_id"], event["wait_seconds"]) == ("till", wait)
    world.clock.move(wait)
    assert sign_in(world).status_code == 200
    # A right password clears what stood against the account.
    assert world.rows("throttle") == []
    world.provider.parts.store.dispose()


@pytest.mark.row("S-11", "P-28")
def test_who_is_slowed_at_the_page_is_slowed_here(tmp_path: Path) -> None:
    clients = [place.client("trusted", trusted=True, flows=["authorization_code", "password"])]
    world = place.World.make(tmp_path, clients=clients)
    browser = world.browser("127.0.0.1")
    page = browser.authorize("trusted")
    for _ in range(6):
        page = browser.submit(page, username="alice", password="wrong")
    form = {"grant_type": "password", "username": "ALICE", "password": "demo-alice", "scope": "openid"}
    response = browser.step(
        f"{ISSUER}/token", form, headers={"Authorization": basic("trusted", place.CLIENT_SECRET)}
    ).response
    assert error_of(response) == INVALID_GRANT
    assert int(response.headers["Retry-After"]) > 0
    world.close()


@pytest.mark.row("S-11")
@pytest.mark.parametrize(
    ("trusted", "expected"),
    [([], "127.0.0.0/24"), (["127.0.0.0/8"], "198.51.100.0/24")],
    ids=["nobody-trusted", "proxy-trusted"],
)
def test_forwarded_addresses_count_only_from_trusted_networks(
    database, trusted: list[str], expected: str
) -> None:
    world = started(database, trusted_networks=trusted)
    form = {"grant_type": "password", "username": "alice", "password": "wrong", "scope": "openid"}
    headers = {"Authorization": basic("till", SECRETS["till"]), "X-Forwarded-For": "198.51.100.9"}
    world.post("/token", form, headers=headers, environ_overrides={"REMOTE_ADDR": "127.0.0.1"})
    assert events(world, "login_failed")[0]["network"] == expected


@pytest.mark.row("S-11", "P-28")
def test_when_all_slots_are_taken_the_client_is_told_to_come_back_and_nothing_is_counted(till: World) -> None:
    factor = factor_of(till)
    factor._patience_seconds = 0.01
    with factor._slot(), factor._slot():
        for _ in range(10):
            response = sign_in(till)
            assert error_of(response) == (503, "temporarily_unavailable")
            assert response.headers["Retry-After"] == "5"
    assert sign_in(till).status_code == 200


@pytest.mark.row("S-11", "P-23")
def test_nobody_waits_for_the_database_while_a_password_is_hashed(till: World) -> None:
    open_transactions = 0
    seen: list[int] = []
    begin, check = Store.begin, PasswordFactor.check

    @contextmanager
    def counted(store: Store) -> Iterator[Connection]:
        nonlocal open_transactions
        with begin(store) as conn:
            open_transactions += 1
            try:
                yield conn
            finally:
                open_transactions -= 1

    def watched(factor: PasswordFactor, *arguments: Any) -> Any:
        seen.append(open_transactions)
        return check(factor, *arguments)

    with patch.object(Store, "begin", counted), patch.object(PasswordFactor, "check", watched):
        assert sign_in(till).status_code == 200
        assert sign_in(till, password="wrong").status_code == 400
    assert seen == [0, 0]


@pytest.mark.row("S-11", "S-21", "P-12")
def test_its_tokens_are_asked_about_and_given_back_like_others(till: World) -> None:
    body = sign_in(till, scope="openid offline_access").get_json()
    assert introspect(till, body["access_token"], by="till")["username"] == "alice"
    as_client(till, "till", "/revoke", token=body["refresh_token"])
    assert introspect(till, body["access_token"], by="till") == {"active": False}


@pytest.mark.row("S-11")
def test_realms_know_their_own_people(database) -> None:
    (same,) = (client for client in with_client("till") if client["client_id"] == "till")
    world = started(database, realms=[{"name": "second", "clients": [same]}])
    form = {"grant_type": "password", "username": "alice", "password": "demo-alice", "scope": "openid"}
    response = as_client(world, "till", "/r/second/token", **form)
    assert error_of(response) == INVALID_GRANT
    assert events(world, "login_failed")[0]["reason"] == "unknown_user"


@pytest.mark.row("S-11", "S-15", "P-10")
@pytest.mark.parametrize(
    ("client_id", "changes", "status"),
    [
        pytest.param("till", {}, 200, id="right"),
        pytest.param("till", {"password": "wrong"}, 400, id="wrong"),
        pytest.param("app", {}, 400, id="client-without-the-flow"),
        pytest.param("till", {"scope": 'a"b'}, 400, id="malformed"),
        pytest.param("till", {"resource": "https://no.example"}, 400, id="unknown-api"),
    ],
)
def test_no_script_reads_what_a_guess_is_worth(
    till: World, client_id: str, changes: dict[str, str], status: int
) -> None:
    form = {"grant_type": "password", "username": "alice", "password": "demo-alice", "scope": "openid"}
    answer = as_client(till, client_id, "/token", **{**form, **changes})
    assert answer.status_code == status
    assert "Access-Control-Allow-Origin" not in answer.headers
    other = as_client(till, client_id, "/token", grant_type="refresh_token", refresh_token="x")
    assert other.headers["Access-Control-Allow-Origin"] == "*"

"""`/introspect`: who may ask, what is said of a good token, and that nothing is said of any other."""

from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from provider.realm import Realm
from tests.provider.endpoints.apis import (
    CLIENTS,
    LEGACY,
    ORDERS,
    as_client,
    robot,
    with_client,
    world_with_apis,
)
from tests.provider.world import ALICE, APP_SECRET, ISSUER, World, basic, error_of

INVALID_REQUEST = (400, "invalid_request")
INVALID_CLIENT = (401, "invalid_client")
INACTIVE = {"active": False}


def introspect(world: World, token: str, *, by: str = "inspector", **form: str) -> dict[str, object]:
    response = as_client(world, by, "/introspect", token=token, **form)
    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    document: dict[str, object] = response.get_json()
    return document


@pytest.mark.row("S-20", "C-3")
def test_an_access_token_of_a_person(apis_on_both: World) -> None:
    world = apis_on_both
    token = world.tokens(scope=("openid", "email"), org_id="acme")["access_token"]
    world.clock.move(10)

    assert introspect(world, token) == {
        "active": True,
        "scope": "openid email",
        "client_id": "app",
        "username": "alice",
        "token_type": "Bearer",
        "exp": world.now + 3590,
        "iat": world.now - 10,
        "sub": ALICE,
        "aud": ISSUER,
        "iss": ISSUER,
        "auth_time": world.now - 70,
        "acr": "knowledge",
        "amr": ["pwd"],
        "org_id": "acme",
    }


@pytest.mark.row("S-20", "E-09", "E-12")
@pytest.mark.parametrize(
    ("api", "scope"),
    [
        pytest.param(ORDERS, "orders.read orders.write", id="jwt"),
        pytest.param(LEGACY, "legacy.read", id="opaque"),
    ],
)
def test_a_token_of_a_client_for_itself(apis_on_both: World, api: str, scope: str) -> None:
    world = apis_on_both
    assert introspect(world, robot(world, resource=api).get_json()["access_token"]) == {
        "active": True,
        "scope": scope,
        "client_id": "robot",
        "token_type": "Bearer",
        "exp": world.now + 3600,
        "iat": world.now,
        "sub": "robot",
        "aud": api,
        "iss": ISSUER,
    }


@pytest.mark.row("S-20", "E-09")
@pytest.mark.parametrize("told", [True, False])
def test_an_api_that_is_not_told_of_the_sign_in_is_not_told_here_either(database, told: bool) -> None:
    orders = {
        "audience": ORDERS,
        "scopes": ["orders.read"],
        "include": ["authentication"] if told else ["client_name"],
    }
    world = world_with_apis(database, resources=[orders])
    token = world.tokens(scope=("openid", "orders.read"), api=ORDERS)["access_token"]

    answer = introspect(world, token)

    assert (answer["aud"], answer["scope"], answer["sub"]) == (ORDERS, "orders.read", ALICE)
    assert ({"acr", "amr", "auth_time"} <= answer.keys()) is told


@pytest.mark.row("S-20", "S-13")
def test_a_refresh_token_is_told_to_its_own_client_only(database) -> None:
    world = world_with_apis(database, clients=with_client("app", flows=[*APP_FLOWS, "introspection"]))
    first = world.tokens()["refresh_token"]

    answer = introspect(world, first, by="app")
    # Nothing that an API could take for access.
    assert answer == {
        "active": True,
        "scope": "openid profile email offline_access",
        "client_id": "app",
        "username": "alice",
        "exp": answer["exp"],
        "iat": world.now,
        "sub": ALICE,
        "iss": ISSUER,
        "auth_time": world.now - 60,
        "acr": "knowledge",
        "amr": ["pwd"],
    }
    assert introspect(world, first, by="inspector") == INACTIVE

    second = world.refresh(first).get_json()["refresh_token"]
    assert introspect(world, first, by="app") == INACTIVE
    assert introspect(world, second, by="app")["active"] is True
    world.clock.move(world.realm.settings.lifetimes.refresh_token_seconds)
    assert introspect(world, second, by="app") == INACTIVE


APP_FLOWS = ["authorization_code", "refresh_token", "revocation"]


@pytest.mark.row("S-20")
@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "saml2_token", ""])
def test_a_hint_changes_nothing(apis: World, hint: str) -> None:
    token = apis.tokens()["access_token"]
    assert introspect(apis, token, token_type_hint=hint)["active"] is True


def _of_another_realm(world: World) -> str:
    realm = world.provider.parts.realms[1]
    return str(world.post("/r/staff/token", _code_form(world, realm), headers=APP).get_json()["access_token"])


def _code_form(world: World, realm: Realm) -> dict[str, str]:
    return {
        "grant_type": "authorization_code",
        "code": world.code(realm),
        "redirect_uri": "https://app.example/cb",
        "code_verifier": "v" * 43,
    }


APP = {"Authorization": basic("app", APP_SECRET)}
ONE_REALM = [
    {
        "name": "staff",
        "clients": CLIENTS,
        "scopes": [{"value": s} for s in ("orders.read", "orders.write", "orders.erase", "legacy.read")],
        "users": [{"user_name": "alice", "user_id": ALICE}],
    }
]


@pytest.mark.row("S-20", "P-15", "S-24")
@pytest.mark.parametrize(
    "token_of",
    [
        pytest.param(lambda _: "garbage", id="garbage"),
        pytest.param(lambda _: "x" * 43, id="unknown"),
        pytest.param(lambda _: "a.b.c", id="no-jwt"),
        pytest.param(lambda _: "ë" * 100, id="not-ascii"),
        pytest.param(lambda _: "y" * 16_000, id="long"),
        pytest.param(lambda world: world.tokens()["id_token"], id="id-token"),
        pytest.param(lambda world: world.code(), id="code"),
        pytest.param(lambda world: world.tokens()["refresh_token"], id="refresh-token-of-another"),
        pytest.param(lambda world: _tampered(world, payload=True), id="jwt-changed"),
        pytest.param(lambda world: _tampered(world, payload=False), id="jwt-signature-changed"),
        pytest.param(_of_another_realm, id="of-another-realm"),
        pytest.param(lambda world: _stopped(world), id="stopped-by-a-second-use"),
    ],
)
def test_of_any_other_text_one_word_is_said(database, token_of: Callable[[World], str]) -> None:
    world = world_with_apis(database, realms=ONE_REALM)
    response = as_client(world, "inspector", "/introspect", token=token_of(world))
    assert response.status_code == 200
    assert response.data == b'{"active":false}'


def _tampered(world: World, *, payload: bool) -> str:
    parts = robot(world, resource=ORDERS).get_json()["access_token"].split(".")
    at = 1 if payload else 2
    parts[at] = ("A" if parts[at][5] != "A" else "B").join((parts[at][:5], parts[at][6:]))
    return ".".join(parts)


def _stopped(world: World) -> str:
    code = world.code()
    token = world.redeem(code).get_json()["access_token"]
    world.redeem(code)
    return str(token)


@pytest.mark.row("S-20", "P-12", "S-45")
@pytest.mark.parametrize("api", [pytest.param(None, id="no-api"), pytest.param(ORDERS, id="jwt")])
@pytest.mark.parametrize(
    "gone",
    [
        pytest.param({"clients": with_client("app", enabled=False)}, id="client-disabled"),
        pytest.param({"clients": with_client("app", allowed_users=["bob"])}, id="client-not-for-them"),
        pytest.param(
            {"users": [{"user_name": "alice", "user_id": ALICE, "active": False}]}, id="user-inactive"
        ),
        pytest.param({"users": []}, id="user-gone"),
        pytest.param(
            {"resources": [{"audience": ORDERS, "scopes": ["orders.read"], "enabled": False}]},
            id="api-closed",
        ),
        pytest.param({"resources": []}, id="api-gone"),
    ],
)
def test_what_it_hung_on_is_gone(database, api: str | None, gone: dict[str, object]) -> None:
    world = world_with_apis(database)
    token = world.tokens(scope=("openid", "orders.read") if api else ("openid",), api=api)["access_token"]
    assert introspect(world, token)["active"] is True

    later = world_with_apis(database, **gone)

    expected = "resources" in gone and api is None
    answer = introspect(later, token)
    assert answer == INACTIVE if not expected else answer["active"] is True


@pytest.mark.row("E-12", "S-20", "P-12")
def test_a_jwt_of_a_client_that_was_disabled_is_inactive_at_once(database) -> None:
    world = world_with_apis(database)
    token = robot(world, resource=ORDERS).get_json()["access_token"]
    later = world_with_apis(database, clients=with_client("robot", enabled=False))
    assert introspect(world, token)["active"] is True
    assert introspect(later, token) == INACTIVE


@pytest.mark.row("S-33", "C-8")
@pytest.mark.parametrize("api", [pytest.param(None, id="opaque"), pytest.param(ORDERS, id="jwt")])
@pytest.mark.parametrize(("skew_minutes", "last"), [(5, 1200), (0, 900)])
def test_a_token_of_a_quarter_of_an_hour_lives_as_long_as_the_skew_longer(
    database, api: str | None, skew_minutes: int, last: int
) -> None:
    world = world_with_apis(
        database, lifetimes={"access_token_hours": 0.25, "clock_skew_minutes": skew_minutes}
    )
    if api is None:
        token = world.tokens(scope=("openid",))["access_token"]
    else:
        token = robot(world, resource=api).get_json()["access_token"]
    issued_at = world.now

    world.clock.move(last - 1)
    answer = introspect(world, token)
    assert (answer["active"], answer["exp"]) == (True, issued_at + 900)
    assert world.userinfo(token).status_code == (200 if api is None else 403)
    world.clock.move(2)
    assert introspect(world, token) == INACTIVE
    assert error_of(world.userinfo(token)) == (401, "invalid_token")


@pytest.mark.row("S-50", "C-3", "E-22")
def test_only_a_client_with_the_permission(apis: World) -> None:
    token = apis.tokens()["access_token"]
    response = as_client(apis, "app", "/introspect", token=token)
    assert error_of(response) == (403, "unauthorized_client")
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.row("S-20", "P-15")
@pytest.mark.parametrize(
    ("form", "authorization", "expected"),
    [
        pytest.param([], "inspector", INVALID_REQUEST, id="token-missing"),
        pytest.param([("token", "")], "inspector", INVALID_REQUEST, id="token-empty"),
        pytest.param([("token", "a"), ("token", "b")], "inspector", INVALID_REQUEST, id="token-repeated"),
        pytest.param([("token", "x" * 16_385)], "inspector", INVALID_REQUEST, id="token-oversized"),
        pytest.param([("token", "a\0b")], "inspector", INVALID_REQUEST, id="token-with-nul"),
        pytest.param(
            [("token", "a"), ("token_type_hint", "x"), ("token_type_hint", "x")],
            "inspector",
            INVALID_REQUEST,
            id="hint-repeated",
        ),
        pytest.param(
            [("token", "a"), ("token_type_hint", "x" * 5000)],
            "inspector",
            INVALID_REQUEST,
            id="hint-oversized",
        ),
        pytest.param([("token", "a")], None, INVALID_CLIENT, id="nobody"),
        pytest.param([("token", "a"), ("client_id", "inspector")], None, INVALID_CLIENT, id="without-secret"),
        pytest.param(
            [("token", "a"), ("client_id", "native")], None, (403, "unauthorized_client"), id="public"
        ),
        pytest.param([("token", "a")], "stranger", INVALID_CLIENT, id="unknown-client"),
        pytest.param(
            [("token", "a"), ("client_id", "app")], "inspector", INVALID_REQUEST, id="client-id-of-another"
        ),
    ],
)
def test_one_thing_wrong(
    apis: World, form: list[tuple[str, str]], authorization: str | None, expected: tuple[int, str]
) -> None:
    secret = "inspector-3kQzX7VbN1mRtY9wLpGdHs5JfCe2AuKo8TiZq4ExA"
    headers = {} if authorization is None else {"Authorization": basic(authorization, secret)}
    response = apis.post("/introspect", form, headers=headers)
    assert error_of(response) == expected
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.row("S-20")
def test_an_access_token_is_no_way_to_ask(apis: World) -> None:
    """RFC 7662 lets the caller present one; here each client has one method."""
    token = apis.tokens()["access_token"]
    response = apis.post("/introspect", {"token": token}, headers={"Authorization": f"Bearer {token}"})
    assert error_of(response) == INVALID_CLIENT


@pytest.mark.row("S-20")
@pytest.mark.parametrize("path", ["/introspect", "/revoke"])
def test_only_a_posted_form(apis: World, path: str) -> None:
    query = urlencode({"token": "x"})
    assert apis.browser().get(f"{path}?{query}").status_code == 405
    headers = {"Authorization": basic("robot", "x"), "Content-Type": "application/json"}
    assert error_of(apis.browser().post(path, data="{}", headers=headers)) == INVALID_REQUEST
    asked = as_client(apis, "robot", f"{path}?{query}")
    assert error_of(asked) == INVALID_REQUEST

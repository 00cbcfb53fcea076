"""The grant `client_credentials`: a client for itself."""

import json
from dataclasses import replace
from unittest.mock import patch

import pytest

from oidcgate.jose.jwt import verify
from oidcgate.jose.keys import import_public_keys
from provider.store.clients import insert_client
from provider.store.engine import Store
from tests.provider.endpoints.apis import (
    CLOSED,
    LEGACY,
    ORDERS,
    PRIVATE,
    as_client,
    robot,
    with_client,
    world_with_apis,
)
from tests.provider.endpoints.test_cost import statements
from tests.provider.endpoints.test_introspect import INACTIVE, introspect
from tests.provider.registering import registered, registering
from tests.provider.world import ISSUER, World, basic, error_of

INVALID_SCOPE = (400, "invalid_scope")
INVALID_TARGET = (400, "invalid_target")


@pytest.mark.row("E-09", "E-10", "E-12", "E-17", "S-12")
def test_a_client_gets_a_token_for_an_api(apis: World) -> None:
    response = robot(apis, resource=ORDERS, scope="orders.read")

    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    body = response.get_json()
    assert body.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 3600, "orders.read")
    keys = import_public_keys(apis.browser().get("/jwks").get_json())
    token = verify(body["access_token"], keys, ["RS256"])
    assert token.header["typ"] == "at+jwt"
    jti = token.claims.pop("jti")
    assert len(jti) == 43
    assert token.claims == {
        "iss": ISSUER,
        "aud": ORDERS,
        "sub": "robot",
        "client_id": "robot",
        "iat": apis.now,
        "exp": apis.now + 3600,
        "scope": "orders.read",
        "client_itself": True,
    }


@pytest.mark.row("E-12", "S-12")
def test_a_token_that_is_a_jwt_costs_no_write(apis: World) -> None:
    def ask() -> None:
        assert robot(apis, resource=ORDERS).status_code == 200

    with patch.object(Store, "begin", side_effect=AssertionError("a transaction that writes")):
        sent = statements(apis, ask)

    assert sent
    assert {statement.split()[0] for statement in sent} <= {"BEGIN", "SELECT"}


@pytest.mark.row("P-13")
def test_a_token_of_who_registered_itself_and_was_given_nothing_yet_is_written_down(database) -> None:
    policy = {"flows": ["client_credentials"], "scopes": ["orders"], "audiences": [ORDERS]}
    world = registering(
        database,
        registration=policy,
        resources=[{"audience": ORDERS, "scopes": ["orders"], "access_token_format": "jwt"}],
        scopes=[{"value": "orders"}],
    )
    told = registered(world, grant_types=["client_credentials"], redirect_uris=None)
    said = basic(told["client_id"], told["client_secret"])

    form = {"grant_type": "client_credentials", "scope": "orders", "resource": ORDERS}
    assert world.post("/token", form, headers={"Authorization": said}).status_code == 200
    (grant,) = world.rows("grants")
    assert grant["client_id"] == told["client_id"]


@pytest.mark.row("E-12")
def test_an_opaque_token_hangs_on_a_grant_without_a_person(apis_on_both: World) -> None:
    body = robot(apis_on_both, resource=LEGACY).get_json()

    assert "." not in body["access_token"]
    (grant,) = apis_on_both.rows("grants")
    (token,) = apis_on_both.rows("access_tokens")
    assert (grant["user_id"], grant["client_id"], grant["api"]) == (None, "robot", LEGACY)
    assert token["grant_id"] == grant["grant_id"]
    # There is nothing to refresh: it ends with its token, and is swept with it.
    assert grant["expires_at"] == token["expires_at"] == apis_on_both.now + 3600
    assert apis_on_both.rows("refresh_tokens") == []


@pytest.mark.row("E-10", "E-12", "E-17", "S-52")
@pytest.mark.parametrize(
    ("form", "expected"),
    [
        pytest.param({"resource": ORDERS}, "orders.read orders.write", id="no-scope-all-it-may-have"),
        pytest.param({"audience": ORDERS, "scope": "orders.write"}, "orders.write", id="audience"),
        pytest.param(
            {"resource": ORDERS, "audience": ORDERS, "scope": "orders.write"}, "orders.write", id="both-alike"
        ),
        pytest.param({"scope": "reports"}, "reports", id="no-api"),
        pytest.param({"scope": "reports reports nonsense"}, "reports", id="unknown-ignored"),
        pytest.param(
            {"resource": ORDERS, "scope": "openid email offline_access staff orders.read"},
            "orders.read",
            id="about-a-person-ignored",
        ),
        pytest.param(
            {"resource": ORDERS, "scope": "orders.read reports"}, "orders.read", id="only-what-the-token-says"
        ),
        pytest.param({"scope": ""}, INVALID_SCOPE, id="nothing-asked"),
        pytest.param({"scope": " "}, INVALID_SCOPE, id="scope-blank"),
        pytest.param({"scope": "openid"}, INVALID_SCOPE, id="openid-alone"),
        pytest.param({"scope": "openid profile email"}, INVALID_SCOPE, id="about-a-person-alone"),
        pytest.param({"scope": "staff"}, INVALID_SCOPE, id="of-a-claim-alone"),
        pytest.param({"scope": "offline_access"}, INVALID_SCOPE, id="offline-access-alone"),
        pytest.param({"scope": "nonsense"}, INVALID_SCOPE, id="unknown-alone"),
        pytest.param({"scope": "orders.read"}, INVALID_SCOPE, id="of-an-api-not-named"),
        pytest.param({"resource": LEGACY, "scope": "orders.read"}, INVALID_SCOPE, id="of-another-api"),
        pytest.param({"resource": ORDERS, "scope": "orders.erase"}, INVALID_SCOPE, id="restricted"),
        pytest.param(
            {"resource": ORDERS, "scope": "orders.read orders.erase"}, INVALID_SCOPE, id="one-restricted"
        ),
        pytest.param({"resource": ORDERS, "scope": 'a"b'}, INVALID_SCOPE, id="scope-malformed"),
        pytest.param({"resource": ORDERS, "scope": "reports"}, INVALID_SCOPE, id="nothing-for-the-api"),
        pytest.param({"resource": ORDERS, "scope": "x" * 5000}, (400, "invalid_request"), id="oversized"),
        pytest.param({"resource": CLOSED}, INVALID_TARGET, id="api-closed"),
        pytest.param({"resource": PRIVATE}, INVALID_TARGET, id="api-of-others"),
        pytest.param({"resource": "https://nowhere.example"}, INVALID_TARGET, id="api-unknown"),
        pytest.param({"resource": "orders"}, INVALID_TARGET, id="resource-not-absolute"),
        pytest.param({"resource": ORDERS + "#x"}, INVALID_TARGET, id="resource-with-fragment"),
        pytest.param(
            {"resource": ORDERS, "audience": LEGACY},
            (400, "invalid_request"),
            id="resource-and-audience-differ",
        ),
    ],
)
def test_what_may_be_asked_for(apis: World, form: dict[str, str], expected: str | tuple[int, str]) -> None:
    response = robot(apis, **form)
    if isinstance(expected, str):
        assert (response.status_code, response.get_json()["scope"]) == (200, expected)
    else:
        assert error_of(response) == expected
        assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.row("S-12", "S-50", "P-15")
def test_only_a_client_with_the_flow(apis: World) -> None:
    response = as_client(apis, "app", "/token", grant_type="client_credentials", resource=ORDERS)
    assert error_of(response) == (400, "unauthorized_client")


@pytest.mark.row("S-12")
def test_a_client_without_a_secret_is_refused_whatever_its_row_says(apis: World) -> None:
    parts = apis.provider.parts
    with parts.store.begin() as conn:
        native = parts.clients.find(conn, apis.realm, "native")
        assert native is not None
        changed = replace(native, client_id="wild", flows=("client_credentials",), scopes=("*",))
        insert_client(conn, apis.realm.id, changed)

    form = {"grant_type": "client_credentials", "client_id": "wild", "resource": ORDERS}
    assert error_of(apis.post("/token", form)) == (400, "unauthorized_client")


@pytest.mark.row("E-12")
@pytest.mark.parametrize("form", [{"resource": ORDERS}, {"resource": LEGACY}, {"scope": "reports"}])
def test_userinfo_refuses_it(apis: World, form: dict[str, str]) -> None:
    token = robot(apis, **form).get_json()["access_token"]
    assert error_of(apis.userinfo(token)) == (403, "insufficient_scope")


@pytest.mark.row("E-12", "P-12")
@pytest.mark.parametrize("api", [pytest.param(ORDERS, id="jwt"), pytest.param(LEGACY, id="opaque")])
def test_a_token_of_a_disabled_client_is_dead_at_once(database, api: str) -> None:
    world = world_with_apis(database)
    token = robot(world, resource=api).get_json()["access_token"]
    assert error_of(world.userinfo(token)) == (403, "insufficient_scope")

    later = world_with_apis(database, clients=with_client("robot", enabled=False))

    assert error_of(later.userinfo(token)) == (401, "invalid_token")
    assert error_of(robot(later, resource=api)) == (401, "invalid_client")


@pytest.mark.row("E-12", "P-12")
@pytest.mark.parametrize("api", [pytest.param(ORDERS, id="jwt"), pytest.param(LEGACY, id="opaque")])
def test_a_client_that_is_enabled_again_has_none_of_its_tokens_back(apis_on_both: World, api: str) -> None:
    world = apis_on_both
    parts = world.provider.parts
    wanted = {"client_id": "job", "flows": ["client_credentials"], "scopes": ["*"]}
    with parts.store.begin() as conn:
        secret = parts.clients.add(conn, world.realm, wanted, world.now).secret
    assert secret is not None

    def token() -> str:
        form = {"grant_type": "client_credentials", "resource": api}
        return str(world.token(form, auth=("job", secret.reveal())).get_json()["access_token"])

    def switch(enabled: bool) -> None:
        with parts.store.begin() as conn:
            parts.clients.set_enabled(conn, world.realm, "job", enabled, world.now)

    old = token()
    assert introspect(world, old)["active"] is True
    switch(False)
    switch(True)
    with parts.store.begin() as conn:
        parts.clients.change(conn, world.realm, "job", {"name": "The job"}, world.now)
    assert introspect(world, old) == INACTIVE
    world.clock.move(1)
    assert introspect(world, token())["active"] is True
    assert introspect(world, old) == INACTIVE


@pytest.mark.row("P-15")
@pytest.mark.parametrize("api", [pytest.param(ORDERS, id="jwt"), pytest.param(LEGACY, id="opaque")])
def test_the_event_names_the_client_and_no_token(apis: World, api: str) -> None:
    body = robot(apis, resource=api).get_json()
    (line,) = [line for line in apis.events if '"provider.tokens_issued"' in line]
    assert body["access_token"] not in line
    event = json.loads(line)
    # A JWT hangs on nothing that could be named.
    grant_ids = [row["grant_id"] for row in apis.rows("grants")]
    assert {name: event[name] for name in ("realm", "client_id", "user_id", "grant_type", "scope")} == {
        "realm": "default",
        "client_id": "robot",
        "user_id": None,
        "grant_type": "client_credentials",
        "scope": body["scope"].split(),
    }
    assert event["grant_id"] == (grant_ids[0] if api == LEGACY else None)

"""`/revoke`: a client's own tokens stop, nobody else's do, and the answer does not tell."""

from unittest.mock import patch

import pytest

from provider.store.engine import Store
from tests.provider.endpoints.apis import LEGACY, ORDERS, as_client, robot, with_client, world_with_apis
from tests.provider.endpoints.test_cost import statements
from tests.provider.endpoints.test_introspect import INACTIVE, introspect
from tests.provider.world import ALICE, VERIFIER, World, basic, error_of

INVALID_GRANT = (400, "invalid_grant")
INVALID_REQUEST = (400, "invalid_request")
INVALID_CLIENT = (401, "invalid_client")


def revoke(world: World, token: str, *, by: str = "app", **form: str) -> None:
    """Give it back; the answer is always the same."""
    response = as_client(world, by, "/revoke", token=token, **form)
    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["Cache-Control"] == "no-store"


def revocations(world: World) -> list[str]:
    return [line for line in world.events if '"provider.token_revoked"' in line]


@pytest.mark.row("S-21")
def test_an_access_token_stops_alone(apis_on_both: World) -> None:
    world = apis_on_both
    tokens = world.tokens()

    revoke(world, tokens["access_token"])

    assert introspect(world, tokens["access_token"]) == INACTIVE
    assert error_of(world.userinfo(tokens["access_token"])) == (401, "invalid_token")
    assert world.refresh(tokens["refresh_token"]).status_code == 200
    (line,) = revocations(world)
    assert '"kind":"access_token"' in line.replace(" ", "")
    assert ALICE in line
    assert tokens["access_token"] not in line


@pytest.mark.row("S-21")
def test_a_refresh_token_takes_everything_with_it(apis_on_both: World) -> None:
    world = apis_on_both
    first = world.tokens()
    second = world.refresh(first["refresh_token"]).get_json()
    kept = world.tokens()

    revoke(world, second["refresh_token"])

    for token in (first["access_token"], second["access_token"]):
        assert introspect(world, token) == INACTIVE
    assert error_of(world.refresh(second["refresh_token"])) == INVALID_GRANT
    # Of another sign-in.
    assert introspect(world, kept["access_token"])["active"] is True
    assert [grant["revoke_reason"] for grant in world.rows("grants")].count("revoked_by_client") == 1
    (line,) = revocations(world)
    assert '"kind":"refresh_token"' in line.replace(" ", "")


@pytest.mark.row("S-21")
def test_a_used_refresh_token_stops_its_successors(apis: World) -> None:
    """A client that could not read the answer to its last refresh has no newer one to give back."""
    first = apis.tokens()["refresh_token"]
    second = apis.refresh(first).get_json()
    revoke(apis, first)
    assert introspect(apis, second["access_token"]) == INACTIVE
    assert error_of(apis.refresh(second["refresh_token"])) == INVALID_GRANT


@pytest.mark.row("S-21", "E-12")
@pytest.mark.parametrize("api", [pytest.param(ORDERS, id="jwt"), pytest.param(LEGACY, id="opaque")])
def test_a_token_of_a_client_for_itself(apis_on_both: World, api: str) -> None:
    world = apis_on_both
    token, other = (robot(world, resource=api).get_json()["access_token"] for _ in range(2))

    revoke(world, token, by="robot")
    revoke(world, token, by="robot")

    assert introspect(world, token) == INACTIVE
    assert introspect(world, other)["active"] is True
    assert len(revocations(world)) == 1
    stopped = world.rows("revoked_tokens")
    assert [row["expires_at"] for row in stopped] == ([world.now + 3600] if api == ORDERS else [])
    # Its row stays for as long as the token would have been good.
    world.clock.move(3600 + 299)
    world.provider.parts.housekeeping.sweep(world.now)
    assert introspect(world, token) == INACTIVE
    world.clock.move(3600)
    world.provider.parts.housekeeping.sweep(world.now)
    assert world.rows("revoked_tokens") == []


@pytest.mark.row("S-21", "P-15")
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_another_clients_token_is_untouched(apis_on_both: World, kind: str) -> None:
    world = apis_on_both
    tokens = world.tokens()

    revoke(world, tokens[kind], by="other")

    assert introspect(world, tokens["access_token"])["active"] is True
    assert world.refresh(tokens["refresh_token"]).status_code == 200
    assert revocations(world) == []


@pytest.mark.row("S-21", "P-15")
def test_another_clients_jwt_is_untouched(apis: World) -> None:
    token = robot(apis, resource=ORDERS).get_json()["access_token"]
    revoke(apis, token, by="app")
    assert introspect(apis, token)["active"] is True
    assert apis.rows("revoked_tokens") == []


@pytest.mark.row("S-21")
@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "saml2_token"])
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_a_hint_changes_nothing(apis: World, kind: str, hint: str) -> None:
    tokens = apis.tokens()
    revoke(apis, tokens[kind], token_type_hint=hint)
    assert introspect(apis, tokens["access_token"]) == INACTIVE


@pytest.mark.row("S-21")
def test_unknown_and_ended_tokens_are_answered_alike_and_cost_no_write(apis: World) -> None:
    ended = robot(apis, resource=ORDERS).get_json()["access_token"]
    stopped = apis.tokens()["refresh_token"]
    revoke(apis, stopped)
    apis.clock.move(3600 + 300)

    with patch.object(Store, "begin", side_effect=AssertionError("a transaction that writes")):
        for token in ("garbage", "x" * 43, "a.b.c", "ë", stopped):
            revoke(apis, token)
        revoke(apis, ended, by="robot")
    assert len(revocations(apis)) == 1


@pytest.mark.row("S-21", "P-12")
def test_a_token_of_somebody_locked_out_is_stopped_for_good(database) -> None:
    token = world_with_apis(database).tokens()["access_token"]
    locked = [{"user_name": "alice", "user_id": ALICE, "active": False}]
    revoke(world_with_apis(database, users=locked), token)
    assert introspect(world_with_apis(database), token) == INACTIVE


@pytest.mark.row("S-21")
def test_a_public_client_gives_its_own_back(apis: World) -> None:
    uri = "https://native.example/cb"
    form = {
        "grant_type": "authorization_code",
        "client_id": "native",
        "redirect_uri": uri,
        "code_verifier": VERIFIER,
        "code": apis.code(client_id="native", redirect_uri=uri),
    }
    token = apis.token(form, auth=None).get_json()["access_token"]
    foreign = apis.tokens()["access_token"]

    for given in (token, foreign):
        response = apis.post("/revoke", {"client_id": "native", "token": given})
        assert (response.status_code, response.data) == (200, b"")

    assert introspect(apis, token) == INACTIVE
    assert introspect(apis, foreign)["active"] is True


@pytest.mark.row("S-50")
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_only_a_client_with_the_permission(database, kind: str) -> None:
    world = world_with_apis(
        database, clients=with_client("app", flows=["authorization_code", "refresh_token"])
    )
    tokens = world.tokens()
    response = as_client(world, "app", "/revoke", token=tokens[kind])
    assert error_of(response) == (403, "unauthorized_client")
    assert introspect(world, tokens["access_token"])["active"] is True


@pytest.mark.row("S-21", "P-15")
@pytest.mark.parametrize(
    ("form", "authorization", "expected"),
    [
        pytest.param([], "robot", INVALID_REQUEST, id="token-missing"),
        pytest.param([("token", "")], "robot", INVALID_REQUEST, id="token-empty"),
        pytest.param([("token", "a"), ("token", "b")], "robot", INVALID_REQUEST, id="token-repeated"),
        pytest.param([("token", "x" * 16_385)], "robot", INVALID_REQUEST, id="token-oversized"),
        pytest.param([("token", "a\0b")], "robot", INVALID_REQUEST, id="token-with-nul"),
        pytest.param([("token", "a")], None, INVALID_CLIENT, id="nobody"),
        pytest.param([("token", "a"), ("client_id", "robot")], None, INVALID_CLIENT, id="without-secret"),
        pytest.param(
            [("token", "a"), ("client_id", "nobody")], None, INVALID_CLIENT, id="unknown-public-client"
        ),
        pytest.param([("token", "a")], "stranger", INVALID_CLIENT, id="unknown-client"),
        pytest.param(
            [("token", "a"), ("client_id", "app")], "robot", INVALID_REQUEST, id="client-id-of-another"
        ),
    ],
)
def test_one_thing_wrong(
    apis: World, form: list[tuple[str, str]], authorization: str | None, expected: tuple[int, str]
) -> None:
    secret = "robot-3kQzX7VbN1mRtY9wLpGdHs5JfCe2AuKo8TiZq4ExA"
    headers = {} if authorization is None else {"Authorization": basic(authorization, secret)}
    response = apis.post("/revoke", form, headers=headers)
    assert error_of(response) == expected
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.row("S-21", "P-26")
def test_a_family_of_any_size_is_given_back_by_the_same_statements(apis: World) -> None:
    def given_back(size: int) -> list[str]:
        newest = apis.tokens()["refresh_token"]
        for _ in range(size):
            newest = apis.refresh(newest).get_json()["refresh_token"]
        return statements(apis, lambda: revoke(apis, newest))

    small, large = given_back(1), given_back(20)
    assert small == large
    assert sum(statement.startswith(("UPDATE", "DELETE", "INSERT")) for statement in large) == 1

"""`/token` with a refresh token: rotation, the grace, the end of a family, scopes."""

import pytest

from oidcgate.jose.jwt import verify
from oidcgate.jose.keys import import_public_keys
from tests.provider.world import APP_SECRET, OTHER_SECRET, REDIRECT_URI, World, error_of

INVALID_GRANT = (400, "invalid_grant")


@pytest.mark.row("S-03", "S-13")
def test_a_refresh_token_is_exchanged_for_its_successor(world: World) -> None:
    first = world.tokens()
    world.clock.move(4000)
    assert world.userinfo(first["access_token"]).status_code == 401

    second = world.refresh(first["refresh_token"]).get_json()

    assert second["refresh_token"] != first["refresh_token"]
    assert second["scope"] == first["scope"]
    assert world.userinfo(second["access_token"]).status_code == 200


@pytest.mark.row("S-13")
def test_the_new_id_token_keeps_the_sign_in(world: World) -> None:
    first = world.tokens()
    keys = import_public_keys(world.browser().get("/jwks").get_json())
    before = verify(first["id_token"], keys, ["RS256"]).claims
    world.clock.move(60)
    after = verify(world.refresh(first["refresh_token"]).get_json()["id_token"], keys, ["RS256"]).claims
    kept = ("iss", "sub", "aud", "auth_time", "acr", "amr", "sid", "preferred_username")
    assert [after[name] for name in kept] == [before[name] for name in kept]
    assert after["iat"] == before["iat"] + 60
    assert "nonce" not in after


@pytest.mark.row("S-13", "P-21", "P-23")
def test_a_retry_inside_the_grace_gets_the_same_pair(world: World) -> None:
    first = world.tokens()
    second = world.refresh(first["refresh_token"]).get_json()
    world.clock.move(29)

    retried = world.refresh(first["refresh_token"]).get_json()

    assert retried["refresh_token"] == second["refresh_token"]
    assert retried["access_token"] == second["access_token"]
    assert retried["expires_in"] == second["expires_in"] - 29
    assert world.refresh(retried["refresh_token"]).status_code == 200
    assert len(world.rows("refresh_tokens")) == 3


@pytest.mark.row("S-13", "P-22", "P-24")
@pytest.mark.parametrize(
    ("seconds", "use_successor"),
    [
        pytest.param(30, False, id="after-the-grace"),
        pytest.param(0, True, id="successor-was-used"),
        pytest.param(29, True, id="successor-was-used-late"),
    ],
)
def test_any_other_second_use_ends_the_family(world: World, seconds: int, use_successor: bool) -> None:
    first = world.tokens()
    newest = world.refresh(first["refresh_token"]).get_json()
    if use_successor:
        newest = world.refresh(newest["refresh_token"]).get_json()
    world.clock.move(seconds)

    assert error_of(world.refresh(first["refresh_token"])) == INVALID_GRANT

    assert error_of(world.refresh(newest["refresh_token"])) == INVALID_GRANT
    assert world.userinfo(newest["access_token"]).status_code == 401
    assert any('"provider.refresh_token_reused"' in line for line in world.events)


@pytest.mark.row("S-13", "P-22")
@pytest.mark.parametrize(
    "form",
    [
        pytest.param({"scope": "openid admin"}, id="scope"),
        pytest.param({"audience": "https://api.example"}, id="audience"),
    ],
)
def test_a_second_use_ends_the_family_whatever_else_is_wrong(world: World, form: dict[str, str]) -> None:
    first = world.tokens()
    second = world.refresh(first["refresh_token"]).get_json()
    newest = world.refresh(second["refresh_token"]).get_json()
    assert error_of(world.refresh(first["refresh_token"], **form)) == INVALID_GRANT
    assert error_of(world.refresh(newest["refresh_token"])) == INVALID_GRANT


@pytest.mark.row("P-21", "P-23")
def test_a_retry_gets_no_access_token_that_has_ended(database) -> None:
    lifetimes = {"access_token_hours": 0.01, "refresh_grace_seconds": 300}
    world = World.over(database, lifetimes=lifetimes)
    first = world.tokens()
    second = world.refresh(first["refresh_token"]).get_json()
    world.clock.move(100)
    retried = world.refresh(first["refresh_token"]).get_json()
    assert retried["refresh_token"] == second["refresh_token"]
    assert retried["expires_in"] == 36
    assert world.userinfo(retried["access_token"]).status_code == 200


@pytest.mark.row("P-24")
def test_a_revoked_family_gets_no_grace(world: World) -> None:
    code = world.code()
    first = world.redeem(code).get_json()
    world.refresh(first["refresh_token"])
    world.redeem(code)
    assert error_of(world.refresh(first["refresh_token"])) == INVALID_GRANT


def test_the_grace_can_be_switched_off(database) -> None:
    world = World.over(database, lifetimes={"refresh_grace_seconds": 0})
    first = world.tokens()
    world.refresh(first["refresh_token"])
    assert error_of(world.refresh(first["refresh_token"])) == INVALID_GRANT


@pytest.mark.row("S-03", "S-34")
def test_refreshing_ends_with_the_first_tokens_lifetime(database) -> None:
    world = World.over(database, lifetimes={"refresh_token_hours": 2})
    token = world.tokens()["refresh_token"]
    world.clock.move(3600)
    token = world.refresh(token).get_json()["refresh_token"]
    world.clock.move(3599)
    token = world.refresh(token).get_json()["refresh_token"]
    world.clock.move(1)
    assert error_of(world.refresh(token)) == INVALID_GRANT


@pytest.mark.row("S-13")
def test_the_scope_may_shrink_and_grow_back(world: World) -> None:
    token = world.tokens()["refresh_token"]
    narrow = world.refresh(token, scope="openid  email").get_json()
    assert narrow["scope"] == "openid email"
    assert world.userinfo(narrow["access_token"]).get_json().keys() == {"sub", "email", "email_verified"}
    whole = world.refresh(narrow["refresh_token"]).get_json()
    assert whole["scope"] == "openid profile email offline_access"


@pytest.mark.row("S-13")
@pytest.mark.parametrize("scope", ["openid phone", "admin", "openid profile email offline_access address"])
def test_the_scope_may_not_grow(world: World, scope: str) -> None:
    token = world.tokens()["refresh_token"]
    assert error_of(world.refresh(token, scope=scope)) == (400, "invalid_scope")
    assert world.refresh(token).status_code == 200


@pytest.mark.row("P-25")
def test_two_parts_of_a_client_may_ask_for_different_scopes(world: World) -> None:
    token = world.tokens()["refresh_token"]
    one = world.refresh(token, scope="openid email").get_json()
    other = world.refresh(token, scope="openid profile").get_json()
    assert other["refresh_token"] == one["refresh_token"]
    assert other["access_token"] != one["access_token"]
    assert (one["scope"], other["scope"]) == ("openid email", "openid profile")


def test_without_openid_there_is_no_id_token(world: World) -> None:
    token = world.tokens()["refresh_token"]
    assert "id_token" not in world.refresh(token, scope="profile").get_json()


@pytest.mark.row("S-13")
def test_another_client_cannot_use_it_or_end_it(world: World) -> None:
    token = world.tokens()["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "other"}
    stolen = world.token({**form, "client_secret": OTHER_SECRET}, auth=None)
    assert error_of(stolen) == INVALID_GRANT
    token = world.refresh(token).get_json()["refresh_token"]
    assert error_of(world.token({**form, "client_secret": OTHER_SECRET}, auth=None)) == INVALID_GRANT
    assert world.refresh(token).status_code == 200


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        pytest.param({}, (400, "invalid_request"), id="missing"),
        pytest.param({"refresh_token": "wrong"}, INVALID_GRANT, id="wrong"),
        pytest.param({"refresh_token": "x" * 20_000}, (400, "invalid_request"), id="oversized"),
        pytest.param({"refresh_token": "é"}, INVALID_GRANT, id="not-ascii"),
        pytest.param(
            {"refresh_token": "x", "scope": "o" * 5000}, (400, "invalid_request"), id="scope-oversized"
        ),
        pytest.param({"refresh_token": "x", "scope": 'open"id'}, (400, "invalid_scope"), id="scope-illegal"),
    ],
)
def test_bad_requests(world: World, form: dict[str, str], expected: tuple[int, str]) -> None:
    assert error_of(world.token({"grant_type": "refresh_token", **form})) == expected


@pytest.mark.parametrize("name", ["refresh_token", "scope", "grant_type"])
def test_a_repeated_parameter_is_refused(world: World, name: str) -> None:
    from tests.provider.world import basic

    form = {
        "grant_type": "refresh_token",
        "refresh_token": world.tokens()["refresh_token"],
        "scope": "openid",
    }
    pairs = [*form.items(), (name, form[name])]
    response = world.post("/token", pairs, headers={"Authorization": basic("app", APP_SECRET)})
    assert error_of(response) == (400, "invalid_request")


@pytest.mark.row("S-45", "P-12")
@pytest.mark.parametrize("change", ["flow-taken-away", "user-inactive", "scope-taken-away"])
def test_the_configuration_of_today_counts(database, world: World, change: str) -> None:
    token = world.tokens()["refresh_token"]
    client = {
        "client_id": "app",
        "client_secret": APP_SECRET,
        "redirect_uris": [REDIRECT_URI],
        "flows": ["authorization_code", "refresh_token"],
    }
    user = {"user_name": "alice", "user_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7"}
    if change == "flow-taken-away":
        client["flows"] = ["authorization_code"]
    elif change == "user-inactive":
        user["active"] = False
    else:
        client["scopes"] = ["openid", "profile", "offline_access"]
    later = World.over(database, clients=[client], users=[user])
    response = later.refresh(token)
    if change == "flow-taken-away":
        assert error_of(response) == (400, "unauthorized_client")
    elif change == "user-inactive":
        assert error_of(response) == INVALID_GRANT
    else:
        assert response.get_json()["scope"] == "openid profile offline_access"
        assert error_of(later.refresh(response.get_json()["refresh_token"], scope="email")) == (
            400,
            "invalid_scope",
        )

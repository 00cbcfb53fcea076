"""`/userinfo`: where a token may be, when it is good, what is said."""

import pytest

from tests.provider.world import ALICE, APP_SECRET, REDIRECT_URI, World, error_of


@pytest.mark.row("E-08", "S-16")
@pytest.mark.parametrize("way", ["get-header", "post-header", "post-body"])
def test_three_ways_to_present_a_token(world: World, way: str) -> None:
    token = world.tokens()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    if way == "post-body":
        response = world.post("/userinfo", {"access_token": token})
    elif way == "post-header":
        response = world.browser().post("/userinfo", headers=headers)
    else:
        response = world.browser().get("/userinfo", headers=headers)

    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.get_json() == {
        "sub": ALICE,
        "preferred_username": "alice",
        "name": "Alice Liddell",
        "email": "alice@example.org",
        "email_verified": True,
    }


@pytest.mark.row("E-08")
@pytest.mark.parametrize(
    ("scope", "claims"),
    [
        pytest.param(("openid",), {"sub"}, id="openid"),
        pytest.param(("openid", "email"), {"sub", "email", "email_verified"}, id="email"),
        pytest.param(("openid", "profile"), {"sub", "name", "preferred_username"}, id="profile"),
        pytest.param(("openid", "phone", "address", "groups"), {"sub"}, id="nothing-known"),
    ],
)
def test_claims_of_the_granted_scopes_only(world: World, scope: tuple[str, ...], claims: set[str]) -> None:
    assert world.userinfo(world.tokens(scope=scope)["access_token"]).get_json().keys() == claims


@pytest.mark.row("E-08")
def test_a_token_without_openid(world: World) -> None:
    response = world.userinfo(world.tokens(scope=("profile",))["access_token"])
    assert error_of(response) == (403, "insufficient_scope")
    assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]


@pytest.mark.row("E-08")
@pytest.mark.parametrize(
    "header",
    [
        pytest.param("Bearer wrong", id="unknown"),
        pytest.param("Bearer ", id="empty"),
        pytest.param("Bearer a b", id="two-words"),
        pytest.param("Bearer " + "x" * 20_000, id="oversized"),
        pytest.param("Bearer a,b", id="illegal-character"),
    ],
)
def test_a_bad_token(world: World, header: str) -> None:
    response = world.browser().get("/userinfo", headers={"Authorization": header})
    assert error_of(response) == (401, "invalid_token")
    assert response.headers["WWW-Authenticate"].startswith('Bearer realm="https://id.example"')


@pytest.mark.parametrize(
    "header", [pytest.param(None, id="nothing"), pytest.param("Basic abc", id="another-scheme")]
)
def test_no_token_names_no_error(world: World, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    response = world.browser().get("/userinfo", headers=headers)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="https://id.example"'


def test_a_token_in_the_query_is_not_looked_at(world: World) -> None:
    token = world.tokens()["access_token"]
    assert world.browser().get(f"/userinfo?access_token={token}").status_code == 401


@pytest.mark.parametrize("repeated", ["header-and-body", "twice-in-body"])
def test_a_token_presented_twice(world: World, repeated: str) -> None:
    token = world.tokens()["access_token"]
    in_header = repeated == "header-and-body"
    response = world.post(
        "/userinfo",
        [("access_token", token)] * (1 if in_header else 2),
        headers={"Authorization": f"Bearer {token}"} if in_header else {},
    )
    assert error_of(response) == (400, "invalid_request")
    assert 'error="invalid_request"' in response.headers["WWW-Authenticate"]


@pytest.mark.row("S-33", "S-32")
def test_a_quarter_of_an_hour_ends_at_twenty_minutes(database) -> None:
    world = World.over(database, lifetimes={"access_token_hours": 0.25})
    token = world.tokens()["access_token"]
    world.clock.move(19 * 60 + 59)
    assert world.userinfo(token).status_code == 200
    world.clock.move(1)
    assert error_of(world.userinfo(token)) == (401, "invalid_token")


@pytest.mark.row("S-33")
def test_without_skew_a_token_ends_on_its_second(database) -> None:
    world = World.over(database, lifetimes={"access_token_hours": 0.25, "clock_skew_minutes": 0})
    token = world.tokens()["access_token"]
    world.clock.move(15 * 60 - 1)
    assert world.userinfo(token).status_code == 200
    world.clock.move(1)
    assert world.userinfo(token).status_code == 401


@pytest.mark.row("S-45", "P-12")
@pytest.mark.parametrize("gone", ["client", "user"])
def test_a_token_stops_with_its_client_and_its_person(database, world: World, gone: str) -> None:
    token = world.tokens()["access_token"]
    client = {"client_id": "app", "client_secret": APP_SECRET, "redirect_uris": [REDIRECT_URI]}
    clients = [{**client, "enabled": gone != "client"}]
    users = [{"user_name": "alice", "user_id": ALICE, "active": gone != "user"}]
    later = World.over(database, clients=clients, users=users)
    assert later.userinfo(token).status_code == 401


def test_a_refresh_token_is_no_access_token(world: World) -> None:
    assert world.userinfo(world.tokens()["refresh_token"]).status_code == 401

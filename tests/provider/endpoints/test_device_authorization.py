"""`/device_authorization` and the device grant: every parameter missing, repeated, oversized and wrong; who
may use it, how many at once, and codes that never collide.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from werkzeug.test import TestResponse

from oidcgate.protocol.token import DEVICE_CODE
from provider.endpoints.device_authorization import DeviceAuthorizationEndpoint
from provider.store import device_codes
from tests.provider.databases import made_postgresql, url
from tests.provider.world import APP_SECRET, ISSUER, OTHER_SECRET, World, basic, error_of

__all__ = ["made_postgresql", "url"]

INVALID_REQUEST = (400, "invalid_request")
INVALID_CLIENT = (401, "invalid_client")
INVALID_GRANT = (400, "invalid_grant")
FORM = {"client_id": "tv", "scope": "openid profile"}
API = "https://api.example"
CLIENTS = [
    {"client_id": "tv", "auth_method": "none", "flows": ["device_code"]},
    {"client_id": "radio", "auth_method": "none", "flows": ["device_code"]},
    {"client_id": "app", "client_secret": APP_SECRET, "flows": ["device_code"]},
    {
        "client_id": "other",
        "client_secret": OTHER_SECRET,
        "redirect_uris": ["https://other.example/cb"],
        "flows": ["authorization_code"],
    },
    {"client_id": "off", "auth_method": "none", "flows": ["device_code"], "enabled": False},
]
APIS = [
    {"name": "api", "audience": API, "scopes": ["read"]},
    {"name": "closed", "audience": "https://closed.example", "clients": ["other"]},
]


@pytest.fixture
def world(database) -> World:
    return World.over(database, clients=CLIENTS, resources=APIS, scopes=[{"value": "read"}])


def ask(world: World, *more: tuple[str, str], headers: dict[str, str] | None = None, **changes: str) -> Any:
    form = {name: value for name, value in {**FORM, **changes}.items() if value}
    return world.post("/device_authorization", [*form.items(), *more], headers=headers or {})


@pytest.mark.row("S-50")
def test_what_a_device_is_told(world: World) -> None:
    answer = ask(world)
    assert answer.status_code == 200
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
    body = answer.get_json()
    user_code = body["user_code"]
    assert len(body.pop("device_code")) == 43
    assert body == {
        "user_code": user_code,
        "verification_uri": f"{ISSUER}/device",
        "verification_uri_complete": f"{ISSUER}/device?user_code={user_code}",
        "expires_in": 600,
        "interval": 5,
    }


@pytest.mark.row("S-32")
def test_lifetime_and_interval_are_settings(database) -> None:
    lifetimes = {"device_code_minutes": 2.5, "device_interval_seconds": 9}
    body = ask(World.over(database, clients=CLIENTS, lifetimes=lifetimes)).get_json()
    assert (body["expires_in"], body["interval"]) == (150, 9)


def test_the_discovery_document_says_where_it_is(world: World) -> None:
    document = world.browser().get("/.well-known/openid-configuration").get_json()
    assert document["device_authorization_endpoint"] == f"{ISSUER}/device_authorization"
    assert DEVICE_CODE in document["grant_types_supported"]


@pytest.mark.row("E-25", "S-50")
@pytest.mark.parametrize(
    ("changes", "more", "expected"),
    [
        pytest.param({"client_id": ""}, [], INVALID_CLIENT, id="client-missing"),
        pytest.param({"client_id": "nobody"}, [], INVALID_CLIENT, id="client-unknown"),
        pytest.param({"client_id": "off"}, [], INVALID_CLIENT, id="client-disabled"),
        pytest.param({"client_id": "app"}, [], INVALID_CLIENT, id="client-with-a-secret-without-it"),
        pytest.param({"client_id": "x" * 5000}, [], INVALID_REQUEST, id="client-oversized"),
        pytest.param({}, [("client_id", "tv")], INVALID_REQUEST, id="client-twice"),
        pytest.param({"scope": ""}, [], (400, "invalid_scope"), id="scope-missing"),
        pytest.param({"scope": "nothing-known"}, [], (400, "invalid_scope"), id="scope-unknown"),
        pytest.param(
            {"scope": "openid read", "resource": API}, [], (400, "invalid_scope"), id="scope-not-allowed"
        ),
        pytest.param({"scope": 'a"b'}, [], (400, "invalid_scope"), id="scope-malformed"),
        pytest.param({"scope": "x" * 5000}, [], INVALID_REQUEST, id="scope-oversized"),
        pytest.param({}, [("scope", "openid")], INVALID_REQUEST, id="scope-twice"),
        pytest.param({"resource": "https://no.example"}, [], (400, "invalid_target"), id="api-unknown"),
        pytest.param({"resource": "https://closed.example"}, [], (400, "invalid_target"), id="api-closed"),
        pytest.param({"resource": API}, [("audience", "x")], INVALID_REQUEST, id="two-apis"),
        pytest.param({}, [("unknown", "x")], None, id="unknown-parameter-ignored"),
        pytest.param({"scope": "openid openid nothing-known"}, [], None, id="unknown-scope-ignored"),
    ],
)
def test_each_parameter(
    world: World, changes: dict[str, str], more: list[tuple[str, str]], expected: tuple[int, str] | None
) -> None:
    answer = ask(world, *more, **changes)
    if expected is None:
        assert answer.status_code == 200, answer.text
        assert world.rows("device_codes")[0]["scope"][0] == "openid"
    else:
        assert error_of(answer) == expected
        assert world.rows("device_codes") == []


@pytest.mark.row("S-50")
def test_a_client_without_the_switch(world: World) -> None:
    headers = {"Authorization": basic("other", OTHER_SECRET)}
    assert error_of(ask(world, headers=headers, client_id="")) == (400, "unauthorized_client")
    (refused,) = [line for line in world.events if '"provider.request_refused"' in line]
    assert '"client_id":"other","path":"/device_authorization","error":"unauthorized_client"' in refused
    form = {"grant_type": DEVICE_CODE, "device_code": "x"}
    assert error_of(world.token(form, auth=("other", OTHER_SECRET))) == (400, "unauthorized_client")


@pytest.mark.row("S-50")
def test_a_client_with_a_secret_shows_it(world: World) -> None:
    right = ask(world, headers={"Authorization": basic("app", APP_SECRET)}, client_id="")
    assert right.status_code == 200
    wrong = ask(world, headers={"Authorization": basic("app", OTHER_SECRET)}, client_id="")
    assert error_of(wrong) == INVALID_CLIENT


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_only_post(world: World, method: str) -> None:
    assert getattr(world.browser(), method)("/device_authorization").status_code == 405


def test_another_content_type(world: World) -> None:
    answer = world.browser().post("/device_authorization", json=FORM)
    assert error_of(answer) == INVALID_REQUEST


@pytest.mark.row("E-25")
@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        pytest.param([], INVALID_REQUEST, id="code-missing"),
        pytest.param([("device_code", "")], INVALID_REQUEST, id="code-empty"),
        pytest.param([("device_code", "a"), ("device_code", "b")], INVALID_REQUEST, id="code-twice"),
        pytest.param([("device_code", "x" * 9000)], INVALID_REQUEST, id="code-oversized"),
        pytest.param([("device_code", "a\0b")], INVALID_REQUEST, id="code-with-nul"),
        pytest.param([("device_code", "wrong")], INVALID_GRANT, id="code-wrong"),
        pytest.param([("device_code", "é")], INVALID_GRANT, id="code-not-ascii"),
    ],
)
def test_each_parameter_of_the_grant(
    world: World, pairs: list[tuple[str, str]], expected: tuple[int, str]
) -> None:
    form = [("grant_type", DEVICE_CODE), ("client_id", "tv"), *pairs]
    assert error_of(world.post("/token", form)) == expected


@pytest.mark.row("P-04")
def test_what_the_person_types_is_not_the_devices_code(world: World) -> None:
    started = ask(world).get_json()
    for text in (started["user_code"], started["user_code"].replace("-", "")):
        form = {"grant_type": DEVICE_CODE, "client_id": "tv", "device_code": text}
        assert error_of(world.post("/token", form)) == INVALID_GRANT


def test_so_many_devices_of_a_client_may_wait(database) -> None:
    world = World.over(database, clients=CLIENTS, throttle={"devices_per_client": 3})
    assert [ask(world).status_code for _ in range(3)] == [200] * 3
    refused = ask(world)
    assert error_of(refused) == (400, "slow_down")
    assert "Too many devices" in refused.get_json()["error_description"]
    assert ask(world, client_id="radio").status_code == 200
    world.clock.move(600)
    assert ask(world).status_code == 200
    assert len(world.rows("device_codes")) == 5


HERE, THERE = ({"REMOTE_ADDR": f"203.0.{third}.7"} for third in (113, 114))


def begin(world: World, client_id: str = "tv", **options: Any) -> TestResponse:
    return world.post("/device_authorization", {**FORM, "client_id": client_id}, **options)


@pytest.mark.row("P-10", "S-50")
def test_no_network_takes_all_places_of_a_public_client(url: str) -> None:
    world = World.over(url, clients=CLIENTS, throttle={"devices_per_client": 30})
    begun = [begin(world, environ_overrides=HERE) for _ in range(30)]
    # The one that is over the free ones begins too; from then on each waits.
    assert [answer.status_code for answer in begun] == [200] * 21 + [400] * 9
    assert error_of(begun[-1]) == (400, "slow_down")
    assert begun[-1].headers["Retry-After"] == "2"
    assert len(world.rows("device_codes")) == 21
    assert begin(world, "radio", environ_overrides=HERE).status_code == 400
    assert begin(world, environ_overrides=THERE).status_code == 200
    world.clock.move(2)
    assert begin(world, environ_overrides=HERE).status_code == 200
    waits = []
    for _ in range(6):
        waits.append(int(begin(world, environ_overrides=HERE).headers["Retry-After"]))
        world.clock.move(waits[-1])
        assert begin(world, environ_overrides=HERE).status_code == 200
    assert waits == [4, 8, 16, 32, 60, 60]
    world.provider.parts.store.dispose()


@pytest.mark.row("P-10")
def test_a_client_that_proves_itself_is_not_counted_by_network(world: World) -> None:
    secret = {"Authorization": basic("app", APP_SECRET)}
    form = {"scope": "openid"}
    for _ in range(60):
        answer = world.post("/device_authorization", form, headers=secret, environ_overrides=HERE)
        assert answer.status_code == 200
    assert begin(world, environ_overrides=HERE).status_code == 200
    assert [row["failures"] for row in world.rows("throttle")] == [1]


@pytest.mark.row("P-10")
def test_what_may_not_begin_is_not_charged(world: World) -> None:
    assert error_of(ask(world, scope="nothing-known")) == (400, "invalid_scope")
    form = {**FORM, "scope": "nothing-known"}
    assert world.post("/device_authorization", form, environ_overrides=HERE).status_code == 400
    assert world.rows("throttle") == []


@pytest.mark.row("P-10")
@pytest.mark.parametrize(
    ("trusted", "networks"),
    [
        pytest.param([], ["device-start:10.0.0.0/24"], id="nobody"),
        pytest.param(
            ["10.0.0.0/8"],
            ["device-start:198.51.100.0/24", "device-start:203.0.113.0/24"],
            id="the-proxy",
        ),
    ],
)
def test_the_network_is_told_by_trusted_proxies_alone(
    database, trusted: list[str], networks: list[str]
) -> None:
    world = World.over(database, clients=CLIENTS, trusted_networks=trusted)
    for address in ("203.0.113.7", "198.51.100.9"):
        forwarded = {"X-Forwarded-For": address}
        begin(world, headers=forwarded, environ_overrides={"REMOTE_ADDR": "10.0.0.1"})
    assert sorted(row["scope_key"] for row in world.rows("throttle")) == networks


def test_a_device_that_was_answered_does_not_count(database) -> None:
    world = World.over(database, clients=CLIENTS, throttle={"devices_per_client": 1})
    ask(world)
    with world.provider.parts.store.begin() as conn:
        (row,) = world.rows("device_codes")
        assert device_codes.decide(conn, "default", row["device_hash"], None, world.now)
    assert ask(world).status_code == 200


def with_random_bytes(world: World, random_bytes: Callable[[int], bytes]) -> World:
    (endpoint,) = (r.endpoint for r in world.provider.parts.routes if r.path == "/device_authorization")
    assert isinstance(endpoint, DeviceAuthorizationEndpoint)
    object.__setattr__(endpoint, "devices", replace(endpoint.devices, random_bytes=random_bytes))
    return world


def test_a_code_that_is_in_use_is_not_given_again(world: World) -> None:
    given = iter([b"\0" * 32, b"\0" * 32, b"\1" * 32])
    with_random_bytes(world, lambda _: next(given))
    codes = [ask(world).get_json()["user_code"] for _ in range(2)]
    assert codes == ["BBBB-BBBB", "CCCC-CCCC"]


def test_without_a_code_that_is_free_the_device_is_told_to_come_again(world: World) -> None:
    with_random_bytes(world, lambda _: b"\0" * 32)
    assert ask(world).status_code == 200
    answer = ask(world)
    assert error_of(answer) == (503, "temporarily_unavailable")
    assert answer.headers["Retry-After"] == "5"

"""Tokens for an API: what may be asked for, what they say, where they are good, and the rules of each API."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.provider.sign_in.place import ISSUER, World, authorize_url, claims, client

ORDERS, STOCK = "https://orders.example", "https://stock.example"
RESOURCES = [
    {"audience": ORDERS, "name": "Orders <&>", "scopes": ["orders.read", "orders.write", "shared"]},
    {"audience": STOCK, "scopes": ["stock.read", "shared"], "access_token_format": "opaque"},
    {"audience": "https://off.example", "enabled": False},
    {"audience": "https://closed.example", "clients": ["somebody"]},
    {"audience": "https://open.example", "clients": ["trusted"]},
    {"audience": "https://quiet.example", "scopes": ["quiet.read"], "require_consent": False},
    {"audience": "https://once.example", "refresh_tokens": False},
    {"audience": "https://short.example", "access_token_hours": 0.25},
    {"audience": "https://es.example", "signing_algorithm": "ES256"},
    {
        "audience": "https://curious.example",
        "scopes": ["curious.read"],
        "include": ["authentication", "client_name", "oidc_scopes", "oidc_claims"],
    },
    {"audience": "https://discreet.example", "include": []},
]
SCOPES = [
    {"value": value}
    for value in (
        "orders.read",
        "orders.write",
        "shared",
        "stock.read",
        "quiet.read",
        "curious.read",
        "loose",
    )
]
CLIENTS = [
    client("trusted", trusted=True, scopes=["*"], name="The <trusted> app"),
    client("app", scopes=["*"]),
]
Make = Callable[..., World]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes a provider; again over the same database with other settings."""
    worlds: list[World] = []

    def made(**changes: Any) -> World:
        defaults: dict[str, Any] = {
            "resources": RESOURCES,
            "scopes": SCOPES,
            "clients": CLIENTS,
            "further_signing_algorithms": ["ES256"],
            "claims": [{"name": "email", "into": ["userinfo", "access_token"]}],
        }
        worlds.append(World.make(tmp_path, **{**defaults, **changes}))
        return worlds[-1]

    yield made
    for world in worlds:
        world.close()


@pytest.fixture
def world(make: Make) -> World:
    return make()


def header(token: str) -> dict[str, Any]:
    part = token.split(".")[0]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def tokens_for(world: World, api: str | None, scope: str = "openid", **changes: str | None) -> dict[str, Any]:
    return world.tokens(world.browser().signed_in(scope=scope, resource=api, **changes))


@pytest.mark.row("E-17")
@pytest.mark.parametrize("name", ["audience", "resource"])
@pytest.mark.parametrize(
    ("api", "error"),
    [
        pytest.param(ORDERS, None, id="known"),
        pytest.param("https://open.example", None, id="open-to-this-client"),
        pytest.param("https://unknown.example", "invalid_target", id="unknown"),
        pytest.param(f"{ORDERS}/", "invalid_target", id="other-spelling"),
        pytest.param("HTTPS://orders.example", "invalid_target", id="other-case"),
        pytest.param("https://off.example", "invalid_target", id="switched-off"),
        pytest.param("https://closed.example", "invalid_target", id="not-open-to-this-client"),
        pytest.param(f"{ORDERS}#x", "invalid_target", id="fragment"),
        pytest.param("orders", "invalid_target", id="relative"),
        pytest.param(ISSUER, "invalid_target", id="the-issuer"),
        pytest.param("https://x.example/" + "a" * 3000, "invalid_target", id="oversized"),
    ],
)
def test_which_api(world: World, name: str, api: str, error: str | None) -> None:
    browser = world.browser()
    browser.signed_in()
    page = browser.authorize("trusted", scope="openid", **{name: api})
    assert page.answer.get("error") == error
    assert ("code" in page.answer) == (error is None)


@pytest.mark.row("E-17")
@pytest.mark.parametrize(
    ("query", "error"),
    [
        pytest.param(f"&resource={ORDERS}&audience={STOCK}", "invalid_request", id="two-names-two-apis"),
        pytest.param(f"&resource={ORDERS}&resource={STOCK}", "invalid_request", id="two-apis"),
        pytest.param(f"&audience={ORDERS}&audience={STOCK}", "invalid_request", id="two-audiences"),
        pytest.param(f"&resource={ORDERS}&audience={ORDERS}", None, id="both-names-one-api"),
    ],
)
def test_one_api_by_either_name(world: World, query: str, error: str | None) -> None:
    browser = world.browser()
    browser.signed_in()
    page = browser.step(authorize_url("trusted", scope="openid") + query)
    assert page.answer.get("error") == error


@pytest.mark.row("E-17", "E-10")
@pytest.mark.parametrize(
    ("api", "scope", "granted", "carried"),
    [
        pytest.param(
            ORDERS, "openid orders.read profile", "openid orders.read profile", "orders.read", id="its-scopes"
        ),
        pytest.param(ORDERS, "openid shared", "openid shared", "shared", id="shared-with-another"),
        pytest.param(ORDERS, "openid stock.read", None, None, id="of-another-api"),
        pytest.param(
            ORDERS, "openid orders.read loose", "openid orders.read loose", "orders.read", id="of-none"
        ),
        pytest.param(None, "openid orders.read", None, None, id="of-an-api-that-is-not-named"),
        pytest.param(None, "openid loose", "openid loose", "openid loose", id="for-none"),
        pytest.param(
            "https://curious.example",
            "openid curious.read profile",
            "openid curious.read profile",
            "openid curious.read profile",
            id="with-oidc-scopes",
        ),
    ],
)
def test_scopes(world: World, api: str | None, scope: str, granted: str | None, carried: str | None) -> None:
    page = world.browser().authorize("trusted", scope=scope, resource=api)
    if granted is None:
        assert page.answer["error"] == "invalid_scope"
        return
    tokens = tokens_for(world, api, scope)
    if api is not None:
        assert claims(tokens["access_token"]).get("scope") == carried
    assert tokens["scope"] == granted


@pytest.mark.row("E-09")
def test_a_token_for_an_api_is_a_jwt_of_rfc_9068(world: World) -> None:
    tokens = tokens_for(world, ORDERS, "openid orders.read email offline_access")
    token = tokens["access_token"]
    assert header(token)["typ"] == "at+jwt"
    said = claims(token)
    assert said.pop("jti")
    assert said == {
        "iss": ISSUER,
        "aud": ORDERS,
        "sub": "sub-alice",
        "client_id": "trusted",
        "scope": "orders.read",
        "iat": world.now,
        "exp": world.now + 3600,
        "auth_time": world.now,
        "acr": "knowledge",
        "amr": ["pwd"],
        "email": "a@example",
    }
    assert claims(tokens["id_token"])["aud"] == "trusted"
    again = world.refresh(tokens["refresh_token"]).get_json()
    assert claims(again["access_token"])["aud"] == ORDERS


@pytest.mark.row("E-10")
def test_only_a_token_for_no_api_opens_userinfo(world: World) -> None:
    for_none = tokens_for(world, None, "openid")
    assert world.userinfo_status(for_none["access_token"]) == 200
    for api in (ORDERS, STOCK, "https://curious.example"):
        assert world.userinfo_status(tokens_for(world, api)["access_token"]) == 403


@pytest.mark.row("E-10", "S-26")
@pytest.mark.parametrize(
    ("audience", "aud"),
    [pytest.param("", ISSUER, id="default"), pytest.param("https://a.example", None, id="own")],
)
def test_the_realm_may_write_its_own_tokens_as_jwt(make: Make, audience: str, aud: str | None) -> None:
    world = make(access_token_format="jwt", audience=audience)
    tokens = tokens_for(world, None, "openid email")
    said = claims(tokens["access_token"])
    assert (said["aud"], said["scope"], said["email"]) == (aud or audience, "openid email", "a@example")
    assert world.userinfo_status(tokens["access_token"]) == 200
    # Named as an API it is none: there is no way to ask for it.
    answer = world.browser().authorize("trusted", resource=aud or audience).answer
    assert answer["error"] == "invalid_target"


@pytest.mark.row("E-17")
def test_the_rules_of_each_api(world: World) -> None:
    assert "." not in tokens_for(world, STOCK)["access_token"]
    short = tokens_for(world, "https://short.example")
    assert (short["expires_in"], claims(short["access_token"])["exp"]) == (900, world.now + 900)
    assert header(tokens_for(world, "https://es.example")["access_token"])["alg"] == "ES256"
    once = tokens_for(world, "https://once.example", "openid offline_access")
    assert "refresh_token" not in once
    assert "offline_access" not in once["scope"]
    assert tokens_for(world, ORDERS, "openid offline_access")["refresh_token"]


@pytest.mark.row("E-17")
def test_what_an_api_is_told(world: World) -> None:
    curious = claims(tokens_for(world, "https://curious.example", "openid profile email")["access_token"])
    assert curious["client_name"] == "The <trusted> app"
    assert (curious["preferred_username"], curious["email"], curious["acr"]) == (
        "alice",
        "a@example",
        "knowledge",
    )
    discreet = claims(tokens_for(world, "https://discreet.example", "openid profile")["access_token"])
    assert discreet.keys() == {"iss", "aud", "sub", "client_id", "iat", "exp", "jti"}


@pytest.mark.row("E-17")
def test_an_api_that_stopped_refreshing_stops_what_was_given(make: Make) -> None:
    before = make()
    tokens = tokens_for(before, ORDERS, "openid offline_access")
    world = make(resources=[{**RESOURCES[0], "refresh_tokens": False}, *RESOURCES[1:]])
    assert world.refresh(tokens["refresh_token"]).get_json()["error"] == "invalid_grant"


@pytest.mark.row("E-17")
@pytest.mark.parametrize("change", [{"enabled": False}, {"clients": ["somebody"]}, None])
def test_an_api_that_was_closed_gets_no_more_tokens(make: Make, change: dict[str, Any] | None) -> None:
    before = make()
    tokens = tokens_for(before, ORDERS, "openid offline_access")
    page = before.browser().signed_in(scope="openid", resource=ORDERS)
    first, *others = RESOURCES
    world = make(resources=others if change is None else [{**first, **change}, *others])
    assert world.refresh(tokens["refresh_token"]).get_json()["error"] == "invalid_grant"
    with pytest.raises(AssertionError, match="invalid_grant"):
        world.tokens(page)


@pytest.mark.row("E-17")
@pytest.mark.parametrize(("api", "error"), [(ORDERS, None), (STOCK, "invalid_target")])
def test_refreshing_stays_with_the_api(world: World, api: str, error: str | None) -> None:
    tokens = tokens_for(world, ORDERS, "openid offline_access")
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "resource": api}
    assert world.post_token(form).get_json().get("error") == error


@pytest.mark.row("E-17", "E-10")
@pytest.mark.parametrize(
    ("scope", "email"),
    [
        pytest.param("openid email orders.read", "a@example", id="whole"),
        pytest.param("openid orders.read", None, id="without-email"),
    ],
)
def test_what_a_refresh_does_not_ask_for_its_access_token_does_not_say(
    world: World, scope: str, email: str | None
) -> None:
    tokens = tokens_for(world, ORDERS, "openid email orders.read offline_access")
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "scope": scope}
    for _ in range(2):  # the second is the retry of a client that lost the answer
        said = claims(world.post_token(form).get_json()["access_token"])
        assert (said["scope"], said.get("email")) == ("orders.read", email)


@pytest.mark.row("E-17", "S-52")
def test_an_access_token_says_nothing_of_scopes_that_its_client_lost(make: Make) -> None:
    tokens = tokens_for(make(), ORDERS, "openid email orders.read offline_access")
    changed = [client("trusted", trusted=True, scopes=["*"], restricted_scopes=["email"])]
    again = make(clients=changed).refresh(tokens["refresh_token"]).get_json()
    assert "email" not in claims(again["access_token"])


@pytest.mark.row("E-17", "S-43")
def test_consent_names_the_api(world: World) -> None:
    browser = world.browser()
    page = browser.signed_in("app", scope="openid orders.read", resource=ORDERS)
    assert page.boxes == ["orders.read"]
    assert "Orders &lt;&amp;&gt;" in page.text
    tokens = world.tokens(browser.submit(page, decision="allow", uncheck=["orders.read"]), "app")
    assert "orders.read" not in claims(tokens["access_token"]).get("scope", "")


@pytest.mark.row("E-17", "S-43")
def test_an_api_may_do_without_consent_for_its_own_scopes(world: World) -> None:
    browser = world.browser()
    page = browser.signed_in("app", scope="openid quiet.read email", resource="https://quiet.example")
    assert page.boxes == ["email"]
    tokens = world.tokens(browser.submit(page, decision="allow"), "app")
    assert claims(tokens["access_token"])["scope"] == "quiet.read"

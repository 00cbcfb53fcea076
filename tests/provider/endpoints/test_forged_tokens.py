"""What looks like an access token that is a JWT and is none: its `jti` alone, and what an old key signs."""

import base64
import json
from typing import Any

import pytest

from provider.services.keyring import Signer
from tests.provider.endpoints.apis import ORDERS, as_client, robot, world_with_apis
from tests.provider.world import ISSUER, World, error_of


def claims(token: str) -> dict[str, Any]:
    """What the token says; nobody looks at its signature here."""
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


@pytest.fixture
def jwts(database) -> World:
    """A provider whose access tokens are all JWTs."""
    return world_with_apis(database, access_token_format="jwt")


@pytest.mark.row("E-09", "P-15")
def test_the_jti_of_a_token_opens_nothing(jwts: World) -> None:
    token = jwts.tokens()["access_token"]
    jti = claims(token)["jti"]
    assert error_of(jwts.userinfo(jti)) == (401, "invalid_token")
    for text in (jti, f".{jti}"):
        assert as_client(jwts, "inspector", "/introspect", token=text).get_json() == {"active": False}
    assert as_client(jwts, "app", "/revoke", token=jti).status_code == 200
    assert jwts.userinfo(token).status_code == 200


@pytest.mark.row("E-09")
def test_a_jwt_is_still_found_by_its_jti_to_be_given_back(jwts: World) -> None:
    token = jwts.tokens()["access_token"]
    assert as_client(jwts, "app", "/revoke", token=token).status_code == 200
    assert error_of(jwts.userinfo(token)) == (401, "invalid_token")


def signer(world: World) -> Signer:
    parts = world.provider.parts
    with parts.store.read() as conn:
        return parts.keys.signer(conn, world.realm, "RS256", world.now)


@pytest.mark.row("E-12", "S-20", "P-14")
def test_a_key_that_is_not_published_any_more_signs_no_access_token(database) -> None:
    world = world_with_apis(database)
    old, parts = signer(world), world.provider.parts
    genuine = robot(world, audience=ORDERS).get_json()["access_token"]
    parts.keys.rotate(parts.store, world.realm, "RS256", world.now, at_once=True)

    def introspected(token: str) -> Any:
        return as_client(world, "inspector", "/introspect", token=token).get_json()["active"]

    def signed_now() -> str:
        said = {**claims(genuine), "iat": world.now, "exp": world.now + 600, "jti": "made-up"}
        return old.sign({**said, "iss": ISSUER}, typ="at+jwt")

    # What it signed before it was replaced is good until it ends.
    assert introspected(genuine) is True
    assert introspected(signed_now()) is True
    world.clock.move(30 * 86_400)
    assert old.kid not in {key["kid"] for key in world.browser().get("/jwks").get_json()["keys"]}
    assert introspected(signed_now()) is False

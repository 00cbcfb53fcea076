"""A certificate and key of the configuration: a key like others, replaced by configuring another."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from oidcgate.audit import Audit
from oidcgate.jose.jwt import unverified_header, verify
from oidcgate.jose.keys import import_key, import_public_keys, thumbprint_kid
from oidcgate.settings import SettingsError, parse
from provider.app import Provider
from provider.config import ProviderSettings
from provider.services.keyring import PUBLISH_AHEAD_SECONDS, RotationRefused
from provider.store.keys import list_keys
from tests.oidcgate.jose.certified import certificate_pem, ec_key, key_pem
from tests.provider.processes import in_processes
from tests.provider.world import Clock, World, config

FIRST, SECOND = ec_key(), ec_key()


def pair(key: Any, alg: str = "ES256", **of_certificate: Any) -> dict[str, str]:
    return {
        "signing_algorithm": alg,
        "signing_cert": certificate_pem(key, **of_certificate).decode(),
        "signing_key": key_pem(key).decode(),
    }


WITH_FIRST, WITH_SECOND = pair(FIRST), pair(SECOND)
OWN = {"signing_algorithm": "ES256"}


def jwks(world: World) -> dict[str, dict[str, Any]]:
    """The published keys of the usual algorithm, by kid."""
    entries = world.browser().get("/jwks").get_json()["keys"]
    return {entry["kid"]: entry for entry in entries if entry["alg"] == "ES256"}


def states(world: World) -> dict[str, str]:
    with world.provider.parts.store.read() as conn:
        return {row.kid: row.state for row in list_keys(conn, "default") if row.alg == "ES256"}


def signing(world: World) -> str:
    return str(unverified_header(world.tokens()["id_token"])["kid"])


def started(database: Path | str, settings: dict[str, str], at: float | None = None) -> World:
    """A provider that starts with these settings at that time."""
    clock, events = Clock() if at is None else Clock(at), list[str]()
    made = parse(ProviderSettings, config(database, **settings))
    provider = Provider.from_settings(made, clock=clock, audit=Audit(events.append, clock))
    return World(provider, clock, events)


def kid_of(key: Any) -> str:
    numbers = import_key_of(key)
    return thumbprint_kid(numbers)


def import_key_of(key: Any) -> Any:
    point = key.public_key().public_numbers()

    def coordinate(value: int) -> str:
        return base64.urlsafe_b64encode(value.to_bytes(32)).decode().rstrip("=")

    return import_key({"kty": "EC", "crv": "P-256", "x": coordinate(point.x), "y": coordinate(point.y)})


@pytest.mark.row("S-28", "S-30")
def test_the_first_pair_signs_at_once_and_its_certificate_is_published(url: str) -> None:
    world = started(url, WITH_FIRST)
    ((kid, entry),) = jwks(world).items()
    own = base64.b64decode("".join(WITH_FIRST["signing_cert"].split("-----")[2].split()))
    assert entry["x5c"] == [base64.b64encode(own).decode()]
    assert entry["x5t"] == base64.urlsafe_b64encode(hashlib.sha1(own).digest()).decode().rstrip("=")  # noqa: S324 (RFC 7517 4.8)
    assert entry["x5t#S256"] == base64.urlsafe_b64encode(hashlib.sha256(own).digest()).decode().rstrip("=")
    assert kid == kid_of(FIRST) == signing(world)
    token = world.tokens()["id_token"]
    public = import_public_keys(world.browser().get("/jwks").get_json())
    assert verify(token, public, ["ES256"]).claims["aud"] == "app"
    (row,) = (row for row in world.rows("keys") if row["alg"] == "ES256")
    assert "PRIVATE" not in row["sealed_private"]
    assert '"d"' not in row["sealed_private"]
    world.provider.parts.store.dispose()


@pytest.mark.row("S-30")
def test_another_pair_is_published_ahead_and_then_signs(url: str) -> None:
    started(url, WITH_FIRST).provider.parts.store.dispose()
    world = started(url, WITH_SECOND)
    assert states(world) == {kid_of(FIRST): "current", kid_of(SECOND): "next"}
    assert jwks(world).keys() == {kid_of(FIRST), kid_of(SECOND)}
    assert signing(world) == kid_of(FIRST)
    world.clock.move(PUBLISH_AHEAD_SECONDS)
    assert signing(world) == kid_of(SECOND)
    assert jwks(world).keys() == {kid_of(FIRST), kid_of(SECOND)}
    assert states(world) == {kid_of(FIRST): "retired", kid_of(SECOND): "current"}
    world.clock.move(3600 + 300)
    assert jwks(world).keys() == {kid_of(SECOND)}
    assert "signing_key" not in str(world.events)
    world.provider.parts.store.dispose()


@pytest.mark.row("S-30")
def test_starting_again_changes_nothing(database: Path) -> None:
    started(database, WITH_FIRST)
    before = started(database, WITH_FIRST).rows("keys")
    world = started(database, WITH_FIRST)
    assert world.rows("keys") == before
    assert world.events == []


def test_one_row_under_concurrent_starts(database: Path) -> None:
    assert in_processes(4, lambda: World.over(database, **WITH_FIRST)) == [0] * 4
    assert states(World.over(database, **WITH_FIRST)) == {kid_of(FIRST): "current"}


def test_a_pair_in_place_of_generated_keys_is_a_rotation_and_so_is_the_way_back(database: Path) -> None:
    generated = signing(started(database, OWN))
    world = started(database, WITH_FIRST)
    assert states(world) == {generated: "current", kid_of(FIRST): "next"}
    world = started(database, WITH_FIRST, world.clock.at + PUBLISH_AHEAD_SECONDS)
    assert states(world) == {generated: "retired", kid_of(FIRST): "current"}
    # Without the pair its key goes on until the operator rotates.
    at = world.clock.at
    world = started(database, OWN, at)
    assert signing(world) == kid_of(FIRST)
    parts = world.provider.parts
    new = parts.keys.rotate(parts.store, world.realm, "ES256", world.now)
    assert states(world)[new.kid] == "next"


def test_a_generated_key_that_waits_gives_way_to_the_pair(database: Path) -> None:
    world = started(database, OWN)
    parts = world.provider.parts
    waiting = parts.keys.rotate(parts.store, world.realm, "ES256", world.now).kid
    world = started(database, WITH_FIRST)
    assert waiting not in states(world)
    assert states(world)[kid_of(FIRST)] == "next"


def test_the_pair_before_can_come_back(database: Path) -> None:
    started(database, WITH_FIRST)
    world = started(database, WITH_SECOND)
    at = world.clock.at + PUBLISH_AHEAD_SECONDS
    world = started(database, WITH_SECOND, at)
    assert states(world) == {kid_of(FIRST): "retired", kid_of(SECOND): "current"}
    world = started(database, WITH_FIRST, at)
    assert states(world) == {kid_of(FIRST): "next", kid_of(SECOND): "current"}
    world.clock.move(PUBLISH_AHEAD_SECONDS)
    assert signing(world) == kid_of(FIRST)


@pytest.mark.row("S-30")
def test_a_renewed_certificate_of_the_same_key_is_published_in_place(database: Path) -> None:
    old = jwks(started(database, WITH_FIRST))[kid_of(FIRST)]
    world = started(database, pair(FIRST, ends=1_895_000_000))
    assert states(world) == {kid_of(FIRST): "current"}
    new = jwks(world)[kid_of(FIRST)]
    assert new["x5c"] != old["x5c"]
    assert (new["x"], new["kid"]) == (old["x"], old["kid"])


def test_the_key_of_a_pair_is_not_rotated_by_command_but_can_be_hurried(database: Path) -> None:
    world = started(database, WITH_FIRST)
    keys, store = world.provider.parts.keys, world.provider.parts.store
    for at_once in (False, True):
        with pytest.raises(RotationRefused, match="is that of signing_cert; configure another pair"):
            keys.rotate(store, world.realm, "ES256", world.now, at_once=at_once)
    assert keys.rotate(store, world.realm, "RS256", world.now).state == "next"
    world = started(database, WITH_SECOND)
    keys, store = world.provider.parts.keys, world.provider.parts.store
    hurried = keys.rotate(store, world.realm, "ES256", world.now, at_once=True)
    assert (hurried.kid, hurried.state, hurried.not_before) == (kid_of(SECOND), "current", world.now)
    assert signing(world) == kid_of(SECOND)


def test_one_pair_cannot_stand_for_two_algorithms(database: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    started(database, pair(key, "PS256"))
    with pytest.raises(SettingsError) as refused:
        started(database, pair(key, "PS384"))
    assert str(refused.value) == (
        "signing_algorithm: 'PS384' is not PS256, with which the pair of signing_cert has signed before; "
        "keep it, or make another pair"
    )

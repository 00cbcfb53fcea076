"""Signing keys: one at first start, sealed, published before they sign and after they stop."""

from pathlib import Path

import pytest

from oidcgate.jose.jwt import unverified_header, verify
from oidcgate.jose.keys import import_key, import_public_keys, thumbprint_kid
from oidcgate.protocol.errors import ServerError
from oidcgate.settings import SettingsError
from provider.services.keyring import PUBLISH_AHEAD_SECONDS, RotationPending
from provider.store.keys import list_keys
from provider.store.schema import keys
from tests.provider.processes import in_processes
from tests.provider.world import SECRET, World


def states(world: World) -> list[str]:
    with world.provider.parts.store.read() as conn:
        return sorted(row.state for row in list_keys(conn, "default"))


def kid_of(world: World) -> str:
    """The key that signs at this moment."""
    return str(unverified_header(world.tokens(nonce=None)["id_token"])["kid"])


def published(world: World) -> set[str]:
    return {key["kid"] for key in world.browser().get("/jwks").get_json()["keys"]}


def rotate(world: World, *, at_once: bool = False) -> str:
    parts = world.provider.parts
    return parts.keys.rotate(parts.store, world.realm, world.now, at_once=at_once).kid


def test_the_kid_is_the_thumbprint(world: World) -> None:
    (key,) = world.browser().get("/jwks").get_json()["keys"]
    assert thumbprint_kid(import_key(key)) == key["kid"] == kid_of(world)


def test_the_private_part_is_sealed(world: World) -> None:
    (row,) = world.rows("keys")
    assert not {"d", "p", "q"} & row["public_jwk"].keys()
    assert '"d"' not in row["sealed_private"]
    assert SECRET not in str(row)


def test_one_key_under_concurrent_first_starts(tmp_path: Path) -> None:
    database = tmp_path / "first.db"
    assert in_processes(6, lambda: World.over(database)) == [0] * 6
    assert states(World.over(database)) == ["current"]


def test_a_next_key_is_published_before_it_signs(world: World) -> None:
    old = kid_of(world)
    new = rotate(world)
    assert published(world) == {old, new}
    world.clock.move(PUBLISH_AHEAD_SECONDS - 1)
    assert kid_of(world) == old
    world.clock.move(1)
    assert kid_of(world) == new


def test_the_key_before_stays_until_its_tokens_have_ended(world: World) -> None:
    old = kid_of(world)
    new = rotate(world)
    world.clock.move(PUBLISH_AHEAD_SECONDS)
    assert published(world) == {old, new}
    assert states(world) == ["current", "retired"]
    world.clock.move(3600 + 300 - 1)
    assert published(world) == {old, new}
    world.clock.move(1)
    assert published(world) == {new}


def test_no_token_of_its_time_fails_while_keys_change(world: World) -> None:
    """A client that fetched the key set an hour ago verifies whatever is signed now."""
    rotate(world)
    for _ in range(30):
        public = import_public_keys(world.browser().get("/jwks").get_json())
        world.clock.move(3600)
        verify(world.tokens()["id_token"], public, ["RS256"])


def test_a_retired_key_has_no_private_part_left(world: World) -> None:
    rotate(world, at_once=True)
    new, old = sorted(world.rows("keys"), key=lambda row: row["state"])
    assert (old["state"], old["sealed_private"]) == ("retired", None)
    assert new["sealed_private"]


def test_hints_of_long_ago_can_still_be_verified(world: World) -> None:
    token = world.tokens()["id_token"]
    rotate(world, at_once=True)
    world.clock.move(10**7)
    parts = world.provider.parts
    with parts.store.read() as conn:
        public = parts.keys.verification_keys(conn, world.realm)
    assert verify(token, public, ["RS256"]).claims["aud"] == "app"


def test_one_next_key_at_a_time(world: World) -> None:
    rotate(world)
    with pytest.raises(RotationPending):
        rotate(world)
    assert states(world) == ["current", "next"]


def test_at_once_takes_the_key_that_waits(world: World) -> None:
    waiting = rotate(world)
    assert rotate(world, at_once=True) == waiting
    assert kid_of(world) == waiting
    assert states(world) == ["current", "retired"]


def test_rotation_is_reported(world: World) -> None:
    rotate(world, at_once=True)
    names = [line.split('"')[3] for line in world.events]
    assert names[-2:] == ["provider.key_created", "provider.key_promoted"]


def test_another_secret_is_a_start_up_error(database: Path, world: World) -> None:
    other = "another-" + SECRET
    with pytest.raises(SettingsError, match="does not open the signing key"):
        World.over(database, secret=other)
    both = World.over(database, secret=f"{other}\n{SECRET}")
    assert "id_token" in both.tokens()


def test_a_sealed_key_copied_to_another_row_does_not_open(world: World) -> None:
    rotate(world)
    parts = world.provider.parts
    first, second = world.rows("keys")
    with parts.store.begin() as conn:
        for row, sealed in ((first, second), (second, first)):
            changed = keys.update().where(keys.c.kid == row["kid"])
            conn.execute(changed.values(sealed_private=sealed["sealed_private"]))
    with parts.store.begin() as conn, pytest.raises(ServerError):
        parts.keys.signer(conn, world.realm, "RS256", world.now)


def test_without_a_key_nothing_is_used_up(world: World) -> None:
    code = world.code()
    (row,) = world.rows("keys")
    with world.provider.parts.store.begin() as conn:
        conn.execute(keys.delete())
    assert world.redeem(code).status_code == 500
    with world.provider.parts.store.begin() as conn:
        conn.execute(keys.insert().values(**row))
    assert world.redeem(code).status_code == 200

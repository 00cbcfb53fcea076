"""Keys that request objects are encrypted to: one at first start, sealed, replaced, and gone at their end."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jwcrypto import jwk

from oidcgate.jose.jwe import KEY_ALGORITHMS
from oidcgate.protocol.errors import InvalidRequestObject
from oidcgate.settings import SettingsError
from provider.cli.main import main
from provider.realm import Realm
from provider.services.key_care import CARE_SECONDS
from provider.services.keyring import PUBLISH_AHEAD_SECONDS, RotationRefused
from provider.store.clients import Client
from provider.store.keys import KeyRow, list_keys
from tests.provider.asserting import key, sign
from tests.provider.sign_in.objects import encrypted
from tests.provider.world import SECRET, World

DAY = 86_400
TOKEN = sign({"iss": "app"}, key("RSA"), "RS256")


def over(database: Path | str, *algorithms: str, **changes: Any) -> World:
    objects = {"by_value": True, "encryption_algorithms": [*algorithms]}
    return World.over(database, request_objects=objects, **changes)


def rows(world: World) -> list[KeyRow]:
    with world.provider.parts.store.read() as conn:
        return list_keys(conn, "default", "enc")


def published(world: World) -> list[dict[str, Any]]:
    document = world.browser().get("/jwks").get_json()
    return [one for one in document["keys"] if one["use"] == "enc"]


def opened(world: World, token: str, *, realm: Realm | None = None, **changes: Any) -> str:
    """What is inside, for a client that encrypts with RSA-OAEP-256."""
    said = {"request_object_encryption_alg": "RSA-OAEP-256", **changes}
    client = Client("app", True, 0, "The app", "none", (), (), (), (), False, **said)
    return world.provider.parts.encryption_keys.opened(realm or world.realm, client, token, world.now)


def to(world: World, alg: str = "RSA-OAEP-256", enc: str = "A128CBC-HS256", **header: Any) -> str:
    (found,) = [one for one in published(world) if one["alg"] == alg]
    return encrypted(TOKEN, jwk.JWK(**found), alg, enc, **header)


def rotate(world: World, alg: str = "RSA-OAEP-256") -> None:
    world.provider.parts.encryption_keys.rotate(world.realm, alg, world.now)


def test_there_is_none_unless_the_realm_asks_for_it(database: Path) -> None:
    world = World.over(database)
    assert published(world) == rows(world) == []


@pytest.mark.parametrize("alg", KEY_ALGORITHMS)
def test_each_algorithm_has_a_key_that_opens(url: str, alg: str) -> None:
    world = over(url, alg)
    (shown,) = published(world)
    assert (shown["use"], shown["alg"]) == ("enc", alg)
    assert not {"d", "p", "q"} & shown.keys()
    changes = {"request_object_encryption_alg": alg, "request_object_encryption_enc": "A256GCM"}
    assert opened(world, to(world, alg, "A256GCM"), **changes) == TOKEN
    world.provider.parts.store.dispose()


def test_the_content_algorithm_is_the_clients_own(database: Path) -> None:
    world = over(database, "RSA-OAEP-256")
    assert opened(world, to(world)) == TOKEN
    with pytest.raises(InvalidRequestObject, match="in a way that is not accepted"):
        opened(world, to(world, enc="A256GCM"))


def test_a_token_need_not_name_the_key(database: Path) -> None:
    world = over(database, "RSA-OAEP-256", "ECDH-ES")
    assert opened(world, to(world, kid=None)) == TOKEN


@pytest.mark.row("P-08")
@pytest.mark.parametrize("alg", ["", "ECDH-ES", "RSA-OAEP"])
def test_a_client_encrypts_as_it_is_registered_or_not_at_all(database: Path, alg: str) -> None:
    world = over(database, "RSA-OAEP-256", "ECDH-ES")
    with pytest.raises(InvalidRequestObject):
        opened(world, to(world), request_object_encryption_alg=alg)


def test_the_private_part_is_sealed(database: Path) -> None:
    world = over(database, "RSA-OAEP-256")
    (row,) = rows(world)
    assert '"d"' not in (row.sealed_private or "")
    assert SECRET not in str(row)
    world.provider.parts.store.dispose()
    with pytest.raises(SettingsError, match=f"does not open the key {row.kid}"):
        over(database, "RSA-OAEP-256", secret="another" + "x" * 43 + "0123456789abcdef")


def test_a_second_start_makes_no_other(database: Path) -> None:
    first = over(database, "RSA-OAEP-256")
    second = over(database, "RSA-OAEP-256", "ECDH-ES")
    assert {row.alg for row in rows(second)} == {"RSA-OAEP-256", "ECDH-ES"}
    assert rows(first)[0] in rows(second)
    second.provider.parts.encryption_keys.ensure(second.realm, second.now)
    assert len(rows(second)) == 2


def test_it_signs_nothing_and_verifies_nothing(database: Path) -> None:
    world = over(database, "RSA-OAEP-256")
    with world.provider.parts.store.read() as conn:
        found = world.provider.parts.keys.verification_keys(conn, world.realm)
    assert {one.kid for one in found}.isdisjoint(row.kid for row in rows(world))


def test_what_was_encrypted_to_the_key_before_opens_for_a_day(url: str) -> None:
    world = over(url, "RSA-OAEP-256")
    token, (before,) = to(world), rows(world)
    rotate(world)
    (shown,) = published(world)
    assert shown["kid"] != before.kid
    assert opened(world, token) == opened(world, to(world)) == TOKEN
    world.clock.move(PUBLISH_AHEAD_SECONDS - 1)
    assert opened(world, token) == TOKEN
    world.clock.move(1)
    with pytest.raises(InvalidRequestObject, match="no known key can open"):
        opened(world, token)
    assert opened(world, to(world)) == TOKEN
    world.provider.parts.store.dispose()


def test_at_its_end_it_is_gone(database: Path) -> None:
    world = over(database, "RSA-OAEP-256")
    rotate(world)
    assert sorted(row.state for row in rows(world)) == ["current", "retired"]
    assert all(row.sealed_private for row in rows(world))
    world.clock.move(PUBLISH_AHEAD_SECONDS - 1)
    world.provider.parts.key_care.tend(world.now)
    assert len(rows(world)) == 2
    world.clock.move(CARE_SECONDS)
    world.provider.parts.key_care.tend(world.now)
    assert [row.state for row in rows(world)] == ["current"]


def test_it_is_replaced_when_it_is_as_old_as_a_key_becomes(database: Path) -> None:
    world = over(database, "RSA-OAEP-256", key_rotation_days=30)
    (first,) = rows(world)
    world.clock.at = first.not_before + 30 * DAY - 1
    world.provider.parts.key_care.tend(world.now)
    assert rows(world) == [first]
    world.clock.move(CARE_SECONDS)
    world.provider.parts.key_care.tend(world.now)
    states = {row.kid: row.state for row in rows(world)}
    assert states.pop(first.kid) == "retired"
    assert list(states.values()) == ["current"]


def test_it_stays_where_keys_are_not_replaced_by_themselves(database: Path) -> None:
    world = over(database, "RSA-OAEP-256")
    world.clock.move(4000 * DAY)
    world.provider.parts.key_care.tend(world.now)
    assert len(rows(world)) == 1


def test_two_that_replace_it_at_once_replace_it_once(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = over(database, "RSA-OAEP-256")
    ours = world.provider.parts.encryption_keys
    original = type(ours)._row

    def slow(self: Any, *given: Any) -> KeyRow:
        made = original(self, *given)
        monkeypatch.setattr(type(ours), "_row", original)
        rotate(world)  # another process, while this one makes its key
        return made

    monkeypatch.setattr(type(ours), "_row", slow)
    rotate(world)
    assert sorted(row.state for row in rows(world)) == ["current", "retired"]


def test_what_the_realm_does_not_offer_any_more_is_not_used(database: Path) -> None:
    before = over(database, "RSA-OAEP-256")
    token = to(before)
    world = over(database, "ECDH-ES")
    assert [one["alg"] for one in published(world)] == ["ECDH-ES"]
    with pytest.raises(InvalidRequestObject):
        opened(world, token)
    with pytest.raises(RotationRefused, match="RSA-OAEP-256 has no keys"):
        rotate(world)
    keys_of = world.provider.parts.encryption_keys
    (gone,) = keys_of.retire_unoffered(world.realm, world.now)
    assert {row.kid: row.state for row in rows(world)}[gone] == "retired"
    assert keys_of.retire_unoffered(world.realm, world.now) == []
    off = World.over(database)
    assert published(off) == []


def test_realms_share_no_key(database: Path) -> None:
    objects = {"by_value": True, "encryption_algorithms": ["RSA-OAEP-256"]}
    world = over(database, "RSA-OAEP-256", realms=[{"name": "second", "request_objects": objects}])
    token = to(world)
    _, second = world.provider.parts.realms
    with pytest.raises(InvalidRequestObject, match="no known key can open"):
        opened(world, token, realm=second)


def test_the_operator_is_told(database: Path) -> None:
    world = over(database, "RSA-OAEP-256")
    (first,) = rows(world)
    rotate(world)
    made = [json.loads(line) for line in world.events if "provider.key_created" in line]
    assert [event["alg"] for event in made].count("RSA-OAEP-256") == 2
    assert first.kid in {event["kid"] for event in made}


def test_the_command_lists_and_replaces_them(tmp_path: Path) -> None:
    config = tmp_path / "provider.toml"
    config.write_text(
        f'issuer = "https://id.example"\nsecret = "{SECRET}"\n'
        f'database = "sqlite:///{tmp_path / "provider.db"}"\n'
        '[request_objects]\nby_value = true\nencryption_algorithms = ["ECDH-ES"]\n'
    )

    def run(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(main, ["--config", str(config), "keys", *arguments])
        assert result.exit_code == code, result.output
        return result.output if code else result.stdout

    def listed() -> list[list[str]]:
        return [line.split("\t")[1:] for line in run("list").splitlines()]

    assert [row[:2] for row in listed()] == [["RS256", "current"], ["ECDH-ES", "current"]]
    assert run("rotate", "--algorithm", "ECDH-ES").startswith("ECDH-ES: a new key takes the place of")
    found = [row for row in listed() if row[0] == "ECDH-ES"]
    assert sorted((row[1], row[2].split(" ")[0]) for row in found) == [
        ("current", "since"),
        ("retired", "opens"),
    ]
    assert "RS256: " in run("rotate")
    assert [row[:2] for row in listed()].count(["ECDH-ES", "retired"]) == 2
    assert "has no keys" in run("rotate", "--algorithm", "RSA-OAEP", code=1)
    config.write_text(config.read_text().replace("encryption_algorithms", "#"))
    assert "is retired: its algorithm is no longer offered" in run("rotate")

"""Signing keys: one at first start, sealed, published before they sign and after they stop."""

import base64
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from oidcgate.jose.jwt import JWTError, JWTFailure, sign, unverified_header, verify
from oidcgate.jose.keys import import_key, import_public_keys, thumbprint_kid
from oidcgate.protocol.errors import ServerError
from oidcgate.settings import SettingsError
from provider.services.keyring import (
    PUBLISH_AHEAD_SECONDS,
    SIGNER_SECONDS,
    RotationPending,
    RotationRefused,
    Signer,
)
from provider.store.keys import list_keys
from provider.store.schema import keys
from tests.provider.endpoints.test_cost import statements
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
    return parts.keys.rotate(parts.store, world.realm, "RS256", world.now, at_once=at_once).kid


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
    with pytest.raises(SettingsError, match="does not open the key"):
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


def alg_keys(world: World, alg: str) -> list[tuple[str, str]]:
    """(kid, state) of the keys of one algorithm."""
    with world.provider.parts.store.read() as conn:
        return [(row.kid, row.state) for row in list_keys(conn, "default") if row.alg == alg]


def signer(world: World, alg: str) -> Signer:
    with world.provider.parts.store.read() as conn:
        return world.provider.parts.keys.signer(conn, world.realm, alg, world.now)


@pytest.mark.row("S-28")
def test_each_offered_algorithm_has_a_key_of_its_own_and_hmac_has_none(database: Path) -> None:
    world = World.over(
        database, signing_algorithm="ES256", further_signing_algorithms=["Ed25519", "HS256", "ES256"]
    )
    document = world.browser().get("/jwks").get_json()
    assert sorted(key["alg"] for key in document["keys"]) == ["ES256", "Ed25519", "RS256"]
    discovery = world.browser().get("/.well-known/openid-configuration").get_json()
    assert discovery["id_token_signing_alg_values_supported"] == ["ES256", "Ed25519", "HS256", "RS256"]
    public = import_public_keys(document)
    for alg in ("ES256", "Ed25519", "RS256"):
        made = signer(world, alg)
        assert verify(made.sign({"sub": "x"}, typ="at+jwt"), public, [alg]).header == {
            "alg": alg, "kid": made.kid, "typ": "at+jwt",
        }  # fmt: skip
    assert unverified_header(world.tokens()["id_token"])["alg"] == "ES256"


@pytest.mark.row("S-29", "P-14")
def test_a_shared_secret_is_in_no_key_set_and_nobody_here_signs_with_one(database: Path) -> None:
    world = World.over(database, further_signing_algorithms=["HS256", "HS512"])
    assert [key["kty"] for key in world.browser().get("/jwks").get_json()["keys"]] == ["RSA"]
    for alg in ("HS256", "ES256", "none"):
        with pytest.raises(ServerError):
            signer(world, alg)


@pytest.mark.row("P-14")
def test_a_key_verifies_only_what_its_own_algorithm_signed(database: Path) -> None:
    world = World.over(database, further_signing_algorithms=["PS256"])
    parts = world.provider.parts
    with parts.store.read() as conn:
        keys_ = parts.keys.verification_keys(conn, world.realm)
    assert sorted((key.alg or "") for key in keys_) == ["PS256", "RS256"]
    other = signer(world, "PS256")
    token = sign({"sub": "x"}, other.key, "RS256", kid=other.kid)
    with pytest.raises(JWTError) as refused:
        verify(token, keys_, ["RS256", "PS256"])
    assert refused.value.reason is JWTFailure.UNKNOWN_KEY


def test_signing_needs_no_database(world: World) -> None:
    made = signer(world, "RS256")
    world.provider.parts.store.dispose()
    assert unverified_header(made.sign({}))["kid"] == made.kid
    assert "key=" not in repr(made)


def test_who_signs_is_read_once_in_a_few_seconds(world: World) -> None:
    signer(world, "RS256")
    assert statements(world, lambda: signer(world, "RS256")) == []
    world.clock.move(SIGNER_SECONDS - 1)
    assert statements(world, lambda: signer(world, "RS256")) == []
    world.clock.move(1)
    again = statements(world, lambda: signer(world, "RS256"))
    assert len([sent for sent in again if sent.startswith("SELECT")]) == 1


def test_what_is_remembered_ends_with_the_time_of_the_next_key(database: Path, world: World) -> None:
    other = World(world.provider, world.clock)
    process = World.over(database)  # another process: rotations are not its own
    rotate(other)
    old = signer(process, "RS256").kid
    process.clock.at = world.clock.at + PUBLISH_AHEAD_SECONDS - 1
    assert signer(process, "RS256").kid == old
    process.clock.move(1)
    assert signer(process, "RS256").kid != old
    process.provider.parts.store.dispose()


def test_a_rotation_at_once_reaches_another_process_within_seconds(database: Path, world: World) -> None:
    process = World.over(database)
    old = signer(process, "RS256").kid
    new = rotate(world, at_once=True)
    assert signer(process, "RS256").kid == old
    process.clock.move(SIGNER_SECONDS)
    assert signer(process, "RS256").kid == new
    # What it signed meanwhile outlives what was signed before.
    (retired,) = (row for row in world.rows("keys") if row["state"] == "retired")
    assert retired["published_until"] >= world.now + SIGNER_SECONDS + 3600 + 300
    process.provider.parts.store.dispose()


@pytest.mark.row("S-30")
@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_a_verifier_that_keeps_the_key_set_for_its_max_age_never_fails(database: Path, alg: str) -> None:
    """Through a rotation, for tokens of the longest life, checked from their first to their last second."""
    world = World.over(
        database, signing_algorithm=alg, lifetimes={"access_token_hours": 30.0, "id_token_hours": 1.0}
    )
    answer = world.browser().get("/jwks")
    max_age = answer.cache_control.max_age or 0
    assert max_age == 3600
    cached, fetched_at = import_public_keys(answer.get_json()), world.now
    kids: set[str] = set()
    alive: list[tuple[int, str]] = []
    rotated = world.now + 7200
    step = 1800
    while world.now < rotated + PUBLISH_AHEAD_SECONDS + 32 * 3600:
        if world.now == rotated:
            world.provider.parts.keys.rotate(world.provider.parts.store, world.realm, alg, world.now)
        if world.now - fetched_at >= max_age:
            cached = import_public_keys(world.browser().get("/jwks").get_json())
            fetched_at = world.now
        token = signer(world, alg).sign({"sub": "x"})
        kids.add(str(unverified_header(token)["kid"]))
        alive.append((world.now + 30 * 3600, token))
        alive = [(until, text) for until, text in alive if until >= world.now]
        for _, text in (alive[0], alive[-1]):
            verify(text, cached, [alg])
        world.clock.move(step)
    assert len(kids) == 2
    assert len(world.browser().get("/jwks").get_json()["keys"]) == (1 if alg == "RS256" else 2)


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        pytest.param({"lifetimes": {"id_token_hours": 2.0}}, 7200 + 300, id="id-token"),
        pytest.param({"lifetimes": {"access_token_hours": 3.0}}, 3 * 3600 + 300, id="access-token"),
        pytest.param({"lifetimes": {"clock_skew_minutes": 0}}, 3600, id="no-skew"),
        pytest.param(
            {"resources": [{"audience": "https://api.example", "access_token_hours": 5.0}]},
            5 * 3600 + 300,
            id="token-of-an-api",
        ),
    ],
)
def test_a_key_is_published_until_the_longest_token_it_signed_has_ended(
    database: Path, changes: dict[str, Any], seconds: int
) -> None:
    world = World.over(database, **changes)
    rotate(world)
    world.clock.move(PUBLISH_AHEAD_SECONDS)
    assert len(published(world)) == 2
    world.clock.move(seconds - 1)
    assert len(published(world)) == 2
    world.clock.move(1)
    assert len(published(world)) == 1


def test_rotating_one_algorithm_leaves_the_others(database: Path) -> None:
    world = World.over(database, further_signing_algorithms=["ES256"])
    before = alg_keys(world, "RS256")
    parts = world.provider.parts
    parts.keys.rotate(parts.store, world.realm, "ES256", world.now, at_once=True)
    assert alg_keys(world, "RS256") == before
    assert sorted(state for _, state in alg_keys(world, "ES256")) == ["current", "retired"]
    for alg in ("EdDSA", "HS256"):
        with pytest.raises(RotationRefused, match=f"{alg} has no keys"):
            parts.keys.rotate(parts.store, world.realm, alg, world.now)


def test_an_algorithm_that_is_no_longer_offered_goes_on_until_its_keys_are_retired(database: Path) -> None:
    world = World.over(database, further_signing_algorithms=["ES256", "Ed25519"])
    parts = world.provider.parts
    parts.keys.rotate(parts.store, world.realm, "ES256", world.now)
    token = signer(world, "ES256").sign({"sub": "x"})
    world = World.over(database)
    assert len(published(world)) == 4, "a host with the older configuration may sign with them still"
    parts = world.provider.parts
    assert len(parts.keys.retire_unoffered(parts.store, world.realm, world.now)) == 3
    assert parts.keys.retire_unoffered(parts.store, world.realm, world.now) == []
    assert [state for _, state in alg_keys(world, "ES256")] == ["retired"]
    assert "provider.key_retired" in world.events[-1]
    public = import_public_keys(world.browser().get("/jwks").get_json())
    assert verify(token, public, ["ES256"]).claims == {"sub": "x"}
    assert len(public) == 3
    world.clock.move(SIGNER_SECONDS + 3600 + 300)
    assert len(published(world)) == 1


@pytest.mark.row("S-30")
def test_a_generated_key_has_a_certificate_of_its_own(world: World) -> None:
    (key,) = world.browser().get("/jwks").get_json()["keys"]
    (der,) = key["x5c"]
    certificate = x509.load_der_x509_certificate(base64.b64decode(der))
    assert certificate.subject.rfc4514_string() == "CN=id.example"
    assert certificate.public_key() == import_key(key).public_key
    assert certificate.not_valid_before_utc.timestamp() < world.now
    assert certificate.not_valid_after_utc.timestamp() > world.now + 9 * 365 * 86_400
    rotate(world, at_once=True)
    other = [entry for entry in world.browser().get("/jwks").get_json()["keys"] if entry["kid"] != key["kid"]]
    assert other[0]["x5c"] != key["x5c"], "a new key has a new certificate"


def test_realms_share_no_key(database: Path) -> None:
    world = World.over(database, realms=[{"name": "other", "signing_algorithm": "ES256"}])
    keys_ = {
        path: {key["kid"] for key in world.browser().get(f"{path}/jwks").get_json()["keys"]}
        for path in ("", "/r/other")
    }
    assert (len(keys_[""]), len(keys_["/r/other"])) == (1, 2)
    assert not keys_[""] & keys_["/r/other"]
    parts = world.provider.parts
    default, other = parts.realms
    with parts.store.read() as conn:
        ours = parts.keys.signer(conn, default, "RS256", world.now).kid
        theirs = parts.keys.signer(conn, other, "RS256", world.now).kid
        assert {ours} == keys_[""]
        assert theirs in keys_["/r/other"]
        assert {key.kid for key in parts.keys.verification_keys(conn, other)} == keys_["/r/other"]
    # A row that is moved to another realm does not open there.
    with parts.store.begin() as conn:
        conn.execute(keys.delete().where(keys.c.realm_id == "other"))
        conn.execute(keys.update().where(keys.c.kid == ours).values(realm_id="other"))
    with pytest.raises(SettingsError, match="does not open the key"):
        World.over(database, realms=[{"name": "other", "signing_algorithm": "ES256"}])

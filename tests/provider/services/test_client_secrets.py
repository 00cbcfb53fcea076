"""Secrets of clients in the database: how they are kept, replaced, and sign while one replaces another."""

from pathlib import Path
from typing import Any

import jwt
import pytest

from oidcgate.protocol.errors import ServerError
from oidcgate.settings import Secret
from oidcgate.web.sealing import KeyRing
from provider.services.client_secrets import ClientSecrets
from provider.services.clients import NewClient
from tests.provider.asserting import claims, presenting, sign
from tests.provider.world import REDIRECT_URI, SECRET, World, error_of

HS256 = {"id_token_signed_response_alg": "HS256"}
JWT_METHOD = {"auth_method": "client_secret_jwt"}


@pytest.fixture
def world(database: Path) -> World:
    return World.over(database, further_signing_algorithms=["HS256"])


def add(world: World, **changes: Any) -> NewClient:
    said = {"client_id": "new", "redirect_uris": [REDIRECT_URI], **changes}
    with world.provider.parts.store.begin() as conn:
        return world.provider.parts.clients.add(conn, world.realm, said, world.now)


def renew(world: World, overlap_seconds: int = 0) -> str:
    with world.provider.parts.store.begin() as conn:
        made = world.provider.parts.clients.renew_secret(
            conn, world.realm, "new", world.now, overlap_seconds=overlap_seconds
        )
    assert made.secret is not None
    return made.secret.reveal()


def text(made: NewClient) -> str:
    assert made.secret is not None
    return made.secret.reveal()


def good(world: World, secret: str) -> bool:
    """Whether the client proves itself with it."""
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    return error_of(world.token(form, auth=("new", secret))) != (401, "invalid_client")


@pytest.mark.row("C-10", "P-15")
@pytest.mark.parametrize("said", [HS256, JWT_METHOD, {"userinfo_signed_response_alg": "HS256"}])
def test_a_secret_whose_text_is_needed_is_sealed(world: World, said: dict[str, str]) -> None:
    made = add(world, **said)
    (row,) = world.rows("clients")
    assert text(made) not in str(row)
    secrets = world.provider.parts.clients.secrets
    assert secrets.text(world.realm, made.client).reveal() == text(made)
    assert text(made) not in repr(made)


@pytest.mark.row("C-10")
def test_a_secret_that_is_only_presented_is_a_hash(world: World) -> None:
    made = add(world)
    (row,) = world.rows("clients")
    assert row["sealed_secret"] is None
    assert row["secret_hash"]
    with pytest.raises(ServerError):
        world.provider.parts.clients.secrets.text(world.realm, made.client)


@pytest.mark.row("S-47")
def test_made_secrets_are_long_enough_for_every_hash_and_short_enough_for_others(world: World) -> None:
    secret = text(add(world, **HS256))
    assert 64 <= len(secret) <= 100


@pytest.mark.row("P-15")
def test_a_sealed_secret_opens_for_its_client_only(world: World) -> None:
    ring = KeyRing([SECRET])
    realm, made = world.realm, add(world, **HS256)
    other = add(world, client_id="other-new", **HS256)
    moved = world.provider.parts.clients.secrets.seal(realm, "new", Secret("s" * 43), 0)
    assert ClientSecrets(ring).text(realm, made.client).reveal() == text(made)
    for client, secrets in (
        (type(other.client)(**{**vars(other.client), "sealed_secret": moved}), ClientSecrets(ring)),
        (made.client, ClientSecrets(KeyRing([SECRET[::-1]]))),
    ):
        with pytest.raises(ServerError, match="server_error"):
            secrets.text(realm, client)


@pytest.mark.row("S-02", "S-47")
def test_the_secret_before_ends_at_once(world: World) -> None:
    first = text(add(world))
    assert good(world, first)
    second = renew(world)
    assert (good(world, first), good(world, second)) == (False, True)


@pytest.mark.row("S-47")
def test_the_secret_before_is_good_for_the_overlap(world: World) -> None:
    first = text(add(world))
    second = renew(world, overlap_seconds=3600)
    assert (good(world, first), good(world, second)) == (True, True)
    world.clock.move(3599)
    assert good(world, first)
    world.clock.move(1)
    assert (good(world, first), good(world, second)) == (False, True)
    third = renew(world, overlap_seconds=60)
    fourth = renew(world, overlap_seconds=60)
    # Two are good at most.
    assert [good(world, each) for each in (second, third, fourth)] == [False, True, True]


@pytest.mark.row("P-07", "C-10")
def test_assertions_under_the_secret_before_too(world: World) -> None:
    first = text(add(world, **JWT_METHOD))
    second = renew(world, overlap_seconds=60)

    def status(secret: str, jti: str) -> int:
        assertion = sign(claims(world, "new", jti=jti), secret, "HS256")
        form = {"grant_type": "refresh_token", "refresh_token": "x"}
        return world.token({**form, **presenting(assertion)}, auth=None).status_code

    assert (status(first, "1"), status(second, "2")) == (400, 400)
    world.clock.move(60)
    assert (status(first, "3"), status(second, "4")) == (401, 400)


@pytest.mark.row("S-29")
def test_tokens_are_signed_with_the_new_secret(world: World) -> None:
    add(world, **HS256)
    second = renew(world, overlap_seconds=3600)
    code = world.code(client_id="new")
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI}
    form["code_verifier"] = "v" * 43
    token = world.token(form, auth=("new", second)).get_json()["id_token"]
    options: Any = {"verify_exp": False, "verify_iat": False}
    assert jwt.decode(token, second, ["HS256"], audience="new", options=options)["aud"] == "new"


def test_nobodys_secret_is_no_clients(world: World) -> None:
    assert not good(world, "nobody")
    add(world, client_id="keyed", auth_method="private_key_jwt", jwks_uri="https://app.example/keys")
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    assert error_of(world.token(form, auth=("keyed", "nobody"))) == (401, "invalid_client")

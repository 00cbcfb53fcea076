"""Encrypted ID tokens that come through the browser: implicit and hybrid answers."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import jwt
import pytest

from tests.provider.asserting import KEYS_URI, KeyServer, key, opened, public
from tests.provider.sign_in.place import Page, World, client

READ = key("RSA", "read", use="enc")


def world_with(folder: Path, server: KeyServer) -> World:
    """A provider with a client that may ask for everything and has its ID tokens encrypted."""
    sealed = client(
        "sealed",
        trusted=True,
        flows=["authorization_code", "implicit", "hybrid"],
        jwks_uri=KEYS_URI,
        id_token_encrypted_response_alg="RSA-OAEP-256",
    )
    return World.make(folder, fetcher=server.fetcher(), clients=[sealed])


def asked(world: World, response_type: str, **changes: str) -> Page:
    return world.browser().signed_in("sealed", response_type=response_type, **changes)


@pytest.mark.row("S-48")
@pytest.mark.parametrize(
    "response_type", ["id_token", "id_token token", "code id_token", "code id_token token"]
)
def test_what_comes_through_the_browser_is_encrypted_and_bound(tmp_path: Path, response_type: str) -> None:
    world = world_with(tmp_path, KeyServer(public(READ)))
    answer = asked(world, response_type).answer
    _, inner = opened(answer["id_token"], READ)
    said = jwt.decode(inner, options={"verify_signature": False})
    assert (said["sub"], said["nonce"]) == ("sub-alice", "nonce-1")
    assert ("at_hash" in said, "c_hash" in said) == ("access_token" in answer, "code" in answer)
    if "code" in answer:
        later = world.tokens(asked(world, response_type), "sealed")["id_token"]
        assert opened(later, READ)[0]["kid"] == "read"
    world.close()


@pytest.mark.row("S-49")
@pytest.mark.parametrize(
    "server",
    [
        pytest.param(KeyServer(public(READ), status="500 Oops"), id="not-fetched"),
        pytest.param(KeyServer(public(key("RSA", "sign", use="sig"))), id="no-key-for-it"),
    ],
)
@pytest.mark.parametrize("response_type", ["id_token", "code id_token"])
def test_without_the_key_the_client_is_told_by_redirect(
    tmp_path: Path, server: KeyServer, response_type: str
) -> None:
    world = world_with(tmp_path, server)
    page = world.browser().authorize("sealed", response_type=response_type)
    assert page.answer["error"] == "temporarily_unavailable"
    assert page.answer["state"] == "state-1"
    assert page.answer.keys().isdisjoint({"code", "id_token", "access_token"})
    assert urlsplit(page.location or "").fragment
    assert "jwks_uri" in json.loads(world.lines[-1])["detail"] or KEYS_URI in world.lines[-1]
    world.close()


@pytest.mark.row("S-49")
def test_a_plain_code_is_given_without_the_key(tmp_path: Path) -> None:
    server = KeyServer({}, status="500 Oops")
    world = world_with(tmp_path, server)
    assert "code" in asked(world, "code").answer
    assert server.calls == 0
    world.close()

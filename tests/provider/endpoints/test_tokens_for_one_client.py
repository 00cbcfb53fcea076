"""What a client gets as it is registered for: signed with its secret, encrypted, UserInfo as a token.

Read as the client would read it: with PyJWT and jwcrypto, keys from `/jwks`.
"""

import json
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.provider.asserting import KEYS_URI, KeyServer, client, key, opened, public, redeeming
from tests.provider.world import ALICE, APP_SECRET, ISSUER, World, error_of

LONG = APP_SECRET + "0123456789abcdefghij"
HMAC = ["HS256", "HS384", "HS512"]
OFFERED = ["PS256", "ES256", *HMAC]
BOTH = {"id_token_encrypted_response_alg": "RSA-OAEP-256", "jwks_uri": KEYS_URI}


def world_of(database: Path, *, server: KeyServer | None = None, **changes: Any) -> World:
    """A world with one client and every signature that the tests ask for."""
    fetcher = None if server is None else server.fetcher()
    said = client(client_secret=LONG, **changes)
    return World.over(database, fetcher=fetcher, further_signing_algorithms=OFFERED, clients=[said])


def answer(world: World, secret: str = LONG) -> dict[str, Any]:
    response = world.token(redeeming(world), auth=("app", secret))
    assert response.status_code == 200, response.text
    return dict(response.get_json())


def verified(world: World, token: str, alg: str = "RS256") -> dict[str, Any]:
    """The claims of a token under the key of `/jwks` that its header names."""
    keys = jwt.PyJWKSet.from_dict(world.browser().get("/jwks").get_json())
    return _read(token, keys[jwt.get_unverified_header(token)["kid"]].key, alg)


def from_secret(token: str, alg: str, secret: str) -> dict[str, Any]:
    """The claims of a token under a secret."""
    return _read(token, secret, alg)


def _read(token: str, signer: Any, alg: str) -> dict[str, Any]:
    # The world's clock is not this machine's.
    options: Any = {"verify_exp": False, "verify_iat": False}
    return dict(jwt.decode(token, signer, [alg], audience="app", issuer=ISSUER, options=options))


@pytest.mark.row("S-29", "C-10")
@pytest.mark.parametrize("alg", HMAC)
def test_an_id_token_under_the_secret_of_the_client(database: Path, alg: str) -> None:
    world = world_of(database, id_token_signed_response_alg=alg)
    token = answer(world)["id_token"]
    assert jwt.get_unverified_header(token).keys() == {"alg"}
    assert from_secret(token, alg, LONG)["sub"] == ALICE
    with pytest.raises(jwt.InvalidSignatureError):
        from_secret(token, alg, LONG[:-1] + "x")
    assert {entry["kty"] for entry in world.browser().get("/jwks").get_json()["keys"]} <= {"RSA", "EC"}


@pytest.mark.parametrize("alg", ["PS256", "ES256"])
def test_an_id_token_under_another_key_of_the_realm(database: Path, alg: str) -> None:
    world = world_of(database, id_token_signed_response_alg=alg)
    assert verified(world, answer(world)["id_token"], alg)["sub"] == ALICE


@pytest.mark.row("S-29")
def test_the_token_of_one_secret_is_no_hint_of_another(database: Path) -> None:
    """Whoever has a secret can sign with it, so it proves what that client was told and nothing else."""
    other = client(client_id="plain", post_logout_redirect_uris=["https://app.example/bye"])
    mine = client(
        client_secret=LONG,
        id_token_signed_response_alg="HS256",
        post_logout_redirect_uris=["https://app.example/bye"],
    )
    world = World.over(database, further_signing_algorithms=OFFERED, clients=[mine, other])
    hints = next(r.endpoint for r in world.provider.parts.routes if r.path == "/end_session").requests.hints
    good = answer(world)["id_token"]
    forged = jwt.encode({**from_secret(good, "HS256", LONG), "aud": "plain"}, APP_SECRET, "HS256")
    stranger = jwt.encode(from_secret(good, "HS256", LONG), APP_SECRET, "HS256")
    with world.provider.parts.store.read() as conn:
        read = [hints.read(conn, world.realm, token) for token in (good, forged, stranger, good[:-3])]
    assert [hint and hint.sub for hint in read] == [ALICE, None, None, None]


@pytest.mark.row("S-48", "S-49", "C-4")
@pytest.mark.parametrize(
    ("alg", "kind", "enc"),
    [
        ("RSA-OAEP-256", "RSA", ""),
        ("RSA-OAEP", "RSA", "A256GCM"),
        ("ECDH-ES", "P-256", "A128GCM"),
        ("ECDH-ES+A256KW", "X25519", "A256CBC-HS512"),
    ],
)
def test_an_encrypted_id_token_opens_with_the_key_of_the_client(
    database: Path, alg: str, kind: str, enc: str
) -> None:
    server = KeyServer(public(key("RSA", "sign", use="sig"), key(kind, "read", use="enc")))
    world = world_of(
        database,
        server=server,
        jwks_uri=KEYS_URI,
        id_token_encrypted_response_alg=alg,
        id_token_encrypted_response_enc=enc,
    )
    body = answer(world)
    header, inner = opened(body["id_token"], key(kind, "read", use="enc"))
    expected = {"alg": alg, "enc": enc or "A128CBC-HS256", "cty": "JWT", "kid": "read"}
    assert expected.items() <= header.items()
    assert verified(world, inner)["sub"] == ALICE
    assert server.calls == 1


@pytest.mark.row("E-24", "C-4")
def test_without_asking_nothing_is_encrypted(world: World) -> None:
    assert verified(world, world.tokens()["id_token"])["sub"] == ALICE


@pytest.mark.row("S-29", "S-48")
def test_a_secret_signs_what_is_encrypted(database: Path) -> None:
    server = KeyServer(public(key("RSA", "read", use="enc")))
    world = world_of(database, server=server, id_token_signed_response_alg="HS256", **BOTH)
    _, inner = opened(answer(world)["id_token"], key("RSA", "read", use="enc"))
    assert from_secret(inner, "HS256", LONG)["sub"] == ALICE


@pytest.mark.row("S-48")
def test_refreshing_encrypts_too(database: Path) -> None:
    server = KeyServer(public(key("RSA", "read", use="enc")))
    world = world_of(database, server=server, **BOTH)
    form = {"grant_type": "refresh_token", "refresh_token": answer(world)["refresh_token"]}
    token = world.token(form, auth=("app", LONG)).get_json()["id_token"]
    assert verified(world, opened(token, key("RSA", "read", use="enc"))[1])["sub"] == ALICE


@pytest.mark.row("S-49")
def test_a_key_that_cannot_be_fetched_costs_no_code_and_sends_no_clear_token(database: Path) -> None:
    server = KeyServer(public(key("RSA", "read", use="enc")), status="503 Busy")
    world = world_of(database, server=server, **BOTH)
    form = redeeming(world)
    refused = world.token(form, auth=("app", LONG))
    assert error_of(refused) == (503, "temporarily_unavailable")
    assert refused.headers["Retry-After"]
    assert "id_token" not in refused.text
    assert [row["consumed_at"] for row in world.rows("codes")] == [None]
    # Not asked again at once, however often somebody tries.
    assert error_of(world.token(form, auth=("app", LONG)))[0] == 503
    assert server.calls == 1
    server.status = "200 OK"
    world.clock.move(31)
    assert world.token(form, auth=("app", LONG)).status_code == 200


@pytest.mark.row("S-49")
@pytest.mark.parametrize(
    "keys",
    [
        pytest.param(public(key("RSA", "s", use="sig")), id="for-signatures"),
        pytest.param(public(key("P-256", "e", use="enc")), id="of-another-kind"),
        pytest.param(public(key("RSA", "a", use="enc", alg="RSA-OAEP")), id="for-another-algorithm"),
        pytest.param({"keys": []}, id="none"),
        pytest.param({"keys": [json.loads(key("RSA", "p").export_private())]}, id="private"),
    ],
)
def test_without_a_fitting_key_there_is_no_token(database: Path, keys: dict[str, Any]) -> None:
    world = world_of(database, server=KeyServer(keys), **BOTH)
    assert error_of(world.token(redeeming(world), auth=("app", LONG))) == (503, "temporarily_unavailable")
    assert [row["consumed_at"] for row in world.rows("codes")] == [None]


@pytest.mark.row("P-09", "S-49")
@pytest.mark.parametrize(
    "uri", ["https://169.254.169.254/keys", "https://10.0.0.1/keys", "https://[::1]/keys"]
)
def test_keys_to_encrypt_to_are_never_fetched_from_inside(database: Path, uri: str) -> None:
    world = world_of(database, **{**BOTH, "jwks_uri": uri})
    assert error_of(world.token(redeeming(world), auth=("app", LONG))) == (503, "temporarily_unavailable")


def test_no_transaction_is_open_while_the_key_is_fetched(database: Path) -> None:
    server = KeyServer(public(key("RSA", "read", use="enc")))
    world = world_of(database, server=server, **BOTH)
    pool = world.provider.parts.store.engine.pool
    busy: list[int] = []
    server.while_asked.append(lambda: busy.append(pool.checkedout()))
    answer(world)
    assert busy == [0]


@pytest.mark.row("S-49")
def test_a_new_key_of_the_client_is_used(database: Path) -> None:
    server = KeyServer(public(key("RSA", "read", use="enc")))
    world = world_of(database, server=server, **BOTH)
    answer(world)
    server.keys = public(key("RSA", "next", use="enc"))
    world.clock.move(601)
    assert opened(answer(world)["id_token"], key("RSA", "next", use="enc"))[0]["kid"] == "next"


def userinfo(world: World, secret: str = LONG) -> Any:
    access = answer(world, secret)["access_token"]
    headers = {"Authorization": f"Bearer {access}", "Accept": "application/json"}
    return world.browser().get("/userinfo", headers=headers)


@pytest.mark.row("S-26")
@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256"])
def test_userinfo_as_a_signed_token(database: Path, alg: str) -> None:
    world = world_of(database, userinfo_signed_response_alg=alg)
    response = userinfo(world)
    assert (response.status_code, response.content_type) == (200, "application/jwt")
    assert response.headers["Cache-Control"] == "no-store"
    assert jwt.get_unverified_header(response.text)["kid"]
    said = verified(world, response.text, alg)
    assert said == {**said, "iss": ISSUER, "aud": "app", "sub": ALICE, "email": "alice@example.org"}


@pytest.mark.row("S-29")
def test_userinfo_under_the_secret(database: Path) -> None:
    world = world_of(database, userinfo_signed_response_alg="HS256")
    assert from_secret(userinfo(world).text, "HS256", LONG)["sub"] == ALICE


@pytest.mark.row("P-08", "S-49")
def test_userinfo_encrypted_holds_a_signed_token(database: Path) -> None:
    server = KeyServer(public(key("P-256", "read", use="enc")))
    world = world_of(
        database,
        server=server,
        jwks_uri=KEYS_URI,
        userinfo_signed_response_alg="RS256",
        userinfo_encrypted_response_alg="ECDH-ES",
    )
    response = userinfo(world)
    assert response.content_type == "application/jwt"
    assert verified(world, opened(response.text, key("P-256", "read", use="enc"))[1])["sub"] == ALICE
    server.status = "500 Oops"
    world.provider.parts.store.dispose()
    fresh = world_of(
        database,
        server=server,
        jwks_uri=KEYS_URI,
        userinfo_signed_response_alg="RS256",
        userinfo_encrypted_response_alg="ECDH-ES",
    )
    refused = userinfo(fresh)
    assert refused.status_code == 503
    assert "alice" not in refused.text.lower()


def test_a_token_request_without_an_id_token_needs_no_key(database: Path) -> None:
    server = KeyServer({}, status="500 Oops")
    flows = ["authorization_code", "client_credentials"]
    said = client(client_secret=LONG, flows=flows, scopes=["openid", "orders"], **BOTH)
    world = World.over(database, fetcher=server.fetcher(), clients=[said], scopes=[{"value": "orders"}])
    form = {"grant_type": "client_credentials", "scope": "orders"}
    response = world.token(form, auth=("app", LONG))
    assert response.status_code == 200, response.text
    assert server.calls == 0


@pytest.mark.row("S-48", "S-49")
def test_a_password_gives_an_encrypted_token_or_none(database: Path) -> None:
    server = KeyServer(public(key("RSA", "read", use="enc")), status="500 Oops")
    world = world_of(database, server=server, flows=["password"], **BOTH)
    form = {"grant_type": "password", "username": "alice", "password": "demo-alice", "scope": "openid"}
    assert error_of(world.token(form, auth=("app", LONG))) == (503, "temporarily_unavailable")
    assert world.rows("access_tokens") == []
    server.status = "200 OK"
    world.clock.move(31)
    body = world.token(form, auth=("app", LONG)).get_json()
    assert verified(world, opened(body["id_token"], key("RSA", "read", use="enc"))[1])["sub"] == ALICE

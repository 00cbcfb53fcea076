"""Applications that send what they ask for as a token: PyJWT signs for them, jwcrypto encrypts."""

import json
from typing import Any
from urllib.parse import urlencode

from jwcrypto import jwe, jwk

from tests.provider.asserting import key, public, sign
from tests.provider.sign_in.place import CALLBACK, CHALLENGE, ISSUER, World, client

OURS = key("RSA", "ours")
#: What the realm takes in these tests, but for encryption, which needs keys to be made.
TAKEN = {"by_value": True, "by_reference": True, "insecure_allow_unsigned": True}
REQUEST_URI = "https://app.example/request"
ELSEWHERE = "https://app.example/elsewhere"


def clients(*, sealing: bool = False) -> list[dict[str, Any]]:
    """Those of the tests, each with its way to sign; one that encrypts, where the realm has a key for it."""
    signer = {"jwks": public(OURS), "trusted": True, "request_uris": [REQUEST_URI]}
    return [
        client(
            "signer", **signer, request_object_signing_alg="RS256",
            redirect_uris=[CALLBACK, f"{CALLBACK}/inside"],
        ),
        client("asks", **{**signer, "trusted": False}),
        client("strict", **signer, require_signed_request_object=True),
        client("second", jwks=public(key("RSA", "second")), trusted=True),
        client("hasher", trusted=True, request_object_signing_alg="HS256"),
        client("unsigned", trusted=True, request_object_signing_alg="none", request_uris=[REQUEST_URI]),
        client("keyless", trusted=True),
        *([client("sealer", **signer, request_object_encryption_alg="RSA-OAEP-256")] if sealing else []),
        client("off", enabled=False, jwks=public(OURS)),
    ]  # fmt: skip


def asked(client_id: str, **changes: Any) -> dict[str, Any]:
    """What an object asks for, whole; a change to None leaves a claim out."""
    said = {
        "iss": client_id,
        "aud": ISSUER,
        "client_id": client_id,
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "scope": "openid profile",
        "state": "inside",
        "nonce": "nonce-inside",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    return {name: value for name, value in said.items() if value is not None}


def signed(client_id: str = "signer", alg: str = "RS256", signer: Any = OURS, **changes: Any) -> str:
    """An object of a client, signed."""
    return sign(asked(client_id, **changes), signer, alg)


def beside(client_id: str = "signer", **parameters: str | None) -> str:
    """An authorization request with little but an object; a parameter of None is left out."""
    said = {"client_id": client_id, "response_type": "code", "scope": "openid", **parameters}
    return f"{ISSUER}/authorize?" + urlencode({name: v for name, v in said.items() if v is not None})


def published_key(world: World, alg: str) -> jwk.JWK:
    """The key of the provider to encrypt to."""
    document = world.browser().step(f"{ISSUER}/jwks").response.get_json()
    (found,) = [one for one in document["keys"] if one.get("alg") == alg]
    assert found["use"] == "enc"
    return jwk.JWK(**found)


def encrypted(content: str | bytes, to: jwk.JWK, alg: str, enc: str = "A128CBC-HS256", **header: Any) -> str:
    """What somebody encrypts to a key of the provider."""
    said = {"alg": alg, "enc": enc, "kid": to.get("kid"), "cty": "JWT", **header}
    protected = json.dumps({name: value for name, value in said.items() if value is not None})
    box = jwe.JWE(content if isinstance(content, bytes) else content.encode(), protected)
    box.allowed_algs = [*box.allowed_algs, "RSA-OAEP-256", "RSA1_5"]
    box.add_recipient(to)
    return str(box.serialize(compact=True))

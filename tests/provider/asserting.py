"""Clients with keys of their own, as others write them: PyJWT signs for them, jwcrypto opens for them.

Nothing here uses the code under test for cryptography, so that both cannot be wrong in the same way.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import jwt
from jwcrypto import jwe, jwk

from oidcgate.net.fetch import AddressRules, Fetcher
from oidcgate.net.wsgi import WSGIAdapter
from provider.services.outbound import MAX_BYTES
from tests.provider.world import APP_SECRET, ISSUER, REDIRECT_URI, VERIFIER, World

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KEYS_URI = "https://app.example/keys"

_KINDS: dict[str, dict[str, Any]] = {
    "RSA": {"kty": "RSA", "size": 2048},
    "P-256": {"kty": "EC", "crv": "P-256"},
    "P-521": {"kty": "EC", "crv": "P-521"},
    "Ed25519": {"kty": "OKP", "crv": "Ed25519"},
    "X25519": {"kty": "OKP", "crv": "X25519"},
}


def key(kind: str, kid: str = "k1", **members: str) -> jwk.JWK:
    """A pair of keys of a client; asked for twice, it is the same."""
    return _key(kind, kid, tuple(members.items()))


@cache
def _key(kind: str, kid: str, members: tuple[tuple[str, str], ...]) -> jwk.JWK:
    return jwk.JWK.generate(kid=kid, **_KINDS[kind], **dict(members))


def public(*keys: jwk.JWK) -> dict[str, Any]:
    """The key set of which these are."""
    return {"keys": [one.export_public(as_dict=True) for one in keys]}


def sign(claims: dict[str, Any], signer: jwk.JWK | str | None, alg: str, **header: Any) -> str:
    """A token of a client, under a key or a secret of it."""
    secret: Any = signer
    if isinstance(signer, jwk.JWK):
        secret = jwt.PyJWK(signer.export(as_dict=True), alg).key
        header = {"kid": signer.get("kid"), **header}
    return jwt.encode(claims, secret, alg, headers={name: v for name, v in header.items() if v is not None})


def claims(world: World, client_id: str = "app", **changes: Any) -> dict[str, Any]:
    """What an assertion says; a change to None leaves a claim out."""
    said = {
        "iss": client_id,
        "sub": client_id,
        "aud": ISSUER,
        "jti": "j-1",
        "iat": world.now,
        "exp": world.now + 60,
        **changes,
    }
    return {name: value for name, value in said.items() if value is not None}


def presenting(assertion: str) -> dict[str, str]:
    """The parameters of a request that is authenticated by it."""
    return {"client_assertion_type": JWT_BEARER, "client_assertion": assertion}


def redeeming(world: World, **changes: Any) -> dict[str, str]:
    """The other parameters of a request for tokens: a code that was just given."""
    return {
        "grant_type": "authorization_code",
        "code": world.code(**changes),
        "redirect_uri": REDIRECT_URI,
        "code_verifier": VERIFIER,
    }


def opened(token: str, private: jwk.JWK) -> tuple[dict[str, Any], str]:
    """Header and content of an encrypted token, as the client that it is for reads it."""
    box = jwe.JWE()
    box.allowed_algs = [*box.allowed_algs, "RSA-OAEP-256"]
    box.deserialize(token, key=private)
    return json.loads(box.objects["protected"]), box.payload.decode()


@dataclass
class KeyServer:
    """Another server, at whose one address a client publishes its keys; it notes how often it is asked."""

    keys: dict[str, Any]
    status: str = "200 OK"
    calls: int = 0
    while_asked: list[Any] = field(default_factory=list)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        self.calls += 1
        for look in self.while_asked:
            look()
        start_response(self.status, [("Content-Type", "application/jwk-set+json")])
        return [json.dumps(self.keys).encode()]

    def fetcher(self) -> Fetcher:
        """What asks it without a socket."""
        return Fetcher(AddressRules(), adapter=WSGIAdapter(self), max_bytes=MAX_BYTES)


def client(**changes: Any) -> dict[str, Any]:
    """The client `app` in a configuration; a change to None leaves a key out."""
    said = {
        "client_id": "app",
        "client_secret": APP_SECRET,
        "redirect_uris": [REDIRECT_URI],
        "flows": ["authorization_code", "refresh_token"],
        **changes,
    }
    return {name: value for name, value in said.items() if value is not None}

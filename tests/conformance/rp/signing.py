"""Keys of the provider that the modules play, and tokens signed with them, rightly and wrongly."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

#: In place of a value: the member is left out.
GONE = object()


@dataclass(frozen=True)
class Key:
    """An RSA key under a name."""

    kid: str
    private: rsa.RSAPrivateKey

    def published(self, *, with_kid: bool = True) -> dict[str, Any]:
        """The public key as a key set has it."""
        made: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key()))
        name = {"kid": self.kid} if with_kid else {}
        return {"kty": "RSA", "n": made["n"], "e": made["e"], "use": "sig", "alg": "RS256", **name}


@cache
def key(kid: str) -> Key:
    """The key of this name, made once."""
    return Key(kid, rsa.generate_private_key(public_exponent=65537, key_size=2048))


def changed(members: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The members with these in place of theirs."""
    return {name: value for name, value in {**members, **changes}.items() if value is not GONE}


def signed(claims: Mapping[str, Any], by: Key, *, kid: str | None, typ: str | None = None) -> str:
    """A token under RS256 that names this key, whoever signed it."""
    header = {name: value for name, value in {"kid": kid, "typ": typ}.items() if value is not None}
    return jwt.encode(dict(claims), by.private, algorithm="RS256", headers=header)


def unsigned(claims: Mapping[str, Any], typ: str | None = None) -> str:
    """A token with `alg` none."""
    return jwt.encode(dict(claims), None, algorithm="none", headers={"typ": typ} if typ else None)


def signed_with_secret(claims: Mapping[str, Any], secret: str, typ: str | None = None) -> str:
    """A token under HS256 with the client's secret."""
    return jwt.encode(dict(claims), secret, algorithm="HS256", headers={"typ": typ} if typ else None)

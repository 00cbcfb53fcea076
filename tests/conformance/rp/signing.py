"""Keys of the provider that the modules play, and tokens signed with them, rightly and wrongly."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

#: In place of a value: the member is left out.
GONE = object()


@dataclass(frozen=True)
class Key:
    """A key under a name: of RSA for RS256, of the curve P-256 for ES256."""

    kid: str
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

    @property
    def alg(self) -> str:
        """The one algorithm that it signs under."""
        return "RS256" if isinstance(self.private, rsa.RSAPrivateKey) else "ES256"

    def published(self, *, with_kid: bool = True) -> dict[str, Any]:
        """The public key as a key set has it."""
        public = self.private.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            made = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(public))
        else:
            made = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(public))
        name = {"kid": self.kid} if with_kid else {}
        members = {member: made[member] for member in ("kty", "n", "e", "crv", "x", "y") if member in made}
        return {**members, "use": "sig", "alg": self.alg, **name}


@cache
def key(kid: str) -> Key:
    """The RSA key of this name, made once."""
    return Key(kid, rsa.generate_private_key(public_exponent=65537, key_size=2048))


@cache
def curve_key(kid: str) -> Key:
    """The key of this name on the curve P-256, made once."""
    return Key(kid, ec.generate_private_key(ec.SECP256R1()))


def changed(members: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The members with these in place of theirs."""
    return {name: value for name, value in {**members, **changes}.items() if value is not GONE}


def signed(claims: Mapping[str, Any], by: Key, *, kid: str | None, typ: str | None = None) -> str:
    """A token that names this key, whoever signed it."""
    header = {name: value for name, value in {"kid": kid, "typ": typ}.items() if value is not None}
    return jwt.encode(dict(claims), by.private, algorithm=by.alg, headers=header)


def unsigned(claims: Mapping[str, Any], typ: str | None = None) -> str:
    """A token with `alg` none."""
    return jwt.encode(dict(claims), None, algorithm="none", headers={"typ": typ} if typ else None)


def signed_with_secret(claims: Mapping[str, Any], secret: str, typ: str | None = None) -> str:
    """A token under HS256 with the client's secret."""
    return jwt.encode(dict(claims), secret, algorithm="HS256", headers={"typ": typ} if typ else None)

"""Keys of clients: what they sign assertions and request objects with."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa


@dataclass(frozen=True)
class SigningKey:
    """An RSA key with a name, for RS256."""

    kid: str
    private: rsa.RSAPrivateKey

    def jwks(self) -> dict[str, Any]:
        """The key set with this key alone, as the world may see it."""
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        own = {name: public[name] for name in ("kty", "n", "e")}
        return {"keys": [{**own, "kid": self.kid, "use": "sig", "alg": "RS256"}]}

    def document(self) -> bytes:
        """The same as it is served."""
        return json.dumps(self.jwks()).encode()

    def sign(self, claims: dict[str, Any]) -> str:
        """A JWT."""
        return jwt.encode(claims, self.private, algorithm="RS256", headers={"kid": self.kid})


@cache
def key_of(name: str) -> SigningKey:
    """The key of this name, made once in this process: each client that needs one may have the same."""
    return SigningKey(name, rsa.generate_private_key(public_exponent=65_537, key_size=2048))

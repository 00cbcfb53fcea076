"""Tokens under a secret that two parties share (HMAC): whoever can verify one could have made it.

So such a token proves something only to those two: it is never published with a key set, and it is accepted
where configuration says so, never because a token says it (P-14). Whose secret it is, and whether it may be
used, is the caller's. Asymmetric signatures are next door in `oidcgate.jose.jwt`.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from joserfc.jwk import OctKey

from oidcgate.jose.jwt import VerifiedJWT, accepted_header, opened, serialize

HMAC_ALGORITHMS: Final = ("HS256", "HS384", "HS512")

# RFC 7518 3.2: a key of the size of the hash output or larger.
_LEAST_BYTES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}


def sign_hmac(claims: Mapping[str, Any], secret: str, alg: str, *, typ: str | None = None) -> str:
    """Return `claims` as a token under `secret`. It names no key: there is only the one.

    Args:
        claims: JSON values only.
        secret: Its UTF-8 bytes are the key (OIDC Core 10.1).
        alg: One of `HMAC_ALGORITHMS`.
        typ: What kind of token it is; it keeps one kind from passing as another.

    Raises:
        ValueError: No such algorithm; the secret has fewer bytes than the hash, or is a public key or
            certificate; or a claim is no JSON value.

    Spec: RFC 7515 5.1; RFC 7518 3.2.
    """
    if alg not in HMAC_ALGORITHMS:
        raise ValueError(f"{alg!r} is not one of {', '.join(HMAC_ALGORITHMS)}")
    if not fits_secret(secret, alg):
        raise ValueError(f"{alg} needs a secret of at least {_LEAST_BYTES[alg]} bytes")
    return serialize({"alg": alg}, claims, _key(secret), typ)


def verify_hmac(token: str, secrets: Sequence[str], algorithms: Collection[str]) -> VerifiedJWT:
    """Return header and claims of `token` if it was made with one of `secrets`. Checks no claim.

    Args:
        token: JWS compact serialization; a `kid` in it is not looked at.
        secrets: What is shared with the one party the token is expected from; several while one is replaced.
        algorithms: What is accepted from this party; only those of `HMAC_ALGORITHMS` can succeed.

    Raises:
        JWTError: As `oidcgate.jose.jwt.verify`; UNKNOWN_KEY also when every secret is too short for the
            algorithm. That is no ValueError, because here the token names the algorithm.

    Spec: RFC 7515 5.2; RFC 7518 3.2.
    """
    header = accepted_header(token, algorithms)
    fitting = [_key(secret) for secret in secrets if fits_secret(secret, header["alg"])]
    return opened(token, header, fitting)


def fits_secret(secret: str, alg: str) -> bool:
    """Whether a secret is long enough to be the key of `alg`. Spec: RFC 7518 3.2."""
    return alg in _LEAST_BYTES and len(secret.encode()) >= _LEAST_BYTES[alg]


def _key(secret: str) -> OctKey:
    return OctKey.import_key(secret.encode())

"""Signing keys and key sets: which are made, published and believed.

Only asymmetric ones: a shared secret, which signs as well as it verifies, is never in a key set and has a
room of its own, `oidcgate.jose.shared_secret`; `none` signs nothing. Tokens are next door in
`oidcgate.jose.jwt`, encrypted ones and their keys in `oidcgate.jose.jwe`, certificates in
`oidcgate.jose.certificates`, key sets that are fetched in `oidcgate.jose.remote`.
"""

import base64
import hashlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

from joserfc import jwk
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

Key = RSAKey | ECKey | OKPKey

#: What may be configured, best known first. A token never chooses: the caller names what it accepts.
SIGNING_ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
)  # fmt: skip

#: How long the RSA keys are that we make, and how long others' have to be.
RSA_BITS: Final = 2048

_MAX_KEYS: Final = 100
# Verification cost grows with the square of the modulus; nobody signs with more.
_MAX_RSA_BITS: Final = 8192
_CURVES: Final = {
    "ES256": "P-256",
    "ES384": "P-384",
    "ES512": "P-521",
    "EdDSA": "Ed25519",
    "Ed25519": "Ed25519",
}
_PUBLIC_MEMBERS: Final = {
    "RSA": ("kty", "n", "e"),
    "EC": ("kty", "crv", "x", "y"),
    "OKP": ("kty", "crv", "x"),
}
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
# RFC 9864 gave EdDSA on this one curve a name of its own; both mean the same signature.
_ED25519: Final = frozenset({"EdDSA", "Ed25519"})


class UnusableKey(ValueError):
    """A key or key set that must not be used; the message says why and never holds key material."""


class VerificationKey(NamedTuple):
    """A public key that may verify signatures."""

    key: Key
    kid: str | None
    alg: str | None

    def fits(self, alg: str) -> bool:
        """Whether a signature made with `alg` can be this key's."""
        if self.alg is not None and self.alg != alg and not {self.alg, alg} <= _ED25519:
            return False
        return _fits(self.key, alg)


def generate_key(alg: str) -> Key:
    """Return a new private key for signing with `alg`.

    Raises:
        UnusableKey: `alg` is not one of `SIGNING_ALGORITHMS`.
    """
    if alg not in SIGNING_ALGORITHMS:
        raise UnusableKey(f"{alg!r} is not a signing algorithm; use one of {', '.join(SIGNING_ALGORITHMS)}")
    if alg in _ED25519:
        return OKPKey.generate_key("Ed25519")
    if alg.startswith("ES"):
        return ECKey.generate_key(cast(Any, _CURVES[alg]))
    return RSAKey.generate_key(RSA_BITS)


def thumbprint_kid(key: Key) -> str:
    """Return the SHA-256 thumbprint of the public key: a `kid` that two keys never share.

    Spec: RFC 7638 3.
    """
    return key.thumbprint()


def private_jwk(key: Key) -> dict[str, Any]:
    """Return the whole key, private members included, for sealed storage only.

    Raises:
        UnusableKey: The key has no private part.
    """
    if not key.is_private:
        raise UnusableKey("the key has no private part")
    return dict(key.as_dict(private=True))


def import_key(document: Mapping[str, Any]) -> Key:
    """Return the key of one JWK, private if its private members are there.

    Raises:
        UnusableKey: Not a key of a kind this package signs with.
    """
    key = read_key(document)
    if not any(_fits(key, alg) for alg in SIGNING_ALGORITHMS):
        raise UnusableKey("the key is on a curve that signs nothing here")
    return key


def read_key(document: Mapping[str, Any]) -> Key:
    """Return the key of one JWK, whatever it is for; `use`, `alg` and `key_ops` are the caller's to judge.

    Raises:
        UnusableKey: Neither RSA nor EC nor OKP, malformed, or of a size that is unsafe or costs too much.
    """
    key_type = document.get("kty")
    if not isinstance(key_type, str) or key_type not in _PUBLIC_MEMBERS:
        raise UnusableKey("the key is neither RSA nor EC nor OKP")
    # Nothing but the key itself: joserfc would refuse to verify with a key whose `use` or `key_ops` says
    # otherwise.
    members = {
        name: document[name] for name in (*_PUBLIC_MEMBERS[key_type], *_PRIVATE_MEMBERS) if name in document
    }
    if not all(isinstance(value, str) for value in members.values()):
        raise UnusableKey("a member of the key is not a string")
    try:
        with warnings.catch_warnings():
            # joserfc warns of a short RSA key and goes on; here it is refused below.
            warnings.simplefilter("ignore")
            key = jwk.import_key(cast(Any, members))
    except (JoseError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise UnusableKey(f"the key cannot be read ({type(error).__name__})") from None
    if isinstance(key, RSAKey) and not RSA_BITS <= key.public_key.key_size <= _MAX_RSA_BITS:
        raise UnusableKey(f"an RSA key has to have {RSA_BITS} to {_MAX_RSA_BITS} bits")
    return cast(Key, key)


def public_jwk(key: Key, kid: str, alg: str, chain: Sequence[bytes] = ()) -> dict[str, Any]:
    """Return the public JWK as a key set shows it. Private members are left out by naming what goes in.

    Args:
        chain: The certificates of the key, DER, its own first; none: the key is published without.

    Raises:
        UnusableKey: `alg` does not go with this key.
    """
    if not _fits(key, alg):
        raise UnusableKey(f"{alg!r} does not go with this key")
    return {
        **public_members(key),
        "kid": kid,
        "use": "sig",
        "alg": alg,
        **(x5_members(chain) if chain else {}),
    }


def public_members(key: Key) -> dict[str, Any]:
    """Return the members of a JWK that are the public key itself."""
    members = key.as_dict(private=False)
    return {name: members[name] for name in _PUBLIC_MEMBERS[key.key_type]}


def x5_members(chain: Sequence[bytes]) -> dict[str, Any]:
    """Return what a JWK says of its certificates, DER, the key's own first.

    Spec: RFC 7517 4.7 to 4.9.
    """
    own = chain[0]
    # SHA-1 finds the certificate again (RFC 7517 4.8); nothing is believed because of it.
    older = hashlib.sha1(own, usedforsecurity=False).digest()
    return {
        "x5c": [base64.b64encode(der).decode("ascii") for der in chain],
        "x5t": _base64url(older),
        "x5t#S256": _base64url(hashlib.sha256(own).digest()),
    }


def import_public_keys(document: Mapping[str, Any]) -> tuple[VerificationKey, ...]:
    """Return the keys of a key set that may verify signatures.

    A key of an unknown kind, for encryption, on a foreign curve, too short or malformed is left out, as RFC
    7517 asks, so that one odd key does not stop the others.

    Raises:
        UnusableKey: No key set; more than 100 keys; or private or symmetric material in it: whoever reads
            such a set can sign, so nothing in it proves anything.

    Spec: RFC 7517 5.
    """
    return tuple(
        key for entry in published_entries(document) if (key := _verification_key(entry)) is not None
    )


def published_entries(document: Mapping[str, Any]) -> list[Any]:
    """Return the members of somebody's published key set, unread.

    Raises:
        UnusableKey: No key set; more than 100 keys; or private or symmetric material in it.

    Spec: RFC 7517 5.
    """
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise UnusableKey("the key set has no list of keys")
    if len(entries) > _MAX_KEYS:
        raise UnusableKey(f"the key set has more than {_MAX_KEYS} keys")
    if any(
        isinstance(entry, dict) and (entry.get("kty") == "oct" or _PRIVATE_MEMBERS & entry.keys())
        for entry in entries
    ):
        raise UnusableKey("the key set publishes private or symmetric keys")
    return entries


def choose(keys: Sequence[VerificationKey], kid: str | None, alg: str) -> list[VerificationKey]:
    """Return the keys that can have made a signature with this `alg` and, if one is named, this `kid`."""
    return [key for key in keys if (kid is None or key.kid == kid) and key.fits(alg)]


def _verification_key(entry: Any) -> VerificationKey | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    operations, kid, alg = entry.get("key_ops"), entry.get("kid"), entry.get("alg")
    if operations is not None and not (isinstance(operations, list) and "verify" in operations):
        return None
    if not isinstance(kid, str | None) or (alg is not None and alg not in SIGNING_ALGORITHMS):
        return None
    try:
        return VerificationKey(import_key(entry), kid, alg)
    except UnusableKey:
        return None


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _fits(key: Key, alg: str) -> bool:
    if isinstance(key, RSAKey):
        return alg in SIGNING_ALGORITHMS and alg[:2] in ("RS", "PS")
    return _CURVES.get(alg) == key.curve_name

"""Private keys that somebody configured: PEM, a JWK or a JWK Set, one or several in a text.

Keys of our own making are `oidcgate.jose.keys`; a key with its certificates is `oidcgate.jose.certificates`.
"""

import re
import warnings
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from joserfc.jwk import ECKey, OKPKey, RSAKey

from oidcgate.jose.keys import Key, UnusableKey, private_jwk, read_key, thumbprint_kid
from oidcgate.strict_json import NotStrictJSON, parse_object

_MAX_KEYS: Final = 20
_PEM_BLOCK: Final = re.compile(r"-----BEGIN ([A-Z ]*)-----.*?-----END \1-----", re.DOTALL)


class PrivateKey(NamedTuple):
    """A private key with the name under which its public part is published.

    Attributes:
        kid: as configured, else the key's thumbprint (RFC 7638).
        alg: the one algorithm it is for, if a JWK says so.
    """

    key: Key
    kid: str
    alg: str | None


def private_keys(text: str, use: str) -> tuple[PrivateKey, ...]:
    """Return the keys in a text, in its order.

    Args:
        text: PEM blocks, or one JWK, or one JWK Set.
        use: "sig" or "enc"; a JWK that says the other one is refused.

    Raises:
        UnusableKey: There is none, or one is encrypted, public, unreadable, of a foreign kind, too short, or
            there twice. The message holds no key material.

    Spec: RFC 7517 4, 5; RFC 7468 10.
    """
    stripped = text.strip()
    found = _of_json(stripped, use) if stripped.startswith("{") else _of_pem(stripped)
    if not found:
        raise UnusableKey("the key is missing: the text has no -----BEGIN PRIVATE KEY-----, and is no JWK")
    if len(found) > _MAX_KEYS:
        raise UnusableKey(f"there are more than {_MAX_KEYS} keys")
    if len({entry.kid for entry in found}) < len(found):
        raise UnusableKey("two keys have the same kid, or one is there twice")
    return tuple(found)


def private_key_from_pem(pem: bytes) -> Key:
    """Return the key of one PEM block, whatever it is for.

    Raises:
        UnusableKey: It is missing, encrypted, unreadable, of a foreign kind, or too short.
    """
    if b"PRIVATE KEY-----" not in pem:
        raise UnusableKey("the key is missing: the text has no -----BEGIN PRIVATE KEY-----")
    try:
        native = serialization.load_pem_private_key(pem, None)
    except TypeError:
        raise UnusableKey("the key is encrypted; write it out with `openssl pkey`") from None
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKey("the key cannot be read") from None
    imported: Key
    try:
        if isinstance(native, rsa.RSAPrivateKey):
            with warnings.catch_warnings():
                # joserfc warns of a short RSA key and goes on; it is refused below.
                warnings.simplefilter("ignore")
                imported = RSAKey.import_key(native)
        elif isinstance(native, ec.EllipticCurvePrivateKey):
            imported = ECKey.import_key(native)
        elif isinstance(native, ed25519.Ed25519PrivateKey | x25519.X25519PrivateKey):
            imported = OKPKey.import_key(native)
        else:
            raise UnusableKey("the key is neither RSA nor EC nor Ed25519")
        return read_key(private_jwk(imported))
    except KeyError:
        raise UnusableKey("the key is on a curve that is not known here") from None


def _of_pem(text: str) -> list[PrivateKey]:
    keys = [
        private_key_from_pem(block.group().encode(errors="replace"))
        for block in _PEM_BLOCK.finditer(text)
        # `openssl ecparam -genkey` writes the name of the curve beside the key.
        if block.group(1) != "EC PARAMETERS"
    ]
    return [PrivateKey(key, thumbprint_kid(key), None) for key in keys]


def _of_json(text: str, use: str) -> list[PrivateKey]:
    try:
        document = parse_object(text.encode())
    except NotStrictJSON as error:
        raise UnusableKey(f"the JWK cannot be read: {error}") from None
    entries = document.get("keys") if "keys" in document else [document]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UnusableKey("the JWK Set has no list of keys")
    return [_of_jwk(entry, use) for entry in entries]


def _of_jwk(entry: Mapping[str, Any], use: str) -> PrivateKey:
    key = read_key(entry)
    if not key.is_private:
        raise UnusableKey("the JWK has no private part")
    if entry.get("use", use) != use:
        raise UnusableKey(f"the JWK's use is not {use}")
    kid, alg = entry.get("kid"), entry.get("alg")
    if not isinstance(kid, str | None) or not isinstance(alg, str | None):
        raise UnusableKey("the JWK's kid or alg is not a string")
    return PrivateKey(key, kid or thumbprint_kid(key), alg)

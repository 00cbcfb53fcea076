"""Encrypted tokens: a signed token sealed for one reader, and opened by that reader (nested JWT).

What is inside is always a signed token. A JWE that holds bare JSON proves nothing of its sender, since
anybody can encrypt to a public key (P-08); verifying the inner token is `oidcgate.jose.jwt`, next door. How a
token may be encrypted comes from the caller's lists, never from the token.
"""

import binascii
import struct
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.util import urlsafe_b64decode

from oidcgate.jose.jwt import MAX_TOKEN_BYTES, JWTError, unverified_header
from oidcgate.jose.keys import RSA_BITS, Key, UnusableKey, public_members, published_entries, read_key
from oidcgate.strict_json import NotStrictJSON, parse_object

#: How the content key gets to the reader, best known first. RSA1_5 tells an attacker whether padding was
#: right; PBES2 lets the sender choose the reader's work; `dir` needs a secret shared beforehand.
KEY_ALGORITHMS: Final = ("RSA-OAEP-256", "RSA-OAEP", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW")
#: How the content is encrypted. Compression (`zip`) is never: the size of a secret shows in it, and a small
#: token may hold a huge one.
CONTENT_ALGORITHMS: Final = (
    "A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512", "A128GCM", "A192GCM", "A256GCM",
)  # fmt: skip

_MAX_HEADER: Final = 8192
# An encrypted key of 8192 bits of RSA, in base64url.
_MAX_ENCRYPTED_KEY: Final = 1366
# The inner token in base64url, with the padding of a block cipher.
_MAX_CIPHERTEXT: Final = (MAX_TOKEN_BYTES + 16) * 4 // 3 + 4
#: Longer ones are refused unread.
MAX_ENCRYPTED_TOKEN_BYTES: Final = _MAX_HEADER + _MAX_ENCRYPTED_KEY + _MAX_CIPHERTEXT + 128 + 4

#: How many parts an encrypted token has, and a signed one has not.
ENCRYPTED_SEGMENTS: Final = 5
_AGREEMENT_CURVES: Final = frozenset({"P-256", "P-384", "P-521", "X25519"})
_EPHEMERAL: Final = {"EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
# RFC 7517 4.3; a key that is agreed with lists nothing for its public part, so what its owner does counts.
_SENDER_OPERATIONS: Final = ("encrypt", "wrapKey", "deriveKey", "deriveBits")


class JWEFailure(StrEnum):
    """Why an encrypted token is refused."""

    MALFORMED = "malformed"
    ALGORITHM = "algorithm"
    CRIT = "crit"
    UNKNOWN_KEY = "unknown_key"
    MISSING_KID = "missing_kid"
    DECRYPTION = "decryption"
    NOT_NESTED = "not_nested"


class JWEError(Exception):
    """An encrypted token that is refused. Neither `reason` nor `detail` holds any of it."""

    def __init__(self, reason: JWEFailure, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}")


class EncryptionKey(NamedTuple):
    """A public key that tokens may be encrypted to; `kid`, `alg` and `use` as its owner published them."""

    key: Key
    kid: str | None
    alg: str | None
    use: str | None = None

    def fits(self, alg: str) -> bool:
        """Whether a token may be encrypted to it with this `alg`."""
        return self.alg in (None, alg) and _fits(self.key, alg)


class _Pinned(jwe.JWERegistry):
    """joserfc's registry with exactly one way to encrypt."""

    max_protected_header_length = _MAX_HEADER
    max_encrypted_key_length = _MAX_ENCRYPTED_KEY
    max_ciphertext_length = _MAX_CIPHERTEXT

    def __init__(self, alg: str, enc: str) -> None:
        # Unknown header members are ignored, as RFC 7516 4 asks.
        super().__init__(algorithms=(alg, enc), strict_check_header=False)


def generate_encryption_key(alg: str) -> Key:
    """Return a new private key that tokens may be encrypted to with `alg`, one of `KEY_ALGORITHMS`."""
    return RSAKey.generate_key(RSA_BITS) if alg.startswith("RSA") else ECKey.generate_key("P-256")


def encryption_jwk(key: Key, kid: str, alg: str | None) -> dict[str, Any]:
    """Return the public JWK of such a key as a key set shows it; without `alg` for all that go with it.

    Spec: RFC 7517 4; OIDC Core 10.2.
    """
    return {**public_members(key), "kid": kid, "use": "enc", **({} if alg is None else {"alg": alg})}


def import_encryption_keys(document: Mapping[str, Any]) -> tuple[EncryptionKey, ...]:
    """Return the keys of a key set that tokens may be encrypted to, in its order.

    A key of an unknown kind, for signatures, on a foreign curve, too short or malformed is left out, so that
    one odd key does not stop the others.

    Raises:
        UnusableKey: No key set; more than 100 keys; or private or symmetric material in it: what is encrypted
            to a key that is public as a whole, anybody reads.

    Spec: RFC 7517 5.
    """
    return tuple(key for entry in published_entries(document) if (key := _encryption_key(entry)) is not None)


def choose_encryption_key(keys: Sequence[EncryptionKey], alg: str) -> EncryptionKey | None:
    """Return the key to encrypt to with `alg`, or None when none fits.

    One marked for encryption goes before one that is not, one that names the algorithm before one that leaves
    it open, and the one published first before later ones.

    Spec: OIDC Core 10.2.1; RFC 7517 4.2, 4.4.
    """
    fitting = [key for key in keys if key.fits(alg)]
    return max(fitting, key=lambda key: (key.use == "enc", key.alg == alg), default=None)


def encrypt(signed_jwt: str, key: EncryptionKey, alg: str, enc: str) -> str:
    """Return a signed token encrypted to `key` (JWE compact serialization).

    Args:
        signed_jwt: JWS compact serialization; not verified here.
        alg: One of `KEY_ALGORITHMS` that goes with the key.
        enc: One of `CONTENT_ALGORITHMS`.

    Raises:
        ValueError: An algorithm is none of these or does not go with the key, or `signed_jwt` is no token.

    Spec: RFC 7516 5.1; RFC 7519 5.2 and 11.2; OIDC Core 10.2.
    """
    if alg not in KEY_ALGORITHMS or enc not in CONTENT_ALGORITHMS:
        raise ValueError(f"{alg!r} with {enc!r} is no way to encrypt")
    if not key.fits(alg):
        raise ValueError(f"{alg!r} does not go with this key")
    try:
        unverified_header(signed_jwt)
    except JWTError as error:
        raise ValueError(f"only a signed token is encrypted: {error.detail}") from None
    header = {"alg": alg, "enc": enc, "cty": "JWT", **({} if key.kid is None else {"kid": key.kid})}
    return jwe.encrypt_compact(header, signed_jwt.encode("ascii"), key.key, registry=_Pinned(alg, enc))


def decrypt(
    token: str,
    keys: Mapping[str, Key],
    key_algorithms: Collection[str],
    content_algorithms: Collection[str],
) -> str:
    """Return the signed token inside an encrypted one, for the caller to verify.

    Args:
        token: JWE compact serialization.
        keys: Private keys by the `kid` under which their public parts are known.
        key_algorithms: What is accepted, out of `KEY_ALGORITHMS`.
        content_algorithms: What is accepted, out of `CONTENT_ALGORITHMS`.

    Raises:
        JWEError: MALFORMED; ALGORITHM: not accepted, or compressed; CRIT: the header demands an extension;
            UNKNOWN_KEY: no key with this `kid` fits; MISSING_KID: no `kid` and several keys fit; DECRYPTION:
            it does not open, with one text whatever the cause; NOT_NESTED: what is inside is no signed token.

    Spec: RFC 7516 5.2; RFC 7519 7.2; RFC 8725 3.1, 3.6.
    """
    header = _accepted_header(token, key_algorithms, content_algorithms)
    alg, kid = header["alg"], header.get("kid")
    candidates = [key for name, key in keys.items() if kid in (None, name) and _fits(key, alg)]
    if not candidates:
        raise JWEError(JWEFailure.UNKNOWN_KEY, "no known key can open the token")
    if len(candidates) > 1:
        raise JWEError(JWEFailure.MISSING_KID, "the token names no key and several fit")
    inner = _plaintext(token, candidates[0], header)
    try:
        text = inner.decode("ascii")
        unverified_header(text)
    except (UnicodeDecodeError, JWTError):
        raise JWEError(JWEFailure.NOT_NESTED, "what is encrypted is not a signed token") from None
    return text


def _accepted_header(
    token: str, key_algorithms: Collection[str], content_algorithms: Collection[str]
) -> dict[str, Any]:
    if len(token) > MAX_ENCRYPTED_TOKEN_BYTES or not token.isascii():
        raise JWEError(JWEFailure.MALFORMED, "the token is too long or not ASCII")
    segments = token.split(".")
    if len(segments) != ENCRYPTED_SEGMENTS or len(segments[0]) > _MAX_HEADER:
        raise JWEError(JWEFailure.MALFORMED, "the token has not five parts, or its header is too long")
    try:
        header = parse_object(urlsafe_b64decode(segments[0].encode("ascii")))
    except (NotStrictJSON, binascii.Error, ValueError):
        raise JWEError(JWEFailure.MALFORMED, "the header cannot be read") from None
    alg, enc = header.get("alg"), header.get("enc")
    if not isinstance(alg, str) or not isinstance(enc, str) or not isinstance(header.get("kid"), str | None):
        raise JWEError(JWEFailure.MALFORMED, "the header's alg, enc or kid is not a string")
    if alg not in key_algorithms or enc not in content_algorithms or "zip" in header:
        raise JWEError(JWEFailure.ALGORITHM, "the token is encrypted in a way that is not accepted")
    if "crit" in header:
        raise JWEError(JWEFailure.CRIT, "the token demands an extension that is not understood")
    return header


def _plaintext(token: str, key: Key, header: Mapping[str, Any]) -> bytes:
    refused = JWEError(JWEFailure.DECRYPTION, "the token does not open")
    if header["alg"].startswith("ECDH") and not _ephemeral_for(key, header.get("epk")):
        raise refused
    try:
        opened = jwe.decrypt_compact(token, key, registry=_Pinned(header["alg"], header["enc"]))
    # What a hostile header or ciphertext makes joserfc and cryptography raise, asserts included; one text for
    # all, because which step failed is what an attacker wants to know.
    except (JoseError, ValueError, TypeError, KeyError, AssertionError, OverflowError, struct.error):
        raise refused from None
    return opened.plaintext or b""


def _ephemeral_for(key: Key, ephemeral: Any) -> bool:
    """Whether the sender's one-time key is a public key on the curve of ours, before anything is computed."""
    if isinstance(key, RSAKey) or not isinstance(ephemeral, dict) or "d" in ephemeral:
        return False
    return (
        ephemeral.get("kty") == key.key_type
        and ephemeral.get("crv") == key.curve_name
        and all(isinstance(ephemeral.get(name), str) for name in _EPHEMERAL[key.key_type])
    )


def _encryption_key(entry: Any) -> EncryptionKey | None:
    if not isinstance(entry, dict) or entry.get("use", "enc") != "enc":
        return None
    operations, kid, alg = entry.get("key_ops"), entry.get("kid"), entry.get("alg")
    if operations is not None and not (
        isinstance(operations, list) and any(operation in operations for operation in _SENDER_OPERATIONS)
    ):
        return None
    if not isinstance(kid, str | None) or (alg is not None and alg not in KEY_ALGORITHMS):
        return None
    try:
        key = EncryptionKey(read_key(entry), kid, alg, entry.get("use"))
    except UnusableKey:
        return None
    return key if any(key.fits(name) for name in KEY_ALGORITHMS) else None


def _fits(key: Key, alg: str) -> bool:
    if isinstance(key, RSAKey):
        return alg in ("RSA-OAEP-256", "RSA-OAEP")
    return alg.startswith("ECDH-ES") and alg in KEY_ALGORITHMS and key.curve_name in _AGREEMENT_CURVES

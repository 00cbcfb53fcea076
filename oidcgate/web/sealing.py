"""Values that leave the house sealed: nobody else can read, alter or make them.

Here live the key ring (several secrets: the first seals, all open) and the `Sealer` of one purpose of one
gate. AES-256-GCM under a key of its own for each secret, purpose, gate and day; text form base64url without
padding. What is sealed, and for how long it is good, is the caller's: a sealer knows no expiry. Signed but
readable tokens (CSRF, links) are in `oidcgate.web.csrf`.
"""

import binascii
import hashlib
import os
import secrets
from collections.abc import Callable, Sequence
from typing import Final

from cachetools import LRUCache
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

__all__ = ["KeyRing", "Sealer", "WeakSecret", "new_secret"]

_MINIMUM_LENGTH: Final = 32
_MINIMUM_DISTINCT: Final = 12
_DAY_SECONDS: Final = 86_400

# Header: format 1 byte, hint of the secret 3, day 2, nonce 12. 18 bytes are 24 characters of base64.
_FORMAT: Final = 1
_HINT_BYTES: Final = 3
_NONCE_BYTES: Final = 12
_HEADER_BYTES: Final = 6 + _NONCE_BYTES
_TAG_BYTES: Final = 16

_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
# "+" and "/" become "-" here, which base64 does not know: a value has one spelling only.
_FROM_URL: Final = bytes.maketrans(b"-_+/", b"+/--")


class WeakSecret(ValueError):
    """A secret is too short or too regular to seal with; the message says what to do and never shows it."""


def new_secret() -> str:
    """A fresh secret for a key ring: 256 random bits as 43 characters."""
    return secrets.token_urlsafe(32)


class KeyRing:
    """The secrets of one gate or provider, newest first.

    The first one seals, all of them open: put a new secret in front, and drop the last one when nothing that
    it sealed is in use any more.
    """

    __slots__ = ("_secrets",)

    def __init__(self, ring: Sequence[str | bytes]) -> None:
        """Take the secrets.

        Raises:
            WeakSecret: there is none, or one is shorter than 32 bytes or has fewer than 12 different ones.
        """
        if not ring:
            raise WeakSecret("no secret given; make one with `oidcgate secret`")
        self._secrets = tuple(item.encode() if isinstance(item, str) else bytes(item) for item in ring)
        for position, secret in enumerate(self._secrets, start=1):
            if len(secret) < _MINIMUM_LENGTH or len(set(secret)) < _MINIMUM_DISTINCT:
                raise WeakSecret(
                    f"secret {position} of {len(ring)} is too weak: it needs {_MINIMUM_LENGTH} bytes that "
                    "nobody can guess; make one with `oidcgate secret`"
                )

    def __repr__(self) -> str:
        return f"KeyRing({len(self._secrets)} secrets)"

    def __len__(self) -> int:
        return len(self._secrets)

    def derive(self, label: str) -> tuple[bytes, ...]:
        """32 bytes for `label` from each secret, in order: keys for another mechanism (CSRF tokens)."""
        return tuple(_expand(secret, f"oidcgate derived\0{label}") for secret in self._secrets)

    def hints(self) -> dict[bytes, bytes]:
        """Each secret under the short public name by which a sealed value says which one made it."""
        # Oldest first, so that of two secrets with one hint (2^-24) the one that seals stays.
        return {_hint(secret): secret for secret in reversed(self._secrets)}

    def first(self) -> tuple[bytes, bytes]:
        """Hint and value of the secret that seals."""
        return _hint(self._secrets[0]), self._secrets[0]


def _hint(secret: bytes) -> bytes:
    return _expand(secret, "oidcgate hint")[:_HINT_BYTES]


def _expand(secret: bytes, info: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info.encode()).derive(secret)


class Sealer:
    """Seals and opens the values of one purpose of one gate.

    A value sealed for another purpose, by another gate or under a secret that is not in the ring does not
    open: purpose and gate are part of the key and of the authenticated data. Safe to share between threads.
    """

    __slots__ = ("_aad", "_context", "_first", "_hints", "_keys", "_purpose", "_random")

    def __init__(
        self,
        ring: KeyRing,
        purpose: str,
        context: str,
        *,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Bind a ring to a purpose.

        Args:
            ring: the secrets.
            purpose: what the values are (`session`, `transaction`).
            context: whose they are: the gate's id, or the provider's issuer.
            random_bytes: where nonces come from.
        """
        self._purpose = purpose
        self._context = context
        # A hash, so that no purpose and context can be cut in two ways.
        self._aad = hashlib.sha256(f"{len(purpose)}:{purpose}{context}".encode()).digest()[:16]
        self._hints = ring.hints()
        self._first = ring.first()
        self._random = random_bytes
        self._keys: LRUCache[bytes, AESGCM] = LRUCache(maxsize=128)

    def __repr__(self) -> str:
        return f"Sealer({self._purpose!r}, {self._context!r})"

    def seal(self, data: bytes, now: int) -> str:
        """`data` sealed as a URL- and cookie-safe text.

        Args:
            data: anything; its length shows, give or take three bytes.
            now: epoch seconds; only the day is used, to choose the key. Random nonces are safe for 2^32
                values under one key, and a key lives one day.
        """
        hint, secret = self._first
        prefix = bytes((_FORMAT,)) + hint + (now // _DAY_SECONDS % 65_536).to_bytes(2)
        nonce = self._random(_NONCE_BYTES)
        # Filled up so that the text has no unused bits: changing any character then changes a byte that is
        # authenticated, and a sealed value has exactly one spelling.
        fill = 3 - (len(data) + _TAG_BYTES) % 3
        sealed = self._key(prefix, secret).encrypt(nonce, data + bytes((fill,)) * fill, self._aad + prefix)
        return binascii.b2a_base64(prefix + nonce + sealed, newline=False).translate(_TO_URL).decode("ascii")

    def open(self, token: str) -> bytes | None:
        """What `seal` was given, or None when the value is not one of ours, unaltered and complete."""
        try:
            raw = binascii.a2b_base64(token.encode("ascii").translate(_FROM_URL), strict_mode=True)
        except ValueError:
            return None
        if len(raw) <= _HEADER_BYTES + _TAG_BYTES or raw[0] != _FORMAT or len(token) % 4:
            return None
        prefix = raw[:6]
        known = self._keys.get(prefix)
        key = known
        if key is None:
            secret = self._hints.get(prefix[1:4])
            if secret is None:
                return None
            key = self._derive(prefix, secret)
        try:
            data = key.decrypt(raw[6:_HEADER_BYTES], raw[_HEADER_BYTES:], self._aad + prefix)
        except InvalidTag:
            return None
        if known is None:
            # Only after it has opened something: values with invented days cannot push the real keys out.
            self._keys[prefix] = key
        return data[: -data[-1]]

    def is_newest(self, token: str) -> bool:
        """Whether a value that opens was sealed under the first secret; else it is to be sealed anew."""
        prefix = binascii.a2b_base64(token[:8].encode("ascii").translate(_FROM_URL))
        return prefix[1:4] == self._first[0]

    def _key(self, prefix: bytes, secret: bytes) -> AESGCM:
        key = self._keys.get(prefix)
        if key is None:
            key = self._keys[prefix] = self._derive(prefix, secret)
        return key

    def _derive(self, prefix: bytes, secret: bytes) -> AESGCM:
        day = int.from_bytes(prefix[4:6])
        info = f"oidcgate seal {_FORMAT}\0{day}\0{len(self._purpose)}:{self._purpose}{self._context}"
        return AESGCM(_expand(secret, info))

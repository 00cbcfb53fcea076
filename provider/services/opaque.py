"""Random values that mean nothing by themselves: codes, tokens, cookies, names of sessions.

What one stands for is a row that is found by its hash; which rows there are is `provider.store`.
"""

import hashlib
import secrets
from typing import Final

_BYTES: Final = 32
#: 32 bytes in base64url. Another length is not ours and not worth a look-up.
CHARACTERS: Final = 43


def new_token() -> str:
    """256 random bits for a cookie, a URL or a client."""
    return secrets.token_urlsafe(_BYTES)


def token_hash(token: str) -> str:
    """The form in which such a value is stored and looked up.

    It has 256 bits of its own, so a plain hash without salt cannot be searched.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def jti_hash(jti: str) -> str:
    """The form in which a token that is a JWT is stored and looked up, by its `jti`.

    APIs write a `jti` into logs and hand it around, so it must not be a token by itself: what is hashed has a
    dot, and a text with a dot is never looked up as it is.
    """
    return token_hash(f".{jti}")

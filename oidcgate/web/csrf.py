"""CSRF tokens: a form is answered only when it was shown to the same browser a short while ago.

Lives here: issuing and checking a token over itsdangerous. Not here: what a form is bound to (a browser
session or an interaction, which is the caller's), same-origin checks (`facts` next door), sealed values
(`sealing` next door).
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer

# A token is about 100 characters; more is not ours and not worth a hash.
_MAX_TOKEN_CHARACTERS = 300


class _SignerAt(TimestampSigner):
    """A timestamp signer that is told the time."""

    def __init__(self, *args: Any, now: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._now = now

    def get_timestamp(self) -> int:
        return self._now


@dataclass(frozen=True)
class CsrfTokens:
    """Tokens for the forms of one purpose.

    Attributes:
        keys: secrets of at least 32 bytes; the first signs, all check, so that forms stay good while a key
            is replaced.
        purpose: what the form does, such as `provider.consent`; no token is good for two purposes.
    """

    keys: Sequence[bytes] = field(repr=False)
    purpose: str

    def __post_init__(self) -> None:
        if not self.keys or any(len(key) < 32 for key in self.keys):
            raise ValueError("CsrfTokens needs at least one key, each of 32 bytes or more")
        if not self.purpose:
            raise ValueError("CsrfTokens needs a purpose: it keeps the tokens of two forms apart")

    def issue(self, binding: str, now: int) -> str:
        """Make a token for whoever holds `binding` (a cookie value, an interaction with its browser).

        The binding is not to be read from the token.

        Raises:
            ValueError: `binding` is empty, so that the token would fit every browser.
        """
        if not binding:
            raise ValueError("a CSRF token needs something to be bound to")
        return str(self._serializer(now).dumps(self._digest(binding)))

    def check(self, token: str | None, binding: str | None, max_age_seconds: int, now: int) -> bool:
        """Say whether `token` was issued for this purpose and `binding` within the last `max_age_seconds`."""
        if not token or not binding or len(token) > _MAX_TOKEN_CHARACTERS or not token.isascii():
            return False
        try:
            issued_for = self._serializer(now).loads(token, max_age=max_age_seconds)
        except BadData:
            return False
        return isinstance(issued_for, str) and hmac.compare_digest(
            issued_for.encode(), self._digest(binding).encode()
        )

    def _serializer(self, now: int) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(
            # itsdangerous signs with the last key of its list.
            list(reversed(self.keys)),
            salt=f"oidcgate.csrf.{self.purpose}",
            signer=_SignerAt,
            signer_kwargs={"now": now, "key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def _digest(self, binding: str) -> str:
        digest = hashlib.sha256(f"{self.purpose}\0{binding}".encode("utf-8", "surrogateescape")).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

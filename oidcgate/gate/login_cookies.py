"""The two small cookies beside a sign-in: how often one has just been finished, and where the last one was.

Both are the browser's to forge: the first could stop its own sign-in, the second makes a button stand out.
Attempts themselves are `transaction` next door.
"""

import dataclasses
import hashlib
from typing import Final

from oidcgate.web.cookies import GATE_PATH, CookieNames, cookie_value, delete_cookie, set_cookie

__all__ = ["LOOP_SECONDS", "LoginCookies"]

LOOP_SECONDS: Final = 60
_CHOICE_SECONDS: Final = 180 * 86_400


@dataclasses.dataclass(frozen=True)
class LoginCookies:
    """Reads and writes them."""

    names: CookieNames

    def loops(self, cookies: str) -> int:
        """How many sign-ins this browser finished within the last minute, each soon after the one before."""
        value = cookie_value(cookies, self.names.loop) or ""
        return int(value) if len(value) == 1 and value.isascii() and value.isdigit() else 0

    def loop(self, count: int) -> str:
        """The Set-Cookie value that remembers `count`; 0 begins anew."""
        names = self.names
        if not count:
            return delete_cookie(names.loop, path=GATE_PATH, secure=names.secure)
        return set_cookie(
            names.loop, str(min(count, 9)), path=GATE_PATH, max_age=LOOP_SECONDS, secure=names.secure
        )

    def was_chosen(self, issuer: str, cookies: str) -> bool:
        """Whether the last sign-in of this browser was at that provider."""
        return cookie_value(cookies, self.names.choice) == _mark(issuer)

    def choice(self, issuer: str) -> str:
        """The Set-Cookie value that remembers the provider."""
        names = self.names
        return set_cookie(
            names.choice, _mark(issuer), path=GATE_PATH, max_age=_CHOICE_SECONDS, secure=names.secure
        )


def _mark(issuer: str) -> str:
    """An issuer as a cookie may hold it."""
    return hashlib.sha256(issuer.encode()).hexdigest()[:16]

"""What becomes of a notice after an attempt, and what it is called. Pure.

Sending is `logout_delivery` next door, rows are `provider.store.logout_notices`.
"""

import base64
import hashlib
from dataclasses import dataclass
from typing import Final

#: How long after the first failure a notice is tried again; doubled each time, up to the second number.
FIRST_PAUSE_SECONDS: Final = 10
LONGEST_PAUSE_SECONDS: Final = 3600

_TAKEN: Final = range(200, 300)
#: The client has read the notice and will not have it: sending it again changes nothing.
_REFUSED: Final = 400


@dataclass(frozen=True)
class Sent:
    """What an attempt came to.

    Attributes:
        status: What the client answered; None when nothing came.
        reason: What was in the way, in one word or two; "" for an answer.
        final: Nobody is there to be told, and trying again changes nothing.
    """

    status: int | None
    reason: str = ""
    final: bool = False

    @property
    def taken(self) -> bool:
        """The client knows that the session is over. Spec: OIDC Back-Channel Logout 2.8."""
        return self.status in _TAKEN

    @property
    def refused(self) -> bool:
        """The client says that it does not believe the notice, or could not end its session."""
        return self.status == _REFUSED

    def __str__(self) -> str:
        return self.reason or f"status {self.status}"


@dataclass(frozen=True)
class Limits:
    """How long a notice is tried."""

    attempts: int
    give_up_seconds: int


@dataclass(frozen=True)
class Done:
    """Nothing is left to do."""


@dataclass(frozen=True)
class Later:
    """To be sent again at `due_at`."""

    due_at: int


@dataclass(frozen=True)
class GivenUp:
    """To be listed as failed."""


def verdict(
    sent: Sent, *, attempts: int, created_at: int, limits: Limits, now: int, chance: float
) -> Done | Later | GivenUp:
    """Say what becomes of a notice.

    Args:
        attempts: This one included.
        created_at: When the session ended.
        chance: Between 0 and 1: spreads what failed together.
    """
    if sent.taken:
        return Done()
    over = attempts >= limits.attempts or now >= created_at + limits.give_up_seconds
    if sent.refused or sent.final or over:
        return GivenUp()
    return Later(now + pause_seconds(attempts, chance))


def pause_seconds(attempts: int, chance: float) -> int:
    """How long to wait after so many failures: at least half of the doubled pause, at most all of it.

    Args:
        chance: Between 0 and 1.
    """
    longest = min(FIRST_PAUSE_SECONDS << (attempts - 1), LONGEST_PAUSE_SECONDS)
    return round(longest * (1 + chance) / 2)


def jti_of(realm_id: str, sid: str, client_id: str) -> str:
    """The `jti` of a notice: the same each time it is sent, and that of no other.

    A session ends once, so its name and the client's are enough; nothing has to be kept for it.
    """
    named = "\0".join(("logout", realm_id, sid, client_id))
    return base64.urlsafe_b64encode(hashlib.sha256(named.encode()).digest()).decode().removesuffix("=")

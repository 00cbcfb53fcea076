"""How long the next try has to wait after failures: the rule by which guesses are slowed. Pure.

After some free failures each further try waits, twice as long each time, up to a cap; nobody is locked out
(docs/decisions/0004). Where counters are kept, and what they count, is said by those who ask: the provider's
sign-in and the gate's break-glass page.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

__all__ = ["SHARED_WAIT_SECONDS", "Counter", "Rule", "charged", "wait_seconds"]

#: The cap where many share a counter: nobody can make others wait longer than this.
SHARED_WAIT_SECONDS: Final = 60


class Counter(NamedTuple):
    """Failures in one scope; `charged_at` is when it was last charged, `blocked_until` when the wait ends."""

    failures: int
    charged_at: int
    blocked_until: int


class Rule(NamedTuple):
    """How one scope is slowed.

    Attributes:
        free: Failures before any wait.
        first_delay_seconds: The wait after one failure more than that; doubled by each further one.
        longest_delay_seconds: The cap of the wait.
        forget_seconds: A counter this long without a try starts anew.
    """

    free: int
    first_delay_seconds: int
    longest_delay_seconds: int
    forget_seconds: int


def wait_seconds(counters: Iterable[Counter | None], now: int) -> int:
    """How long the next try has to wait: 0 when it may be made now."""
    return max([0, *(counter.blocked_until - now for counter in counters if counter is not None)])


def charged(counter: Counter | None, rule: Rule, now: int) -> Counter:
    """The counter after one more try, taken as failed until it is known to be right.

    `charged_at` moves with every charge, so that a counter is forgotten only after a quiet time: a guesser
    who stays just below the limit does not start anew every hour.
    """
    failures = 1
    if counter is not None and now - max(counter.charged_at, counter.blocked_until) < rule.forget_seconds:
        failures = counter.failures + 1
    excess = failures - rule.free
    if excess <= 0:
        return Counter(failures, now, 0)
    # The exponent is bounded before the power is taken: the number of failures is the guesser's choice.
    # Doubled once for each bit of the cap, the wait is past it.
    doublings = min(excess - 1, rule.longest_delay_seconds.bit_length())
    wait = min(rule.longest_delay_seconds, rule.first_delay_seconds * 2**doublings)
    return Counter(failures, now, now + wait)

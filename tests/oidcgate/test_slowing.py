"""How long the next try waits: the rule as a table, with time as argument."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.slowing import Counter, Rule, charged, wait_seconds

NOW = 1_000_000
RULE = Rule(free=3, first_delay_seconds=2, longest_delay_seconds=60, forget_seconds=3600)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        pytest.param(None, Counter(1, NOW, 0), id="first"),
        pytest.param(Counter(2, NOW - 1, 0), Counter(3, NOW, 0), id="last-free"),
        pytest.param(Counter(3, NOW - 1, 0), Counter(4, NOW, NOW + 2), id="first-wait"),
        pytest.param(Counter(4, NOW - 9, NOW - 7), Counter(5, NOW, NOW + 4), id="doubled"),
        pytest.param(Counter(7, NOW - 99, NOW - 60), Counter(8, NOW, NOW + 32), id="doubled-again"),
        pytest.param(Counter(8, NOW - 99, NOW - 60), Counter(9, NOW, NOW + 60), id="capped"),
        pytest.param(Counter(10**9, NOW - 99, NOW - 60), Counter(10**9 + 1, NOW, NOW + 60), id="huge-count"),
        pytest.param(Counter(9, NOW - 3600, 0), Counter(1, NOW, 0), id="forgotten"),
        pytest.param(
            Counter(9, NOW - 3700, NOW - 3599), Counter(10, NOW, NOW + 60), id="quiet-time-from-the-end"
        ),
    ],
)
def test_charge(before: Counter | None, expected: Counter) -> None:
    assert charged(before, RULE, NOW) == expected


@pytest.mark.parametrize(
    ("counters", "expected"),
    [
        pytest.param([], 0, id="none"),
        pytest.param([None, Counter(9, NOW, 0)], 0, id="not-blocked"),
        pytest.param([Counter(9, NOW, NOW)], 0, id="just-over"),
        pytest.param([Counter(9, NOW, NOW + 5), Counter(9, NOW, NOW + 7)], 7, id="the-longest-counts"),
    ],
)
def test_wait(counters: list[Counter | None], expected: int) -> None:
    assert wait_seconds(counters, NOW) == expected


@given(st.lists(st.integers(0, 10_000), max_size=60))
def test_nobody_waits_longer_than_the_cap(pauses: list[int]) -> None:
    """However somebody guesses, the owner's next try is at most the cap away: slowed, never locked out."""
    now, counter = NOW, None
    for pause in pauses:
        now += pause
        counter = charged(counter, RULE, now)
        assert wait_seconds([counter], now) <= RULE.longest_delay_seconds

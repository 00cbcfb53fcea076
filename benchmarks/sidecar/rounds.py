"""Rounds of loads, the contenders in turns: a machine that is slow for a while is slow for all of them."""

import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from benchmarks.sidecar.load import Figures


class Named(Protocol):
    """Whoever is measured."""

    @property
    def name(self) -> str:
        """What its row is called."""


C = TypeVar("C", bound=Named)


@dataclass(frozen=True)
class Row:
    """What one contender did in each round."""

    name: str
    rounds: Sequence[Figures]

    @property
    def per_second(self) -> float:
        """Median requests a second."""
        return statistics.median(figures.per_second for figures in self.rounds)

    @property
    def p50(self) -> float:
        """Median of the rounds' medians, in milliseconds."""
        return statistics.median(figures.p50 for figures in self.rounds)

    @property
    def p99(self) -> float:
        """Median of the rounds' 99th percentiles, in milliseconds."""
        return statistics.median(figures.p99 for figures in self.rounds)

    @property
    def cpu(self) -> float:
        """The lowest CPU time of a request, in microseconds."""
        return min(figures.cpu for figures in self.rounds)


def interleaved(
    contenders: Sequence[C],
    warm: Callable[[C, Path], None],
    measure: Callable[[C, float, Path], Figures],
    *,
    rounds: int,
    seconds: float,
    folder: Path,
) -> Mapping[str, Row]:
    """Warm all, then load each once a round.

    Raises:
        NotMeasured: somebody answered otherwise than they must.
    """
    for contender in contenders:
        warm(contender, folder)
    figures: dict[str, list[Figures]] = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        for contender in contenders:
            seen = measure(contender, seconds, folder)
            figures[contender.name].append(seen)
            print(f"round {number + 1}  {contender.name:38}{seen.per_second:10,.0f}/s", file=sys.stderr)
    return {name: Row(name, seen) for name, seen in figures.items()}


def ratios(one: Row, other: Row) -> list[float]:
    """How much faster the one was than the other, round by round."""
    return [a.per_second / b.per_second for a, b in zip(one.rounds, other.rounds, strict=True)]

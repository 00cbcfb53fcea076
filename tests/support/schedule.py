"""Which of several workers runs which tests, and in which order.

A module is one unit, and so is a group (`xdist_group`): what its tests share is made once. With each test a
unit, as pytest-xdist has it, each worker would make it, and the controller, which looks at all units after
each test, would need more time than most tests do. Units that take long come first, so that at the end no
worker waits for another. Next door: tests/conftest.py, which tells pytest.
"""

from collections.abc import Sequence

import pytest
from xdist.scheduler import LoadGroupScheduling


def unit_of(nodeid: str) -> str:
    """The group that pytest-xdist wrote behind the name of a test, or else the module."""
    parameters_end, group = nodeid.rfind("]"), nodeid.rfind("@")
    return nodeid[group + 1 :] if group > parameters_end else nodeid.partition("::")[0]


def longest_first(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """The tests, those of groups first, then those of modules with slow tests, then those of the others."""
    rank: dict[str, int] = {}
    for item in items:
        unit = unit_of(item.nodeid)
        if item.get_closest_marker("xdist_group"):
            rank[unit] = 0
        elif item.get_closest_marker("slow") or item.get_closest_marker("live"):
            rank[unit] = 1
        else:
            rank.setdefault(unit, 2)
    return sorted(items, key=lambda item: rank[unit_of(item.nodeid)])


class ByModule(LoadGroupScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """The scheduling of `--dist loadgroup`, with modules in place of tests that have no group."""

    def __init__(self, config: pytest.Config, log: object) -> None:
        # The order is that of the tests, not that of how many there are in a unit.
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)

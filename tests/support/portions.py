"""A part of many cases in `make test`, the others in `make test-heavy`, where the whole takes long."""

from collections.abc import Iterable

import pytest
from _pytest.mark import ParameterSet


def every(step: int, cases: Iterable[ParameterSet]) -> list[ParameterSet]:
    """The cases, all but each `step`-th marked `heavy`."""
    return [
        case
        if index % step == 0
        else pytest.param(*case.values, id=case.id, marks=(*case.marks, pytest.mark.heavy))
        for index, case in enumerate(cases)
    ]

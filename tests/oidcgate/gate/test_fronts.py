"""Both gates in their app's process, by the suite of all fronts; and the table of what makes them differ."""

from collections.abc import Iterator

import pytest

from tests.contracts.front import FrontContract
from tests.support.fronts import DIFFERENCES, Differences, Front, async_gate_door, gate_door, in_process


class TestGate(FrontContract):
    @pytest.fixture(scope="class")
    @classmethod
    def made(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
        with in_process("Gate", tmp_path_factory.mktemp("gate"), gate_door) as front:
            yield front


class TestAsyncGate(FrontContract):
    @pytest.fixture(scope="class")
    @classmethod
    def made(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
        with in_process("AsyncGate", tmp_path_factory.mktemp("gate"), async_gate_door) as front:
            yield front


@pytest.mark.row("T-01")
def test_the_table_names_every_front_and_says_why_of_every_column() -> None:
    assert DIFFERENCES.keys() == {"Gate", "AsyncGate", "Gate(ReverseProxy)", "sidecar"}
    for column in Differences._fields:
        assert f"        {column}: " in (Differences.__doc__ or "")
        assert len({getattr(line, column) for line in DIFFERENCES.values()}) > 1, "no difference"

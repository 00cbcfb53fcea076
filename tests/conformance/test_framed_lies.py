"""As `test_lies`, for what only the peer with frames has, in Chromium."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.court import Court, sitting
from tests.conformance.lie_table import Row
from tests.conformance.lying_proxy import Lie
from tests.conformance.op.plans import Entry
from tests.conformance.sign_out_lie_table import FRAMED
from tests.support.tls import Authority

# They judge the modules, and not what we build: `make test` has those of the other plans, in `test_lies`.
pytestmark = [
    pytest.mark.live,
    pytest.mark.slow,
    pytest.mark.heavy,
    pytest.mark.xdist_group("conformance-framed-lies"),
]


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory, authority: Authority, npm: Path) -> Iterator[Court]:
    with sitting(tmp_path_factory.mktemp("lies"), npm, authority, framed=True) as court:
        yield court


@pytest.mark.row("P-39")
@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in FRAMED.items()])
def test_a_module_sees_the_lie(court: Court, row: Row) -> None:
    outcome = court.outcome(row.entry, row.lie)

    assert not outcome.good, outcome
    assert re.search(row.names, "\n".join(outcome.notes)), outcome


@pytest.mark.row("P-39")
@pytest.mark.parametrize("entry", sorted({row.entry for row in FRAMED.values()}, key=str), ids=str)
def test_behind_the_proxy_the_truth_passes(court: Court, entry: Entry) -> None:
    outcome = court.outcome(entry, Lie())

    assert outcome.good, outcome

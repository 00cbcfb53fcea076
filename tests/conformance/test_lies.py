"""Each module fails when the provider lies about what it is there to see, and says what the lie was about."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import dynamic_lie_table, sign_out_lie_table
from tests.conformance.court import Court, sitting
from tests.conformance.lie_table import ROWS, Row
from tests.conformance.lying_proxy import Lie
from tests.conformance.op.plans import PLANS, REGISTERING, Entry, entries
from tests.conformance.op.registry import MODULES
from tests.conformance.truth_table import WAYS, Otherwise
from tests.support.portions import every
from tests.support.tls import Authority

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.xdist_group("conformance-lies")]

HERE = {**ROWS, **sign_out_lie_table.ROWS}
HONEST = sorted({row.entry for row in HERE.values()}, key=str)


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory, authority: Authority, npm: Path) -> Iterator[Court]:
    with sitting(tmp_path_factory.mktemp("lies"), npm, authority) as court:
        yield court


@pytest.mark.row("E-01", "S-01", "S-17", "P-39")
@pytest.mark.parametrize("row", every(3, (pytest.param(row, id=name) for name, row in HERE.items())))
def test_a_module_sees_the_lie(court: Court, row: Row) -> None:
    outcome = court.outcome(row.entry, row.lie)

    assert not outcome.good, outcome
    assert re.search(row.names, "\n".join(outcome.notes)), outcome


@pytest.mark.row("P-39")
@pytest.mark.parametrize("entry", every(3, (pytest.param(entry, id=str(entry)) for entry in HONEST)))
def test_behind_the_proxy_the_truth_passes(court: Court, entry: Entry) -> None:
    outcome = court.outcome(entry, Lie())

    assert outcome.good, outcome


@pytest.mark.row("P-39")
@pytest.mark.parametrize("otherwise", [pytest.param(way, id=name) for name, way in WAYS.items()])
def test_what_may_be_otherwise_passes(court: Court, otherwise: Otherwise) -> None:
    outcome = court.outcome(otherwise.entry, otherwise.way)

    assert outcome.result == otherwise.result, outcome


@pytest.mark.row("P-39")
def test_every_module_has_its_lie() -> None:
    tables = (HERE, dynamic_lie_table.ROWS, sign_out_lie_table.FRAMED)
    rows = [row for table in tables for row in table.values()]
    assert {row.module for row in rows} == set(MODULES)
    assert {entry.module for plan in PLANS for entry in entries(plan)} == set(MODULES)
    # What is in a plan twice, with clients of both kinds, has a lie to each.
    registering = {entry.module for plan in REGISTERING for entry in entries(plan)}
    assert {row.module for row in rows if row.registers} == registering

"""Each module whose clients register themselves fails when the provider lies to them, and says about what.

What lies behind the proxy is version 6 of the peer, which does all that these modules ask for.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.court import Court, sitting
from tests.conformance.dynamic_lie_table import ROWS
from tests.conformance.lie_table import Row
from tests.conformance.lying_proxy import Lie
from tests.conformance.op.plans import DYNAMIC, Entry
from tests.conformance.test_peer import OMITTED
from tests.conformance.truth_table import DYNAMIC_WAYS, Otherwise
from tests.support.tls import Authority

# They judge the modules, and not what we build: `make test` has those of the other plans, in `test_lies`.
pytestmark = [
    pytest.mark.live,
    pytest.mark.slow,
    pytest.mark.heavy,
    pytest.mark.xdist_group("conformance-dynamic-lies"),
]

ENTRIES = sorted({row.entry for row in ROWS.values()}, key=str)


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory, authority: Authority, npm: Path) -> Iterator[Court]:
    with sitting(tmp_path_factory.mktemp("lies"), npm, authority, registers=6) as court:
        yield court


@pytest.mark.row("P-39")
@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in ROWS.items()])
def test_a_module_sees_the_lie(court: Court, row: Row) -> None:
    outcome = court.outcome(row.entry, row.lie)

    assert not outcome.good, outcome
    assert re.search(row.names, "\n".join(outcome.notes)), outcome


@pytest.mark.row("P-39")
@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.module not in OMITTED], ids=str)
def test_behind_the_proxy_the_truth_passes(court: Court, entry: Entry) -> None:
    outcome = court.outcome(entry, Lie())

    assert outcome.good, outcome


@pytest.mark.row("P-39")
@pytest.mark.parametrize("otherwise", [pytest.param(way, id=name) for name, way in DYNAMIC_WAYS.items()])
def test_what_may_be_otherwise_passes(court: Court, otherwise: Otherwise) -> None:
    outcome = court.outcome(otherwise.entry, otherwise.way)

    assert outcome.result == otherwise.result, outcome


@pytest.mark.row("P-39")
@pytest.mark.parametrize(
    ("command", "said"),
    [
        pytest.param(("sh", "-c", "echo no database >&2; exit 3"), "ended with 3: no database", id="fails"),
        pytest.param(("no-such-command-anywhere",), "did not run", id="not-there"),
    ],
)
def test_a_rotation_that_does_not_work_fails(court: Court, command: tuple[str, ...], said: str) -> None:
    helpless = replace(court, target=replace(court.target, rotate_command=command))
    outcome = helpless.outcome(Entry("otherwise", DYNAMIC, "oidcc-server-rotate-keys"), Lie())

    assert outcome.result == "failed"
    assert said in outcome.notes[0]

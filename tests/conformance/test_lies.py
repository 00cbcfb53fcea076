"""Each module fails when the provider lies about what it is there to see, and says what the lie was about."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.conformance import targets
from tests.conformance.lie_table import ROWS, Row
from tests.conformance.lying_proxy import Lie, LyingProxy, lying_proxy
from tests.conformance.op.outcome import Outcome
from tests.conformance.op.plans import PLANS, Entry, entries
from tests.conformance.op.registry import MODULES
from tests.conformance.op.runner import run_module
from tests.conformance.op.target import Target
from tests.conformance.truth_table import WAYS, Otherwise
from tests.support.servers import free_port
from tests.support.tls import Authority

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.xdist_group("conformance-lies")]


@dataclass(frozen=True)
class Court:
    """The peer behind the proxy, and what has to be known of it."""

    proxy: LyingProxy
    target: Target

    def outcome(self, entry: Entry, lie: Lie) -> Outcome:
        """What comes of a module under a lie, with a browser that was never here."""
        self.proxy.tells(lie)
        browser = self.target.browser()
        try:
            return run_module(entry, self.target, browser)
        finally:
            browser.close()


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory, authority: Authority, npm: Path) -> Iterator[Court]:
    port = free_port()
    issuer, folder = f"https://localhost:{port}", tmp_path_factory.mktemp("lies")
    with targets.peer(folder, npm, authority, behind=issuer) as (target, upstream):
        clients = [client.redirect_uri for client in (target.basic, target.post, target.second)]
        with lying_proxy(port, authority.issue("localhost"), upstream, clients) as proxy:
            # A second use is no other after a second.
            yield Court(proxy, replace(target, reuse_wait_seconds=0))


@pytest.mark.row("E-01", "S-01", "S-17", "P-39")
@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in ROWS.items()])
def test_a_module_sees_the_lie(court: Court, row: Row) -> None:
    outcome = court.outcome(row.entry, row.lie)

    assert not outcome.good, outcome
    assert re.search(row.names, "\n".join(outcome.notes)), outcome


@pytest.mark.row("P-39")
@pytest.mark.parametrize("entry", sorted({row.entry for row in ROWS.values()}, key=str), ids=str)
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
    assert {row.module for row in ROWS.values()} == set(MODULES)
    assert {entry.module for plan in PLANS for entry in entries(plan)} == set(MODULES)

"""The two whom the command judges: which plans there are for each, and how they are run.

Without a file each is ours, started for the run.
"""

import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.conformance import rp_targets, targets
from tests.conformance.op import plans as op_plans
from tests.conformance.op import runner as op_runner
from tests.conformance.op.outcome import Outcome
from tests.conformance.op.screen import Windows
from tests.conformance.op.target import Target
from tests.conformance.rp import plans as rp_plans
from tests.conformance.rp import runner as rp_runner
from tests.conformance.rp.provider import ProviderServer, serving
from tests.conformance.rp.target import RelyingParty
from tests.conformance.target_files import read_relying_party, read_target
from tests.support.tls import Authority


@dataclass(frozen=True)
class Judged:
    """A provider or a relying party that is there.

    Attributes:
        name: its address.
        lacking: what a plan needs to know of it, and does not.
        run: the outcomes of these plans, one by one; of one module only, where it is named.
    """

    name: str
    lacking: Callable[[str], Sequence[str]]
    run: Callable[[Sequence[str], str | None], Iterator[Outcome]]


@dataclass(frozen=True)
class Role:
    """What somebody is judged as.

    Attributes:
        wait_seconds: how long to wait where the certification waits.
        open: from a file, or ours; with the seconds to wait.
    """

    plans: Collection[str]
    wait_seconds: float
    open: Callable[[Path | None, float], AbstractContextManager[Judged]]


@contextmanager
def _authority() -> Iterator[tuple[Path, Authority]]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name), Authority.create(Path(name) / "authority")


@contextmanager
def _provider(path: Path | None, wait_seconds: float) -> Iterator[Judged]:
    if path is not None:
        yield _judged_provider(replace(read_target(path), reuse_wait_seconds=wait_seconds))
        return
    with _authority() as (folder, authority), targets.ours(folder, authority) as ours:
        yield _judged_provider(replace(ours, reuse_wait_seconds=wait_seconds))


def _judged_provider(target: Target) -> Judged:
    def run(plans: Sequence[str], module: str | None) -> Iterator[Outcome]:
        # With one browser, as a person would.
        browser, windows = target.browser(), Windows(target)
        try:
            for plan in plans:
                for entry in op_plans.entries(plan):
                    if module in (None, entry.module):
                        yield op_runner.run_module(entry, target, browser, windows=windows)
        finally:
            browser.close()
            windows.close()

    return Judged(target.issuer, lambda plan: op_plans.lacking(plan, target), run)


@contextmanager
def _relying_party(path: Path | None, wait_seconds: float) -> Iterator[Judged]:
    if path is not None:
        described = read_relying_party(path)
        place = described.provider
        with serving(Path(place.certificate), Path(place.key), place.listen, place.url) as providers:
            yield _judged_party(described.rp, providers, wait_seconds)
        return
    with _authority() as (folder, authority):
        certificate = authority.issue("localhost")
        with (
            serving(certificate.certificate, certificate.key) as providers,
            rp_targets.gate(folder, authority, providers, rp_plans.entries()) as gate,
        ):
            yield _judged_party(gate, providers, wait_seconds)


def _judged_party(rp: RelyingParty, providers: ProviderServer, wait_seconds: float) -> Judged:
    def run(plans: Sequence[str], module: str | None) -> Iterator[Outcome]:
        for plan in plans:
            for entry in rp_plans.entries(plan):
                if module in (None, entry.module):
                    yield rp_runner.run_module(entry, providers, rp, wait_seconds)

    return Judged(rp.page, lambda plan: rp_plans.lacking(plan, rp), run)


ROLES = {
    "op": Role(op_plans.PLANS, 30, _provider),
    "rp": Role(rp_plans.PLANS, 5, _relying_party),
}

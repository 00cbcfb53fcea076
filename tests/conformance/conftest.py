"""The providers, each started once by the one worker that runs its modules."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.conformance import targets
from tests.conformance.op.browser import Browser
from tests.conformance.op.outcome import Outcome
from tests.conformance.op.plans import Entry
from tests.conformance.op.runner import run_module
from tests.conformance.op.target import Target
from tests.support.postgresql import Postgresql
from tests.support.servers import ROOT
from tests.support.tls import Authority


@dataclass(frozen=True)
class Certification:
    """A provider and the browser of the person who runs the plans at it."""

    target: Target
    browser: Browser
    wait: Callable[[float], None] = time.sleep

    def outcome(self, entry: Entry) -> Outcome:
        """What comes of one module."""
        try:
            return run_module(entry, self.target, self.browser, self.wait)
        finally:
            # Whoever moved a clock sets it right.
            self.wait(0)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def npm() -> Path:
    """Where the npm peers are, installed once for all runs of this checkout."""
    from tests.live import peers

    return peers.install(ROOT / "build" / "peers")


@pytest.fixture(scope="session")
def peer(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, npm: Path
) -> Iterator[Certification]:
    with targets.peer(tmp_path_factory.mktemp("peer"), npm, authority) as (target, _):
        yield Certification(target, target.browser())


@pytest.fixture(scope="session")
def framed_peer(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, npm: Path
) -> Iterator[Certification]:
    """The last peer that has frames, for sign-outs and for sessions."""
    with targets.peer(tmp_path_factory.mktemp("peer"), npm, authority, framed=True) as (target, _):
        yield Certification(target, target.browser())


@contextmanager
def _registering(folder: Path, npm: Path, authority: Authority, version: int) -> Iterator[Certification]:
    with targets.peer(folder, npm, authority, registers=version) as (target, _):
        yield Certification(
            target, target.browser(), targets.waiting(partial(targets.set_peer_ahead, target))
        )


@pytest.fixture(scope="session")
def registering(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, npm: Path
) -> Iterator[Certification]:
    """The last peer that has everything on that clients ask for which register themselves."""
    with _registering(tmp_path_factory.mktemp("peer"), npm, authority, 6) as made:
        yield made


@pytest.fixture(scope="session")
def registering_newest(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, npm: Path
) -> Iterator[Certification]:
    with _registering(tmp_path_factory.mktemp("peer"), npm, authority, 9) as made:
        yield made


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Certification]:
    folder = tmp_path_factory.mktemp("ours")
    with targets.ours(folder, authority) as target:
        yield Certification(target, target.browser(), targets.waiting(partial(targets.set_ahead, folder)))


@pytest.fixture(scope="session")
def deployed(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, postgresql_server: Postgresql
) -> Iterator[Certification]:
    """Ours in two processes on PostgreSQL, behind nginx."""
    folder = tmp_path_factory.mktemp("deployed")
    with (
        postgresql_server.database() as name,
        targets.deployed(folder, authority, postgresql_server.url(name)) as target,
    ):
        yield Certification(target, target.browser())

"""One refresh for one session, however many processes and threads ask at once, and whoever is killed.

A served provider revokes everything when a refresh token comes twice, and has no grace. In `make test` 2
processes of 8 threads each, in `make test-heavy` 8 of 16, on each state store that processes can share. The
same step by step, without sockets, is `tests/oidcgate/gate/test_refreshing.py`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from oidcgate.gate.kept_tokens import KeptTokens
from oidcgate.gate.refreshing import Refresher
from oidcgate.gate.relying_party import RelyingParty
from oidcgate.net.fetch import GuardedAdapter
from oidcgate.protocol.token import RefreshedTokens
from tests.live.refreshed_gate import RefreshedGate, die
from tests.support.postgresql import Postgresql
from tests.support.redis import Redis

pytestmark = [pytest.mark.live, pytest.mark.slow]

STORES = ("sqlite", "postgresql", "redis")
# Who is killed when is the same over each; where the others look is not.
KILLED_OVER = [pytest.param(kind, marks=[] if kind == "sqlite" else [pytest.mark.heavy]) for kind in STORES]
SIZES = [
    pytest.param((kind, processes, threads, rounds), id=f"{kind}-{processes}x{threads}", marks=marks)
    for processes, threads, rounds, marks in ((2, 8, 2, []), (8, 16, 5, [pytest.mark.heavy]))
    for kind in STORES
]


@contextmanager
def state_store(request: pytest.FixtureRequest, kind: str, folder: Path) -> Iterator[str]:
    """The setting that names a new one."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'state.db'}"
    elif kind == "postgresql":
        server: Postgresql = request.getfixturevalue("postgresql_server")
        with server.database() as name:
            yield server.url(name)
    else:
        store = Redis(folder, "--appendonly", "yes")
        yield store.url
        store.end()


@pytest.mark.row("G-04", "T-03")
@pytest.mark.parametrize("size", SIZES)
def test_many_processes_and_threads_renew_once(
    size: tuple[str, int, int, int], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kind, processes, threads, rounds = size
    with (
        state_store(request, kind, tmp_path) as state,
        RefreshedGate.signed_in(tmp_path, state, workers=2, threads=8) as gates,
    ):
        for done in range(rounds):
            # Nobody has an access token to go on with: all but one wait for the one answer.
            gates.becomes_due()
            said = gates.race(processes, threads)
            assert len(said) == processes * threads
            statuses, given = zip(*said, strict=True)
            assert set(statuses) == {200}, "nobody is signed out, or sent away"
            assert set(given) == {gates.kept().access_token}, "all are given the new one"
            assert gates.refreshed() == done + 1
        # With one that is still good nobody waits, and there is one all the same.
        gates.becomes_due(expires_in=60)
        assert {status for status, _ in gates.race(processes, threads)} == {200}
        assert gates.refreshed() == rounds + 1


def before_the_token_is_taken() -> None:
    KeptTokens.change = die  # type: ignore[method-assign]


def before_the_send() -> None:
    RelyingParty.renew = die  # type: ignore[method-assign]


def before_the_answer() -> None:
    renew = RelyingParty.renew

    def renew_and_die(self: RelyingParty, *args: Any, **more: Any) -> RefreshedTokens:
        # Its head has come, so the provider has done its part; nothing of it was read.
        GuardedAdapter._accept = die  # type: ignore[method-assign]
        return renew(self, *args, **more)

    RelyingParty.renew = renew_and_die  # type: ignore[method-assign]


def before_the_answer_is_kept() -> None:
    Refresher._change = die  # type: ignore[method-assign]


@pytest.mark.row("G-04")
@pytest.mark.parametrize("kind", KILLED_OVER)
def test_whoever_has_done_nothing_yet_is_killed(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with (
        state_store(request, kind, tmp_path) as state,
        RefreshedGate.signed_in(tmp_path, state, workers=1, threads=4) as gates,
    ):
        gates.becomes_due()
        gates.killed(before_the_token_is_taken)
        assert gates.refreshed() == 0
        # Somebody else does it.
        assert {status for status, _ in gates.race(2, 4)} == {200}
        assert gates.refreshed() == 1


@pytest.mark.row("G-04")
@pytest.mark.parametrize("kind", KILLED_OVER)
@pytest.mark.parametrize(
    ("patch", "taken"),
    [
        pytest.param(before_the_send, 0, id="before-the-send"),
        pytest.param(before_the_answer, 1, id="before-the-answer"),
        pytest.param(before_the_answer_is_kept, 1, id="before-it-is-kept"),
    ],
)
def test_whoever_has_taken_the_token_is_killed(
    kind: str, patch: Callable[[], None], taken: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The token is in doubt: nobody sends it again, and nobody is signed out."""
    with (
        state_store(request, kind, tmp_path) as state,
        RefreshedGate.signed_in(tmp_path, state, workers=1, threads=4) as gates,
    ):
        gates.becomes_due(expires_in=60)
        gates.killed(patch)
        assert gates.refreshed() == taken
        assert gates.kept().refresh_token is None
        assert {status for status, _ in gates.race(2, 4)} == {200}
        # Once there is nothing to go on with, one window of the browser signs in silently.
        gates.is_in_doubt()
        said = gates.race(2, 4)
        assert sorted(status for status, _ in said) == [200] * 7 + [302]
        (target,) = (where for status, where in said if status == 302)
        assert target.endswith("&prompt=none")
        assert gates.refreshed() == taken

"""The certification's plans for relying parties: a foreign one passes, its lies are seen, the gate passes.

`G-24`: what an ID token has to say is not switchable. `F-06`: where a sign-out leads. `G-07`: sign-outs by
the back channel and the front channel.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import rp_targets
from tests.conformance.__main__ import main
from tests.conformance.op.outcome import Outcome
from tests.conformance.op.target import Receiving
from tests.conformance.rp.plans import Entry, entries
from tests.conformance.rp.provider import ProviderServer, serving
from tests.conformance.rp.registry import MODULES
from tests.conformance.rp.runner import run_module
from tests.conformance.rp.screen import Windows
from tests.conformance.rp.target import RelyingParty
from tests.conformance.rp_lie_table import FORM_POST_LIES, LIES, Lie
from tests.conformance.test_command import described_party
from tests.support.portions import every
from tests.support.servers import free_port
from tests.support.tls import Authority

_LIVE = [pytest.mark.live, pytest.mark.slow, pytest.mark.xdist_group("conformance-relying-party")]

ENTRIES = list(entries())
#: In each module one lie is told, wherever it stands first.
FIRST = list({entry.module: entry for entry in reversed(ENTRIES)}.values())[::-1]
#: What the gate shows in the modules of a plan. A token under the client's secret is of `wrong-alg`.
ROWS = {
    "basic": ("A-08", "G-24"),
    "formpost-basic": ("A-08", "G-24"),
    "code-flow-only": ("A-08", "G-24"),
    "formpost-code-flow-only": ("A-08", "G-24"),
    "config": ("A-08",),
    "backchannel": ("G-07", "F-06"),
    "rp-initiated": ("F-06",),
    "frontchannel": ("G-07", "F-06"),
    "session-management": ("A-08", "F-06"),
    "dynamic": ("A-10",),
    "refreshtoken": ("G-04", "G-24"),
    "3rdparty-init": ("F-15",),
    "further": ("A-08", "G-24"),
}
#: Nothing more is asked by servers that have answered; what would be asked beside it comes at once.
WAIT_SECONDS = 0.05
#: What neither takes: an ID token without a signature, and claims that are elsewhere.
SKIPPED = {"oidcc-client-test-idtoken-sig-none", "oidcc-client-test-distributed-claims"}
#: By what else a relying party passes, which neither does: it takes claims of others that are rightly signed.
TAKES_CLAIMS = "takes-claims-of-others"


@pytest.fixture(scope="module")
def providers(authority: Authority) -> Iterator[ProviderServer]:
    certificate = authority.issue("localhost")
    with serving(certificate.certificate, certificate.key) as server:
        yield server


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory, authority: Authority, npm: Path) -> Iterator[RelyingParty]:
    with rp_targets.peer(tmp_path_factory.mktemp("relying-party"), npm, authority) as rp:
        yield rp


@pytest.fixture(scope="module")
def gate(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, providers: ProviderServer
) -> Iterator[RelyingParty]:
    with rp_targets.gate(tmp_path_factory.mktemp("gate"), authority, providers, ENTRIES) as rp:
        yield rp


@pytest.fixture(scope="module")
def windows(authority: Authority) -> Iterator[Windows]:
    windows = Windows(str(authority.certificate))
    try:
        yield windows
    finally:
        windows.close()


def live(entry: Entry) -> list[pytest.MarkDecorator]:
    """Where a module is run: one that waits for what a page does by and by, in `make test-heavy` alone."""
    return [*_LIVE, pytest.mark.heavy] if entry.plan == "session-management" else _LIVE


def rows(entry: Entry) -> pytest.MarkDecorator:
    more = ("S-29",) if entry.module.endswith(("-wrong-alg", "-hs256")) else ()
    return pytest.mark.row(*ROWS[entry.plan], *more)


def run_lying(
    peer: RelyingParty, providers: ProviderServer, entry: Entry, lie: str, windows: Windows | None = None
) -> Outcome:
    """Run a module against the peer that lies.

    The provider is this run's alone: where a module fails, requests are still under way.
    """
    name = f"{entry.alias}-{lie}"
    return run_module(entry, providers, rp_targets.lying(peer, lie), WAIT_SECONDS, windows, name)


def expected(entry: Entry) -> str:
    return "skipped" if entry.module in SKIPPED else "passed"


@pytest.mark.parametrize(
    "entry", [pytest.param(entry, marks=live(entry), id=str(entry)) for entry in ENTRIES]
)
def test_the_peer_passes(
    peer: RelyingParty, providers: ProviderServer, windows: Windows, entry: Entry
) -> None:
    outcome = run_module(entry, providers, peer, WAIT_SECONDS, windows)

    assert outcome.result == expected(entry), outcome


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(entry, marks=live(entry), id=str(entry))
        for entry in ENTRIES
        if entry.module.endswith("ed-claims")
    ],
)
def test_who_takes_claims_of_others_passes(
    peer: RelyingParty, providers: ProviderServer, entry: Entry
) -> None:
    outcome = run_lying(peer, providers, entry, TAKES_CLAIMS)

    assert outcome.result == "passed", outcome


@pytest.mark.parametrize(
    ("entry", "lie"),
    every(
        3,
        [
            pytest.param(entry, lie, marks=live(entry), id=f"{entry}-{lie.name}")
            for entry in FIRST
            for lie in LIES[entry.module]
        ],
    ),
)
def test_a_lie_is_seen(
    peer: RelyingParty, providers: ProviderServer, windows: Windows, entry: Entry, lie: Lie
) -> None:
    outcome = run_lying(peer, providers, entry, lie.name, windows)

    assert outcome.result == "failed", outcome
    assert re.search(lie.seen, outcome.notes[0]), outcome


@pytest.mark.parametrize("lie", [pytest.param(lie, marks=_LIVE, id=lie.name) for lie in FORM_POST_LIES])
def test_a_lie_about_form_post_is_seen(peer: RelyingParty, providers: ProviderServer, lie: Lie) -> None:
    entry = Entry("formpost-basic", "oidcc-client-test")

    outcome = run_lying(peer, providers, entry, lie.name)

    assert outcome.result == "failed", outcome
    assert re.search(lie.seen, outcome.notes[0]), outcome


@pytest.mark.parametrize(
    "entry", [pytest.param(entry, marks=[*live(entry), rows(entry)], id=str(entry)) for entry in ENTRIES]
)
def test_the_gate_passes(
    gate: RelyingParty, providers: ProviderServer, windows: Windows, entry: Entry
) -> None:
    outcome = run_module(entry, providers, gate, WAIT_SECONDS, windows)

    assert outcome.result == expected(entry), outcome
    assert outcome.result != "passed" or not outcome.notes, outcome


@pytest.mark.live
@pytest.mark.slow
@pytest.mark.xdist_group("conformance-relying-party")
def test_one_that_a_file_describes_is_judged(
    peer: RelyingParty, authority: Authority, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, certificate = tmp_path / "target.toml", authority.issue("localhost")

    def judged(rp: RelyingParty, *what: str) -> int:
        port = free_port()
        files = (str(certificate.certificate), str(certificate.key))
        path.write_text(
            described_party(rp, Receiving(f"https://localhost:{port}", f"127.0.0.1:{port}", *files))
        )
        return main(["--role", "rp", "--target", str(path), "--wait", str(WAIT_SECONDS), *what])

    assert judged(peer, "--plans", "config") == 0
    assert "5 passed, 0 failed, 0 warning, 1 skipped" in capsys.readouterr().out
    module = "oidcc-client-test-nonce-invalid"
    assert judged(rp_targets.lying(peer, "nonce"), "--plans", "basic", "--module", module) == 1
    assert "the sign-in is accepted" in capsys.readouterr().out


def test_every_module_is_in_a_plan_and_has_its_lies() -> None:
    assert {entry.module for entry in ENTRIES} == set(MODULES) == set(LIES)
    assert all(LIES.values())

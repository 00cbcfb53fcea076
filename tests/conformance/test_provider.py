"""Our provider, deployed over HTTPS, passes the certification's plans; a warning counts as a failure."""

import pytest
from _pytest.mark import ParameterSet

from tests.conformance.conftest import Certification
from tests.conformance.op.outcome import Outcome
from tests.conformance.op.plans import PLANS, Entry, entries
from tests.support.portions import every

pytestmark = [pytest.mark.live, pytest.mark.slow]

#: What does not apply to it: it gives no unsigned ID tokens, and the certification then skips the module.
SKIPPED = {"oidcc-idtoken-unsigned"}
#: Nor this, where it fetches request objects: only from registered addresses, which static clients of the
#: certification have not. Deployed as below it takes none at all.
UNREGISTERED = "oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported"

#: The rows that a plan shows as a whole.
_IMPLICIT = ("E-02", "S-04", "S-05", "P-39")
_HYBRID = ("S-06", "S-07", "P-39")
_CODE = ("E-01", "S-01", "P-39")
_LOGOUT = ("S-19", "P-39")
ROWS = {
    "basic": _CODE,
    "config": ("S-17", "P-39"),
    "implicit": _IMPLICIT,
    "hybrid": _HYBRID,
    "formpost-basic": _CODE,
    "formpost-implicit": _IMPLICIT,
    "formpost-hybrid": _HYBRID,
    "dynamic": ("P-13", "P-39"),
    "matrix": ("P-13", "P-39"),
    "rp-initiated": _LOGOUT,
    "backchannel": _LOGOUT,
    "frontchannel": _LOGOUT,
    "session-management": ("S-18", "P-39"),
    "3rdparty-init": ("P-39",),
}


def marked(entry: Entry) -> ParameterSet:
    return pytest.param(entry, id=str(entry), marks=pytest.mark.row(*ROWS[entry.plan]))


def passes(outcome: Outcome, *skipped: str) -> bool:
    return outcome.result == ("skipped" if outcome.module in SKIPPED.union(skipped) else "passed")


@pytest.mark.xdist_group("conformance-ours")
@pytest.mark.parametrize(
    "entry",
    [marked(entry) for plan in PLANS if plan in ROWS and plan != "matrix" for entry in entries(plan)],
)
def test_our_provider_passes(ours: Certification, entry: Entry) -> None:
    outcome = ours.outcome(entry)

    assert passes(outcome, UNREGISTERED), outcome


@pytest.mark.xdist_group("conformance-ours")
@pytest.mark.parametrize("entry", every(10, map(marked, entries("matrix"))))
def test_it_passes_however_clients_authenticate_and_ask(ours: Certification, entry: Entry) -> None:
    outcome = ours.outcome(entry)

    assert passes(outcome), outcome


@pytest.mark.xdist_group("conformance-deployed")
@pytest.mark.parametrize(
    "entry",
    every(
        4,
        (
            marked(entry)
            for plan in ("basic", "hybrid", "backchannel")
            for entry in entries(plan)
            if entry.variant.response_type in ("code", "code id_token token")
        ),
    ),
)
def test_it_passes_in_two_processes_on_postgresql_behind_nginx(deployed: Certification, entry: Entry) -> None:
    outcome = deployed.outcome(entry)

    assert passes(outcome), outcome

"""Our provider, deployed over HTTPS, passes the certification's plans; a warning counts as a failure."""

import pytest

from tests.conformance.conftest import Certification
from tests.conformance.op.plans import PLANS, Entry, entries

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.xdist_group("conformance-ours")]

#: What does not apply to it: it gives no unsigned ID tokens, and the certification then skips the module.
SKIPPED = {"oidcc-idtoken-unsigned"}

#: The rows that a plan shows as a whole.
_IMPLICIT = ("E-02", "S-04", "S-05", "P-39")
_HYBRID = ("S-06", "S-07", "P-39")
_CODE = ("E-01", "S-01", "P-39")
ROWS = {
    "basic": _CODE,
    "config": ("S-17", "P-39"),
    "implicit": _IMPLICIT,
    "hybrid": _HYBRID,
    "formpost-basic": _CODE,
    "formpost-implicit": _IMPLICIT,
    "formpost-hybrid": _HYBRID,
}


ENTRIES = [
    pytest.param(entry, id=str(entry), marks=pytest.mark.row(*ROWS[plan]))
    for plan in PLANS
    for entry in entries(plan)
]


@pytest.mark.parametrize("entry", ENTRIES)
def test_our_provider_passes(ours: Certification, entry: Entry) -> None:
    outcome = ours.outcome(entry)

    assert outcome.result == ("skipped" if entry.module in SKIPPED else "passed"), outcome

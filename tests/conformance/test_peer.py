"""The modules are right: a certified provider that nobody here wrote passes all of them, over HTTPS."""

import pytest

from tests.conformance.conftest import Certification
from tests.conformance.op.plans import PLANS, Entry, entries

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.xdist_group("conformance-peer")]

#: What the peer does not pass, and why: it knows no unsigned tokens (`lib/consts/jwa.js` of `oidc-provider`
#: 9.13.3 has no `none`), and the certification then skips the module.
SKIPPED = {"oidcc-idtoken-unsigned"}


@pytest.mark.row("P-39")
@pytest.mark.parametrize("entry", [entry for plan in PLANS for entry in entries(plan)], ids=str)
def test_the_peer_passes(peer: Certification, entry: Entry) -> None:
    outcome = peer.outcome(entry)

    assert outcome.result == ("skipped" if entry.module in SKIPPED else "passed"), outcome

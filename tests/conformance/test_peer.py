"""The modules are right: a certified provider that nobody here wrote passes all of them, over HTTPS."""

import pytest

from tests.conformance.conftest import Certification
from tests.conformance.op.plans import PLANS, REGISTERING, Entry, entries
from tests.support.portions import every

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.xdist_group("conformance-peer")]

#: What its newest version does not have: `lib/helpers/features.js` of 9.13.3 knows neither
#: `frontchannelLogout` nor `sessionManagement`. 7.0.0 removed both (its CHANGELOG.md), so version 6 is asked.
FRAMED = ("frontchannel", "session-management")
#: The other plans whose clients are registered beforehand.
STATIC = [plan for plan in PLANS if plan not in REGISTERING + FRAMED]
REGISTERED = [entry for plan in REGISTERING for entry in entries(plan)]

#: What the peer does not pass, and why: it knows no unsigned tokens (`lib/consts/jwa.js` of `oidc-provider`
#: 9.13.3 has no `none`), and the certification then skips the module.
SKIPPED = {"oidcc-idtoken-unsigned"}


@pytest.mark.row("P-39")
@pytest.mark.parametrize(
    "entry",
    every(3, (pytest.param(entry, id=str(entry)) for plan in STATIC for entry in entries(plan))),
)
def test_the_peer_passes(peer: Certification, entry: Entry) -> None:
    outcome = peer.outcome(entry)

    assert outcome.result == ("skipped" if entry.module in SKIPPED else "passed"), outcome


@pytest.mark.heavy
@pytest.mark.row("P-39")
@pytest.mark.parametrize("entry", [entry for plan in FRAMED for entry in entries(plan)], ids=str)
def test_the_peer_with_frames_passes(framed_peer: Certification, entry: Entry) -> None:
    outcome = framed_peer.outcome(entry)

    assert outcome.result == "passed", outcome


#: What version 6 does not pass: it takes the redirect URI that is registered when none is sent
#: (`lib/actions/authorization/one_redirect_uri_clients.js` of 6.31.1). Version 9 refuses that.
OMITTED = {"oidcc-ensure-redirect-uri-in-authorization-request"}
#: What version 9 has no more: it reads no request_uri (`lib/actions/discovery.js` of 9.13.3), and knows no
#: unsigned tokens, as above. Version 6 passes it.
DROPPED = {"oidcc-request-uri-unsigned", "oidcc-request-uri-signed-rs256"}
#: Its store goes with its keys (`lib/adapters/memory_adapter.js`). Version 6 is asked for new ones.
UNASKED = {"oidcc-server-rotate-keys"}


@pytest.mark.heavy
@pytest.mark.row("P-39")
@pytest.mark.parametrize("entry", REGISTERED, ids=str)
def test_the_peer_passes_where_clients_register_themselves(registering: Certification, entry: Entry) -> None:
    outcome = registering.outcome(entry)

    assert outcome.result == ("failed" if entry.module in OMITTED else "passed"), outcome


@pytest.mark.heavy
@pytest.mark.row("P-39")
@pytest.mark.parametrize("entry", REGISTERED, ids=str)
def test_so_does_its_newest_version(registering_newest: Certification, entry: Entry) -> None:
    outcome = registering_newest.outcome(entry)

    failed = "failed" if entry.module in DROPPED else "passed"
    assert outcome.result == ("skipped" if entry.module in SKIPPED | UNASKED else failed), outcome

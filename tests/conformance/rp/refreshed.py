"""The plan about refresh tokens: what comes for one is used, unless its ID token is another's.

Access tokens are short here, and their end is when a relying party that is visited has to ask for new ones.
"""

from collections.abc import Mapping
from typing import Any

from tests.conformance.op.outcome import need
from tests.conformance.rp.alias import REFRESHED_LIFETIME_SECONDS
from tests.conformance.rp.registry import module
from tests.conformance.rp.run import Run

_RENEWED = "OIDC Core 12.2"
_LONGER_SECONDS = REFRESHED_LIFETIME_SECONDS + 5


def _signed_in(run: Run) -> None:
    run.op.gives_refresh_tokens = True
    run.accepted("OIDC Core 3.1")


def _seen_later(run: Run) -> str | None:
    """What is shown when the access token has ended; new ones have to have been asked for."""
    before = run.op.renewals
    run.pass_time(_LONGER_SECONDS)
    seen = run.browser.seen()
    run.no_faults()
    need(run.op.renewals == before + 1, "no new tokens were asked for", "OIDC Core 12.1")
    return seen


@module("oidcc-client-test-refresh-token")
def tokens_are_renewed(run: Run) -> None:
    """Twice: the second time with the refresh token that came the first time."""
    _signed_in(run)
    need(_seen_later(run) is not None, "the session ends with its first tokens", _RENEWED)
    need(_seen_later(run) is not None, "the session ends with its second tokens", _RENEWED)


@module("oidcc-client-test-refresh-token-invalid-issuer")
def new_id_token_is_of_another_issuer(run: Run) -> None:
    _refused(run, {"iss": "https://another.example/"})


@module("oidcc-client-test-refresh-token-invalid-sub")
def new_id_token_is_about_another(run: Run) -> None:
    _refused(run, {"sub": "somebody-else"})


def _refused(run: Run, changes: Mapping[str, Any]) -> None:
    """Whether the session goes on is for the relying party to say; with the new tokens it does not."""
    _signed_in(run)
    run.op.renewed_id_token = changes
    run.starts_anew()
    _has_none_of_them(run, _seen_later(run))
    need(not run.op.is_asked("userinfo", run.wait_seconds), "userinfo was asked all the same", _RENEWED)
    # Whoever is still in opens the page again, by a script and by a click, when those too would have ended.
    run.pass_time(_LONGER_SECONDS)
    _has_none_of_them(run, run.browser.seen())
    run.browser.go(run.rp.page)
    _has_none_of_them(run, run.browser.seen())
    run.no_faults()


def _has_none_of_them(run: Run, seen: str | None) -> None:
    told = seen is not None and any(token in seen for token in run.op.refused)
    need(not told, "the page has a token of a refused answer", _RENEWED)

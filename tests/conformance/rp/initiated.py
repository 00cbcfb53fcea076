"""The plan about sign-ins that another site begins."""

from tests.conformance.op.outcome import need
from tests.conformance.rp.registry import module
from tests.conformance.rp.run import Run

_CLAUSE = "OIDC Core 4"
_ANOTHER_HOST = "another.example"
_HINT = "alice@another.example"


@module("oidcc-client-test-3rd-party-init-login")
def another_site_begins(run: Run) -> None:
    """By the issuer alone, as the certification does; and with all that the clause knows."""
    rp, browser = run.rp, run.browser
    shown = browser.go(rp.initiated_at(run.op.issuer))
    need(run.is_in_after(shown.status_code, _CLAUSE, browser), "the sign-in is refused", _CLAUSE)
    need("userinfo" in run.op.calls, "userinfo was not asked", "OIDC Core 5.3")

    shown = run.other.go(rp.initiated_at(run.op.issuer, target_link_uri=rp.page, login_hint=_HINT))
    need(run.is_in_after(shown.status_code, _CLAUSE, run.other), "the sign-in is refused", _CLAUSE)
    hint = run.op.request.get("login_hint")
    need(hint == _HINT, f"login_hint is sent as {hint!r}", _CLAUSE)
    need(shown.url == rp.page, f"the sign-in ends at {shown.url}", f"{_CLAUSE} (target_link_uri)")

    begun = rp.initiated_at(run.op.issuer, target_link_uri=f"https://{_ANOTHER_HOST}/page")
    need(not browser.is_led_to(_ANOTHER_HOST, begun), "it is an open redirector", _CLAUSE)

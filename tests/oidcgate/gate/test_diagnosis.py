"""What answers tell, one by one: `oidcgate.gate.diagnosis`."""

import pytest

from oidcgate.gate.diagnosis import (
    Verdict,
    judge_clock,
    judge_keys,
    judge_liveness,
    judge_login,
    judge_proxies,
    judge_redeeming,
    judge_redirect_uri,
)
from oidcgate.jose.keys import generate_key, import_public_keys, public_jwks
from oidcgate.net.fetch import Head
from oidcgate.protocol.errors import Reason, Refused
from oidcgate.web.cookies import CookieNames

ISSUER = "https://id.example"
CALLBACK = "https://app.example.com/.oidcgate/callback"
FINE, DOUBT, WRONG = Verdict.FINE, Verdict.DOUBT, Verdict.WRONG


@pytest.mark.parametrize(
    ("date", "verdict"),
    [
        ("Fri, 15 Jan 2027 08:00:00 GMT", FINE),
        ("Fri, 15 Jan 2027 08:00:09 GMT", FINE),
        ("Fri, 15 Jan 2027 08:00:12 GMT", FINE),
        ("Fri, 15 Jan 2027 08:00:13 GMT", DOUBT),
        ("Fri, 15 Jan 2027 07:59:58 GMT", FINE),
        ("Fri, 15 Jan 2027 07:59:57 GMT", DOUBT),
        ("Fri, 15 Jan 2027 07:59:00 GMT", DOUBT),
        ("Fri, 15 Jan 2027 07:58:59 GMT", WRONG),
        ("Fri, 15 Jan 2027 08:01:10 GMT", DOUBT),
        ("Fri, 15 Jan 2027 08:01:11 GMT", WRONG),
        ("yesterday", DOUBT),
        ("", DOUBT),
        (None, DOUBT),
    ],
)
def test_clock(date: str | None, verdict: Verdict) -> None:
    # The answer took ten seconds: at some time between these two its date was right.
    assert judge_clock(ISSUER, date, 1_800_000_000, 1_800_000_010, 60).verdict is verdict


def test_keys() -> None:
    keys = import_public_keys(
        public_jwks([("1", "ES256", generate_key("ES256")), ("2", "RS256", generate_key("RS256"))])
    )
    assert judge_keys(ISSUER, keys, ["ES256"]).says == "1 key(s) for ES256"
    wrong = judge_keys(ISSUER, keys, ["EdDSA", "ES512"])
    assert (wrong.verdict, wrong.says) == (WRONG, "has 2 key(s), none of them for EdDSA ES512")


@pytest.mark.parametrize(
    ("status", "location", "verdict"),
    [
        (302, f"{CALLBACK}?error=login_required&state=x", FINE),
        (303, f"{CALLBACK}?error=consent_required", FINE),
        (302, f"{CALLBACK}#error=interaction_required", FINE),
        (302, f"{CALLBACK}?code=x", FINE),
        (302, f"{CALLBACK}?error=invalid_scope", WRONG),
        (302, f"{CALLBACK}?error=%1b%5b2J", WRONG),
        (302, f"{ISSUER}/login", DOUBT),
        (302, f"{CALLBACK}er?error=login_required", DOUBT),
        (200, "", DOUBT),
        (400, "", WRONG),
        (403, "", WRONG),
        (500, "", WRONG),
    ],
)
def test_redirect_uri(status: int, location: str, verdict: Verdict) -> None:
    found = judge_redirect_uri(ISSUER, Head(status, location, ()), CALLBACK)
    assert found.verdict is verdict
    assert (found.fix == "") is (verdict is FINE)
    assert "\x1b" not in found.says


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (Refused(Reason.PROVIDER_ERROR, error="invalid_grant"), FINE),
        (Refused(Reason.PROVIDER_ERROR, error="invalid_client"), WRONG),
        (Refused(Reason.PROVIDER_ERROR, error="unauthorized_client"), WRONG),
        (Refused(Reason.PROVIDER_ERROR, error="server_error"), DOUBT),
        (Refused(Reason.TOKEN_RESPONSE_MALFORMED), DOUBT),
        (None, DOUBT),
    ],
)
def test_redeeming(answer: Refused | None, verdict: Verdict) -> None:
    assert judge_redeeming(ISSUER, answer).verdict is verdict


@pytest.mark.parametrize(("status", "verdict"), [(200, FINE), (204, WRONG), (302, WRONG), (404, WRONG)])
def test_liveness(status: int, verdict: Verdict) -> None:
    assert judge_liveness("https://app.example.com", status).verdict is verdict


@pytest.mark.parametrize(
    ("public_url", "attributes", "cross_site", "verdict"),
    [
        ("https://app.example.com", "Path=/.oidcgate/; Secure; HttpOnly; SameSite=Lax", False, FINE),
        ("https://app.example.com", "path=/.oidcgate/; secure; httponly; samesite=lax", False, FINE),
        ("https://app.example.com", "Path=/.oidcgate/; Secure; HttpOnly; SameSite=None", True, FINE),
        ("https://app.example.com", "Path=/.oidcgate/; Secure; HttpOnly; SameSite=Lax", True, WRONG),
        ("https://app.example.com", "Path=/.oidcgate/; HttpOnly; SameSite=Lax", False, WRONG),
        ("https://app.example.com", "Path=/.oidcgate/; Secure; SameSite=Lax", False, WRONG),
        ("http://localhost:8000", "Path=/.oidcgate/; HttpOnly; SameSite=Lax", False, FINE),
    ],
)
def test_cookie(public_url: str, attributes: str, cross_site: bool, verdict: Verdict) -> None:
    names = CookieNames.of(public_url, "app")
    head = Head(302, f"{ISSUER}/authorize", (f"{names.transaction('s')}=v; {attributes}", "other=1"))
    (found,) = judge_login(head, names, CALLBACK, cross_site=cross_site)
    assert (found.subject, found.verdict) == ("cookies", verdict)


@pytest.mark.parametrize(("status", "verdict"), [(200, FINE), (400, WRONG), (503, WRONG)])
def test_a_sign_in_that_does_not_lead_on(status: int, verdict: Verdict) -> None:
    names = CookieNames.of("https://app.example.com", "app")
    (found,) = judge_login(Head(status, "", ()), names, CALLBACK, cross_site=False)
    assert (found.subject, found.verdict) == ("public URL", verdict)


@pytest.mark.row("G-18")
@pytest.mark.parametrize(
    ("loopback", "bind", "trusted", "verdict", "fix"),
    [
        (False, "127.0.0.1:8080", (), DOUBT, 'list it: proxy.trusted_proxies = ["127.0.0.1"]'),
        (False, "unix:/run/gate.sock", (), DOUBT, 'list it: proxy.trusted_proxies = ["unix"]'),
        (False, "[::1]:8080", (), DOUBT, 'list it: proxy.trusted_proxies = ["::1"]'),
        (False, "127.0.0.1:8080", ("127.0.0.1",), FINE, ""),
        (True, "127.0.0.1:8080", (), FINE, ""),
        (False, "0.0.0.0:443", (), FINE, ""),
    ],
)
def test_proxies(loopback: bool, bind: str, trusted: tuple[str, ...], verdict: Verdict, fix: str) -> None:
    found = judge_proxies(loopback, bind, trusted)
    assert (found.verdict, found.fix) == (verdict, fix)

"""What answers tell, one by one: `oidcgate.gate.diagnosis`."""

from urllib.parse import urlencode

import pytest

from oidcgate.gate.diagnosis import (
    Finding,
    Verdict,
    judge_clock,
    judge_keys,
    judge_liveness,
    judge_login,
    judge_proxies,
    judge_redeeming,
    judge_redirect_uri,
)
from oidcgate.jose.keys import generate_key, import_public_keys, public_jwk
from oidcgate.net.fetch import Head
from oidcgate.protocol.errors import Reason, Refused
from oidcgate.web.cookies import CookieNames

ISSUER = "https://id.example"
CALLBACK = "https://app.example.com/.oidcgate/callback"
FINE, DOUBT, WRONG = Verdict.FINE, Verdict.DOUBT, Verdict.WRONG


def verdict_of(found: Finding, subject: str) -> Verdict:
    """The verdict of a finding that says what was seen of `subject`, and what to do where it is not fine."""
    assert found.subject == subject
    assert found.says
    assert bool(found.fix) is (found.verdict is not FINE)
    return found.verdict


@pytest.mark.parametrize(
    ("date", "verdict", "says"),
    [
        ("Fri, 15 Jan 2027 08:00:00 GMT", FINE, "agree"),
        ("Fri, 15 Jan 2027 08:00:09 GMT", FINE, "agree"),
        ("Fri, 15 Jan 2027 08:00:12 GMT", FINE, "agree"),
        ("Fri, 15 Jan 2027 08:00:13 GMT", DOUBT, "3 s ahead of this one; 60 s are borne"),
        ("Fri, 15 Jan 2027 07:59:58 GMT", FINE, "agree"),
        ("Fri, 15 Jan 2027 07:59:57 GMT", DOUBT, "3 s behind this one; 60 s are borne"),
        ("Fri, 15 Jan 2027 07:59:00 GMT", DOUBT, "60 s behind"),
        ("Fri, 15 Jan 2027 07:58:59 GMT", WRONG, "61 s behind"),
        ("Fri, 15 Jan 2027 08:01:10 GMT", DOUBT, "60 s ahead of"),
        ("Fri, 15 Jan 2027 08:01:11 GMT", WRONG, "61 s ahead of"),
    ],
)
def test_clock(date: str, verdict: Verdict, says: str) -> None:
    # The answer took ten seconds: at some time between these two its date was right.
    found = judge_clock(ISSUER, date, 1_800_000_000, 1_800_000_010, 60)
    assert verdict_of(found, ISSUER) is verdict
    assert says in found.says


@pytest.mark.parametrize("date", ["yesterday", "", None])
def test_a_clock_that_is_not_told(date: str | None) -> None:
    found = judge_clock(ISSUER, date, 1_800_000_000, 1_800_000_010, 60)
    assert (found.subject, found.verdict, found.fix) == (ISSUER, DOUBT, "")
    assert "does not tell its time" in found.says


def test_keys() -> None:
    keys = import_public_keys(
        {"keys": [public_jwk(generate_key(alg), alg, alg) for alg in ("ES256", "RS256")]}
    )
    fine = judge_keys(ISSUER, keys, ["ES256", "ES384"])
    assert verdict_of(fine, ISSUER) is FINE
    assert fine.says == "1 key(s) for ES256 ES384"
    wrong = judge_keys(ISSUER, keys, ["EdDSA", "ES512"])
    assert verdict_of(wrong, ISSUER) is WRONG
    assert wrong.says == "has 2 key(s), none of them for EdDSA ES512"


@pytest.mark.parametrize(
    ("status", "location", "verdict", "says"),
    [
        (302, f"{CALLBACK}?error=login_required&state=x", FINE, "knows the redirect URI"),
        (303, f"{CALLBACK}?error=consent_required", FINE, "knows the redirect URI"),
        (302, f"{CALLBACK}#error=interaction_required", FINE, "knows the redirect URI"),
        (302, f"{CALLBACK}?code=x", FINE, "knows the redirect URI"),
        (302, f"{CALLBACK}?error=invalid_scope", WRONG, "refuses the request: invalid_scope"),
        (302, f"{ISSUER}/login", DOUBT, "cannot be checked"),
        (300, f"{ISSUER}/login", DOUBT, "cannot be checked"),
        (302, f"{CALLBACK}er?error=login_required", DOUBT, "cannot be checked"),
        (200, "", DOUBT, "cannot be checked"),
        (400, "", WRONG, "refuses the request itself (status 400)"),
        (403, "", WRONG, "refuses the request itself (status 403)"),
        (500, "", WRONG, "refuses the request itself (status 500)"),
    ],
)
def test_redirect_uri(status: int, location: str, verdict: Verdict, says: str) -> None:
    found = judge_redirect_uri(ISSUER, Head(status, location, ()), CALLBACK)
    assert verdict_of(found, ISSUER) is verdict
    assert says in found.says


@pytest.mark.parametrize(
    ("error", "shown"),
    [("e" * 201, "e" * 200), ("%1b%5b2J", r"\x1b[2J"), ("invalid_scope", "invalid_scope")],
)
def test_what_an_idp_says_is_shown_short_and_harmless(error: str, shown: str) -> None:
    found = judge_redirect_uri(ISSUER, Head(302, f"{CALLBACK}?error={error}", ()), CALLBACK)
    assert found.says == f"knows the redirect URI, and refuses the request: {shown}"


@pytest.mark.parametrize(
    ("answer", "verdict", "says"),
    [
        (Refused(Reason.PROVIDER_ERROR, error="invalid_grant"), FINE, "takes the client's proof"),
        (Refused(Reason.PROVIDER_ERROR, error="invalid_client"), WRONG, "(invalid_client)"),
        (Refused(Reason.PROVIDER_ERROR, error="unauthorized_client"), WRONG, "(unauthorized_client)"),
        (Refused(Reason.PROVIDER_ERROR, error="server_error"), DOUBT, "answers otherwise: "),
        (Refused(Reason.TOKEN_RESPONSE_MALFORMED), DOUBT, "answers otherwise: "),
        (None, DOUBT, "gives tokens for a made-up code"),
    ],
)
def test_redeeming(answer: Refused | None, verdict: Verdict, says: str) -> None:
    found = judge_redeeming(ISSUER, answer)
    assert verdict_of(found, ISSUER) is verdict
    assert says in found.says


@pytest.mark.parametrize(("status", "verdict"), [(200, FINE), (204, WRONG), (302, WRONG), (404, WRONG)])
def test_liveness(status: int, verdict: Verdict) -> None:
    assert verdict_of(judge_liveness("https://app.example.com", status), "public URL") is verdict


@pytest.mark.parametrize(
    ("public_url", "attributes", "verdict", "says"),
    [
        (
            "https://app.example.com",
            "Path=/.oidcgate/; Secure; HttpOnly; SameSite=Lax",
            FINE,
            ": Secure",
        ),
        (
            "https://app.example.com",
            "path=/.oidcgate/; secure; httponly; samesite=lax",
            FINE,
            ": Secure",
        ),
        (
            *("https://app.example.com", "Path=/.oidcgate/; Secure; HttpOnly; SameSite=None", WRONG),
            "without samesite=lax",
        ),
        (
            "https://app.example.com",
            "Path=/.oidcgate/; HttpOnly; SameSite=Lax",
            WRONG,
            "without secure",
        ),
        (
            "https://app.example.com",
            "Path=/.oidcgate/; SameSite=Lax",
            WRONG,
            "without httponly, secure",
        ),
        (
            "https://app.example.com",
            "HttpOnly; Secure; SameSite=Lax",
            WRONG,
            "without path=/.oidcgate/",
        ),
        (
            *("https://app.example.com", "Path=/.oidcgate/; Secure; HttpOnly; SameSite=Lax; Domain=a.b"),
            *(WRONG, "with a Domain"),
        ),
        (
            "http://localhost:8000",
            "Path=/.oidcgate/; HttpOnly; SameSite=Lax",
            FINE,
            ": HttpOnly, on http",
        ),
    ],
)
def test_cookie(public_url: str, attributes: str, verdict: Verdict, says: str) -> None:
    names = CookieNames.of(public_url)
    location = f"{ISSUER}/authorize?{urlencode({'redirect_uri': CALLBACK})}"
    head = Head(302, location, ("other=1", f"{names.transaction('s')}=v=; {attributes}"))
    (found,) = judge_login(head, names, CALLBACK, "app")
    assert verdict_of(found, "cookies") is verdict
    assert says in found.says


@pytest.mark.parametrize("status", [300, 399])
@pytest.mark.parametrize("cookies", [(), ("other=1; Path=/.oidcgate/; Secure; HttpOnly; SameSite=Lax",)])
def test_a_sign_in_without_a_cookie(status: int, cookies: tuple[str, ...]) -> None:
    names = CookieNames.of("https://app.example.com")
    (found,) = judge_login(Head(status, ISSUER, cookies), names, CALLBACK, "app")
    assert verdict_of(found, "cookies") is WRONG
    assert "no cookie" in found.says


def test_a_sign_in_with_another_callback() -> None:
    names = CookieNames.of("https://app.example.com")
    location = f"{ISSUER}/authorize?{urlencode({'redirect_uri': 'https://old.example.com/cb'})}"
    other, cookies = judge_login(Head(302, location, ()), names, CALLBACK, "app")
    assert verdict_of(other, "public URL") is WRONG
    assert other.says == "the gate that answers there names another redirect URI: https://old.example.com/cb"
    assert other.fix == "let it read this configuration, or correct public_url"
    assert verdict_of(cookies, "cookies") is WRONG


def test_a_sign_in_of_another_client() -> None:
    names = CookieNames.of("https://app.example.com")
    asked = {"redirect_uri": CALLBACK, "client_id": "another"}
    head = Head(302, f"{ISSUER}/authorize?{urlencode(asked)}", ())
    other, cookies = judge_login(head, names, CALLBACK, "app")
    assert verdict_of(other, "public URL") is WRONG
    assert other.says == "the gate that answers there names another client id: another"
    assert other.fix == "let it read this configuration, or correct client_id"
    assert verdict_of(cookies, "cookies") is WRONG


@pytest.mark.parametrize(
    ("status", "verdict", "says"),
    [
        (200, FINE, "a page of the gate"),
        (299, WRONG, "(status 299)"),
        (400, WRONG, "(status 400)"),
        (503, WRONG, "(status 503)"),
    ],
)
def test_a_sign_in_that_does_not_lead_on(status: int, verdict: Verdict, says: str) -> None:
    names = CookieNames.of("https://app.example.com")
    (found,) = judge_login(Head(status, "", ()), names, CALLBACK, "app")
    assert verdict_of(found, "public URL") is verdict
    assert says in found.says


@pytest.mark.row("G-18")
@pytest.mark.parametrize(
    ("loopback", "bind", "trusted", "verdict", "told"),
    [
        (False, "127.0.0.1:8080", (), DOUBT, 'list it: proxy.trusted_proxies = ["127.0.0.1"]'),
        (False, "localhost:8080", (), DOUBT, 'list it: proxy.trusted_proxies = ["127.0.0.1"]'),
        (False, "unix:/run/gate.sock", (), DOUBT, 'list it: proxy.trusted_proxies = ["unix"]'),
        (False, "[::1]:8080", (), DOUBT, 'list it: proxy.trusted_proxies = ["::1"]'),
        (False, "127.0.0.1:8080", ("127.0.0.1", "::1"), FINE, "believed: 127.0.0.1, ::1"),
        (True, "127.0.0.1:8080", (), FINE, "none: nobody is believed what they say of a client"),
        (False, "0.0.0.0:443", (), FINE, "none: nobody is believed what they say of a client"),
    ],
)
def test_proxies(loopback: bool, bind: str, trusted: tuple[str, ...], verdict: Verdict, told: str) -> None:
    found = judge_proxies(loopback, bind, trusted)
    assert verdict_of(found, "trusted proxies") is verdict
    assert (found.fix or found.says) == told


def test_a_sign_in_that_arrives_for_another_host() -> None:
    names = CookieNames.of("https://app.example.com")
    (found,) = judge_login(Head(421, "", ()), names, CALLBACK, "app")
    assert verdict_of(found, "public URL") is WRONG
    assert "another host (status 421)" in found.says
    assert found.fix.endswith("let the gate there read this configuration")

"""The two routes of a sign-in: what each faulty answer is refused for, and what tabs, buttons and other
browsers meet.
"""

from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, quote, urlencode, urljoin, urlsplit

import pytest

from oidcgate.directory.port import DirectoryUnavailable, KnownUser
from oidcgate.jose.keys import generate_key
from oidcgate.storage.records import StoreFailure, StoreUnavailable
from tests.support.lying_provider import (
    APP,
    CLIENT_ID,
    GONE,
    ISSUER,
    NAVIGATION,
    NOW,
    SCRIPT,
    Scene,
)

REDIRECTS = [
    line
    for line in (Path(__file__).parents[2] / "data" / "redirects.txt").read_text("utf-8").split("\n")
    if line and not line.startswith("#")
]


@pytest.mark.row("F-01", "F-07", "A-06", "A-08", "G-23")
def test_a_person_signs_in_and_arrives_where_they_wanted_to() -> None:
    scene = Scene.set()
    browser = scene.browser()
    answer = browser.sign_in("/reports/2026?page=2&q=a%20b")
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"{APP}/reports/2026?page=2&q=a%20b"
    assert browser.get("/reports/2026").text == "/reports/2026 Alice"
    assert scene.visitors == ["Alice"]
    assert [line["event"] for line in scene.audit] == ["login.succeeded"]


# state, code and iss in the answer of the IdP: (lies, reason, whether the token endpoint may be called)
ANSWERS = [
    pytest.param({"state": GONE}, "state_missing", id="state-missing"),
    pytest.param({"state": ""}, "state_missing", id="state-empty"),
    pytest.param({"state": ["a", "b"]}, "state_repeated", id="state-repeated"),
    pytest.param({"state": "A" * 43}, "state_unknown", id="state-foreign"),
    pytest.param({"state": "x; y=z"}, "state_unknown", id="state-cookie-syntax"),
    pytest.param({"state": "A" * 20_000}, "state_unknown", id="state-oversized"),
    pytest.param({"code": GONE}, "code_missing", id="code-missing"),
    pytest.param({"code": ""}, "code_missing", id="code-empty"),
    pytest.param({"code": ["code-0", "code-1"]}, "code_repeated", id="code-repeated"),
    pytest.param({"code": "a\nb"}, "code_malformed", id="code-control-character"),
    pytest.param({"iss": GONE}, "iss_missing", id="iss-missing"),
    pytest.param({"iss": [ISSUER, ISSUER]}, "iss_repeated", id="iss-repeated"),
    pytest.param({"iss": "https://evil.example"}, "iss_mismatch", id="iss-foreign"),
    pytest.param({"iss": ISSUER + "/"}, "iss_mismatch", id="iss-altered"),
    pytest.param({"error": "server_error"}, "provider_error", id="error-beside-a-code"),
    pytest.param({"error": "access_denied", "code": GONE}, "provider_error", id="access-denied"),
    pytest.param({"error": ["a", "b"]}, "error_repeated", id="error-repeated"),
]


@pytest.mark.row("A-08", "F-13", "G-24")
@pytest.mark.parametrize(("lies", "reason"), ANSWERS)
def test_an_answer_that_is_not_right_redeems_nothing(lies: dict[str, Any], reason: str) -> None:
    scene = Scene.set()
    browser = scene.browser()
    answer = browser.sign_in(**lies)
    assert answer.status_code in (400, 403)
    assert scene.reasons() == [reason]
    assert scene.provider.calls("/token") == 0
    assert not browser.has_session()
    assert scene.visitors == []


@pytest.mark.row("F-13")
def test_an_altered_state_redeems_nothing() -> None:
    scene = Scene.set()
    browser = scene.browser()
    state = parse_qs(urlsplit(location := browser.start()).query)["state"][0]
    altered = state[:-1] + ("A" if state[-1] != "A" else "B")
    assert browser.get(scene.provider.answer(location, state=altered)).status_code == 400
    assert scene.reasons() == ["state_unknown"]
    assert scene.provider.calls("/token") == 0


@pytest.mark.row("F-13")
def test_an_expired_attempt_redeems_nothing() -> None:
    scene = Scene.set()
    browser = scene.browser()
    callback = scene.provider.answer(browser.start())
    scene.clock.now += 600
    answer = browser.get(callback)
    assert answer.status_code == 400
    assert "This sign-in is over" in answer.text
    assert scene.reasons() == ["state_unknown"]
    assert scene.provider.calls("/token") == 0


OTHER_KEY = generate_key("ES256")


def repeated(member: str) -> Any:
    """Write a claim twice, signed by the true key: two readers would see two tokens."""

    def alter(token: str) -> str:
        import base64

        from joserfc import jws

        from tests.support.lying_provider import _KEY

        header, payload, _ = token.split(".")
        text = base64.urlsafe_b64decode(payload + "==").decode()
        twice = f'{{"{member}":"evil",{text[1:]}'
        body = base64.urlsafe_b64encode(twice.encode()).rstrip(b"=").decode()
        signature = jws.JWSRegistry.algorithms["ES256"].sign(f"{header}.{body}".encode(), _KEY)
        return f"{header}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    return alter


def tampered(token: str) -> str:
    header, payload, signature = token.split(".")
    return f"{header}.{payload}.{signature[:-4]}{'AAAA' if signature[-4:] != 'AAAA' else 'BBBB'}"


def unsigned(token: str) -> str:
    return token.rsplit(".", 1)[0] + "."


CLAIMS = [
    pytest.param({"nonce": GONE}, "id_token_nonce", id="nonce-missing", marks=pytest.mark.row("F-14")),
    pytest.param({"nonce": "n" * 43}, "id_token_nonce", id="nonce-foreign", marks=pytest.mark.row("F-14")),
    pytest.param({"nonce": ["n"]}, "id_token_malformed", id="nonce-list", marks=pytest.mark.row("F-14")),
    pytest.param({"iss": GONE}, "id_token_iss", id="iss-missing", marks=pytest.mark.row("F-04")),
    pytest.param(
        {"iss": "https://evil.example"}, "id_token_iss", id="iss-foreign", marks=pytest.mark.row("F-04")
    ),
    pytest.param({"iss": ISSUER + "/"}, "id_token_iss", id="iss-altered", marks=pytest.mark.row("F-04")),
    pytest.param({"aud": GONE}, "id_token_aud", id="aud-missing"),
    pytest.param({"aud": "other"}, "id_token_aud", id="aud-foreign"),
    pytest.param({"aud": [CLIENT_ID, "other"], "azp": CLIENT_ID}, "id_token_aud", id="aud-and-a-stranger"),
    pytest.param({"aud": []}, "id_token_aud", id="aud-empty"),
    pytest.param({"azp": "other"}, "id_token_azp", id="azp-foreign"),
    pytest.param({"aud": [CLIENT_ID, CLIENT_ID]}, "id_token_azp", id="azp-missing"),
    pytest.param({"exp": GONE}, "id_token_exp", id="exp-missing"),
    pytest.param({"exp": NOW - 61}, "id_token_exp", id="exp-expired"),
    pytest.param({"exp": "soon"}, "id_token_malformed", id="exp-text"),
    pytest.param({"iat": GONE}, "id_token_iat", id="iat-missing"),
    pytest.param({"iat": NOW + 3600}, "id_token_iat", id="iat-future"),
    pytest.param({"nbf": NOW + 3600}, "id_token_nbf", id="nbf-future"),
    pytest.param({"sub": GONE}, "id_token_sub", id="sub-missing"),
    pytest.param({"sub": ""}, "id_token_sub", id="sub-empty"),
    pytest.param({"at_hash": "AAAA"}, "id_token_at_hash", id="at-hash-foreign"),
]


def assert_refused(scene: Scene, reason: str) -> None:
    browser = scene.browser()
    answer = browser.sign_in()
    assert answer.status_code == 400
    assert scene.reasons() == [reason]
    assert scene.provider.calls("/token") == 1
    assert not browser.has_session()
    assert scene.visitors == []


@pytest.mark.row("A-08", "G-24")
@pytest.mark.parametrize(("lies", "reason"), CLAIMS)
def test_a_claim_that_is_not_right(lies: dict[str, Any], reason: str) -> None:
    scene = Scene.set()
    scene.provider.claims |= lies
    assert_refused(scene, reason)


@pytest.mark.row("A-08", "G-24")
@pytest.mark.parametrize(
    ("lies", "reason"),
    [
        pytest.param({"alg": "none"}, "id_token_alg", id="alg-none"),
        pytest.param({"alg": "HS256"}, "id_token_alg", id="alg-hs256"),
        pytest.param({"alg": "ES384"}, "id_token_alg", id="alg-not-announced"),
        pytest.param({"alg": "RS256"}, "id_token_kid_unknown", id="alg-of-another-kind-of-key"),
        pytest.param({"alg": GONE}, "id_token_malformed", id="alg-missing"),
        pytest.param({"kid": "two"}, "id_token_kid_unknown", id="kid-foreign"),
        pytest.param({"kid": 1}, "id_token_malformed", id="kid-number"),
        pytest.param({"typ": "at+jwt"}, "id_token_type", id="typ-access-token"),
        pytest.param({"crit": ["exp"]}, "id_token_malformed", id="crit"),
    ],
)
def test_a_header_that_is_not_right(lies: dict[str, Any], reason: str) -> None:
    scene = Scene.set()
    scene.provider.header |= lies
    assert_refused(scene, reason)


@pytest.mark.row("A-08", "G-24")
@pytest.mark.parametrize(
    ("alter", "reason"),
    [
        pytest.param(unsigned, "id_token_signature", id="signature-missing"),
        pytest.param(tampered, "id_token_signature", id="signature-altered"),
        pytest.param(lambda token: token + ".x", "id_token_malformed", id="signature-repeated"),
        pytest.param(lambda token: token.replace(".", "", 1), "id_token_malformed", id="two-parts"),
        pytest.param(lambda token: "a.b.c", "id_token_malformed", id="no-token"),
        pytest.param(repeated("iss"), "id_token_malformed", id="iss-repeated"),
        pytest.param(repeated("aud"), "id_token_malformed", id="aud-repeated"),
        pytest.param(repeated("azp"), None, id="azp-said-first"),
        pytest.param(repeated("nonce"), "id_token_malformed", id="nonce-repeated"),
        pytest.param(repeated("exp"), "id_token_malformed", id="exp-repeated"),
    ],
)
def test_a_token_that_is_not_right(alter: Any, reason: str | None) -> None:
    scene = Scene.set()
    scene.provider.altered = alter
    assert_refused(scene, reason or "id_token_azp")


@pytest.mark.row("A-08", "G-24")
def test_a_foreign_signature() -> None:
    scene = Scene.set()
    scene.provider.key = OTHER_KEY
    assert_refused(scene, "id_token_signature")


@pytest.mark.row("G-24")
def test_a_token_for_another_login_of_the_same_browser() -> None:
    scene = Scene.set()
    browser = scene.browser()
    nonce = parse_qs(urlsplit(browser.start()).query)["nonce"][0]
    scene.provider.claims["nonce"] = nonce
    assert browser.sign_in().status_code == 400
    assert scene.reasons() == ["id_token_nonce"]


@pytest.mark.row("A-08")
@pytest.mark.parametrize(
    ("lies", "reason"),
    [
        pytest.param({"id_token": GONE}, "id_token_missing", id="no-id-token"),
        pytest.param({"id_token": 1}, "token_response_malformed", id="id-token-number"),
        pytest.param({"access_token": GONE}, "token_response_malformed", id="no-access-token"),
        pytest.param({"token_type": "mac"}, "token_response_malformed", id="token-type"),
        pytest.param({"expires_in": "soon"}, "token_response_malformed", id="expires-in"),
        pytest.param({"error": "invalid_grant"}, "provider_error", id="error-with-200"),
    ],
)
def test_a_token_response_that_is_not_right(lies: dict[str, Any], reason: str) -> None:
    scene = Scene.set()
    scene.provider.tokens |= lies
    assert_refused(scene, reason)


def test_tokens_under_an_error_status_are_not_taken() -> None:
    scene = Scene.set()
    scene.provider.status = 400
    assert_refused(scene, "token_response_malformed")


@pytest.mark.row("A-08")
def test_a_code_of_another_login_fails_at_the_verifier() -> None:
    scene = Scene.set()
    victim, thief = scene.browser(), scene.browser()
    stolen = parse_qs(urlsplit(scene.provider.answer(victim.start())).query)["code"][0]
    assert thief.sign_in(code=stolen).status_code == 400
    assert scene.audit[-1]["detail"] == "invalid_grant"
    assert not thief.has_session()


@pytest.mark.row("G-24")
def test_an_attempt_that_a_sibling_host_planted_signs_nobody_in() -> None:
    scene = Scene.set()
    attacker, victim = scene.browser(), scene.browser()
    callback = scene.provider.answer(attacker.start())
    prefix, proof = scene.parts.names.transaction_prefix, scene.parts.names.proof_prefix
    ((name, value),) = (pair for pair in attacker.cookies().items() if pair[0].startswith(prefix))
    # All that a browser asks of `__Secure-`. What begins with `__Host-` it takes from no other host.
    victim.client.set_cookie(name, value, domain="app.example.com", path="/.oidcgate/", secure=True)
    assert victim.get(callback).status_code == 400
    assert not victim.has_session()
    assert scene.audit[-1]["reason"] == "state_unknown"
    assert scene.provider.calls("/token") == 0
    assert attacker.get(callback).status_code == 303
    assert not [name for name in attacker.cookies() if name.startswith((prefix, proof))]


class TestTheSameAnswerAgain:
    """Replayed, elsewhere, twice, or with the back button."""

    @pytest.mark.row("A-08")
    def test_replayed_by_whoever_is_signed_in(self) -> None:
        scene = Scene.set()
        browser = scene.browser()
        callback = scene.provider.answer(browser.start())
        browser.get(callback)
        again = browser.get(callback)
        assert again.status_code == 303
        assert again.headers["Location"] == f"{APP}/"
        assert scene.provider.calls("/token") == 1
        assert browser.has_session()

    @pytest.mark.row("A-08")
    def test_replayed_after_signing_out(self) -> None:
        scene = Scene.set()
        browser = scene.browser()
        callback = scene.provider.answer(browser.start())
        browser.get(callback)
        browser.post("/.oidcgate/logout", {})
        again = browser.get(callback)
        assert again.status_code == 400
        assert "page-error" in again.text
        assert f"{APP}/.oidcgate/login" in again.text
        assert scene.provider.calls("/token") == 1
        assert not browser.has_session()

    @pytest.mark.row("A-08", "G-24")
    def test_in_another_browser(self) -> None:
        scene = Scene.set()
        callback = scene.provider.answer(scene.browser().start())
        other = scene.browser()
        assert other.get(callback).status_code == 400
        assert scene.reasons() == ["state_unknown"]
        assert scene.provider.calls("/token") == 0
        assert not other.has_session()

    @pytest.mark.row("G-24")
    def test_a_victim_is_not_signed_in_as_the_attacker(self) -> None:
        scene = Scene.set()
        attacker, victim = scene.browser(), scene.browser()
        victim.start()
        assert victim.get(scene.provider.answer(attacker.start())).status_code == 400
        assert not victim.has_session()

    @pytest.mark.row("G-01", "T-03")
    def test_two_tabs_both_arrive(self) -> None:
        scene = Scene.set()
        browser = scene.browser()
        first, second = browser.start("/one"), browser.start("/two")
        arrived = [browser.get(scene.provider.answer(location)) for location in (second, first)]
        assert [answer.headers["Location"] for answer in arrived] == [f"{APP}/two", f"{APP}/one"]
        assert browser.has_session()

    @pytest.mark.row("G-01")
    def test_one_tab_fails_and_the_other_arrives(self) -> None:
        scene = Scene.set()
        browser = scene.browser()
        first, second = browser.start("/one"), browser.start("/two")
        assert browser.get(scene.provider.answer(first, error="access_denied")).status_code == 403
        assert browser.get(scene.provider.answer(second)).headers["Location"] == f"{APP}/two"

    def test_a_failed_attempt_is_over(self) -> None:
        scene = Scene.set()
        browser = scene.browser()
        location = browser.start()
        browser.get(scene.provider.answer(location, iss="https://evil.example"))
        assert browser.get(scene.provider.answer(location)).status_code == 400
        assert scene.provider.calls("/token") == 0

    def test_looking_spends_nothing(self) -> None:
        scene = Scene.set()
        browser = scene.browser()
        callback = scene.provider.answer(browser.start())
        head = browser.client.head(callback.removeprefix(APP), base_url=APP, headers=dict(NAVIGATION))
        assert (head.status_code, head.headers["Allow"]) == (405, "GET, POST")
        assert browser.get(callback).status_code == 303


@pytest.mark.row("G-23", "T-03")
class TestTheSession:
    """New at each login, and the one before does not survive."""

    def test_the_one_before_ends(self) -> None:
        scene = Scene.set()
        browser, thief = scene.browser(), scene.browser()
        browser.sign_in()
        name = scene.parts.names.session
        old = browser.cookies()[name]
        thief.client.set_cookie(name, old, domain="app.example.com", secure=True)
        assert thief.has_session()
        location = browser.get("/.oidcgate/login?rd=/").headers["Location"]
        browser.get(scene.provider.answer(location))
        assert browser.cookies()[name] != old
        assert browser.has_session()
        assert not thief.has_session()

    @pytest.mark.row("G-03")
    def test_too_large_for_a_cookie(self) -> None:
        scene = Scene.set()
        scene.provider.claims["name"] = "x" * 4000
        answer = scene.browser().sign_in()
        assert answer.status_code == 500
        assert "page-error" in answer.text
        assert scene.audit[-1]["reason"] == "session_too_large"
        assert "name" in scene.audit[-1]["detail"]


@pytest.mark.row("F-08")
class TestWhoIsNotKnown:
    """403, no session, nothing created, the app not called, the name in the log."""

    def refused(self, scene: Scene, why: str, text: str) -> None:
        browser = scene.browser()
        answer = browser.sign_in("/private?x=1")
        assert answer.status_code == 403
        assert 'id="page-unknown-user"' in answer.text
        assert text in answer.text
        line = scene.audit[-1]
        assert (line["event"], line["why"]) == ("login.user_refused", why)
        assert line["claimed_name"] == scene.provider.claims.get("preferred_username", "alice")
        assert scene.parts.names.session not in browser.cookies()
        assert not browser.has_session()
        assert scene.visitors == []

    def test_unknown(self) -> None:
        scene = Scene.set()
        scene.provider.claims["preferred_username"] = "mallory"
        self.refused(scene, "unknown", "mallory")

    def test_inactive(self) -> None:
        scene = Scene.set()
        scene.directory.users["alice"] = KnownUser("Alice", active=False)
        self.refused(scene, "inactive", "alice")

    @pytest.mark.row("F-10")
    def test_ambiguous(self) -> None:
        scene = Scene.set()
        scene.directory.ambiguous.add("alice")
        self.refused(scene, "ambiguous", "alice")

    def test_a_name_is_text_wherever_it_is_shown(self) -> None:
        scene = Scene.set()
        scene.provider.claims["preferred_username"] = "<script>alert(1)</script>"
        answer = scene.browser().sign_in()
        assert "<script>" not in answer.text
        assert "&lt;script&gt;" in answer.text
        assert "script-src" not in answer.headers["Content-Security-Policy"]

    def test_another_account_is_offered(self) -> None:
        scene = Scene.set()
        scene.provider.claims["preferred_username"] = "mallory"
        browser = scene.browser()
        browser.sign_in("/private?x=1")
        away = browser.post("/.oidcgate/logout", {"switch": "1", "rd": "/private?x=1"})
        state = parse_qs(urlsplit(away.headers["Location"]).query)["state"][0]
        back = browser.get(f"/.oidcgate/logged-out?{urlencode({'state': state})}")
        asked = parse_qs(urlsplit(browser.get(back.headers["Location"]).headers["Location"]).query)
        assert asked["prompt"] == ["login"]

    def test_a_script_is_told_in_json(self) -> None:
        scene = Scene.set()
        scene.provider.claims["preferred_username"] = "mallory"
        browser = scene.browser()
        answer = browser.get(scene.provider.answer(browser.start()), SCRIPT)
        assert answer.status_code == 403
        assert answer.get_json()["error"] == "unknown_user"

    def test_where_a_rule_lets_every_signed_in_person_in_there_is_a_session(self) -> None:
        scene = Scene.set({"rules": [{"path": "/open/**", "allow": "signed-in"}]})
        scene.provider.claims["preferred_username"] = "mallory"
        browser = scene.browser()
        assert browser.sign_in("/open/x").status_code == 303
        assert browser.get("/open/x").status_code == 200
        assert browser.get("/private").status_code == 403

    @pytest.mark.row("G-30")
    @pytest.mark.parametrize("name", ["mal\nlory", "alice\u200b", " alice", "a" * 151, "\x00"])
    def test_a_stranger_needs_a_name_that_could_be_one(self, name: str) -> None:
        scene = Scene.set({"rules": [{"path": "/open/**", "allow": "signed-in"}]})
        scene.provider.claims["preferred_username"] = name
        browser = scene.browser()
        assert browser.sign_in("/open/x").status_code == 403
        assert not browser.has_session()

    def test_a_directory_that_is_away_lets_nobody_in(self) -> None:
        scene = Scene.set()
        scene.directory.failure = DirectoryUnavailable("gone")
        browser = scene.browser()
        answer = browser.sign_in()
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        scene.directory.failure = None
        assert not browser.has_session()


@pytest.mark.row("G-22")
@pytest.mark.parametrize(
    "target", ["/.oidcgate/logout", "/%2eoidcgate/logout", "/.oidcgat%65/login", f"{APP}/%2Eoidcgate/login"]
)
def test_a_sign_in_never_leads_to_a_route_of_ours(target: str) -> None:
    scene = Scene.set()
    browser = scene.browser()
    asked = browser.get(f"/.oidcgate/login?{urlencode({'rd': target})}").headers["Location"]
    assert browser.get(scene.provider.answer(asked)).headers["Location"] == f"{APP}/"


@pytest.mark.row("G-12")
class TestTheLoopBreaker:
    """A browser that signs in again and again is stopped, and told which check it fails."""

    def test_a_session_cookie_that_never_comes_back(self) -> None:
        scene = Scene.set()
        browser = scene.browser()
        for _ in range(3):
            browser.sign_in()
            browser.client.delete_cookie(scene.parts.names.session, domain="app.example.com")
        page = browser.get(browser.get("/private").headers["Location"])
        assert page.status_code == 403
        assert 'id="page-login-loop"' in page.text
        assert "did not send back the session cookie" in page.text
        assert scene.audit[-1]["event"] == "login.looped"
        assert scene.audit[-1]["reason"] == "no_session_cookie"
        # The person may try again.
        assert browser.get("/.oidcgate/login?rd=/private").status_code == 303

    def test_a_session_cookie_that_is_refused(self) -> None:
        scene = Scene.set()
        browser = scene.browser()
        for _ in range(3):
            browser.sign_in()
            browser.client.set_cookie(
                scene.parts.names.session, "altered", domain="app.example.com", secure=True
            )
        page = browser.get(browser.get("/private").headers["Location"])
        assert "it was refused" in page.text
        assert scene.audit[-1]["reason"] == "session_cookie_unreadable"

    def test_a_session_that_is_over_when_it_begins(self) -> None:
        scene = Scene.set({"session": {"idle_minutes": 1, "absolute_minutes": 1}})
        browser = scene.browser()
        for _ in range(3):
            browser.sign_in()
            session = browser.cookies()[scene.parts.names.session]
            browser.client.delete_cookie(scene.parts.names.session, domain="app.example.com")
        # As on a host whose clock is ahead.
        scene.clock.now += 61
        browser.client.set_cookie(scene.parts.names.session, session, domain="app.example.com", secure=True)
        browser.client.set_cookie(
            scene.parts.names.loop, "3", domain="app.example.com", path="/.oidcgate/", secure=True
        )
        page = browser.get("/.oidcgate/login?rd=/private")
        assert 'id="page-login-loop"' in page.text
        assert "A clock of this service is wrong" in page.text
        assert (scene.audit[-1]["check"], scene.audit[-1]["reason"]) == ("clock", "session_expired")

    def test_an_app_that_is_open_under_another_address(self) -> None:
        scene = Scene.set()
        browser, elsewhere = scene.browser(), {**NAVIGATION, "Host": "other.example"}
        for _ in range(3):
            # What is open there is sent to sign in here, where the session is good all the time.
            stranger = scene.browser().client.get("/private", base_url="https://x", headers=elsewhere)
            login = stranger.headers["Location"]
            browser.get(scene.provider.answer(browser.get(login).headers["Location"]))
        page = browser.get(login)
        assert 'id="page-login-loop"' in page.text
        assert "the page was opened under another address" in page.text
        assert f"<bdi>{APP}</bdi>" in page.text
        assert (scene.audit[-1]["check"], scene.audit[-1]["reason"]) == ("address", "valid")

    def test_a_browser_without_cookies_is_told_so(self) -> None:
        scene = Scene.set()
        location = scene.browser().start()
        page = scene.browser().get(scene.provider.answer(location))
        assert page.status_code == 400
        assert "Your browser sent no cookies" in page.text
        assert "/.oidcgate/login" in page.text
        assert scene.reasons() == ["state_unknown"]

    def test_many_tabs_are_no_loop(self) -> None:
        scene = Scene.set()
        browser = scene.browser()
        locations = [browser.start(f"/tab/{number}") for number in range(8)]
        for location in locations:
            assert browser.get(scene.provider.answer(location)).status_code == 303
        assert browser.get("/.oidcgate/login?rd=/").status_code == 303

    def test_signing_in_and_out_is_no_loop(self) -> None:
        scene = Scene.set()
        browser = scene.browser()
        for _ in range(6):
            assert browser.sign_in().status_code == 303
            browser.post("/.oidcgate/logout", {})

    @pytest.mark.parametrize("value", ["", "x", "-1", "33", "٣", "9e9"])
    def test_a_forged_count_breaks_nothing(self, value: str) -> None:
        scene = Scene.set()
        browser = scene.browser()
        header = {**NAVIGATION, "Cookie": f"{scene.parts.names.loop}={value}".encode().decode("latin-1")}
        assert browser.get("/.oidcgate/login?rd=/", header).status_code == 303


@pytest.mark.row("S-23", "G-22")
class TestWhereALoginLeads:
    """Only to a path of our own, whatever the link says."""

    @pytest.mark.parametrize("target", REDIRECTS)
    def test_never_off_our_origin(self, target: str) -> None:
        scene = Scene.set()
        browser = scene.browser()
        location = browser.get(f"/.oidcgate/login?{urlencode({'rd': target})}").headers["Location"]
        assert urlsplit(location).netloc == "id.example"
        arrived = browser.get(scene.provider.answer(location)).headers["Location"]
        # As a browser would read it: tabs and line ends dropped, backslashes as slashes.
        seen = urljoin(APP, arrived.replace("\t", "").replace("\n", "").replace("\\", "/"))
        assert (urlsplit(seen).scheme, urlsplit(seen).netloc) == ("https", "app.example.com")

    @pytest.mark.parametrize("target", ["/.oidcgate/login", "/.oidcgate/logout", "/.oidcgate/logged-out?x=1"])
    def test_never_to_a_route_of_ours(self, target: str) -> None:
        scene = Scene.set()
        browser = scene.browser()
        location = browser.get(f"/.oidcgate/login?rd={quote(target)}").headers["Location"]
        assert browser.get(scene.provider.answer(location)).headers["Location"] == f"{APP}/"

    def test_our_own_origin_may_be_written_out(self) -> None:
        scene = Scene.set()
        browser = scene.browser()
        location = browser.get(f"/.oidcgate/login?rd={quote(APP + '/a?b=c#d')}").headers["Location"]
        assert browser.get(scene.provider.answer(location)).headers["Location"] == f"{APP}/a?b=c#d"


class TestWhatIsAskedOfTheLogin:
    """A fresher or stronger sign-in is asked for and checked on return."""

    RULES: ClassVar = [
        {"path": "/fresh/**", "allow": "known", "max_age_seconds": 60},
        {"path": "/strong/**", "allow": "known", "acr_values": ["mfa"]},
    ]

    def test_too_long_ago(self) -> None:
        scene = Scene.set({"rules": self.RULES})
        browser = scene.browser()
        browser.sign_in()
        scene.clock.now += 100
        location = browser.start("/fresh/x")
        assert parse_qs(urlsplit(location).query)["max_age"] == ["60"]
        scene.provider.claims["auth_time"] = NOW - 300
        assert browser.get(scene.provider.answer(location)).status_code == 400
        assert scene.reasons() == ["id_token_auth_time"]
        scene.provider.claims["auth_time"] = NOW + 100
        assert browser.sign_in("/fresh/x").status_code == 303
        assert browser.get("/fresh/x").status_code == 200

    def test_not_strong_enough(self) -> None:
        scene = Scene.set({"rules": self.RULES})
        browser = scene.browser()
        browser.sign_in()
        location = browser.start("/strong/x")
        assert parse_qs(urlsplit(location).query)["acr_values"] == ["mfa"]
        assert browser.get(scene.provider.answer(location)).status_code == 400
        assert scene.reasons() == ["id_token_acr"]
        scene.provider.claims["acr"] = "mfa"
        assert browser.sign_in("/strong/x").status_code == 303
        assert browser.get("/strong/x").status_code == 200

    @pytest.mark.parametrize("value", ["-1", "x", "1e3", "9" * 10, "٣"])
    def test_nonsense_is_refused(self, value: str) -> None:
        assert Scene.set().browser().get(f"/.oidcgate/login?max_age={quote(value)}").status_code == 400


@pytest.mark.row("G-01", "G-02")
class TestInAFrame:
    """A page that is not ours has our pages in a frame, where nobody sees them."""

    def headers(self, place: str, site: str) -> dict[str, str]:
        return {**NAVIGATION, "Sec-Fetch-Dest": place, "Sec-Fetch-Site": site}

    @pytest.mark.parametrize("place", ["iframe", "frame", "embed", "object", ""])
    @pytest.mark.parametrize("site", ["cross-site", "same-site", "none", ""])
    def test_no_sign_in_begins(self, place: str, site: str) -> None:
        browser = Scene.set().browser()
        answer = browser.get("/.oidcgate/login?rd=/private", self.headers(place, site))
        assert answer.status_code == 400
        assert "Set-Cookie" not in answer.headers

    def test_nor_by_way_of_a_page_of_the_app(self) -> None:
        browser, frame = Scene.set().browser(), self.headers("iframe", "cross-site")
        answer = browser.get("/private", frame)
        assert browser.get(answer.headers["Location"], frame).status_code == 400
        assert browser.cookies() == {}

    def test_nor_by_an_image(self) -> None:
        headers = {"Accept": "image/*", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "cross-site"}
        browser = Scene.set().browser()
        for path in ("/private", "/.oidcgate/login?rd=/private"):
            answer = browser.get(path, {**headers, "Sec-Fetch-Dest": "image"})
            assert (answer.status_code, answer.headers.get("Set-Cookie")) == (401, None)

    def test_so_many_of_them_push_no_sign_in_out(self) -> None:
        scene = Scene.set()
        browser = scene.browser()
        asked = browser.start()
        for number in range(20):
            scene.clock.now += 1
            browser.get(f"/.oidcgate/login?rd=/{number}", self.headers("iframe", "cross-site"))
        assert browser.get(scene.provider.answer(asked)).headers["Location"] == f"{APP}/private"
        assert browser.has_session()

    def test_a_page_of_the_app_may_hold_another_in_a_frame(self) -> None:
        scene, frame = Scene.set(), self.headers("iframe", "same-origin")
        browser = scene.browser()
        answer = browser.get(browser.get("/private", frame).headers["Location"], frame)
        # The provider's redirect: what comes from there has crossed sites.
        back = browser.get(
            scene.provider.answer(answer.headers["Location"]), self.headers("iframe", "cross-site")
        )
        assert back.headers["Location"] == f"{APP}/private"
        assert browser.has_session()

    @pytest.mark.parametrize("site", ["cross-site", "same-site"])
    def test_a_silent_one_leaves_the_session_as_it_is(self, site: str) -> None:
        browser = Scene.set().browser()
        browser.sign_in()
        answer = browser.get("/.oidcgate/login?rd=/x&prompt=none", self.headers("iframe", site))
        assert (answer.status_code, answer.headers["Location"]) == (303, f"{APP}/x")
        assert "Set-Cookie" not in answer.headers
        assert browser.has_session()


@pytest.mark.parametrize("signed_in", [False, True])
@pytest.mark.parametrize(
    ("link", "asked"),
    [
        ("", "login"),
        ("&prompt=none", "login"),
        ("&prompt=select_account", "select_account login"),
        ("&prompt=consent+login", "consent login"),
    ],
)
def test_no_link_asks_less_than_the_rule(link: str, asked: str, signed_in: bool) -> None:
    rule = {"path": "/admin/**", "allow": "known", "prompt": ["login"], "acr_values": ["mfa"]}
    browser = Scene.set({"rules": [rule]}).browser()
    if signed_in:
        browser.sign_in("/")
    answer = browser.get(f"/.oidcgate/login?rd=/admin/x{link}&acr_values=pwd")
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert (query["prompt"], query["acr_values"]) == ([asked], ["mfa"])


class TestFormPost:
    """The IdP answers by a POST; one from another site is in `test_answers_by_form_post` next door."""

    def test_it_signs_in(self) -> None:
        scene = Scene.set({"provider": {"response_mode": "form_post"}})
        browser = scene.browser()
        location = browser.start("/private?x=1")
        assert parse_qs(urlsplit(location).query)["response_mode"] == ["form_post"]
        form = dict(parse_qs(urlsplit(scene.provider.answer(location)).query))
        # Of a provider on the same site our cookies come along at once.
        same_site = {"Origin": "https://id.example.com", "Sec-Fetch-Site": "same-site"}
        answer = browser.post(
            "/.oidcgate/callback", {name: values[0] for name, values in form.items()}, same_site
        )
        assert answer.status_code == 303
        assert answer.headers["Location"] == f"{APP}/private?x=1"
        assert browser.has_session()

    @pytest.mark.parametrize("mode", ["query", "form_post"])
    def test_the_other_way_is_refused(self, mode: str) -> None:
        scene = Scene.set({"provider": {"response_mode": mode}})
        browser = scene.browser()
        callback = scene.provider.answer(browser.start())
        if mode == "form_post":
            answer = browser.get(callback)
        else:
            answer = browser.post("/.oidcgate/callback", dict(parse_qs(urlsplit(callback).query)))
        assert answer.status_code == 400
        assert scene.provider.calls("/token") == 0

    def test_state_in_both_query_and_body_is_repeated(self) -> None:
        scene = Scene.set({"provider": {"response_mode": "form_post"}})
        browser = scene.browser()
        query = urlsplit(scene.provider.answer(browser.start())).query
        form = {name: values[0] for name, values in parse_qs(query).items()}
        assert browser.post(f"/.oidcgate/callback?{query}", form).status_code == 400
        assert scene.reasons() == ["state_repeated"]


class TestErrorAnswers:
    """What the IdP says is shown by kind, never by its words."""

    @pytest.mark.row("A-08")
    def test_refusal_by_the_person(self) -> None:
        scene = Scene.set()
        answer = scene.browser().sign_in(
            error="access_denied",
            error_description="<b>call 555-1234</b>",
            error_uri="https://evil.example",
            code=GONE,
        )
        assert answer.status_code == 403
        assert "The sign-in was cancelled" in answer.text
        assert "555-1234" not in answer.text
        assert "evil.example" not in answer.text
        assert scene.audit[-1]["incident"] in answer.text
        # Starting again leads where the person wanted to go.
        assert "/.oidcgate/login?rd=%2Fprivate" in answer.text

    @pytest.mark.parametrize(
        ("error", "logged"),
        [("<script>", "<script>"), ("a" * 5000, "malformed"), ("x\ny", "malformed")],
        ids=["markup", "long", "two-lines"],
    )
    def test_an_error_code_that_is_none(self, error: str, logged: str) -> None:
        scene = Scene.set()
        answer = scene.browser().sign_in(error=error, code=GONE)
        assert answer.status_code == 400
        assert error not in answer.text
        assert scene.audit[-1]["detail"] == logged


class TestOutages:
    """The state store cannot be asked: nobody in, nobody out."""

    @staticmethod
    def fails(*_: object, **__: object) -> object:
        raise StoreUnavailable(StoreFailure.LOCKED, "locked")

    def test_a_session_that_cannot_be_ended_later_does_not_begin(self) -> None:
        scene = Scene.set()
        browser = scene.browser()
        callback = scene.provider.answer(browser.start())
        state: Any = scene.parts.state
        state.put = self.fails
        answer = browser.get(callback)
        assert answer.status_code == 503
        assert "/.oidcgate/login?rd=%2Fprivate" in answer.text
        assert scene.parts.names.session not in browser.cookies()

    def test_a_session_that_cannot_be_written_is_told_of_the_store_of_sessions(self) -> None:
        scene = Scene.set({"session": {"store": "memory"}})
        browser = scene.browser()
        callback = scene.provider.answer(browser.start())
        sessions: Any = scene.parts.sessions
        sessions._store.put = self.fails
        assert browser.get(callback).status_code == 503
        logged = scene.audit[-1]
        assert (logged["event"], logged["what"]) == ("service.unavailable", "sessions")
        assert logged["detail"] == "locked"
        assert scene.parts.names.session not in browser.cookies()

    def test_the_code_is_not_spent_while_the_session_of_before_cannot_be_judged(self) -> None:
        scene = Scene.set()
        browser = scene.browser()
        browser.sign_in()
        cookie = browser.cookies()[scene.parts.names.session]
        callback = scene.provider.answer(browser.get("/.oidcgate/login?rd=/").headers["Location"])
        state: Any = scene.parts.state
        kept = state.generation, state.find
        state.generation = state.find = self.fails
        scene.clock.now += 60
        assert browser.get(callback).status_code == 503
        assert scene.provider.calls("/token") == 1
        assert browser.cookies()[scene.parts.names.session] == cookie
        state.generation, state.find = kept
        assert browser.get(callback).status_code == 303


def test_a_script_is_not_sent_away_and_opens_no_attempt() -> None:
    browser = Scene.set().browser()
    answer = browser.get("/.oidcgate/login?rd=/x", SCRIPT)
    assert answer.status_code == 401
    assert answer.get_json() == {"error": "login_required", "login_url": f"{APP}/.oidcgate/login"}
    assert "Set-Cookie" not in answer.headers


@pytest.mark.row("A-04")
def test_nothing_secret_is_logged() -> None:
    scene = Scene.set()
    browser = scene.browser()
    location = browser.start()
    browser.get(scene.provider.answer(location))
    text = str(scene.audit)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    secrets = {
        "cookie": browser.cookies()[scene.parts.names.session],
        "access token": "the-access-token",
        "code": "code-0",
        "state": asked["state"],
        "nonce": asked["nonce"],
        "verifier": scene.provider.sent[0]["code_verifier"],
    }
    assert not [name for name, secret in secrets.items() if secret in text]


def test_a_signature_made_with_the_public_key_as_a_secret_is_refused() -> None:
    # RFC 8725 2.1: the classic confusion of HS256 with an RSA or EC key.
    scene = Scene.set()
    scene.provider.header["alg"] = "HS256"
    scene.provider.metadata["id_token_signing_alg_values_supported"] = ["HS256", "ES256"]
    assert_refused(scene, "id_token_alg")

"""The frame that watches the session at the IdP: what it is told and asks, and when a session ends by it.

What its script does with a browser's frames is tests/live/test_session_watch.py.
"""

import html
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import requests
from werkzeug.test import TestResponse

from oidcgate.gate.config import config_from_mapping
from oidcgate.settings import SettingsError
from tests.support.lying_provider import APP, GONE, ISSUER, NAVIGATION, SCRIPT, SECRET, Browser, Scene

FRAME = "/.oidcgate/session-frame"
CHECK = "/.oidcgate/session-check"
ENDED = f"{APP}{FRAME}?ended="
OP_FRAME = "https://login.id.example:8443/check"
OUR_FRAME = {**NAVIGATION, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "iframe"}
WATCHED = {"provider": {"session_check_seconds": 10}}


def signed_in(settings: dict[str, Any] | None = None, **answer: Any) -> tuple[Scene, Browser]:
    scene = Scene.set(WATCHED if settings is None else settings)
    scene.provider.metadata["check_session_iframe"] = OP_FRAME
    browser = scene.browser()
    browser.sign_in(**{"session_state": 'a"b.c', **answer})
    assert browser.has_session()
    return scene, browser


def asked(browser: Browser) -> str:
    answer = browser.get(CHECK, OUR_FRAME)
    assert answer.status_code == 303
    return answer.headers["Location"]


def is_empty(answer: TestResponse) -> bool:
    return answer.status_code == 200 and "script" not in answer.text and "iframe" not in answer.text


class TestTheFrame:
    def test_what_it_watches(self) -> None:
        _, browser = signed_in()
        page = browser.get(FRAME)
        told = {name: html.unescape(value) for name, value in re.findall(r'data-(\w+)="([^"]*)"', page.text)}
        assert told == {
            "question": 'app a"b.c',
            "origin": "https://login.id.example:8443",
            "seconds": "10",
            "check": CHECK,
        }
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-src https://login.id.example:8443;" in policy
        assert f"frame-ancestors {APP};" in policy
        assert re.search(r"script-src 'sha256-[^']+';", policy)
        assert page.headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param({"session_state": GONE}, id="none"),
            pytest.param({"session_state": ""}, id="empty"),
            pytest.param({"session_state": "a b"}, id="space"),
            pytest.param({"session_state": "ä"}, id="not-ascii"),
            pytest.param({"session_state": ["a", "b"]}, id="two"),
            pytest.param({"session_state": "a" * 501}, id="long"),
        ],
    )
    def test_nothing_without_a_state_to_ask_about(self, answer: dict[str, Any]) -> None:
        _, browser = signed_in(**answer)
        assert is_empty(browser.get(FRAME))

    def test_nothing_where_it_is_off(self) -> None:
        _, browser = signed_in({})
        assert is_empty(browser.get(FRAME))
        assert browser.get(CHECK, OUR_FRAME).headers["Location"] == APP + FRAME

    def test_nothing_of_a_provider_that_has_no_such_frame(self) -> None:
        scene = Scene.set(WATCHED)
        browser = scene.browser()
        browser.sign_in(session_state="a.b")
        assert is_empty(browser.get(FRAME))

    def test_nothing_for_strangers(self) -> None:
        browser = Scene.set(WATCHED).browser()
        assert is_empty(browser.get(FRAME))
        assert browser.get(CHECK, OUR_FRAME).headers["Location"] == APP + FRAME

    def test_it_says_that_a_session_ended_to_pages_of_ours_alone(self) -> None:
        browser = Scene.set(WATCHED).browser()
        page = browser.get(f"{FRAME}?ended=")
        assert 'postMessage("oidcgate:signed-out", location.origin)' in page.text
        assert f"frame-ancestors {APP};" in page.headers["Content-Security-Policy"]

    def test_it_says_so_of_no_session_that_goes_on(self) -> None:
        _, browser = signed_in()
        assert "oidcgate:signed-out" not in browser.get(f"{FRAME}?ended=").text

    def test_form_post_is_refused_with_it(self) -> None:
        provider = {"issuer": ISSUER, "client_id": "app", "client_secret": "s", "response_mode": "form_post"}
        with pytest.raises(SettingsError) as refused:
            config_from_mapping(
                {
                    "public_url": APP,
                    "provider": {**provider, "session_check_seconds": 5},
                    "users": {"source": "any"},
                    "session": {"secret": SECRET},
                }
            )
        assert "provider.session_check_seconds: 5 does not go with response_mode form_post" in str(
            refused.value
        )


class TestAsking:
    def test_without_a_page(self) -> None:
        _, browser = signed_in()
        query = parse_qs(urlsplit(asked(browser)).query)
        assert query["prompt"] == ["none"]
        assert query["redirect_uri"] == [f"{APP}/.oidcgate/callback"]
        assert query["code_challenge_method"] == ["S256"]

    def test_about_the_person_of_the_last_id_token(self) -> None:
        scene, browser = signed_in()
        hints = []
        for _ in range(2):
            location = asked(browser)
            [hint] = parse_qs(urlsplit(location).query)["id_token_hint"]
            assert jwt.decode(hint, options={"verify_signature": False})["sub"] == "sub-of-alice"
            hints.append(hint)
            scene.provider.claims["jti"] = "of-the-second-one"
            browser.get(scene.provider.answer(location, session_state="new.state"))
        assert hints[0] != hints[1]

    def test_without_a_hint_that_makes_the_address_too_long(self) -> None:
        scene = Scene.set(WATCHED)
        scene.provider.claims["groups"] = ["g" * 100] * 100
        browser = scene.browser()
        browser.sign_in(session_state="a.b")
        assert "id_token_hint" not in parse_qs(urlsplit(asked(browser)).query)

    @pytest.mark.row("G-24")
    @pytest.mark.parametrize(
        "headers",
        [
            pytest.param({**OUR_FRAME, "Sec-Fetch-Site": "cross-site"}, id="frame-of-another-site"),
            pytest.param({**OUR_FRAME, "Sec-Fetch-Site": "same-site"}, id="frame-of-a-sibling"),
            pytest.param({**OUR_FRAME, "Sec-Fetch-Dest": "document"}, id="link-of-ours"),
            pytest.param(
                {**NAVIGATION, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"},
                id="link-of-another-site",
            ),
            pytest.param({**NAVIGATION, "Sec-Fetch-Site": "none"}, id="address-bar"),
            pytest.param({**OUR_FRAME, "Sec-Fetch-Site": ""} | {"Sec-Fetch-Dest": ""}, id="empty"),
            pytest.param({**OUR_FRAME, "Sec-Purpose": "prefetch"}, id="nobody-looks"),
            pytest.param({**SCRIPT, "Sec-Fetch-Site": "same-origin"}, id="script"),
            pytest.param({"Accept": "image/avif,*/*;q=0.8"}, id="image-in-an-old-browser"),
        ],
    )
    def test_nobody_but_our_frame_may(self, headers: dict[str, str]) -> None:
        _, browser = signed_in()
        before = browser.cookies()
        answer = browser.get(CHECK, headers)
        assert (answer.status_code, answer.get_json()) == (403, {"error": "not_the_session_frame"})
        assert browser.cookies() == before
        assert browser.has_session()

    def test_a_browser_too_old_to_say_where_it_is_led_from_may(self) -> None:
        _, browser = signed_in()
        answer = browser.get(CHECK, {"Accept": "text/html,*/*;q=0.8"})
        assert parse_qs(urlsplit(answer.headers["Location"]).query)["prompt"] == ["none"]

    def test_the_same_person_goes_on_with_a_new_state(self) -> None:
        scene, browser = signed_in()
        location = asked(browser)
        answer = browser.get(scene.provider.answer(location, session_state="new.state"))
        assert answer.headers["Location"] == APP + FRAME
        assert 'data-question="app new.state"' in browser.get(FRAME).text
        assert browser.has_session()

    @pytest.mark.parametrize(
        "error",
        ["login_required", "interaction_required", "consent_required", "account_selection_required"],
    )
    def test_nobody_is_there_any_more(self, error: str) -> None:
        scene, browser = signed_in()
        thief = scene.browser()
        name = scene.parts.names.session
        thief.client.set_cookie(name, browser.cookies()[name], domain="app.example.com", secure=True)
        answer = browser.get(scene.provider.answer(asked(browser), code=GONE, error=error))
        assert answer.headers["Location"] == ENDED
        assert not browser.has_session()
        assert not thief.has_session()
        assert scene.audit[-1] | {"at": ""} == {
            "event": "logout.by_provider",
            "at": "",
            "channel": "frame",
            "issuer": ISSUER,
            "sub": "sub-of-alice",
            "sessions": 1,
        }

    def test_another_person_is_there(self) -> None:
        scene, browser = signed_in()
        scene.provider.claims["sub"] = "sub-of-bob"
        answer = browser.get(scene.provider.answer(asked(browser)))
        assert answer.headers["Location"] == ENDED
        assert not browser.has_session()

    @pytest.mark.parametrize(
        "error", ["server_error", "temporarily_unavailable", "invalid_request", "access_denied"]
    )
    def test_a_provider_that_fails_signs_nobody_out(self, error: str) -> None:
        scene, browser = signed_in()
        answer = browser.get(scene.provider.answer(asked(browser), code=GONE, error=error))
        # Not asked again until the page of the app is loaded anew.
        assert is_empty(answer)
        assert browser.has_session()

    def test_nor_does_one_whose_token_endpoint_is_away(self) -> None:
        scene, browser = signed_in()
        location = asked(browser)
        scene.provider.breaks("/token", exc=requests.ConnectionError)
        assert is_empty(browser.get(scene.provider.answer(location)))
        assert browser.has_session()

    def test_nor_one_that_lies(self) -> None:
        scene, browser = signed_in()
        scene.provider.claims["aud"] = "other"
        assert is_empty(browser.get(scene.provider.answer(asked(browser))))
        assert browser.has_session()

    def test_nobody_is_signed_in_by_a_frame(self) -> None:
        scene, browser = signed_in()
        location = asked(browser)
        browser.client.delete_cookie(scene.parts.names.session, domain="app.example.com")
        answer = browser.get(scene.provider.answer(location))
        assert answer.headers["Location"] == ENDED
        assert not browser.has_session()

    def test_an_answer_counts_once(self) -> None:
        scene, browser = signed_in()
        callback = scene.provider.answer(asked(browser), code=GONE, error="login_required")
        browser.get(callback)
        browser.sign_in(session_state="x.y")
        browser.get(callback, NAVIGATION)
        assert browser.has_session()

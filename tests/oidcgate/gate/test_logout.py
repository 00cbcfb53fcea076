"""Signing out: in which order, by whom, where it leads, and that it wins against a sign-in under way."""

import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import pytest
import requests

from oidcgate.storage.records import StoreFailure, StoreUnavailable
from tests.support.lying_provider import (
    APP,
    CLIENT_ID,
    GONE,
    ISSUER,
    NAVIGATION,
    SAME_ORIGIN,
    SCRIPT,
    Browser,
    Scene,
)

LOGOUT = "/.oidcgate/logout"
REDIRECTS = [
    line
    for line in (Path(__file__).parents[2] / "data" / "redirects.txt").read_text("utf-8").split("\n")
    if line and not line.startswith("#")
]


def signed_in(settings: dict[str, Any] | None = None, **metadata: Any) -> tuple[Scene, Browser]:
    scene = Scene.set(settings)
    scene.provider.metadata |= metadata
    browser = scene.browser()
    browser.sign_in()
    return scene, browser


def copy_of(browser: Browser, scene: Scene) -> Browser:
    """Somebody who kept the session cookie."""
    thief = scene.browser()
    name = scene.parts.names.session
    thief.client.set_cookie(name, browser.cookies()[name], domain="app.example.com", secure=True)
    return thief


@pytest.mark.row("F-06", "G-06")
class TestTheOrder:
    """Here first, then the IdP, then a page that is not gated."""

    @pytest.mark.row("T-03")
    def test_through_the_idp_and_back(self) -> None:
        scene, browser = signed_in()
        thief = copy_of(browser, scene)
        away = browser.post(LOGOUT, {})
        assert away.status_code == 303
        # Dead before anybody was sent anywhere, for every copy of the cookie.
        assert scene.parts.names.session not in browser.cookies()
        assert not thief.has_session()
        url = urlsplit(away.headers["Location"])
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        assert f"{url.scheme}://{url.netloc}{url.path}" == f"{ISSUER}/end_session"
        assert asked["client_id"] == CLIENT_ID
        assert asked["post_logout_redirect_uri"] == f"{APP}/.oidcgate/logged-out"
        assert asked["id_token_hint"].count(".") == 2
        back = browser.get(f"/.oidcgate/logged-out?{urlencode({'state': asked['state']})}")
        assert back.status_code == 200
        assert 'id="page-logged-out"' in back.text
        assert "and of the account you signed in with" in back.text
        assert scene.audit[-1] | {"at": ""} == {
            "event": "logout",
            "at": "",
            "user_name": "Alice",
            "sub": "sub-of-alice",
            "issuer": ISSUER,
            "attempts": 0,
        }

    def test_on_to_the_configured_page(self) -> None:
        _, browser = signed_in({"provider": {"logout_url": "https://intranet.example.com/bye"}})
        away = browser.post(LOGOUT, {})
        state = parse_qs(urlsplit(away.headers["Location"]).query)["state"][0]
        back = browser.get(f"/.oidcgate/logged-out?{urlencode({'state': state})}")
        assert back.headers["Location"] == "https://intranet.example.com/bye"

    @pytest.mark.parametrize("logout_url", [None, "https://intranet.example.com/bye"])
    def test_without_an_end_session_endpoint(self, logout_url: str | None) -> None:
        _, browser = signed_in({"provider": {"logout_url": logout_url}}, end_session_endpoint=GONE)
        here = browser.post(LOGOUT, {}).headers["Location"]
        assert here.startswith(f"{APP}/.oidcgate/logged-out?state=")
        last = browser.get(here)
        if logout_url is None:
            assert last.status_code == 200
            assert "You may still be signed in to the account" in last.text
            assert "Other applications that you opened with this account" in last.text
        else:
            assert last.headers["Location"] == logout_url

    def test_while_the_idp_is_away(self) -> None:
        scene = Scene.set()
        browser = scene.browser()
        browser.sign_in()
        # A worker that has not asked the IdP yet.
        discovery = next(iter(scene.parts.relying_parties.values())).discovery
        discovery._known = None
        scene.provider.breaks("/.well-known/openid-configuration", exc=requests.ConnectionError)
        assert browser.post(LOGOUT, {}).headers["Location"].startswith(f"{APP}/.oidcgate/logged-out")
        assert not browser.has_session()

    @pytest.mark.parametrize("state", [None, "another", ""], ids=["no-state", "other-state", "empty-state"])
    @pytest.mark.parametrize("logout_url", [None, "https://intranet.example.com/bye"])
    def test_back_with_another_state_than_was_sent(self, state: str | None, logout_url: str | None) -> None:
        scene, browser = signed_in({"provider": {"logout_url": logout_url}})
        browser.post(LOGOUT, {"rd": "/bye"})
        query = "" if state is None else f"?{urlencode({'state': state})}"
        back = browser.get(f"/.oidcgate/logged-out{query}")
        # Signed out all the same; what nobody here sealed says neither where to go nor what the IdP did.
        if logout_url is None:
            assert back.status_code == 200
            assert "You may still be signed in to the account" in back.text
        else:
            assert back.headers["Location"] == logout_url
        assert not browser.has_session()
        assert scene.audit[-1]["event"] == "logout"

    def test_an_id_token_that_is_too_long_for_an_address_stays_here(self) -> None:
        scene = Scene.set()
        scene.provider.claims["groups"] = ["group"] * 2000
        browser = scene.browser()
        browser.sign_in()
        away = browser.post(LOGOUT, {}).headers["Location"]
        assert away.startswith(f"{ISSUER}/end_session?client_id=")
        assert "id_token_hint" not in away
        assert not browser.has_session()

    def test_the_landing_page_is_not_gated(self) -> None:
        browser = Scene.set().browser()
        assert browser.get("/.oidcgate/logged-out").status_code == 200

    def test_signed_in_nobody_is_told_that_they_are_signed_out(self) -> None:
        _, browser = signed_in()
        assert browser.get("/.oidcgate/logged-out").headers["Location"] == f"{APP}{LOGOUT}"
        assert browser.has_session()

    def test_without_a_session_there_is_nothing_to_fail(self) -> None:
        scene = Scene.set()
        away = scene.browser().post(LOGOUT, {})
        assert away.status_code == 303
        assert "id_token_hint" not in away.headers["Location"]


class TestWhoMaySignOut:
    """Only the person, by a page of our own."""

    @pytest.mark.parametrize(
        "headers",
        [
            pytest.param({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, id="cross-site"),
            pytest.param({"Sec-Fetch-Site": "same-site", "Origin": "https://x.example.com"}, id="sibling"),
            pytest.param({"Origin": "https://evil.example"}, id="foreign-origin"),
            pytest.param({"Origin": "null"}, id="null-origin"),
            pytest.param({}, id="silent"),
        ],
    )
    def test_a_form_from_elsewhere_is_asked_back(self, headers: dict[str, str]) -> None:
        _, browser = signed_in()
        answer = browser.post(LOGOUT, {}, headers)
        assert answer.status_code == 200
        assert 'id="page-logout"' in answer.text
        assert "Set-Cookie" not in answer.headers
        assert browser.has_session()

    def test_a_link_asks(self) -> None:
        _, browser = signed_in()
        page = browser.get(f"{LOGOUT}?rd=/bye")
        assert page.status_code == 200
        assert "Alice" in page.text
        assert 'name="rd" value="/bye"' in page.text
        assert "form-action 'self' https:" in page.headers["Content-Security-Policy"]
        assert browser.has_session()

    def test_an_old_browser_that_names_our_origin(self) -> None:
        _, browser = signed_in()
        assert browser.post(LOGOUT, {}, {"Origin": APP}).status_code == 303
        assert not browser.has_session()

    def test_a_script_of_ours(self) -> None:
        _, browser = signed_in()
        assert browser.post(LOGOUT, {}, {**SCRIPT, **SAME_ORIGIN}).status_code == 303
        assert not browser.has_session()

    def test_a_script_is_not_asked(self) -> None:
        _, browser = signed_in()
        refused = browser.get(LOGOUT, SCRIPT)
        assert (refused.status_code, refused.headers["Allow"]) == (405, "POST")
        assert browser.has_session()


@pytest.mark.row("G-22", "F-06")
class TestWhereALogoutLeads:
    """To the configured page, or to a path of our own; never to what a request says."""

    @pytest.mark.parametrize("target", REDIRECTS)
    def test_never_off_our_origin(self, target: str) -> None:
        _, browser = signed_in(end_session_endpoint=GONE)
        here = browser.post(LOGOUT, {"rd": target}).headers["Location"]
        assert here.startswith(f"{APP}/.oidcgate/logged-out?state=")
        last = browser.get(here)
        if last.status_code != 200:
            seen = last.headers["Location"].replace("\t", "").replace("\n", "").replace("\\", "/")
            parts = urlsplit(urljoin(APP, seen))
            assert (parts.scheme, parts.netloc) == ("https", "app.example.com")

    def test_to_a_path_of_ours(self) -> None:
        _, browser = signed_in()
        away = browser.post(LOGOUT, {"rd": "/bye?x=1"}).headers["Location"]
        state = parse_qs(urlsplit(away).query)["state"][0]
        back = browser.get(f"/.oidcgate/logged-out?{urlencode({'state': state})}")
        assert back.headers["Location"] == f"{APP}/bye?x=1"

    @pytest.mark.parametrize("state", ["", "x", "/evil", "A" * 9000])
    def test_a_state_that_is_not_ours_leads_nowhere(self, state: str) -> None:
        browser = Scene.set().browser()
        answer = browser.get(f"/.oidcgate/logged-out?{urlencode({'state': state})}")
        assert answer.status_code == 200

    def test_a_state_of_yesterday_leads_nowhere(self) -> None:
        scene, browser = signed_in(end_session_endpoint=GONE)
        here = browser.post(LOGOUT, {"rd": "/bye"}).headers["Location"]
        scene.clock.now += 600
        assert browser.get(here).status_code == 200


@pytest.mark.row("T-03", "G-23", "G-08")
class TestALogoutRacingACallback:
    """A sign-out that arrives before a callback has finished wins."""

    def test_before_the_callback(self) -> None:
        scene, browser = signed_in()
        callback = scene.provider.answer(browser.get("/.oidcgate/login?rd=/").headers["Location"])
        browser.post(LOGOUT, {})
        answer = browser.get(callback)
        assert answer.status_code == 400
        assert not browser.has_session()
        assert scene.audit[-2]["attempts"] == 1

    def test_while_the_callback_redeems_its_code(self) -> None:
        scene, browser = signed_in()
        callback = scene.provider.answer(browser.get("/.oidcgate/login?rd=/").headers["Location"])
        # The same browser's other tab: its cookies as they were when the callback was sent.
        other = scene.browser()
        for name, value in browser.cookies().items():
            path = "/" if name == scene.parts.names.session else "/.oidcgate/"
            other.client.set_cookie(name, value, domain="app.example.com", path=path, secure=True)
        scene.provider.while_redeeming = lambda: other.post(LOGOUT, {})
        answer = browser.get(callback)
        assert answer.headers["Location"] == f"{APP}/.oidcgate/logged-out"
        assert not browser.has_session()
        assert not other.has_session()

    def test_when_the_session_is_already_written(self) -> None:
        scene, browser = signed_in()
        callback = scene.provider.answer(browser.get("/.oidcgate/login?rd=/").headers["Location"])
        other = scene.browser()
        for name, value in browser.cookies().items():
            path = "/" if name == scene.parts.names.session else "/.oidcgate/"
            other.client.set_cookie(name, value, domain="app.example.com", path=path, secure=True)
        sessions: Any = scene.parts.sessions
        create = sessions.create

        def create_then_be_overtaken(*arguments: Any, **named: Any) -> list[str]:
            cookies: list[str] = create(*arguments, **named)
            other.post(LOGOUT, {})
            return cookies

        sessions.create = create_then_be_overtaken
        browser.get(callback)
        assert not browser.has_session()

    def test_under_threads(self) -> None:
        scene = Scene.set()
        for _ in range(10):
            browser = scene.browser()
            callback = scene.provider.answer(browser.start())
            other = scene.browser()
            for name, value in browser.cookies().items():
                other.client.set_cookie(
                    name, value, domain="app.example.com", path="/.oidcgate/", secure=True
                )
            threads = [
                threading.Thread(target=browser.get, args=(callback,)),
                threading.Thread(target=other.post, args=(LOGOUT, {})),
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert not browser.has_session()

    def test_of_another_browser_does_not_matter(self) -> None:
        scene = Scene.set()
        browser, stranger = scene.browser(), scene.browser()
        callback = scene.provider.answer(browser.start())
        stranger.post(LOGOUT, {})
        browser.get(callback)
        assert browser.has_session()

    def test_in_the_last_moment_holds_for_as_long_as_the_session_could(self) -> None:
        scene = Scene.set()
        browser = scene.browser()
        callback = scene.provider.answer(browser.start())
        other = scene.browser()
        for name, value in browser.cookies().items():
            other.client.set_cookie(name, value, domain="app.example.com", path="/.oidcgate/", secure=True)
        sessions: Any = scene.parts.sessions
        was_overtaken = sessions.was_overtaken

        def asked_then_overtaken(record: Any, began_at: int, now: int) -> bool:
            answer: bool = was_overtaken(record, began_at, now)
            other.post(LOGOUT, {})
            return answer

        sessions.was_overtaken = asked_then_overtaken
        browser.get(callback)
        # The cookie came after the sign-out, and is used long after its attempt would have been forgotten.
        assert scene.parts.names.session in browser.cookies()
        scene.clock.now += 7 * 3600
        assert not browser.has_session()


@pytest.mark.row("G-28")
def test_sign_outs_of_strangers_leave_nothing_behind_for_long() -> None:
    scene = Scene.set()
    state: Any = scene.parts.state
    state._max_records = 100
    for _ in range(50):
        stranger = scene.browser()
        stranger.start()
        stranger.start()
        stranger.post(LOGOUT, {})
    assert len(state._records) == 100
    browser = scene.browser()
    assert browser.sign_in().status_code == 503
    scene.clock.now += 1800
    assert browser.sign_in().status_code == 303
    assert browser.has_session()


def test_a_store_that_is_away_keeps_the_session() -> None:
    scene, browser = signed_in()

    def fails(*_: object, **__: object) -> object:
        raise StoreUnavailable(StoreFailure.LOCKED, "locked")

    state: Any = scene.parts.state
    put, state.put = state.put, fails
    answer = browser.post(LOGOUT, {})
    assert answer.status_code == 503
    assert "Set-Cookie" not in answer.headers
    state.put = put
    assert browser.has_session()


def test_the_hint_is_kept_for_one_sign_out_only() -> None:
    scene, browser = signed_in()
    thief = copy_of(browser, scene)
    browser.post(LOGOUT, {})
    assert "id_token_hint" not in thief.post(LOGOUT, {}).headers["Location"]


def test_pages_cannot_be_framed_or_stored() -> None:
    _, browser = signed_in()
    for page in (browser.get(LOGOUT), browser.get("/.oidcgate/nothing"), browser.get(LOGOUT, NAVIGATION)):
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["X-Content-Type-Options"] == "nosniff"

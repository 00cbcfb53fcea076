"""Answers of an IdP by a cross-site POST, with which a browser sends no cookie of ours."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from werkzeug.test import Client, TestResponse

from oidcgate.directory.port import KnownUser
from oidcgate.gate.session import Found
from tests.oidcgate.gate.test_refreshing import Workers
from tests.support.lying_provider import APP, GONE, ISSUER, NAVIGATION, SCRIPT, SECRET, Browser

CROSS_SITE = {**NAVIGATION, "Origin": ISSUER, "Sec-Fetch-Site": "cross-site"}


def crossing(workers: Workers, callback: str, headers: dict[str, str] = CROSS_SITE) -> TestResponse:
    """The answer of the IdP as a page of its own posts it: SameSite=Lax keeps every cookie back."""
    form = {name: values[0] for name, values in parse_qs(urlsplit(callback).query).items()}
    client = Client(workers.here.gate, use_cookies=False)
    return client.post("/.oidcgate/callback", base_url=APP, data=form, headers=headers)


class Form(HTMLParser):
    """The form of a page: to where, and what."""

    def __init__(self, page: TestResponse) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        assert page.status_code == 200, page.text
        self.feed(page.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = values["action"]
        elif tag == "input":
            self.fields[values["name"]] = values["value"]


def posted(workers: Workers, callback: str, browser: Browser | None = None) -> TestResponse:
    """The answer of the IdP, and what our page makes of it in this browser."""
    page = crossing(workers, callback)
    assert "Set-Cookie" not in page.headers
    form = Form(page)
    return (browser or workers.browser).post(form.action, form.fields)


def by(mode: str, workers: Workers, asked: str, browser: Browser | None = None) -> TestResponse:
    """What comes of the sign-in `asked`, which the IdP lets go well, by either way of answering."""
    callback = workers.provider.answer(asked)
    if mode == "form_post":
        return posted(workers, callback, browser)
    return (browser or workers.browser).get(callback)


def sessions(workers: Workers) -> int:
    return len(list(workers.here.parts.sessions.index.of_user("Alice", int(workers.clock()))))


@pytest.fixture
def workers(tmp_path: Path) -> Workers:
    """A browser that is signed in, and whose session needs new tokens, which only a sign-in brings."""
    made = Workers(tmp_path, {"provider": {"response_mode": "form_post"}})
    made.provider.tokens = {"expires_in": 300}
    answer = posted(made, made.provider.answer(made.browser.start("/private")))
    assert answer.headers["Location"] == f"{APP}/private"
    made.clock.now += 300
    return made


def failed(workers: Workers, **lies: Any) -> TestResponse:
    """What comes of a silent sign-in whose answer is not as it should be."""
    return posted(workers, workers.provider.answer(workers.silently(workers.here), **lies))


def test_no_cookie_of_an_attempt_crosses_sites(workers: Workers) -> None:
    answer = workers.browser.get("/.oidcgate/login?rd=/private&prompt=login")
    cookies = answer.headers.getlist("Set-Cookie")
    assert len(cookies) == 2
    assert all("SameSite=Lax" in cookie for cookie in cookies)


@pytest.mark.row("A-08", "G-22")
def test_the_page_posts_the_answer_as_it_came(workers: Workers) -> None:
    said = {"state": "s", "code": '"><script>alert(1)</script>', "submit": "x", "error_description": "ü <b>"}
    client = Client(workers.here.gate, use_cookies=False)
    page = client.post("/.oidcgate/callback", base_url=APP, data=said, headers=CROSS_SITE)
    form = Form(page)
    assert (form.action, form.fields) == ("/.oidcgate/callback?again=", said)
    assert page.headers["Cache-Control"] == "no-store"
    # A sign-in in a popup of the app is found again by its opener.
    assert page.headers["Cross-Origin-Opener-Policy"] == "unsafe-none"
    # Chromium applies the policy to wherever the sign-in leads on.
    policy = page.headers["Content-Security-Policy"]
    assert "form-action 'self' https: http:;" in policy
    assert "frame-ancestors 'none'" in policy
    assert workers.here.reasons() == []


@pytest.mark.row("G-09")
def test_a_script_gets_no_page(workers: Workers) -> None:
    callback = workers.provider.answer(workers.silently(workers.here))
    answer = crossing(workers, callback, {**SCRIPT, "Origin": ISSUER, "Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, answer.content_type) == (400, "application/json")


@pytest.mark.row("F-13", "G-24")
def test_saying_that_it_was_sent_again_helps_no_other_site(workers: Workers) -> None:
    callback = workers.provider.answer(workers.silently(workers.here))
    calls = workers.provider.calls("/token")
    form = {name: values[0] for name, values in parse_qs(urlsplit(callback).query).items()}
    client = Client(workers.here.gate, use_cookies=False)
    answer = client.post("/.oidcgate/callback?again=", base_url=APP, data=form, headers=CROSS_SITE)
    assert answer.status_code == 400
    assert workers.provider.calls("/token") == calls


@pytest.mark.row("G-04", "G-23")
def test_a_silent_sign_in_replaces_the_session(workers: Workers) -> None:
    response = posted(workers, workers.provider.answer(workers.silently(workers.here)))
    assert (response.status_code, response.headers["Location"]) == (303, f"{APP}/private")
    assert workers.passes(workers.here)
    assert workers.here.audit[-1]["replaced"] is True
    assert sessions(workers) == 1


@pytest.mark.row("G-01", "G-23")
@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_of_parallel_tabs_one_session_is_left_and_a_sign_out_ends_it(tmp_path: Path, mode: str) -> None:
    workers = Workers(tmp_path, {"provider": {"response_mode": mode}})
    browser, parts = workers.browser, workers.here.parts
    by(mode, workers, browser.start("/private"))
    asked = [browser.get(f"/.oidcgate/login?rd=/{tab}&prompt=login").headers["Location"] for tab in "ab"]

    old = []
    for url in asked:
        old.append(browser.cookies()[parts.names.session])
        assert by(mode, workers, url).status_code == 303
        assert workers.here.audit[-1]["replaced"] is True
        assert sessions(workers) == 1
    browser.post("/.oidcgate/logout", {})

    assert sessions(workers) == 0
    now = int(workers.clock())
    for value in old:
        assert not isinstance(parts.sessions.load(f"{parts.names.session}={value}", now), Found)


@pytest.mark.row("G-23")
@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_a_browser_counts_once_however_often_it_signs_in(tmp_path: Path, mode: str) -> None:
    settings = {"secret": SECRET, "keep_tokens": True, "max_per_user": 2}
    workers = Workers(tmp_path, {"provider": {"response_mode": mode}, "session": settings})
    workers.provider.tokens = {"expires_in": 300}
    phone = workers.here.browser()
    by(mode, workers, phone.start("/private"), phone)
    workers.clock.now += 10
    for asked in [workers.browser.start(f"/{tab}") for tab in "abc"]:
        by(mode, workers, asked)
    workers.clock.now += 300
    by(mode, workers, workers.silently(workers.here))
    assert phone.has_session()
    assert workers.browser.has_session()
    assert sessions(workers) == 2


@pytest.mark.row("G-04")
@pytest.mark.parametrize("error", ["login_required", "interaction_required"])
def test_where_the_provider_wants_to_see_the_person_they_sign_in(workers: Workers, error: str) -> None:
    response = failed(workers, code=GONE, error=error)
    login = urlsplit(response.headers["Location"])
    assert (response.status_code, login.path) == (303, "/.oidcgate/login")
    assert parse_qs(login.query) == {"rd": ["/private"]}
    assert workers.passes(workers.here)


@pytest.mark.row("G-04", "G-17")
@pytest.mark.parametrize("error", ["server_error", "access_denied"])
def test_one_that_fails_ends_nothing(workers: Workers, error: str) -> None:
    response = failed(workers, code=GONE, error=error)
    assert (response.status_code, response.headers["Location"]) == (303, f"{APP}/private")
    assert workers.passes(workers.here)
    assert workers.here.reasons() == ["provider_error"]


@pytest.mark.row("G-04", "G-23")
def test_one_about_somebody_else_is_none(workers: Workers) -> None:
    workers.provider.claims = {"sub": "sub-of-bob"}
    response = failed(workers)
    assert urlsplit(response.headers["Location"]).path == "/.oidcgate/login"
    assert "prompt" not in response.headers["Location"]
    assert workers.passes(workers.here)


@pytest.mark.row("G-04", "G-23")
@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_who_signed_in_as_somebody_else_meanwhile_stays_it(tmp_path: Path, mode: str) -> None:
    workers = Workers(tmp_path, {"provider": {"response_mode": mode}})
    workers.provider.tokens = {"expires_in": 300}
    workers.here.directory.users["bob"] = KnownUser("Bob")
    by(mode, workers, workers.browser.start("/private"))
    workers.clock.now += 300
    silent = workers.silently(workers.here)
    other_tab = workers.browser.get("/.oidcgate/login?rd=/&prompt=select_account").headers["Location"]
    workers.provider.claims = {"sub": "sub-of-bob", "preferred_username": "bob"}
    by(mode, workers, other_tab)
    workers.provider.claims = {}

    response = by(mode, workers, silent)

    assert urlsplit(response.headers["Location"]).path == "/.oidcgate/login"
    workers.browser.get("/private")
    assert workers.here.visitors[-1] == "Bob"


@pytest.mark.row("G-23")
def test_who_signed_out_meanwhile_is_not_signed_in_by_it(workers: Workers) -> None:
    callback = workers.provider.answer(workers.silently(workers.here))
    workers.browser.post("/.oidcgate/logout", {})
    posted(workers, callback)
    assert not workers.browser.has_session()


def test_a_failed_sign_in_that_was_not_silent_ends_on_a_page(workers: Workers) -> None:
    asked = workers.browser.get("/.oidcgate/login?rd=/private&prompt=login").headers["Location"]
    response = posted(workers, workers.provider.answer(asked, code=GONE, error="server_error"))
    assert response.status_code == 400


@pytest.mark.row("A-08", "G-24")
def test_whoever_goes_back_to_the_page_that_posted_is_led_on(workers: Workers) -> None:
    asked = workers.browser.get("/.oidcgate/login?rd=/private&prompt=login").headers["Location"]
    callback = workers.provider.answer(asked)
    assert posted(workers, callback).headers["Location"] == f"{APP}/private"
    calls = workers.provider.calls("/token")

    again = posted(workers, callback)

    assert (again.status_code, again.headers["Location"]) == (303, f"{APP}/")
    assert workers.provider.calls("/token") == calls


@pytest.mark.row("A-08", "F-13", "G-24")
def test_an_answer_to_no_attempt_signs_nobody_in(workers: Workers) -> None:
    """A page of anybody may post one: it comes to the page that says so, and to no loop."""
    stranger = workers.here.browser()
    page = posted(workers, f"{APP}/.oidcgate/callback?state={'s' * 5000}&code=c", stranger)
    assert page.status_code == 400
    assert workers.here.reasons() == ["state_unknown"]
    assert not stranger.has_session()

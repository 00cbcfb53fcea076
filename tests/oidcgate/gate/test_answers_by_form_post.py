"""Answers of an IdP by a cross-site POST, with which a browser sends no cookie of the session."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from werkzeug.test import TestResponse

from tests.oidcgate.gate.test_refreshing import Workers
from tests.support.lying_provider import APP, GONE, ISSUER

CROSS_SITE = {"Origin": ISSUER, "Sec-Fetch-Site": "cross-site"}


def posted(workers: Workers, callback: str) -> TestResponse:
    """The answer of the IdP as a page of its own posts it: SameSite=Lax keeps the session's cookie back."""
    client = workers.browser.client
    place = {"domain": "app.example.com", "path": "/"}
    # Those of the attempt have SameSite=None.
    kept = {
        name: value
        for name, value in workers.browser.cookies().items()
        if not any(mark in name for mark in ("-tx-", "-at-"))
    }
    for name in kept:
        client.delete_cookie(name, **place)
    form = {name: values[0] for name, values in parse_qs(urlsplit(callback).query).items()}
    response = workers.browser.post("/.oidcgate/callback", form, CROSS_SITE)
    for name in kept.keys() - workers.browser.cookies().keys():
        client.set_cookie(name, kept[name], secure=True, **place)
    return response


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


@pytest.mark.row("G-04", "G-23")
def test_a_silent_sign_in_replaces_the_session(workers: Workers) -> None:
    response = posted(workers, workers.provider.answer(workers.silently(workers.here)))
    assert (response.status_code, response.headers["Location"]) == (303, f"{APP}/private")
    assert workers.passes(workers.here)
    assert workers.here.audit[-1]["replaced"] is True


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


@pytest.mark.row("G-23")
def test_who_signed_out_meanwhile_is_not_signed_in_by_it(workers: Workers) -> None:
    callback = workers.provider.answer(workers.silently(workers.here))
    workers.browser.post("/.oidcgate/logout", {}, {"Origin": APP, "Sec-Fetch-Site": "same-origin"})
    posted(workers, callback)
    assert not workers.browser.has_session()


def test_a_failed_sign_in_that_was_not_silent_ends_on_a_page(workers: Workers) -> None:
    asked = workers.browser.get("/.oidcgate/login?rd=/private&prompt=login").headers["Location"]
    response = posted(workers, workers.provider.answer(asked, code=GONE, error="server_error"))
    assert response.status_code == 400


@pytest.mark.row("A-08", "G-24")
def test_whoever_goes_back_to_the_page_that_posted_is_led_on(workers: Workers) -> None:
    workers.browser.get("/.oidcgate/login?rd=/private&prompt=login")
    asked = workers.browser.get("/.oidcgate/login?rd=/private&prompt=login").headers["Location"]
    callback = workers.provider.answer(asked)
    assert posted(workers, callback).headers["Location"] == f"{APP}/private"
    calls = workers.provider.calls("/token")

    again = posted(workers, callback)

    state = parse_qs(urlsplit(callback).query)["state"]
    onward = urlsplit(again.headers["Location"])
    assert (again.status_code, onward.path, parse_qs(onward.query)) == (
        303, "/.oidcgate/callback", {"state": state},
    )  # fmt: skip
    assert workers.browser.get(again.headers["Location"]).headers["Location"] == f"{APP}/"
    assert workers.provider.calls("/token") == calls


@pytest.mark.row("A-08", "F-13", "G-24")
def test_an_answer_to_no_attempt_signs_nobody_in(workers: Workers) -> None:
    """A page of anybody may post one: it comes to the page that says so, and to no loop."""
    stranger = workers.here.browser()
    response = stranger.post("/.oidcgate/callback", {"state": "s" * 5000, "code": "c"}, CROSS_SITE)
    assert response.status_code == 303
    assert len(response.headers["Location"]) < 200
    page = stranger.get(response.headers["Location"])
    assert page.status_code == 400
    assert workers.here.reasons() == ["state_unknown"]
    assert not stranger.has_session()

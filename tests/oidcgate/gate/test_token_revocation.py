"""At sign-out the IdP is told that kept tokens are needed no more; whatever it answers, that is all."""

import threading
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import pytest
import requests

from oidcgate.gate import logout
from oidcgate.gate.session import Found
from oidcgate.storage.records import StoreFailure, StoreUnavailable
from tests.support.lying_provider import ISSUER, Browser, Scene

LOGOUT = "/.oidcgate/logout"


def signed_in(
    offers: bool = True, session: dict[str, Any] | None = None, **kept: Any
) -> tuple[Scene, Browser]:
    """Somebody whose session keeps these tokens besides the ID token."""
    scene = Scene.set({"session": session or {}})
    if offers:
        scene.provider.metadata["revocation_endpoint"] = f"{ISSUER}/revoke"
    scene.provider.adapter.register_uri("POST", f"{ISSUER}/revoke", text="")
    browser = scene.browser()
    browser.sign_in()
    now, name = int(scene.clock()), scene.parts.names.session
    found = scene.parts.sessions.load(f"{name}={browser.cookies()[name]}", now)
    assert isinstance(found, Found)
    tokens = scene.parts.sessions.kept_tokens
    held = tokens.find(found.record.session_id, now)
    assert held is not None
    tokens.keep(msgspec.structs.replace(held.kept, **kept), now)
    return scene, browser


def sent(scene: Scene) -> list[dict[str, str]]:
    calls = scene.provider.adapter.request_history
    return [dict(parse_qsl(call.text)) for call in calls if call.url == f"{ISSUER}/revoke"]


def signed_out(scene: Scene, browser: Browser) -> None:
    away = browser.post(LOGOUT, {})
    assert away.status_code == 303
    assert away.headers["Location"].startswith(f"{ISSUER}/end_session?id_token_hint=")
    assert not browser.has_session()


@pytest.mark.parametrize(
    ("kept", "token", "kind"),
    [
        pytest.param({"refresh_token": "rt", "access_token": "at"}, "rt", "refresh_token", id="both"),
        pytest.param({"refresh_token": "rt"}, "rt", "refresh_token", id="refresh-token"),
        pytest.param({"access_token": "at"}, "at", "access_token", id="access-token"),
    ],
)
def test_one_token_is_named_by_us(kept: dict[str, str], token: str, kind: str) -> None:
    scene, browser = signed_in(**kept)
    signed_out(scene, browser)
    [form] = sent(scene)
    assert (form["token"], form["token_type_hint"]) == (token, kind)
    call = next(one for one in scene.provider.adapter.request_history if one.url == f"{ISSUER}/revoke")
    assert call.headers["Authorization"].startswith("Basic ")
    assert "logout.tokens_not_revoked" not in {line["event"] for line in scene.audit}


def test_where_nothing_is_kept_nothing_is_sent() -> None:
    scene, browser = signed_in()
    signed_out(scene, browser)
    assert sent(scene) == []


def test_nor_where_the_provider_has_no_such_endpoint() -> None:
    scene, browser = signed_in(offers=False, refresh_token="rt")
    signed_out(scene, browser)
    assert sent(scene) == []
    assert "logout.tokens_not_revoked" not in {line["event"] for line in scene.audit}


def test_the_session_is_dead_before_anybody_is_told() -> None:
    scene, browser = signed_in(refresh_token="rt")
    name, thief = scene.parts.names.session, scene.browser()
    thief.client.set_cookie(name, browser.cookies()[name], domain="app.example.com", secure=True)
    alive: list[bool] = []
    scene.provider.breaks("/revoke", text=lambda *_: alive.append(thief.has_session()) or "")
    signed_out(scene, browser)
    assert alive == [False]


def test_a_sign_out_that_fails_leaves_the_tokens_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, browser = signed_in(refresh_token="rt")

    def away(*_: object) -> None:
        raise StoreUnavailable(StoreFailure.FULL, "it is full")

    with monkeypatch.context() as full:
        full.setattr(scene.parts.sessions.revocations, "revoke_session", away)
        assert browser.post(LOGOUT, {}).status_code == 503
    assert browser.has_session()
    signed_out(scene, browser)
    assert [form["token"] for form in sent(scene)] == ["rt"]


@pytest.mark.row("G-08")
def test_one_that_was_taken_out_is_told_and_the_access_token_revoked() -> None:
    scene, browser = signed_in(access_token="at", claim="of-somebody")
    signed_out(scene, browser)
    assert [form["token"] for form in sent(scene)] == ["at"]
    (line,) = [line for line in scene.audit if line["event"] == "logout.tokens_not_revoked"]
    assert line["kind"] == "refresh_token"


@pytest.mark.row("G-08")
@pytest.mark.parametrize("step", ["while_redeeming", "create", "was_overtaken"])
def test_tokens_of_a_sign_in_that_a_sign_out_overtakes(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene.set({"session": {"keep_tokens": True, "store": "memory"}, "state": {"store": "memory"}})
    scene.provider.tokens = {"refresh_token": "rt", "expires_in": 300}
    scene.provider.metadata["revocation_endpoint"] = f"{ISSUER}/revoke"
    scene.provider.adapter.register_uri("POST", f"{ISSUER}/revoke", text="")
    browser = scene.browser()
    callback = scene.provider.answer(browser.start())
    other = scene.browser()
    for name, value in browser.cookies().items():
        other.client.set_cookie(name, value, domain="app.example.com", path="/.oidcgate/", secure=True)
    if step == "while_redeeming":
        scene.provider.while_redeeming = lambda: other.post(LOGOUT, {})
    else:
        sessions = scene.parts.sessions
        done = getattr(sessions, step)

        def done_then_signed_out(*arguments: Any, **named: Any) -> Any:
            answer = done(*arguments, **named)
            other.post(LOGOUT, {})
            return answer

        monkeypatch.setattr(sessions, step, done_then_signed_out)
    browser.get(callback)
    assert not browser.has_session()
    assert {form["token"] for form in sent(scene)} == {"rt"}


@pytest.mark.row("G-08")
def test_nor_for_a_session_that_gives_its_place_to_another() -> None:
    # Some providers would end the tokens of that other one with it.
    scene, browser = signed_in(session={"max_per_user": 1}, refresh_token="rt")
    other = scene.browser()
    other.sign_in()
    assert not browser.has_session()
    assert other.has_session()
    assert sent(scene) == []


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"status_code": 503, "text": "later"}, id="503"),
        pytest.param({"status_code": 400, "json": {"error": "unsupported_token_type"}}, id="400"),
        pytest.param({"status_code": 401, "json": {"error": "invalid_client"}}, id="401"),
        pytest.param({"status_code": 302, "headers": {"Location": "https://evil.example/"}}, id="redirect"),
        pytest.param({"exc": requests.ConnectionError}, id="away"),
        pytest.param({"exc": requests.ReadTimeout}, id="slow"),
    ],
)
def test_a_provider_that_fails_stops_no_sign_out(answer: dict[str, Any]) -> None:
    scene, browser = signed_in(refresh_token="canary-refresh-token")
    scene.provider.breaks("/revoke", **answer)
    signed_out(scene, browser)
    [line] = [line for line in scene.audit if line["event"] == "logout.tokens_not_revoked"]
    assert (line["issuer"], line["kind"]) == (ISSUER, "refresh_token")
    assert line["detail"]
    assert "canary" not in str(scene.audit)


def test_one_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logout, "REQUEST_SECONDS", 0.05)
    scene, browser = signed_in(refresh_token="rt")
    go_on = threading.Event()
    scene.provider.breaks("/revoke", text=lambda *_: go_on.wait(60) and "")
    try:
        signed_out(scene, browser)
        [line] = [line for line in scene.audit if line["event"] == "logout.tokens_not_revoked"]
        assert line["detail"]
    finally:
        go_on.set()

"""The table of routes, the small ones, and the error boundary."""

import logging
from typing import Any

import pytest

from oidcgate.directory.port import DirectoryUnavailable, KnownUser
from oidcgate.gate.routes import ROUTES, Routes
from oidcgate.storage.records import StoreFailure, StoreUnavailable
from tests.support.lying_provider import APP, NAVIGATION, SCRIPT, Scene


def fails(*_: object, **__: object) -> object:
    raise StoreUnavailable(StoreFailure.LOCKED, "locked")


def test_each_route_has_its_answer_and_says_what_it_is() -> None:
    assert all(callable(getattr(Routes, route.endpoint)) and route.help for route in ROUTES)
    assert all(route.path.startswith("/.oidcgate/") for route in ROUTES)


class TestUserinfo:
    """Who am I."""

    def test_nobody(self) -> None:
        answer = Scene.set().browser().get("/.oidcgate/userinfo", SCRIPT)
        assert answer.status_code == 401
        assert answer.get_json() == {"error": "login_required", "login_url": f"{APP}/.oidcgate/login"}

    @pytest.mark.row("G-29")
    def test_somebody_and_no_token(self) -> None:
        scene = Scene.set()
        scene.provider.claims |= {
            "groups": ["secret"],
            "email": "alice@id.example",
            "acr": "mfa",
            "amr": ["otp"],
        }
        browser = scene.browser()
        browser.sign_in()
        answer = browser.get("/.oidcgate/userinfo", SCRIPT)
        assert answer.headers["Cache-Control"] == "no-store"
        told = answer.get_json()
        assert told["user_name"] == "Alice"
        assert told["display_name"] == "Alice Adams"
        assert told["amr"] == ["otp"]
        assert set(told["claims"]) == {"preferred_username", "name", "email"}
        assert "token" not in answer.text

    def test_somebody_who_was_switched_off(self) -> None:
        scene = Scene.set()
        browser = scene.browser()
        browser.sign_in()
        scene.directory.users = {"alice": KnownUser("Alice", active=False)}
        assert browser.get("/.oidcgate/userinfo", SCRIPT).get_json()["known"] is False


class TestHealth:
    """Alive, and able to decide."""

    def test_alive_whatever_else_is_broken(self) -> None:
        scene = Scene.set()
        state: Any = scene.parts.state
        state.get = fails
        assert scene.browser().get("/.oidcgate/healthz", SCRIPT).status_code == 200

    @pytest.mark.row("G-17")
    def test_ready_without_the_idp(self) -> None:
        scene = Scene.set()
        scene.provider.breaks("/.well-known/openid-configuration", status_code=500)
        answer = scene.browser().get("/.oidcgate/readyz", SCRIPT)
        assert answer.status_code == 200
        assert answer.get_json() == {"status": "ok", "state": "ok", "directory": "ok", "sessions": "ok"}
        assert scene.provider.adapter.call_count == 0

    def test_not_ready_without_the_state_store(self) -> None:
        scene = Scene.set()
        state: Any = scene.parts.state
        state.get = fails
        answer = scene.browser().get("/.oidcgate/readyz", SCRIPT)
        assert answer.status_code == 503
        assert answer.get_json()["state"] == "unavailable"

    def test_not_ready_without_the_store_of_sessions(self) -> None:
        scene = Scene.set({"session": {"store": "memory"}})
        sessions: Any = scene.parts.sessions
        sessions._store.get = fails
        answer = scene.browser().get("/.oidcgate/readyz", SCRIPT)
        assert answer.status_code == 503
        assert answer.get_json()["sessions"] == "unavailable"

    def test_not_ready_without_the_directory(self) -> None:
        scene = Scene.set()
        scene.directory.failure = DirectoryUnavailable("gone")
        answer = scene.browser().get("/.oidcgate/readyz", SCRIPT)
        assert answer.status_code == 503
        assert answer.get_json()["directory"] == "unavailable"

    @pytest.mark.row("G-17")
    def test_however_many_ask_the_directory_is_asked_once_a_second(self) -> None:
        scene = Scene.set()
        asked: list[str] = []
        find = scene.directory.find

        def counted(name: str, *, now: int) -> KnownUser | None:
            asked.append(name)
            return find(name, now=now)

        scene.directory.find = counted  # type: ignore[method-assign]
        browser = scene.browser()
        for _ in range(20):
            assert browser.get("/.oidcgate/readyz", SCRIPT).status_code == 200
        assert len(asked) == 1
        scene.directory.failure = DirectoryUnavailable("gone")
        scene.clock.now += 1
        for _ in range(20):
            assert browser.get("/.oidcgate/readyz", SCRIPT).status_code == 503
        assert len(asked) == 2

    def test_two_users_of_the_name_that_it_asks_for_are_an_answer(self) -> None:
        scene = Scene.set()
        scene.directory.ambiguous = {"readyz"}
        assert scene.browser().get("/.oidcgate/readyz", SCRIPT).status_code == 200


@pytest.mark.parametrize(
    "path", ["/.oidcgate/", "/.oidcgate", "/.oidcgate/nothing", "/.oidcgate/login/x", "/.oidcgate/jwks"]
)
def test_what_is_no_route_is_not_found_and_never_reaches_the_app(path: str) -> None:
    scene = Scene.set({"rules": [{"path": "/**", "allow": "anyone"}]})
    page = scene.browser().get(path)
    assert page.status_code == 404
    assert 'id="page-error"' in page.text
    answer = scene.browser().get(path, SCRIPT)
    assert answer.status_code == 404
    assert answer.get_json() == {"error": "not_found"}
    assert scene.visitors == []


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "login"), ("PUT", "logout"), ("DELETE", "callback"), ("POST", "userinfo")]
)
def test_a_method_that_a_route_does_not_know(method: str, path: str) -> None:
    scene = Scene.set()
    answer = scene.browser().client.open(f"/.oidcgate/{path}", method=method, base_url=APP)
    assert answer.status_code == 405
    assert answer.headers["Allow"]


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("rd=%ff%fe", id="not-utf-8"),
        pytest.param("&".join(f"a{n}=1" for n in range(60)), id="too-many"),
    ],
)
def test_a_query_that_cannot_be_read(query: str) -> None:
    for path in ("login", "callback"):
        page = Scene.set().browser().get(f"/.oidcgate/{path}?{query}")
        assert page.status_code == 400
        assert 'id="page-error"' in page.text


def test_a_form_that_is_too_long() -> None:
    scene = Scene.set()
    answer = scene.browser().post("/.oidcgate/callback", {"state": "x" * 70_000})
    assert answer.status_code == 400


class TestTheBoundary:
    """A fault of ours is an answer with an incident id, and its cause is in the log alone."""

    @pytest.mark.parametrize("headers", [NAVIGATION, SCRIPT], ids=["page", "json"])
    def test_a_fault(self, headers: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
        scene = Scene.set()
        sessions: Any = scene.parts.sessions

        def broken(*_: object) -> object:
            raise RuntimeError("the cause")

        sessions.load = broken
        with caplog.at_level(logging.ERROR):
            answer = scene.browser().get("/.oidcgate/logout", headers)
        assert answer.status_code == 500
        assert "the cause" not in answer.text
        (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
        incident = record.getMessage().split()[1].rstrip(":")
        assert incident in answer.text
        assert record.exc_info

    def test_what_is_unavailable(self) -> None:
        scene = Scene.set()
        browser = scene.browser()
        browser.sign_in()
        state: Any = scene.parts.state
        state.generation = state.find = fails
        scene.clock.now += 60
        for path in ("userinfo", "logout", "logged-out"):
            page = browser.get(f"/.oidcgate/{path}")
            assert page.status_code == 503
            assert 'id="page-unavailable"' in page.text
            # The number by which whoever reads the log finds the cause.
            assert scene.audit[-1]["incident"] in page.text
            assert page.headers["Retry-After"] == "5"
            assert "Set-Cookie" not in page.headers
            assert browser.get(f"/.oidcgate/{path}", SCRIPT).get_json()["error"] == "temporarily_unavailable"


class TestDecisionsAgainst:
    """How a request that was decided against is answered."""

    def test_a_form_that_met_no_session(self) -> None:
        scene = Scene.set()
        answer = scene.browser().post("/orders", {"item": "1"})
        assert answer.status_code == 401
        assert 'id="page-session-ended"' in answer.text
        assert f"{APP}/.oidcgate/login?rd=%2Forders" in answer.text
        assert scene.visitors == []

    def test_a_script_without_a_session(self) -> None:
        answer = Scene.set().browser().get("/data", SCRIPT)
        assert answer.status_code == 401
        assert answer.get_json() == {"error": "login_required", "login_url": f"{APP}/.oidcgate/login"}

    @pytest.mark.row("F-08")
    def test_somebody_who_is_no_longer_known(self) -> None:
        scene = Scene.set()
        browser = scene.browser()
        browser.sign_in()
        scene.directory.users = {}
        page = browser.get("/private")
        assert page.status_code == 403
        assert 'id="page-unknown-user"' in page.text
        assert scene.audit[-1]["event"] == "access.refused"
        assert scene.audit[-1]["user_name"] == "Alice"
        answer = browser.get("/private", SCRIPT)
        assert answer.status_code == 403
        assert answer.get_json()["error"] == "unknown_user"
        assert scene.visitors == []

    def test_a_path_that_cannot_be_understood(self) -> None:
        browser = Scene.set().browser()
        page = browser.get("/a//b")
        assert page.status_code == 400
        assert 'id="page-error"' in page.text
        assert browser.get("/a//b", SCRIPT).get_json() == {"error": "path_empty_segment"}

    def test_a_directory_that_went_away_long_ago(self) -> None:
        scene = Scene.set()
        browser = scene.browser()
        browser.sign_in()
        scene.directory.failure = DirectoryUnavailable("gone")
        scene.clock.now += 3700
        page = browser.get("/private")
        assert page.status_code == 503
        assert scene.audit[-1]["what"] == "directory"
        assert scene.visitors == []

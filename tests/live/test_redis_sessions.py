"""Sessions and state on a real Redis, frozen, killed and started anew, for workers that share.

A "worker" here is a gate of its own over the same settings: it remembers nothing of what others were asked.
What holds for every store is in tests/contracts; over memcached: test_memcached_sessions.py.
"""

import copy
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from tests.support.lying_provider import NAVIGATION, SCRIPT, Browser, LyingProvider, Scene
from tests.support.redis import Redis, redis_server

pytestmark = pytest.mark.live

#: So late a worker may learn of another's sign-out in these tests.
LAG_SECONDS = 0.2


class Workers:
    """Gates over one Redis and one state, and the browsers that visit them."""

    def __init__(self, server: Redis, state: str, closed_at_end: ExitStack) -> None:
        self.server = server
        self._state = state
        self._closed_at_end = closed_at_end
        self._provider: LyingProvider | None = None
        self.first = self.another()
        self.clock = self.first.clock

    def another(self, **session: object) -> Scene:
        """A worker that remembers nobody."""
        settings = {
            "session": {"store": self.server.url, **session},
            "state": {"store": self._state, "revocation_lag_seconds": LAG_SECONDS},
        }
        scene = Scene.set(settings, *([self._provider] if self._provider else []))
        self._provider = scene.provider
        for store in (scene.parts.sessions._store, scene.parts.state):
            self._closed_at_end.callback(store.close)
        return scene

    def visit(self, browser: Browser, scene: Scene, path: str = "/page", **headers: str) -> TestResponse:
        """One request with the cookies of the browser, answered by `scene`; they stay as they are."""
        elsewhere = scene.browser()
        elsewhere.client._cookies = copy.deepcopy(browser.client._cookies)
        return elsewhere.get(path, headers or NAVIGATION)


@pytest.fixture
def server() -> Iterator[Redis]:
    with redis_server() as server:
        yield server


@pytest.fixture
def workers(server: Redis, tmp_path: Path) -> Iterator[Workers]:
    """Only the sessions are on Redis."""
    with ExitStack() as closed_at_end:
        yield Workers(server, f"sqlite:///{tmp_path}/state.db", closed_at_end)


@pytest.fixture
def all_on_redis(server: Redis) -> Iterator[Workers]:
    with ExitStack() as closed_at_end:
        yield Workers(server, server.url, closed_at_end)


def session_cookie(browser: Browser) -> str:
    (value,) = (
        value for name, value in browser.cookies().items() if re.fullmatch(r"__Host-oidcgate-\w+", name)
    )
    return value


def told(response: TestResponse) -> str:
    assert response.status_code == 200, response.text
    return response.text.rpartition(" ")[2]


def refused(response: TestResponse) -> None:
    """Nobody was let in, and nobody signed out."""
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert response.headers.getlist("Set-Cookie") == []


@pytest.mark.row("T-03", "G-05")
def test_a_frozen_redis_is_503_and_a_thawed_one_the_same_session(workers: Workers) -> None:
    browser = workers.first.browser()
    assert browser.sign_in().status_code in (302, 303)
    cookie = session_cookie(browser)
    assert told(workers.visit(browser, workers.first)) == "Alice"
    fresh = workers.another()
    workers.server.freeze()
    begun = time.monotonic()
    for headers in (NAVIGATION, SCRIPT):
        refused(workers.visit(browser, fresh, **headers))
    for path in ("/.oidcgate/logout", "/.oidcgate/userinfo", "/.oidcgate/logged-out"):
        refused(workers.visit(browser, fresh, path))
    assert time.monotonic() - begun < 20
    assert fresh.visitors == [], "not even as a stranger"
    # Whom a worker remembers, it lets in.
    assert told(workers.visit(browser, workers.first)) == "Alice"
    workers.server.thaw()
    time.sleep(1.1)  # the pause for which a server that did not answer is left alone
    response = workers.visit(browser, fresh)
    assert told(response) == "Alice"
    assert response.headers.getlist("Set-Cookie") == []
    assert session_cookie(browser) == cookie


@pytest.mark.row("T-03", "G-05")
def test_a_redis_that_forgot_is_a_clean_new_login(workers: Workers) -> None:
    browser = workers.first.browser()
    browser.sign_in()
    old = session_cookie(browser)
    workers.server.kill()
    newcomer = workers.another()
    refused(workers.visit(browser, newcomer))
    workers.server.start()
    time.sleep(1.1)
    browser = newcomer.browser()
    response = browser.get("/page")
    assert response.status_code == 302
    browser.sign_in()
    assert session_cookie(browser) != old
    assert told(workers.visit(browser, workers.another())) == "Alice"


@pytest.mark.row("T-03")
def test_a_durable_redis_that_was_killed_has_the_same_session_and_the_same_sign_outs(tmp_path: Path) -> None:
    with (
        redis_server("--appendonly", "yes", "--appendfsync", "always") as server,
        ExitStack() as closed_at_end,
    ):
        workers = Workers(server, server.url, closed_at_end)
        stays, goes = workers.first.browser(), workers.first.browser()
        for browser in (stays, goes):
            browser.sign_in()
        record = workers.first.parts.sessions.load(
            f"{workers.first.parts.names.session}={session_cookie(goes)}", workers.clock.now
        ).record
        workers.first.parts.sessions.end(record, workers.clock.now)
        server.kill()
        server.start()
        fresh = workers.another()
        assert told(workers.visit(stays, fresh)) == "Alice"
        assert workers.visit(goes, fresh).status_code == 302


@pytest.mark.row("T-03")
def test_a_remembered_session_makes_no_call(workers: Workers) -> None:
    browser = workers.first.browser()
    browser.sign_in()
    told(browser.get("/page"))

    def commands() -> int:
        with workers.server.client() as client:
            return int(client.info("stats")["total_commands_processed"])

    before = commands()
    spent = commands() - before
    for _ in range(50):
        assert told(browser.get("/page")) == "Alice"
    assert commands() - before == 2 * spent, "what it takes to ask, and no more"


@pytest.mark.row("T-03", "G-08", "G-23")
def test_a_sign_out_is_in_force_elsewhere_within_the_stated_time(all_on_redis: Workers) -> None:
    browser = all_on_redis.first.browser()
    browser.sign_in()
    there = all_on_redis.another()
    assert told(all_on_redis.visit(browser, there)) == "Alice"
    now = all_on_redis.clock.now
    assert len(all_on_redis.first.parts.sessions.revoke_user("alice", now)) == 1
    time.sleep(LAG_SECONDS)
    assert all_on_redis.visit(browser, there).status_code == 302
    assert list(there.parts.sessions.index.everybody(now)) == []


@pytest.mark.row("G-05")
def test_a_frozen_state_is_borne_for_a_while_by_who_is_remembered(all_on_redis: Workers) -> None:
    browser = all_on_redis.first.browser()
    browser.sign_in()
    scene = all_on_redis.first
    assert told(all_on_redis.visit(browser, scene)) == "Alice"
    all_on_redis.server.freeze()
    time.sleep(LAG_SECONDS)
    assert told(all_on_redis.visit(browser, scene)) == "Alice"
    all_on_redis.clock.now += 11
    time.sleep(LAG_SECONDS)
    refused(all_on_redis.visit(browser, scene))
    all_on_redis.server.thaw()
    time.sleep(1.1)
    all_on_redis.clock.now += 2
    response = all_on_redis.visit(browser, scene)
    assert told(response) == "Alice"


def test_nothing_of_a_person_can_be_read_in_redis(workers: Workers) -> None:
    workers.first.browser().sign_in()
    names = workers.server.say("KEYS", "*")
    assert len(names) == 2, "the session, and all by expiry"
    (held,) = (workers.server.say("HGETALL", name) for name in names if b":r:" in name)
    assert len(held[b"v"]) > 200
    for word in (b"alice", b"adams", b"id.example", b"sub-of"):
        assert word not in repr((names, held)).lower().encode()


@pytest.mark.row("G-08")
def test_one_sign_in_too_many_ends_the_oldest_session_of_its_user(all_on_redis: Workers) -> None:
    scene = all_on_redis.another(max_per_user=2)
    browsers = [scene.browser() for _ in range(3)]
    for browser in browsers:
        browser.sign_in()
        all_on_redis.clock.now += 1
    assert [all_on_redis.visit(each, scene).status_code for each in browsers] == [302, 200, 200]
    (event,) = (line for line in scene.audit if line["event"] == "session.displaced")
    assert event["user_name"] == "Alice"
    # Who signs in again gives up the session of that browser, and nobody else's.
    again = browsers[2].get("/.oidcgate/login?rd=/page&prompt=login").headers["Location"]
    browsers[2].get(scene.provider.answer(again))
    assert [all_on_redis.visit(each, scene).status_code for each in browsers] == [302, 200, 200]

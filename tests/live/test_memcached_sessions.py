"""Sessions on real memcached servers, frozen, killed and started anew, for workers and instances that share.

A "worker" here is a gate of its own over the same settings: it remembers nothing of what others were asked.
"""

import asyncio
import copy
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from oidcgate.gate.asgi import AsyncGate
from oidcgate.storage.memcached import MemcachedCache
from oidcgate.storage.records import RecordCache
from oidcgate.storage.rendezvous import servers_of
from tests.contracts.session_store import SessionStoreContract
from tests.oidcgate.gate.async_parts import App
from tests.support.asgi import Exchange, run, scope_of
from tests.support.lying_provider import NAVIGATION, SCRIPT, Browser, LyingProvider, Scene
from tests.support.memcached import Memcached, memcached, url_of

pytestmark = pytest.mark.live


class TestOnMemcached(SessionStoreContract):
    @pytest.fixture
    def records(self) -> Iterator[RecordCache]:
        with memcached() as server:
            cache = MemcachedCache(servers_of(url_of([server])), "gate")
            yield cache
            cache.close()


class Workers:
    """Gates over the same servers and state, and the browser that visits them."""

    def __init__(self, folder: Path, servers: list[Memcached], closed_at_end: ExitStack) -> None:
        self.servers = servers
        self._folder = folder
        self._closed_at_end = closed_at_end
        self._provider: LyingProvider | None = None
        self.first = self.another()
        self.clock = self.first.clock

    def another(self, servers: list[Memcached] | None = None) -> Scene:
        """A worker that remembers nobody."""
        settings = {
            "session": {"store": url_of(servers or self.servers)},
            "state": {"store": f"sqlite:///{self._folder}/state.db"},
        }
        scene = Scene.set(settings, *([self._provider] if self._provider else []))
        self._provider = scene.provider
        self._closed_at_end.callback(scene.parts.sessions._store.close)
        return scene

    def visit(self, browser: Browser, scene: Scene, path: str = "/page", **headers: str) -> TestResponse:
        """One request with the cookies of the browser, answered by `scene`; they stay as they are."""
        elsewhere = scene.browser()
        elsewhere.client._cookies = copy.deepcopy(browser.client._cookies)
        return elsewhere.get(path, headers or NAVIGATION)


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    with memcached() as server, ExitStack() as closed_at_end:
        yield Workers(tmp_path, [server], closed_at_end)


def session_cookie(browser: Browser) -> str:
    (value,) = (
        value for name, value in browser.cookies().items() if re.fullmatch(r"__Host-oidcgate-\w+", name)
    )
    return value


def told(response: TestResponse) -> str:
    assert response.status_code == 200, response.text
    return response.text.rpartition(" ")[2]


# -- one memcached


@pytest.mark.row("T-03", "G-05")
def test_a_frozen_memcached_is_503_and_a_thawed_one_the_same_session(workers: Workers) -> None:
    (server,) = workers.servers
    browser = workers.first.browser()
    assert browser.sign_in().status_code in (302, 303)
    cookie = session_cookie(browser)
    assert told(workers.visit(browser, workers.first)) == "Alice"
    fresh = workers.another()
    server.freeze()
    for headers in (NAVIGATION, SCRIPT):
        begun = time.monotonic()
        response = workers.visit(browser, fresh, **headers)
        assert time.monotonic() - begun < 5
        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) > 0
        assert response.headers.getlist("Set-Cookie") == []
    assert fresh.visitors == [], "nobody was let in, not even as a stranger"
    for path in ("/.oidcgate/logout", "/.oidcgate/userinfo", "/.oidcgate/logged-out"):
        response = workers.visit(browser, fresh, path)
        assert response.status_code == 503
        assert response.headers.getlist("Set-Cookie") == []
    # Whom a worker remembers, it lets in.
    assert told(workers.visit(browser, workers.first)) == "Alice"
    server.thaw()
    time.sleep(1.1)  # the pause for which a server that did not answer is left alone
    response = workers.visit(browser, fresh)
    assert told(response) == "Alice"
    assert response.headers.getlist("Set-Cookie") == []
    assert session_cookie(browser) == cookie


@pytest.mark.row("T-03", "G-05")
def test_a_memcached_that_was_killed_and_started_anew_is_a_clean_new_login(workers: Workers) -> None:
    (server,) = workers.servers
    browser = workers.first.browser()
    browser.sign_in()
    old = session_cookie(browser)
    fresh = workers.another()
    for worker in (workers.first, fresh):
        assert told(workers.visit(browser, worker)) == "Alice"
    server.kill()
    newcomer = workers.another()
    response = workers.visit(browser, newcomer)
    assert response.status_code == 503
    assert response.headers.getlist("Set-Cookie") == []
    server.start()
    workers.clock.now += 60  # when the use of a remembered session is recorded
    for worker in (workers.first, fresh):
        # This request was let in from memory. It has shown that memory to be old.
        assert told(workers.visit(browser, worker)) == "Alice"
        response = workers.visit(browser, worker)
        assert response.status_code == 302
        assert response.headers["Location"].startswith("https://app.example.com/.oidcgate/login?")
        assert workers.visit(browser, worker, **SCRIPT).status_code == 401
    answer = browser.sign_in("/page")
    assert answer.headers["Location"] == "https://app.example.com/page"
    assert session_cookie(browser) != old
    for worker in (workers.first, fresh):
        assert told(workers.visit(browser, worker)) == "Alice"


@pytest.mark.row("T-03")
def test_a_remembered_session_makes_no_memcached_call(workers: Workers) -> None:
    (server,) = workers.servers
    browser = workers.first.browser()
    browser.sign_in()
    told(browser.get("/page"))
    before = server.stat("cmd_get"), server.stat("cmd_set")
    for _ in range(50):
        assert told(browser.get("/page")) == "Alice"
    assert (server.stat("cmd_get"), server.stat("cmd_set")) == before


@pytest.mark.row("G-05")
def test_an_outage_during_a_further_sign_in_costs_nobody_the_session_they_have(workers: Workers) -> None:
    (server,) = workers.servers
    browser = workers.first.browser()
    browser.sign_in()
    assert told(browser.get("/page")) == "Alice"
    answer = workers.first.provider.answer(
        browser.get("/.oidcgate/login?rd=/page&prompt=login").headers["Location"]
    )
    server.freeze()
    response = browser.get(answer)
    assert response.status_code == 503
    session = workers.first.parts.names.session
    assert not any(cookie.startswith(f"{session}=") for cookie in response.headers.getlist("Set-Cookie"))
    server.thaw()
    time.sleep(1.1)
    assert told(workers.visit(browser, workers.first)) == "Alice"
    assert told(workers.visit(browser, workers.another())) == "Alice"


def test_nothing_of_a_person_can_be_read_in_memcached(workers: Workers, tmp_path: Path) -> None:
    with memcached("-o", "no_modern") as server:
        scene = workers.another([server])
        scene.browser().sign_in()
        (name,) = server.keys()
        assert name.startswith("oidcgate:")
        value = "".join(server.say(f"get {name}")).lower()
    assert len(value) > 200
    for word in ("alice", "adams", "id.example", "sub-of"):
        assert word not in name.lower() + value


@pytest.mark.row("T-03", "G-05")
def test_on_an_event_loop_a_frozen_memcached_holds_up_only_those_it_is_asked_about(workers: Workers) -> None:
    (server,) = workers.servers
    cookies = []
    for _ in range(2):
        browser = workers.first.browser()
        browser.sign_in()
        cookies.append("; ".join(f"{name}={value}" for name, value in browser.cookies().items()))
    app = App()
    gate = AsyncGate.from_parts(app, workers.another().parts)

    def ask(cookie: str) -> Exchange:
        return Exchange(
            gate, scope_of("http", "/page", headers=[*NAVIGATION.items(), ("Cookie", cookie)])
        ).start()

    async def main() -> None:
        assert (await ask(cookies[0]).answer()).status == 200
        server.freeze()
        waiting = ask(cookies[1])
        for _ in range(5):
            assert (await ask(cookies[0]).answer()).status == 200
        assert not waiting.messages, "nobody can say yet who that is"
        answer = await waiting.answer()
        assert (answer.status, answer.all("Set-Cookie")) == (503, [])
        assert int(answer.one("Retry-After")) > 0
        server.thaw()
        await asyncio.sleep(1.1)
        assert (await ask(cookies[1]).answer()).status == 200

    run(main())
    assert app.calls == 7


# -- two of them


@pytest.mark.row("T-03", "G-05")
def test_one_of_two_servers_down_touches_only_its_own_sessions(tmp_path: Path) -> None:
    with memcached() as one, memcached() as other, ExitStack() as closed_at_end:
        workers = Workers(tmp_path, [one, other], closed_at_end)
        browsers = [workers.first.browser() for _ in range(12)]
        on_one = []
        for browser in browsers:
            before = one.stat("curr_items")
            browser.sign_in()
            on_one.append(one.stat("curr_items") > before)
        # Otherwise listed, they are found all the same.
        turned = workers.another([other, one])
        assert [told(workers.visit(browser, turned)) for browser in browsers] == ["Alice"] * 12
        assert 0 < sum(on_one) < 12, "one chance in 2,000 that all are on one server"
        one.freeze()
        fresh = workers.another()
        answers = [workers.visit(browser, fresh) for browser in browsers]
        assert [answer.status_code for answer in answers] == [503 if down else 200 for down in on_one]
        assert not any(answer.headers.getlist("Set-Cookie") for answer in answers)
        one.thaw()
        time.sleep(1.1)
        assert [told(workers.visit(browser, fresh)) for browser in browsers] == ["Alice"] * 12

"""`AsyncGate` while tokens are renewed: the loop waits for nobody, a provider that hangs keeps nobody out."""

import asyncio
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from oidcgate.gate.asgi import AsyncGate
from oidcgate.gate.pool import Pool
from oidcgate.gate.watch import Watch
from oidcgate.net.errors import FetchError, FetchFailure
from tests.oidcgate.gate.async_parts import BROWSER, App
from tests.oidcgate.gate.test_refreshing import Workers
from tests.support.asgi import Answer, Exchange, run, scope_of
from tests.support.lying_provider import Scene


class Front:
    """An async gate over the parts of a worker, and browsers that have signed in."""

    def __init__(self, folder: Path) -> None:
        self.workers = Workers(folder, {"forward": {"access_token": True}})
        self.app = App()
        self.gate = AsyncGate.from_parts(self.app, self.workers.here.parts)

    def sign_in(self) -> str:
        """The Cookie header of one more browser."""
        scene: Scene = self.workers.here
        browser = scene.browser()
        self.workers.provider.tokens["refresh_token"] = self.workers.provider.good
        assert browser.sign_in().status_code == 303
        return "; ".join(f"{name}={value}" for name, value in browser.cookies().items())

    def ask(self, cookie: str, kind: str = "http") -> Exchange:
        headers = [*BROWSER, ("Cookie", cookie)]
        return Exchange(self.gate, scope_of(kind, "/private", headers=headers)).start()

    async def answer(self, cookie: str) -> Answer:
        return await self.ask(cookie).answer()


@pytest.mark.row("G-04")
def test_a_provider_that_takes_its_time_holds_up_nobody_else(tmp_path: Path) -> None:
    front = Front(tmp_path)
    first, let_go, on_loop = front.sign_in(), threading.Event(), []
    loop_thread = threading.current_thread()
    front.workers.clock.now += 250
    other = front.sign_in()

    def hang() -> None:
        on_loop.append(threading.current_thread() is loop_thread)
        assert let_go.wait(20)

    async def main() -> None:
        front.workers.provider.while_refreshing = hang
        waiting = front.ask(first)
        while not on_loop:
            await asyncio.sleep(0.001)
        assert (await front.answer(other)).status == 200
        # The same session goes on, too, with the access token that is still good.
        assert (await front.answer(first)).status == 200
        assert front.app.scope["oidcgate.access_token"] == "the-access-token"
        assert waiting.messages == []
        let_go.set()
        assert (await waiting.answer()).status == 200
        assert front.app.scope["oidcgate.access_token"] == "access-1"

    run(main())
    assert on_loop == [False]


@pytest.mark.row("G-04", "G-17")
def test_where_too_many_wait_for_the_provider_the_rest_goes_on(tmp_path: Path) -> None:
    front = Front(tmp_path)
    cookie = front.sign_in()
    front.workers.clock.now += 400
    front.gate._renewals = Pool("none", threads=0, queue=0)

    async def main() -> None:
        assert (await front.answer(cookie)).status == 200
        assert "oidcgate.access_token" not in front.app.scope

    run(main())
    assert front.workers.provider.sent_tokens == []


@pytest.mark.row("G-04")
def test_what_a_middleware_in_front_calls_an_access_token_is_none(tmp_path: Path) -> None:
    front = Front(tmp_path)

    async def main() -> None:
        scope = scope_of("http", "/private", headers=[*BROWSER, ("Cookie", front.sign_in())])
        scope["oidcgate.access_token"] = "forged"
        front.workers.clock.now += 400
        front.workers.provider.breaks("/token", status_code=502)
        await Exchange(front.gate, scope).start().answer()
        assert "oidcgate.access_token" not in front.app.scope

    run(main())


@pytest.mark.row("G-04", "G-26")
def test_a_page_that_lasts_is_sent_nowhere_and_ends_when_the_provider_says_so(tmp_path: Path) -> None:
    front = Front(tmp_path)
    cookie, workers = front.sign_in(), front.workers

    async def lasting(scope: object, receive: object, send: object) -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        front.app.then = lasting
        front.gate._watch = Watch(front.gate._may_go_on, look_seconds=0.001)
        exchange = front.ask(cookie)
        workers.clock.now += 250
        workers.provider.breaks("/token", exc=FetchError(FetchFailure.CONNECTION, "x", "no", sent=False))
        while workers.provider.calls("/token") < 2 or not front.app.calls:
            await asyncio.sleep(0.001)
        assert exchange.messages == []
        workers.provider.mend("/token")
        workers.provider.ended = True
        workers.clock.now += 100
        assert (await exchange.answer()).status == 401

    run(main())


@pytest.mark.row("G-04", "G-26")
def test_a_page_that_lasts_goes_on_without_tokens(tmp_path: Path) -> None:
    front = Front(tmp_path)
    cookie, workers = front.sign_in(), front.workers
    leave = asyncio.Event()

    async def lasting(scope: object, receive: object, send: object) -> None:
        await leave.wait()

    async def main() -> None:
        front.app.then = lasting
        exchange = front.ask(cookie)
        while not front.app.calls:
            await asyncio.sleep(0.001)
        workers.clock.now += 250
        workers.provider.breaks("/token", status_code=502)
        (ongoing,) = front.gate._watch._ongoing
        for _ in range(3):
            assert await front.gate._may_go_on(ongoing)
            workers.clock.now += 100
        # Where a navigation that begins now is sent away.
        answer = await front.answer(cookie)
        assert urlsplit(answer.one("Location")).query.endswith("prompt=none")
        leave.set()
        assert exchange.task is not None
        await exchange.task

    run(main())

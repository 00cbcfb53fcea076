"""What has to be waited for does not hold up the loop: stores, the IdP, the gate's own routes.

What is known in memory is the subject of `test_asgi` next door; the pools by themselves of `test_pool`.
"""

import asyncio
import dataclasses
import json
import threading
from typing import Any

import pytest
from werkzeug import Request, Response

from oidcgate.gate.asgi import AsyncGate
from oidcgate.gate.pool import Pool
from tests.oidcgate.gate.async_parts import BROWSER, ShyStore, World
from tests.oidcgate.gate.parts import SECRET, cookie_of, record
from tests.support.asgi import Answer, Exchange, run


def sign_in_elsewhere(world: World, session_id: str = "s1", **more: Any) -> str:
    """A session that another worker has made: this one has to look."""
    made: list[str] = []
    thread = threading.Thread(
        target=lambda: made.extend(world.sessions.create(record(session_id, **more), world.clock.now))
    )
    thread.start()
    thread.join()
    return cookie_of(made)


async def ask(world: World, target: str = "/", cookie: str = "", **more: Any) -> Answer:
    return await world.exchange("http", target, cookie, **more).answer()


async def drained(*pools: Pool) -> None:
    while any(pool.pending for pool in pools):
        await asyncio.sleep(0.001)


async def called(store: ShyStore) -> None:
    """Return when somebody waits for the store."""
    while not store.called.acquire(blocking=False):
        await asyncio.sleep(0.001)


# -- stores


@pytest.mark.row("T-03")
def test_what_is_remembered_is_answered_without_a_store_and_what_is_not_in_a_thread() -> None:
    state, kept = ShyStore(), ShyStore()
    world = World(state=state, sessions=kept)

    async def main() -> None:
        cookie = sign_in_elsewhere(world)
        assert (await ask(world, "/", cookie)).status == 200
        calls = (len(state.calls), len(kept.calls))
        assert calls[1] == 2, "written once, read once"
        for target in ("/", "/other", "/public/x"):
            assert (await ask(world, target, cookie)).status == 200
            assert world.app.scope["oidcgate.identity"].user_name == "Alice"
        websocket = world.exchange("websocket", "/", cookie)
        assert (await websocket.answer()).status == 101
        assert (len(state.calls), len(kept.calls)) == calls
        assert (await ask(world, "/")).status == 401
        assert (len(state.calls), len(kept.calls)) == calls

    run(main())


@pytest.mark.row("T-03")
def test_a_revocation_is_read_in_a_thread_and_holds_for_the_next_request() -> None:
    state = ShyStore()
    world = World(state=state)

    async def main() -> None:
        cookie = sign_in_elsewhere(world)
        assert (await ask(world, "/", cookie)).status == 200
        await asyncio.to_thread(world.sessions.end, record(), world.clock.now)
        assert (await ask(world, "/", cookie)).status == 401
        assert world.app.calls == 1

    run(main())


def test_use_of_a_stored_session_is_recorded_in_a_thread() -> None:
    kept = ShyStore()
    world = World(sessions=kept)

    async def main() -> None:
        cookie = sign_in_elsewhere(world)
        await ask(world, "/", cookie)
        world.clock.now += 60
        assert (await ask(world, "/", cookie)).status == 200
        assert kept.calls == ["put", "get", "get", "swap"]
        # It lives on from there.
        world.clock.now += 28_790
        assert (await ask(world, "/", cookie)).status == 200

    run(main())


@pytest.mark.row("G-05")
@pytest.mark.parametrize("which", ["state", "sessions"])
def test_a_store_that_is_down_lets_nobody_in_and_logs_nobody_out(which: str) -> None:
    stores = {"state": ShyStore(), "sessions": ShyStore()}
    world = World(**stores)

    async def main() -> None:
        cookie = sign_in_elsewhere(world)
        stores[which].down = True
        for headers in (BROWSER, []):
            answer = await ask(world, "/", cookie, headers=headers)
            assert (answer.status, world.app.calls) == (503, 0)
            assert int(answer.one("Retry-After")) > 0
            assert answer.all("Set-Cookie") == []
        refused = await world.exchange("websocket", "/", cookie).answer()
        assert (refused.status, world.app.calls) == (503, 0)
        assert (await ask(world, "/public/x", cookie)).status == 200
        assert "oidcgate.identity" not in world.app.scope
        stores[which].down = False
        assert (await ask(world, "/", cookie)).status == 200

    run(main())


def test_a_store_that_takes_its_time_holds_up_nobody_else() -> None:
    kept = ShyStore()
    world = World(sessions=kept)

    async def main() -> None:
        cookie, other = sign_in_elsewhere(world), sign_in_elsewhere(world, "s2")
        assert (await ask(world, "/", cookie)).status == 200
        while kept.called.acquire(blocking=False):
            pass
        kept.let_go = threading.Event()
        waiting = world.exchange("http", "/", other)
        await called(kept)
        assert (await ask(world, "/", cookie)).status == 200
        assert (await ask(world, "/public/x")).status == 200
        assert (await ask(world, "/.oidcgate/healthz")).status == 200
        assert waiting.messages == []
        kept.let_go.set()
        assert (await waiting.answer()).status == 200

    run(main())


def test_a_client_that_leaves_while_the_store_is_asked_reaches_nothing_and_holds_no_place() -> None:
    kept = ShyStore()
    world = World(sessions=kept)

    async def main() -> None:
        cookie = sign_in_elsewhere(world)
        while kept.called.acquire(blocking=False):
            pass
        kept.let_go = threading.Event()
        exchange = world.exchange("http", "/", cookie)
        await called(kept)
        assert exchange.task is not None
        exchange.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await exchange.task
        kept.let_go.set()
        await drained(world.gate._stores)
        assert (world.app.calls, exchange.messages) == (0, [])

    run(main())


# -- when too many wait


@pytest.mark.row("G-05")
def test_when_too_many_wait_for_the_store_the_next_is_told_at_once_and_loses_nothing() -> None:
    kept = ShyStore()
    world = World(sessions=kept, session={"secret": SECRET, "idle_minutes": 5})
    world.gate._stores = Pool("few", threads=1, queue=1)

    async def main() -> None:
        known = sign_in_elsewhere(world, "known")
        cookies = [sign_in_elsewhere(world, f"s{number}") for number in range(3)]
        await ask(world, "/", known)
        lasting = await _lasting(world, known)
        kept.let_go = threading.Event()
        waiting = [world.exchange("http", "/", cookie) for cookie in cookies[:2]]
        while world.gate._stores.pending < 2:
            await asyncio.sleep(0)

        for headers in (BROWSER, []):
            answer = await ask(world, "/", cookies[2], headers=headers)
            assert answer.status == 503
            assert int(answer.one("Retry-After")) > 0
            assert answer.all("Set-Cookie") == []
        assert (await world.exchange("websocket", "/", cookies[2]).answer()).status == 503
        assert (await ask(world, "/.oidcgate/userinfo", cookies[2])).status == 503

        # Nobody else notices: not who is remembered, not what is public, not who asks whether we live.
        assert (await ask(world, "/", known)).status == 200
        assert (await ask(world, "/public/x", cookies[2])).status == 200
        assert "oidcgate.identity" not in world.app.scope
        assert (await ask(world, "/.oidcgate/healthz")).status == 200
        assert (await ask(world, "/a/../b", cookies[2])).status == 400
        # The use of a session that cannot be recorded now is recorded later.
        world.clock.now += 30
        assert (await ask(world, "/", known)).status == 200
        # What lasts goes on, although nobody can say whether it may.
        world.clock.now += 300
        await world.looked()
        assert lasting.task is not None
        assert not lasting.task.done()
        world.clock.now -= 300

        kept.let_go.set()
        assert {(await exchange.answer()).status for exchange in waiting} == {200}
        assert (await ask(world, "/", cookies[2])).status == 200
        lasting.task.cancel()
        await asyncio.wait({lasting.task})

    run(main())


async def _lasting(world: World, cookie: str) -> Exchange:
    world.look_often()

    async def wait(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    world.app.then = wait
    calls = world.app.calls
    exchange = world.exchange("http", "/live", cookie)
    while world.app.calls == calls:
        await asyncio.sleep(0)
    world.app.then = None
    return exchange


# -- the gate's own routes


class Routes:
    """In place of the gate's routes: remembers what was asked, and waits at some of them when told to."""

    def __init__(self, inner: Any) -> None:
        self.asked: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.threads: list[str] = []
        self.idp_answers: threading.Event | None = None
        self.passwords_are_compared: threading.Event | None = None
        self._inner = inner

    def respond(self, environ: dict[str, Any]) -> Response:
        self.asked.append(environ)
        self.threads.append(threading.current_thread().name)
        self.bodies.append(Request(environ).get_data())
        path = environ["PATH_INFO"]
        if self.idp_answers is not None and ("log" in path or "callback" in path):
            assert self.idp_answers.wait(20)
        if self.passwords_are_compared is not None and "break-glass" in path:
            assert self.passwords_are_compared.wait(20)
        if path.endswith("cookies"):
            response = Response("two")
            response.set_cookie("a", "1")
            response.set_cookie("b", "2")
            return response
        return self._inner.respond(environ)  # type: ignore[no-any-return]  # the real ones


@pytest.fixture
def routed() -> tuple[World, Routes]:
    world = World()
    routes = Routes(world.gate.parts.routes)
    parts = dataclasses.replace(world.gate.parts, routes=routes)  # type: ignore[arg-type]  # a stand-in
    world.gate = AsyncGate.from_parts(world.app, parts)
    return world, routes


def test_routes_answer_in_threads_and_whether_we_live_is_said_at_once(routed: tuple[World, Routes]) -> None:
    world, routes = routed

    async def main() -> None:
        for path in ("userinfo", "login", "healthz", "callback?state=x", "logout", "logged-out", "none"):
            assert (await ask(world, f"/.oidcgate/{path}")).status is not None
        await drained(world.gate._stores, world.gate._provider)

    run(main())
    pools = [name.rpartition("_")[0] for name in routes.threads]
    stores, provider = "oidcgate-stores", "oidcgate-provider"
    assert pools == [stores, provider, "", provider, provider, stores, stores]
    assert world.app.calls == 0


def test_an_idp_that_does_not_answer_keeps_nobody_from_a_session(routed: tuple[World, Routes]) -> None:
    world, routes = routed
    routes.idp_answers = threading.Event()
    world.gate._provider = Pool("idp", threads=2, queue=1)
    world.gate._stores = Pool("few", threads=1, queue=0)

    async def main() -> None:
        assert routes.idp_answers is not None
        # Each in a spelling under which the route is found as well.
        waiting = [
            world.exchange("http", f"/.oidcgate/{path}") for path in ("login", "login/", "callback/?state=x")
        ]
        while world.gate._provider.pending < 3:
            await asyncio.sleep(0)
        for path in ("login", "login/", "logout", "callback/"):
            answer = await ask(world, f"/.oidcgate/{path}", headers=BROWSER)
            assert (answer.status, answer.all("Set-Cookie")) == (503, [])
            assert int(answer.one("Retry-After")) > 0
        cookie = world.sign_in()
        assert (await ask(world, "/", cookie)).status == 200
        assert (await ask(world, "/.oidcgate/userinfo", cookie)).status == 200
        routes.idp_answers.set()
        for exchange in waiting:
            await exchange.answer()
        await drained(world.gate._provider, world.gate._stores)

    run(main())


@pytest.mark.row("G-28")
def test_passwords_that_are_compared_keep_nobody_from_a_session(routed: tuple[World, Routes]) -> None:
    world, routes = routed
    routes.passwords_are_compared = threading.Event()
    path = "/.oidcgate/break-glass"

    async def main() -> None:
        assert routes.passwords_are_compared is not None
        # As many as run at once and as may wait; in each spelling under which the route is found.
        waiting = [
            world.exchange("http", path + "/" * (number % 2), method="POST", body=b"password=x")
            for number in range(18)
        ]
        while world.gate._break_glass.pending < 18:
            await asyncio.sleep(0)
        assert (world.gate._stores.pending, world.gate._provider.pending) == (0, 0)
        for target in (path, path + "/"):
            answer = await ask(world, target, headers=BROWSER, method="POST")
            assert (answer.status, answer.all("Set-Cookie")) == (503, [])
            assert int(answer.one("Retry-After")) > 0
        cookie = world.sign_in()
        assert (await ask(world, "/", cookie)).status == 200
        assert (await ask(world, "/.oidcgate/userinfo", cookie)).status == 200
        routes.passwords_are_compared.set()
        for exchange in waiting:
            await exchange.answer()
        await drained(world.gate._break_glass)

    run(main())
    asked = zip(routes.asked, routes.threads, strict=True)
    compared = {name for environ, name in asked if "break-glass" in environ["PATH_INFO"]}
    assert compared == {"oidcgate-break-glass_0", "oidcgate-break-glass_1"}


def test_a_route_gets_the_body_and_every_header_as_under_wsgi(routed: tuple[World, Routes]) -> None:
    world, routes = routed
    headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Content-Length", "7"),
        *(("X-A", value) for value in "12"),
        *(("Cookie", value) for value in ("a=1", "b=2")),
        ("Accept-Language", "sk"),
        ("Accept-Language", "en"),
    ]

    async def main() -> None:
        exchange = world.exchange(
            "http", "/.oidcgate/callback?x=%C5%BE", headers=headers, method="POST", body=None
        )
        for part, more in ((b"sta", True), (b"te=x", False)):
            exchange.say({"type": "http.request", "body": part, "more_body": more})
        await exchange.answer()

    run(main())
    (environ,) = routes.asked
    assert routes.bodies == [b"state=x"]
    assert {name: environ[name] for name in sorted(environ) if name.isupper()} == {
        "CONTENT_LENGTH": "7",
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "HTTP_ACCEPT_LANGUAGE": "sk,en",
        "HTTP_COOKIE": "a=1; b=2",
        "HTTP_HOST": "app.example.com",
        "HTTP_X_A": "1,2",
        "PATH_INFO": "/.oidcgate/callback",
        "QUERY_STRING": "x=%C5%BE",
        "RAW_URI": "/.oidcgate/callback",
        "REMOTE_ADDR": "203.0.113.7",
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
    }


def test_every_cookie_of_a_route_arrives(routed: tuple[World, Routes]) -> None:
    world, _ = routed
    answer = world.request("/.oidcgate/cookies")
    assert answer.all("Set-Cookie") == ["a=1; Path=/", "b=2; Path=/"]
    assert (answer.body, answer.whole) == (b"two", True)


@pytest.mark.parametrize(("size", "status"), [(65_536, 400), (65_537, 413)])
def test_the_body_of_a_route_is_bounded(size: int, status: int, routed: tuple[World, Routes]) -> None:
    world, routes = routed
    # No state in it, so what is read is refused as a sign-in that nobody began.
    answer = world.request("/.oidcgate/callback", "POST", body=b"x" * size)
    assert answer.status == status
    assert [len(body) for body in routes.bodies] == ([size] if status == 400 else [])
    if status == 413:
        assert json.loads(answer.body) == {"error": "body_too_large"}
        # The rest is not read, so the connection is of no more use.
        assert answer.one("Connection") == "close"


def test_a_body_without_end_is_read_no_further_than_its_bound(routed: tuple[World, Routes]) -> None:
    world, routes = routed

    async def main() -> None:
        exchange = world.exchange("http", "/.oidcgate/callback", method="POST", body=None)
        for _ in range(10):
            exchange.say({"type": "http.request", "body": b"x" * 10_000, "more_body": True})
        assert (await exchange.answer()).status == 413
        assert exchange.received == 7

    run(main())
    assert routes.asked == []


def test_a_client_that_leaves_in_the_middle_of_its_body_asked_nothing(routed: tuple[World, Routes]) -> None:
    world, routes = routed

    async def main() -> None:
        exchange = world.exchange("http", "/.oidcgate/logout", method="POST", body=None)
        exchange.say({"type": "http.request", "body": b"rd=/", "more_body": True})
        exchange.say({"type": "http.disconnect"})
        await exchange.answer()

    run(main())
    assert routes.asked == []


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_no_body_is_waited_for_where_none_belongs(method: str, routed: tuple[World, Routes]) -> None:
    world, routes = routed

    async def main() -> None:
        exchange = world.exchange("http", "/.oidcgate/userinfo", method=method, body=None)
        assert (await exchange.answer()).status in (401, 405)
        assert exchange.received == 0

    run(main())
    assert routes.bodies == [b""]

"""WebSockets and event streams: decided before they open, judged anew while they last, ended in time.

One request that is answered at once is the subject of `test_asgi` next door; the register of what is under
way, by itself, of `test_watch`.
"""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from oidcgate.directory.port import AmbiguousUser, DirectoryUnavailable, KnownUser
from oidcgate.gate.asgi import AsyncGate
from oidcgate.handover import DROP_COOKIE, OUTCOME, UPGRADE, Outcome
from tests.oidcgate.gate.async_parts import BROWSER, RULES, World
from tests.oidcgate.gate.parts import PUBLIC_URL, Store, record
from tests.support.asgi import Exchange, run, scope_of

OWN, FOREIGN = ("Origin", PUBLIC_URL), ("Origin", "https://evil.example")
PLAIN: dict[str, Any] = {"extensions": {}}  # a server that cannot answer a WebSocket with HTTP


@pytest.fixture
def world() -> World:
    world = World()
    world.look_often()
    return world


# -- before they open


@pytest.mark.row("G-26", "G-29")
def test_a_websocket_without_a_session_is_refused_as_a_script_would_be(world: World) -> None:
    for headers in ([], [OWN], BROWSER):
        answer = world.websocket("/live", headers=headers)
        assert (answer.status, answer.close, world.app.calls) == (401, None, 0)
        assert json.loads(answer.body)["login_url"] == f"{PUBLIC_URL}/.oidcgate/login"
        assert answer.whole


def test_a_server_that_cannot_say_why_closes_before_accepting(world: World) -> None:
    for extensions in ({"extensions": {}}, {"extensions": None}):
        answer = world.websocket("/live", **extensions)
        assert (answer.status, answer.close, len(answer.messages)) == (None, 1008, 1)
    assert world.websocket("/a/../b", **PLAIN).close == 1008
    assert world.websocket("/live", cookie=world.sign_in(), headers=[FOREIGN], **PLAIN).close == 1008
    assert world.app.calls == 0
    # Before extensions were invented.
    scope = scope_of("websocket", "/live")
    del scope["extensions"]
    assert run(Exchange(world.gate, scope).answer()).close == 1008


@pytest.mark.row("G-26")
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://app.example.com", PUBLIC_URL + "."]
)
def test_a_page_of_somebody_else_opens_no_websocket_in_the_name_of_who_looks_at_it(
    origin: str, world: World
) -> None:
    answer = world.websocket("/live", cookie=world.sign_in(), headers=[("Origin", origin)])
    assert (answer.status, world.app.calls) == (403, 0)
    assert json.loads(answer.body)["error"] == "websocket_from_a_foreign_origin"
    assert "websocket_from_a_foreign_origin" in world.events[-1]


@pytest.mark.row("G-26")
def test_origins_said_twice_are_not_ours(world: World) -> None:
    cookie = world.sign_in()
    assert world.websocket("/live", cookie=cookie, headers=[OWN, FOREIGN]).status == 403
    assert world.websocket("/live", cookie=cookie, headers=[OWN, OWN]).status == 403


@pytest.mark.row("G-26", "T-01")
@pytest.mark.parametrize("headers", [[OWN], []], ids=["own page", "no browser"])
def test_our_own_pages_and_programs_open_one_as_who_they_are(headers: Any, world: World) -> None:
    answer = world.websocket("/live", cookie=world.sign_in(), headers=headers)
    assert (answer.status, answer.close) == (101, 1000)
    assert world.app.scope["oidcgate.identity"].user_name == "Alice"


def test_what_is_public_is_open_to_foreign_pages_too_but_in_nobodys_name(world: World) -> None:
    assert world.websocket("/public/live", cookie=world.sign_in(), headers=[FOREIGN]).status == 101
    assert "oidcgate.identity" not in world.app.scope
    assert world.app.all("Cookie") == []


def test_an_upgrade_that_the_server_passes_as_a_plain_request_is_judged_as_one(world: World) -> None:
    upgrade = [("Upgrade", "websocket"), ("Connection", "keep-alive, Upgrade")]
    cookie = world.sign_in()
    assert world.request("/live", headers=[*upgrade, *BROWSER]).status == 401
    assert world.request("/live", cookie=cookie, headers=[*upgrade, FOREIGN]).status == 403
    assert world.request("/live", cookie=cookie, headers=[*upgrade, OWN]).status == 200


def test_routes_of_the_gate_are_no_websockets(world: World) -> None:
    assert world.websocket("/.oidcgate/healthz").status == 200
    assert world.websocket("/.oidcgate/none").status == 404
    assert world.websocket("/.oidcgate/healthz", **PLAIN).close == 1008


# -- while they last


async def live(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """A WebSocket that says what it hears, until the client has left."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


async def stream(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Events without end; here the first of them."""
    head = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
    await asyncio.Event().wait()


async def slow(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """An answer that never begins."""
    await asyncio.Event().wait()


KINDS = {"websocket": live, "stream": stream, "slow": slow}
_FIRST = {"websocket": "websocket.accept", "stream": "http.response.body"}


async def begun(world: World, what: str, target: str = "/live", cookie: str = "", **more: Any) -> Exchange:
    """A long request that is under way."""
    world.app.then = KINDS[what]
    calls = world.app.calls
    exchange = world.exchange("websocket" if what == "websocket" else "http", target, cookie, **more)
    if what in _FIRST:
        await exchange.sent(_FIRST[what])
    while world.app.calls == calls:
        await asyncio.sleep(0)
    return exchange


async def check_ended(exchange: Exchange, what: str) -> None:
    """What the client is told, and that the app is gone."""
    answer = await exchange.answer()
    if what == "websocket":
        assert answer.close == 1008
    elif what == "stream":
        # Left without its end, so that nobody takes it for whole.
        assert (answer.status, answer.body, answer.whole) == (200, b"data: 1\n\n", False)
    else:
        assert (answer.status, json.loads(answer.body)) == (401, {"error": "login_required"})
        assert answer.one("Cache-Control") == "no-store"


async def check_alive(world: World, exchange: Exchange, what: str) -> None:
    await world.looked()
    assert exchange.task is not None
    assert not exchange.task.done()
    if what == "websocket":
        exchange.say({"type": "websocket.receive", "text": "still here"})
        await exchange.until(lambda messages: messages[-1].get("text") == "still here")


async def leave(exchange: Exchange) -> None:
    assert exchange.task is not None
    exchange.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exchange.task


def sign_out(world: World) -> None:
    world.sessions.end(record(), world.clock.now)


def remove(world: World) -> None:
    world.directory.change()


def make_ambiguous(world: World) -> None:
    world.directory.failure = AmbiguousUser("Alice")
    world.clock.now += 60


def expire(world: World) -> None:
    world.clock.now += 43_200


def revoke_all(world: World) -> None:
    world.sessions.revoke_user("Alice", world.clock.now)


ENDS = [sign_out, remove, make_ambiguous, expire, revoke_all]


@pytest.mark.row("G-26", "T-03")
@pytest.mark.parametrize("what", KINDS)
@pytest.mark.parametrize("end", ENDS)
def test_it_ends_with_its_session(end: Any, what: str, world: World) -> None:
    async def main() -> None:
        exchange = await begun(world, what, cookie=world.sign_in())
        await check_alive(world, exchange, what)
        end(world)
        await check_ended(exchange, what)

    run(main())


@pytest.mark.row("G-26")
@pytest.mark.parametrize("what", KINDS)
def test_the_session_of_somebody_else_ends_nothing(what: str, world: World) -> None:
    async def main() -> None:
        exchange = await begun(world, what, cookie=world.sign_in())
        world.sign_in("s2")
        world.sessions.end(record("s2"), world.clock.now)
        world.sessions.revoke_user("Bob", world.clock.now)
        await check_alive(world, exchange, what)
        await leave(exchange)

    run(main())


@pytest.mark.row("G-26")
@pytest.mark.parametrize("what", KINDS)
def test_what_began_in_somebodys_name_ends_with_their_session_on_a_public_path_too(
    what: str, world: World
) -> None:
    async def main() -> None:
        known = await begun(world, what, "/public/live", world.sign_in())
        nobody = await begun(world, what, "/public/live")
        foreign = await begun(world, what, "/public/live", world.sign_in("s2", "Mallory"))
        sign_out(world)
        await check_ended(known, what)
        for exchange in (nobody, foreign):
            await check_alive(world, exchange, what)
            await leave(exchange)

    run(main())


@pytest.mark.row("G-26")
def test_it_ends_when_the_login_has_become_too_old_for_its_rule() -> None:
    async def main() -> None:
        world = World(rules=[{"path": "/live", "allow": "known", "max_age_seconds": 300}])
        world.look_often()
        exchange = await begun(world, "websocket", cookie=world.sign_in())
        world.clock.now += 300
        await check_alive(world, exchange, "websocket")
        world.clock.now += 1
        await check_ended(exchange, "websocket")

    run(main())


@pytest.mark.row("G-05", "G-26")
@pytest.mark.parametrize("what", KINDS)
@pytest.mark.parametrize("target", ["/live", "/public/live"])
def test_an_outage_ends_nothing_and_what_ended_meanwhile_ends_after_it(what: str, target: str) -> None:
    async def main() -> None:
        state = Store()
        world = World(state=state)
        world.look_often()
        exchange = await begun(world, what, target, world.sign_in())
        other = world.sign_in("s2")
        state.down = True
        world.clock.now += 30
        assert (await world.exchange("http", "/", other).answer()).status == 503
        await check_alive(world, exchange, what)
        state.down = False
        await check_alive(world, exchange, what)
        state.down = True
        world.clock.now += 30
        world.directory.failure = DirectoryUnavailable("the test says so")
        world.clock.now += 3601
        await check_alive(world, exchange, what)
        world.directory.failure = None
        state.down = False
        sign_out(world)
        await check_ended(exchange, what)

    run(main())


def test_a_cancellation_of_the_server_is_the_servers(world: World) -> None:
    async def main() -> None:
        for what in KINDS:
            exchange = await begun(world, what, cookie=world.sign_in())
            sent = len(exchange.messages)
            await leave(exchange)
            assert len(exchange.messages) == sent

    run(main())


def test_what_is_over_is_watched_no_longer(world: World) -> None:
    async def main() -> None:
        assert (await world.exchange("http", "/public/x").answer()).status == 200
        await leave(await begun(world, "slow", "/public/x"))
        exchange = await begun(world, "websocket", cookie=world.sign_in())
        sign_out(world)
        await check_ended(exchange, "websocket")

        async def fail(scope: dict[str, Any], receive: Any, send: Any) -> None:
            raise LookupError

        world.app.then = fail
        with pytest.raises(LookupError):
            await world.exchange("http", "/public/x").answer()
        assert not world.gate._watch._ongoing

    run(main())


def test_a_tunnel_closes_its_connection_itself(world: World) -> None:
    async def main() -> None:
        exchange = await begun(
            world,
            "websocket",
            cookie=world.sign_in(),
            extensions={"websocket.http.response": {}, UPGRADE: SimpleNamespace(taken=True)},
        )
        sign_out(world)
        answer = await exchange.answer()
        assert (answer.status, answer.close) == (101, None)

    run(main())


@pytest.mark.row("G-26")
def test_a_session_that_ends_during_a_handshake_is_said_as_such(world: World) -> None:
    async def main() -> None:
        world.app.then = slow
        exchange = world.exchange(
            "websocket",
            "/live",
            world.sign_in(),
            extensions={"websocket.http.response": {}, UPGRADE: SimpleNamespace(taken=False)},
        )
        while not world.app.calls:
            await asyncio.sleep(0)
        sign_out(world)
        answer = await exchange.answer()
        assert (answer.status, json.loads(answer.body)) == (401, {"error": "login_required"})
        assert answer.messages[0][OUTCOME] is Outcome.REFUSED

    run(main())


def test_a_gate_cookie_does_not_pass_in_the_head_that_opens_a_tunnel(world: World) -> None:
    world.websocket("/live", cookie=world.sign_in(), **PLAIN)
    drops = world.app.scope[DROP_COOKIE]
    own = world.sign_in().partition("=")[0].encode()
    assert drops(own + b"=forged; Path=/")
    assert not drops(b"theme=dark")


@pytest.mark.row("G-26")
@pytest.mark.parametrize("what", ["websocket", "stream", "slow"])
def test_an_app_that_would_go_on_says_nothing_any_more(what: str, world: World) -> None:
    async def main() -> None:
        exchange = await begun(world, what, cookie=world.sign_in())
        await leave(exchange)

        async def stubborn(scope: dict[str, Any], receive: Any, send: Any) -> None:
            if what == "websocket":
                await receive()
                await send({"type": "websocket.accept"})
            elif what == "stream":
                await stream_head(send)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if what == "websocket":
                    await send({"type": "websocket.send", "text": "secret"})
                elif what == "stream":
                    await send({"type": "http.response.body", "body": b"secret"})
                else:
                    await send({"type": "http.response.start", "status": 200, "headers": []})
                raise AssertionError("nothing of it may be said") from None

        async def stream_head(send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})

        world.app.then = stubborn
        calls = world.app.calls
        kind = "websocket" if what == "websocket" else "http"
        exchange = world.exchange(kind, "/live", world.sign_in("s3"))
        while world.app.calls == calls or (
            what in _FIRST and len(exchange.messages) < (what == "stream") + 1
        ):
            await asyncio.sleep(0)
        world.sessions.end(record("s3"), world.clock.now)
        await check_ended(exchange, what)

    run(main())


@pytest.mark.row("G-26")
def test_an_app_that_is_told_and_goes_on_is_told_again(world: World) -> None:
    async def main() -> None:
        told = 0

        async def deaf(scope: dict[str, Any], receive: Any, send: Any) -> None:
            nonlocal told
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    told += 1
                    if told > 3:
                        raise

        world.app.then = deaf
        exchange = world.exchange("http", "/live", world.sign_in())
        await world.looked()
        sign_out(world)
        assert (await exchange.answer()).status == 401
        assert told == 4
        assert exchange.task is not None
        assert exchange.task.cancelling() == 0

    run(main())


@pytest.mark.row("G-26")
def test_thousands_of_idle_websockets_end_one_by_one_when_theirs_does(world: World) -> None:
    number = 1_000

    async def main() -> None:
        world.app.then = live
        cookies = [world.sign_in(f"s{n}") for n in range(number)]
        exchanges = [world.exchange("websocket", "/live", cookie) for cookie in cookies]
        await asyncio.gather(*(exchange.sent("websocket.accept") for exchange in exchanges))
        for n in range(0, number, 2):
            world.sessions.end(record(f"s{n}"), world.clock.now)
        ended = await asyncio.gather(*(exchange.answer() for exchange in exchanges[::2]))
        assert {answer.close for answer in ended} == {1008}
        await world.looked(1)
        # And everybody else is served as ever.
        world.app.then = None
        assert (await world.exchange("http", "/", cookies[1]).answer()).status == 200
        world.directory.change(KnownUser("Bob"))
        others = await asyncio.gather(*(exchange.answer() for exchange in exchanges[1::2]))
        assert {answer.close for answer in others} == {1008}

    run(main())


def test_every_ten_seconds_unless_told_otherwise() -> None:
    world = World(rules=RULES)
    assert isinstance(world.gate, AsyncGate)
    assert world.gate._watch._look_seconds == 10

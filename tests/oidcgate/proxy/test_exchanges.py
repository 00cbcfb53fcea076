"""The look at exchanges under way: for what each is given up, and that nobody else is held up by it.

The time-outs as a client and an upstream see them are in `test_http_waiting`.
"""

import asyncio
from typing import Any, cast

import pytest

from oidcgate.proxy.exchanges import Exchange, Exchanges, Waits
from oidcgate.proxy.routes import Limits
from oidcgate.proxy.troubles import Trouble
from oidcgate.proxy.upstream import Connection
from oidcgate.waiting import PORTION
from tests.oidcgate.proxy.conftest import Run

LIMITS = Limits(head_seconds=10, idle_seconds=20, client_idle_seconds=30)
SERVERS = Limits(head_seconds=10, idle_seconds=20, client_idle_seconds=None)


async def silent() -> Any:
    """A client that says nothing."""
    await asyncio.Event().wait()


class Failing:
    """A connection that is only ever given up."""

    def __init__(self) -> None:
        self.failed: list[Trouble] = []

    def fail(self, kind: Trouble) -> None:
        self.failed.append(kind)

    def abort(self) -> None:
        pass


@pytest.mark.parametrize(
    ("upload", "answer", "started", "limits", "found"),
    [
        pytest.param("CLIENT", "NOBODY", False, LIMITS, (30, Trouble.CLIENT_IDLE), id="body-is-not-sent"),
        pytest.param("NOBODY", "CLIENT", True, LIMITS, (30, Trouble.CLIENT_IDLE), id="answer-is-not-taken"),
        pytest.param("CLIENT", "NOBODY", False, SERVERS, None, id="body-is-not-sent-to-a-server-that-looks"),
        pytest.param("NOBODY", "CLIENT", True, SERVERS, None, id="answer-is-not-taken-from-one"),
        pytest.param("CLIENT", "UPSTREAM", False, LIMITS, (30, Trouble.CLIENT_IDLE), id="client-first"),
        pytest.param("CLIENT", "UPSTREAM", False, SERVERS, None, id="client-first-to-a-server-that-looks"),
        pytest.param("UPSTREAM", "UPSTREAM", False, SERVERS, (20, Trouble.IDLE), id="body-is-not-taken"),
        pytest.param("NOBODY", "UPSTREAM", True, SERVERS, (20, Trouble.IDLE), id="answer-does-not-go-on"),
        pytest.param("NOBODY", "UPSTREAM", False, SERVERS, (10, Trouble.HEAD_TIMEOUT), id="no-head"),
        pytest.param("NOBODY", "NOBODY", True, LIMITS, None, id="nobody-waits"),
    ],
)
def test_what_an_exchange_is_given_up_for(
    run: Run,
    upload: str,
    answer: str,
    started: bool,
    limits: Limits,
    found: tuple[float, Trouble] | None,
) -> None:
    async def test() -> None:
        exchange = Exchange(silent, 1000.0)
        exchange.upload, exchange.answer, exchange.started = Waits[upload], Waits[answer], started
        if found is None:
            assert exchange.overdue(1_000_000.0, limits) is None
        else:
            seconds, kind = found
            assert exchange.overdue(1000.0 + seconds, limits) is None
            assert exchange.overdue(1000.1 + seconds, limits) is kind

    run(test())


def test_a_look_at_many_holds_nobody_up_and_leaves_alone_who_is_done_by_then(run: Run) -> None:
    async def test() -> None:
        exchanges = Exchanges(LIMITS, (), 3600)
        connections: dict[Exchange, Failing] = {}
        for _ in range(3 * PORTION):
            exchange = exchanges.begin(silent)
            exchange.upload, exchange.answer = Waits.UPSTREAM, Waits.UPSTREAM
            connections[exchange] = Failing()
            exchange.connection = cast(Connection, connections[exchange])
        done: list[Exchange] = []

        async def others() -> None:
            for exchange, connection in connections.items():
                if not connection.failed:
                    exchanges.end(exchange)
                    done.append(exchange)

        other = asyncio.create_task(others())
        await exchanges.look(exchanges.now + 21)
        await other
        exchanges.stop()
        assert len(done) == 2 * PORTION
        given_up = [exchange for exchange, connection in connections.items() if connection.failed]
        assert len(given_up) == PORTION
        assert not set(given_up) & set(done)

    run(test())


def test_looks_end_with_the_last_exchange_and_begin_with_the_next(run: Run) -> None:
    async def test() -> None:
        exchanges = Exchanges(LIMITS, (), 0.001)
        for _ in range(2):
            before = asyncio.all_tasks()
            exchange = exchanges.begin(silent)
            [looking] = asyncio.all_tasks() - before
            seen = exchanges.now
            while exchanges.now == seen:
                await asyncio.sleep(0.001)
            assert not looking.done()
            exchanges.end(exchange)
            await looking

    run(test())

"""What the connections of a worker share: its clock and its sweep.

How a service stops, and what a sweep ends, is seen on connections: `test_protocol`, `test_upgrade` and
`test_sockets`.
"""

import asyncio
from typing import Any, cast

from oidcgate.serve.service import Connection, ServerLimits, Service
from oidcgate.waiting import PORTION
from tests.oidcgate.serve.wire import Clock, run


class Swept:
    """A connection that only remembers when it was asked."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def sweep(self, now: float) -> None:
        self.at.append(now)


def filled(service: Service, number: int) -> list[Swept]:
    connections = [Swept() for _ in range(number)]
    service.connections |= cast(Any, set(connections))
    return connections


def test_a_service_knows_the_time_before_its_first_sweep() -> None:
    async def test() -> None:
        service = Service(ServerLimits(), clock=Clock(), wall_clock=lambda: 86_400.5)
        assert service.now == 1000.0
        assert service.date_line == b"date: Fri, 02 Jan 1970 00:00:00 GMT\r\n"

    run(test())


def test_a_sweep_sets_the_clock_asks_every_connection_and_says_so() -> None:
    async def test() -> None:
        clock, told = Clock(), []
        service = Service(ServerLimits(), clock=clock, wall_clock=lambda: clock.now)
        connections = filled(service, 2 * PORTION + 1)
        service.on_sweep = lambda: told.append([connection.at for connection in connections])
        clock.now += 7
        await service.sweep()
        assert told == [[[1007.0]] * len(connections)]
        assert service.date_line == b"date: Thu, 01 Jan 1970 00:16:47 GMT\r\n"

    run(test())


def test_a_sweep_of_many_holds_nobody_up_and_leaves_alone_who_is_gone_by_then() -> None:
    async def test() -> None:
        service = Service(ServerLimits())
        connections = filled(service, 3 * PORTION)

        async def others() -> None:
            for connection in connections:
                if not connection.at:
                    service.connections.discard(cast(Connection, connection))

        other = asyncio.create_task(others())
        await service.sweep()
        await other
        assert sum(len(connection.at) for connection in connections) == PORTION

    run(test())


def test_it_sweeps_by_itself() -> None:
    async def test() -> None:
        service = Service(ServerLimits(linger_seconds=0.01))
        [connection] = filled(service, 1)
        swept = asyncio.Event()
        service.on_sweep = swept.set
        sweeping = asyncio.create_task(service.sweep_for_ever())
        for _ in range(3):
            swept.clear()
            await swept.wait()
        sweeping.cancel()
        assert len(connection.at) == 3

    run(test())

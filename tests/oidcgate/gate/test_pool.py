"""Threads for what waits: how many calls may, and what becomes of one that nobody waits for any more."""

import asyncio
import threading
from typing import Any

import pytest

from oidcgate.gate.pool import Pool, PoolFull
from tests.support.asgi import DEADLINE_SECONDS, run


class Call:
    """A call that lasts until it is told to end."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.release = threading.Event()
        self.ended = threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.release.wait(DEADLINE_SECONDS)
        self.ended.set()
        return threading.current_thread().name


async def empty(pool: Pool) -> None:
    while pool.pending:
        await asyncio.sleep(0.001)


def test_a_call_runs_in_a_thread_of_the_pools_name_with_its_arguments() -> None:
    async def main() -> None:
        pool = Pool("gate-test", threads=1, queue=0)

        def call(*args: Any, **kwargs: Any) -> Any:
            return threading.current_thread().name, args, kwargs

        name, args, kwargs = await pool.run(call, 1, two=2)
        assert name.startswith("gate-test")
        assert (args, kwargs) == ((1,), {"two": 2})
        await empty(pool)

    run(main())


def test_an_exception_of_the_call_is_the_callers() -> None:
    async def main() -> None:
        pool = Pool("gate-test", threads=1, queue=0)
        with pytest.raises(ZeroDivisionError):
            await pool.run(divmod, 1, 0)
        await empty(pool)

    run(main())


def test_beyond_threads_and_queue_nothing_is_called_until_there_is_room_again() -> None:
    async def main() -> None:
        pool = Pool("gate-test", threads=1, queue=1)
        running, waiting, refused = Call(), Call(), Call()
        tasks = [asyncio.ensure_future(pool.run(call)) for call in (running, waiting)]
        await asyncio.sleep(0)
        with pytest.raises(PoolFull):
            await pool.run(refused)
        assert not refused.begun.is_set()
        running.release.set()
        waiting.release.set()
        await asyncio.gather(*tasks)
        await empty(pool)
        refused.release.set()
        assert (await pool.run(refused)).startswith("gate-test")
        await empty(pool)

    run(main())


def test_a_call_that_nobody_waits_for_any_more_keeps_its_place_to_its_end() -> None:
    async def main() -> None:
        pool = Pool("gate-test", threads=1, queue=0)
        call = Call()
        task = asyncio.ensure_future(pool.run(call))
        await asyncio.to_thread(call.begun.wait, DEADLINE_SECONDS)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(PoolFull):
            await pool.run(str)
        assert not call.ended.is_set()
        call.release.set()
        await empty(pool)
        assert call.ended.is_set()

    run(main())


def test_a_call_that_is_given_up_while_it_waits_for_a_thread_is_never_made() -> None:
    async def main() -> None:
        pool = Pool("gate-test", threads=1, queue=1)
        running, given_up = Call(), Call()
        first = asyncio.ensure_future(pool.run(running))
        second = asyncio.ensure_future(pool.run(given_up))
        await asyncio.to_thread(running.begun.wait, DEADLINE_SECONDS)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        running.release.set()
        await first
        await empty(pool)
        assert not given_up.begun.is_set()

    run(main())


def test_calls_wait_side_by_side() -> None:
    async def main() -> None:
        pool = Pool("gate-test", threads=3, queue=0)
        calls = [Call() for _ in range(3)]
        tasks = [asyncio.ensure_future(pool.run(call)) for call in calls]
        for call in calls:
            assert await asyncio.to_thread(call.begun.wait, DEADLINE_SECONDS)
        for call in calls:
            call.release.set()
        assert len(set(await asyncio.gather(*tasks))) == 3
        await empty(pool)

    run(main())


def test_a_pool_that_is_closed_keeps_no_thread_and_starts_anew_when_called() -> None:
    async def main() -> None:
        pool = Pool("gate-test", threads=1, queue=0)
        first = await pool.run(threading.current_thread)
        pool.close()
        first.join(DEADLINE_SECONDS)
        assert not first.is_alive()
        assert await pool.run(threading.current_thread) is not first
        pool.close()
        await empty(pool)

    run(main())


def test_what_waits_in_a_pool_that_is_closed_is_cancelled_and_what_runs_ends() -> None:
    async def main() -> None:
        pool = Pool("gate-test", threads=1, queue=1)
        call = Call()
        running = asyncio.create_task(pool.run(call))
        queued = asyncio.create_task(pool.run(Call()))
        while not call.begun.is_set():
            await asyncio.sleep(0.001)
        pool.close()
        with pytest.raises(asyncio.CancelledError):
            await queued
        call.release.set()
        assert (await running).startswith("gate-test")
        await empty(pool)

    run(main())

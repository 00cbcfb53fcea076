"""How tests of the proxy run: on the event loop of the sidecar and on the one that everybody has."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

#: Longer than any test takes; reached only by a fault.
DEADLINE_SECONDS = 30

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["uvloop", "asyncio"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a test's coroutine, which leaves no task behind."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def runs(test: Coroutine[Any, Any, None]) -> None:
        async def in_time() -> None:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await test
                # What was cancelled gets the time to end.
                while asyncio.all_tasks() != {asyncio.current_task()}:
                    await asyncio.sleep(0)

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(in_time())

    return runs

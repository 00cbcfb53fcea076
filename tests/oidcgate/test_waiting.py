"""Asking without waiting, and room for others between many things: `oidcgate.waiting`."""

import asyncio
import threading

import pytest

from oidcgate.waiting import PORTION, WouldWait, about_to_wait, at_once, in_portions


def _waits() -> str:
    about_to_wait()
    return "waited"


def test_whoever_may_wait_waits() -> None:
    assert _waits() == "waited"


def test_whoever_may_not_is_told() -> None:
    with pytest.raises(WouldWait):
        at_once(_waits)


def test_the_rule_ends_with_the_call_also_after_an_error() -> None:
    with pytest.raises(WouldWait):
        at_once(_waits)
    assert _waits() == "waited"


def test_another_thread_may_wait_meanwhile() -> None:
    heard: list[str] = []

    def ask() -> None:
        thread = threading.Thread(target=lambda: heard.append(_waits()))
        thread.start()
        thread.join()

    at_once(ask)
    assert heard == ["waited"]


def test_arguments_and_answer_pass() -> None:
    assert at_once(divmod, 7, 3) == (2, 1)


@pytest.mark.parametrize("number", [0, PORTION - 1, PORTION, 3 * PORTION + 1])
def test_others_have_a_turn_after_each_portion(number: int) -> None:
    turns: list[int] = []
    done: list[int] = []

    async def others() -> None:
        while True:
            turns.append(len(done))
            await asyncio.sleep(0)

    async def main() -> None:
        other = asyncio.create_task(others())
        things = set(range(number))
        async for thing in in_portions(things):
            # Those that are there at the beginning: what comes or goes in between changes nothing.
            things.discard(thing)
            things.add(number + thing)
            done.append(thing)
        other.cancel()

    asyncio.run(main())

    assert sorted(done) == list(range(number))
    assert turns == [PORTION * (turn + 1) for turn in range(number // PORTION)]

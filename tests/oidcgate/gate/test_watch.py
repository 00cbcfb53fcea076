"""What lasts is looked at again and again, and ends when it may go on no longer."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from oidcgate.gate.watch import LOOK_SECONDS, Ongoing, Watch
from oidcgate.web.facts import Facts, RequestKind
from tests.support.asgi import run

SOON = 0.001

MayGoOn = Callable[[Ongoing], Awaitable[bool]]


def facts(path: str = "/") -> Facts:
    return Facts("GET", path, "", RequestKind.SCRIPT, "app.example.com", "", "")


class Request:
    """A request that lasts until it is told to end, as a front watches it."""

    def __init__(self, watch: Watch, path: str = "/", cookies: str = "", identified: bool = True) -> None:
        self.release = asyncio.Event()
        self.begun = asyncio.Event()
        self.cancellations = 0
        self.stubborn = 0
        self._watch = watch
        self._about = (facts(path), cookies, identified)
        self.ongoing: Ongoing | None = None
        self.task = asyncio.get_running_loop().create_task(self._answer())

    async def _answer(self) -> None:
        path, cookies, identified = self._about
        self.ongoing = self._watch.begin(path, cookies, identified=identified)
        self.begun.set()
        try:
            while True:
                try:
                    return await self._work()
                except asyncio.CancelledError:
                    self.cancellations += 1
                    if self.cancellations > self.stubborn:
                        raise
        finally:
            self._watch.end(self.ongoing)

    async def _work(self) -> None:
        await self.release.wait()

    @property
    def ended(self) -> bool:
        assert self.ongoing is not None
        return self.ongoing.ended


class Looks:
    """Answers every look as it is told, and counts them by path."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, bool]] = []
        self.no: set[str] = set()
        self._news = asyncio.Event()

    async def __call__(self, ongoing: Ongoing) -> bool:
        self.seen.append((ongoing.facts.path, ongoing.cookies, ongoing.identified))
        self._news.set()
        return ongoing.facts.path not in self.no

    async def more(self, number: int) -> None:
        goal = len(self.seen) + number
        while len(self.seen) < goal:
            self._news.clear()
            await self._news.wait()


def test_a_look_is_due_every_ten_seconds() -> None:
    assert LOOK_SECONDS == 10


@pytest.mark.row("G-26")
def test_each_request_is_judged_by_what_it_was_and_goes_on_while_it_may() -> None:
    async def main() -> None:
        looks = Looks()
        watch = Watch(looks, look_seconds=SOON)
        first, second = Request(watch, "/a", "x=1"), Request(watch, "/b", "", False)
        await looks.more(6)
        assert set(looks.seen) == {("/a", "x=1", True), ("/b", "", False)}
        assert not first.task.done()
        assert not second.ended
        first.release.set()
        second.release.set()
        await asyncio.gather(first.task, second.task)
        assert (first.ended, first.cancellations) == (False, 0)

    run(main())


@pytest.mark.row("G-26")
def test_what_may_go_on_no_longer_is_cancelled_and_nothing_else() -> None:
    async def main() -> None:
        looks = Looks()
        watch = Watch(looks, look_seconds=SOON)
        out, stays = Request(watch, "/out"), Request(watch, "/stays")
        await looks.more(2)
        looks.no.add("/out")
        with pytest.raises(asyncio.CancelledError):
            await out.task
        assert out.ended
        await looks.more(3)
        assert not stays.task.done()
        stays.release.set()
        await stays.task

    run(main())


def test_an_answer_that_is_done_before_its_look_is_over_is_not_cancelled() -> None:
    async def main() -> None:
        request: Request | None = None

        async def no_but_late(ongoing: Ongoing) -> bool:
            assert request is not None
            request.release.set()
            await request.task
            return False

        request = Request(Watch(no_but_late, look_seconds=SOON))
        await request.task
        # The look returned after that; a cancellation would hit whatever the task's next request were.
        for _ in range(5):
            await asyncio.sleep(0)
        assert not request.ended
        assert not request.task.cancelled()

    run(main())


def test_nothing_is_looked_at_when_nothing_is_under_way_and_all_is_when_something_is_again() -> None:
    async def main() -> None:
        looks = Looks()
        watch = Watch(looks, look_seconds=SOON)
        for _ in range(2):
            request = Request(watch)
            await looks.more(1)
            request.release.set()
            await request.task
            others = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.wait_for(asyncio.gather(*others), 5)

    run(main())


def test_a_watch_outlives_the_loop_it_began_on() -> None:
    looks: list[str] = []

    async def yes(ongoing: Ongoing) -> bool:
        looks.append(ongoing.facts.path)
        return True

    watch = Watch(yes, look_seconds=SOON)

    async def main() -> None:
        request = Request(watch)
        before = len(looks)
        while len(looks) == before:
            await asyncio.sleep(SOON)
        request.release.set()
        await request.task

    run(main())
    run(main())


@pytest.mark.row("G-26")
def test_whoever_takes_the_end_for_something_to_recover_from_is_told_again() -> None:
    async def main() -> None:
        looks = Looks()
        looks.no.add("/")
        request = Request(Watch(looks, look_seconds=SOON))
        request.stubborn = 3
        with pytest.raises(asyncio.CancelledError):
            await request.task
        assert request.cancellations == 4
        assert len(looks.seen) == 1, "what has ended does not begin again, whatever is said of it later"

    run(main())


@pytest.mark.row("G-26")
def test_what_cannot_be_judged_ends_and_the_others_are_still_looked_at(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        seen: list[str] = []

        async def fails_on_one(ongoing: Ongoing) -> bool:
            seen.append(ongoing.facts.path)
            if ongoing.facts.path == "/odd":
                raise LookupError("nobody thought of this")
            return True

        watch = Watch(fails_on_one, look_seconds=SOON)
        odd, other = Request(watch, "/odd"), Request(watch, "/other")
        with pytest.raises(asyncio.CancelledError):
            await odd.task
        for _ in range(2):
            seen.clear()
            while "/other" not in seen:
                await asyncio.sleep(SOON)
        other.release.set()
        await other.task

    run(main())
    assert "nobody thought of this" in caplog.text


def test_thousands_of_idle_requests_leave_the_loop_to_others_between_looks() -> None:
    async def main() -> None:
        turns = 0
        at_turn: list[int] = []

        async def yes(ongoing: Ongoing) -> bool:
            at_turn.append(turns)
            return True

        watch = Watch(yes, look_seconds=0.05)
        requests = [Request(watch, f"/{number}") for number in range(2_000)]
        await asyncio.gather(*(request.begun.wait() for request in requests))
        while len(at_turn) < 2_000:
            turns += 1
            await asyncio.sleep(0)
        assert max(at_turn.count(turn) for turn in set(at_turn)) <= 100
        for request in requests:
            request.release.set()
        await asyncio.gather(*(request.task for request in requests))

    run(main())

"""Who asks the parts whether they answer, and what all others are told meanwhile."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from oidcgate.directory.port import AmbiguousUser, DirectoryUnavailable
from oidcgate.gate.readiness import Readiness
from oidcgate.storage.records import StoreFailure, StoreUnavailable
from tests.support.lying_provider import NOW, Clock

DEADLINE = 30


class Part:
    """A part that is asked, and that can hang."""

    def __init__(self) -> None:
        self.asked = 0
        self.failure: Exception | None = None
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.reached = threading.Event()

    def __call__(self) -> None:
        self.asked += 1
        self.reached.set()
        assert self.goes_on.wait(DEADLINE)
        if self.failure is not None:
            raise self.failure


class Scene:
    """One part, asked by the clock."""

    def __init__(self) -> None:
        self.part, self.clock, self.readiness = Part(), Clock(), Readiness()

    def look(self) -> bool:
        (works,) = self.of().values()
        return works

    def of(self) -> Mapping[str, bool]:
        return self.readiness.of({"part": self.part}, self.clock)

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """While somebody has asked and has no answer yet."""
        self.part.goes_on.clear()
        self.part.reached.clear()
        asker = threading.Thread(target=self.of)
        asker.start()
        try:
            assert self.part.reached.wait(DEADLINE)
            yield
        finally:
            self.part.goes_on.set()
            asker.join(DEADLINE)
            assert not asker.is_alive()


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize(
    ("failure", "works"),
    [
        (None, True),
        (DirectoryUnavailable("gone"), False),
        (StoreUnavailable(StoreFailure.UNREACHABLE, "gone"), False),
        (AmbiguousUser("readyz"), True),
    ],
    ids=["answers", "directory away", "store away", "several of the name"],
)
def test_what_is_an_answer(scene: Scene, failure: Exception | None, works: bool) -> None:
    scene.part.failure = failure
    assert scene.look() is works


def test_an_answer_holds_for_a_second(scene: Scene) -> None:
    assert [scene.look() for _ in range(10)] == [True] * 10
    scene.part.failure = DirectoryUnavailable("gone")
    scene.clock.now = NOW + 0.9
    assert scene.look()
    assert scene.part.asked == 1
    scene.clock.now = NOW + 1
    assert not scene.look()
    assert scene.part.asked == 2


def test_a_clock_that_was_set_back_keeps_no_answer(scene: Scene) -> None:
    scene.look()
    scene.clock.now = NOW - 3600
    scene.look()
    assert scene.part.asked == 2


@pytest.mark.row("G-17")
def test_while_one_asks_the_others_hear_what_was_known_and_do_not_wait(scene: Scene) -> None:
    assert scene.look()
    scene.clock.now += 5000
    with scene.hanging():
        assert [scene.look() for _ in range(10)] == [True] * 10
        scene.clock.now += 10
        assert scene.look()
        scene.clock.now += 1
        assert not scene.look()
        assert scene.part.asked == 2
    # Its answer counts from when it came.
    assert scene.look()
    assert scene.part.asked == 2


def test_before_the_first_answer_nothing_is_known_to_work(scene: Scene) -> None:
    with scene.hanging():
        assert scene.of() == {"part": False}
    assert scene.look()
    assert scene.part.asked == 1


def test_a_fault_is_the_asker_s_and_the_next_one_asks_again(scene: Scene) -> None:
    scene.part.failure = LookupError("a fault")
    for asked in (1, 2):
        with pytest.raises(LookupError):
            scene.look()
        assert scene.part.asked == asked
    scene.part.failure = None
    assert scene.look()

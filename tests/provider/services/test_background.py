"""A thread beside requests: it begins once, goes on whatever happens, and ends when it is told to."""

import logging
import threading

import pytest

from provider.services.background import Background


class Work:
    """Counts its calls; each says what it is told to."""

    def __init__(self, *results: int | Exception) -> None:
        self.results = list(results)
        self.calls = 0
        self.threads: set[int] = set()
        self.over = threading.Event()

    def __call__(self) -> int:
        self.calls += 1
        self.threads.add(threading.get_ident())
        result = self.results.pop(0) if self.results else 0
        if not self.results:
            self.over.set()
        if isinstance(result, Exception):
            raise result
        return result


def test_it_works_until_there_is_nothing_to_do_and_ends_when_told() -> None:
    work, stopping = Work(3, 1, 0), threading.Event()
    background = Background(work, stopping)
    for _ in range(3):
        background.begin()
    assert work.over.wait(10)
    background.end(10)
    assert stopping.is_set()
    assert work.calls >= 3
    assert len(work.threads) == 1
    assert not any(thread.name == "provider-background" for thread in threading.enumerate())


def test_what_fails_is_logged_and_done_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "provider")
    work = Work(RuntimeError("the cause"), 1)
    background = Background(work, threading.Event())
    background.begin()
    assert work.over.wait(10)
    background.end(10)
    assert "the cause" in caplog.text


def test_a_thread_that_could_not_start_is_started_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work(1)
    background = Background(work, threading.Event())
    with monkeypatch.context() as patched:

        def no_thread(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        patched.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(RuntimeError):
            background.begin()
        background.end(10)
    background.begin()
    assert work.over.wait(10)
    background.end(10)


def test_it_does_not_wait_for_ever_for_what_does_not_end() -> None:
    held = threading.Event()
    background = Background(lambda: int(held.wait(60)), threading.Event())
    background.begin()
    background.end(0)
    held.set()


def test_what_was_never_begun_is_not_ended() -> None:
    """An arbiter that ends the worker of somebody else must not keep the next one from working."""
    stopping = threading.Event()
    Background(lambda: 0, stopping).end(0)
    assert not stopping.is_set()

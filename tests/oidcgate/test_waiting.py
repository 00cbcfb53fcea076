"""Asking without waiting: `oidcgate.waiting`."""

import threading

import pytest

from oidcgate.waiting import WouldWait, about_to_wait, at_once


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

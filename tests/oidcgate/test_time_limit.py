"""Calls that are waited for a limited time: `oidcgate.time_limit`."""

import threading

import pytest

from oidcgate.time_limit import NotInTime, TimeLimited


def test_an_answer_in_time_is_the_answer() -> None:
    assert TimeLimited("t", at_once=1).call(lambda: 7, 10) == 7


def test_what_the_call_raises_is_raised() -> None:
    with pytest.raises(KeyError, match="x"):
        TimeLimited("t", at_once=1).call(lambda: {}["x"], 10)


def test_whoever_calls_is_let_go_when_the_time_is_over() -> None:
    goes_on = threading.Event()
    limited = TimeLimited("resolve", at_once=1)
    with pytest.raises(NotInTime, match=r"resolve: no answer within 0.01 seconds"):
        limited.call(goes_on.wait, 0.01)
    # Its place is taken until it ends.
    with pytest.raises(NotInTime, match="too many calls"):
        limited.call(lambda: 1, 0.01)
    goes_on.set()
    assert limited.call(lambda: 1, 10) == 1


def test_a_thread_that_cannot_start_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    limited = TimeLimited("t", at_once=1)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", lambda _: (_ for _ in ()).throw(RuntimeError("no")))
        with pytest.raises(RuntimeError, match="no"):
            limited.call(lambda: 1, 1)
    assert limited.call(lambda: 1, 10) == 1

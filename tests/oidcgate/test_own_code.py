"""An operator's own callables: found by name, and not waited for longer than said: `oidcgate.own_code`."""

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from oidcgate.own_code import Limited, OwnCodeFailed, name_problem, named

#: Longer than any test; what it limits comes back or fails at once.
LONG = 60.0


@pytest.mark.parametrize("name", ["a:b", "my_company.sign_in:enrich", "a.b.c:Class.method", "_a:_b"])
def test_a_name_that_can_be_one(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize(
    "name", ["", "a", "a:", ":b", "a.b", "a:b:c", "a:b()", "a b:c", ".a:b", "a.:b", "a:b.", "1:b", "a/b:c"]
)
def test_a_name_that_names_nothing(name: str) -> None:
    assert "module:callable" in (name_problem(name) or "")


def test_a_callable_is_found() -> None:
    assert named("os.path:join")("a", "b") == "a/b"
    assert named("pathlib:PurePath.with_suffix") is not None


@pytest.mark.parametrize(
    ("name", "told"),
    [
        pytest.param("no_such_module_anywhere:f", "No module named", id="no-module"),
        pytest.param("os:no_such_function", "no callable no_such_function", id="no-callable"),
        pytest.param("os:path.no.such", "no callable", id="no-path"),
        pytest.param("os:sep", "no callable", id="a-text"),
        pytest.param("os:None_", "no callable", id="nothing"),
    ],
)
def test_a_callable_that_is_not_there(name: str, told: str) -> None:
    with pytest.raises(OwnCodeFailed, match=told):
        named(name)


def test_a_module_that_breaks_is_named_without_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "breaks_at_import.py").write_text("raise ValueError('the password is hunter2')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(OwnCodeFailed) as failed:
        named("breaks_at_import:f")
    assert str(failed.value) == "breaks_at_import cannot be imported: ValueError"


def test_an_answer_comes_back() -> None:
    call = Limited(lambda left, right: left + right, seconds=LONG)
    assert [call(1, 2), call("a", "b")] == [3, "ab"]
    assert Limited(lambda: None, seconds=LONG)() is None


@pytest.mark.parametrize("error", [ValueError("hunter2"), SystemExit(1), KeyboardInterrupt()], ids=repr)
def test_an_exception_is_told_by_its_kind_alone(error: BaseException) -> None:
    def call() -> Any:
        raise error

    with pytest.raises(OwnCodeFailed) as failed:
        Limited(call, seconds=LONG)()
    assert str(failed.value) == f"it raised {type(error).__name__}"
    assert failed.value.__cause__ is error


def test_what_hangs_is_not_waited_for_and_cannot_take_every_thread() -> None:
    go_on = threading.Event()
    call = Limited(go_on.wait, seconds=0.01, at_once=2)
    try:
        for _ in range(2):
            with pytest.raises(OwnCodeFailed, match=r"within 0\.01 seconds"):
                call()
        with pytest.raises(OwnCodeFailed, match="too many calls"):
            call()
        hanging = [thread for thread in threading.enumerate() if thread.name == "oidcgate-own-code"]
        assert len(hanging) == 2
        assert all(thread.daemon for thread in hanging)
    finally:
        go_on.set()
    for thread in hanging:
        thread.join()
    # Whoever comes back makes room.
    assert Limited(lambda: 7, seconds=LONG)() == 7
    call._call, call._seconds = (lambda: 7), LONG
    assert [call(), call(), call()] == [7, 7, 7]


def test_nothing_is_imported_for_a_name_alone() -> None:
    name_problem("antigravity:fly")
    assert "antigravity" not in sys.modules

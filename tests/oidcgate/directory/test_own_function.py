"""Users that an operator's own function knows: `oidcgate.directory.own_function`."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from oidcgate.directory.asked import AskedDirectory
from oidcgate.directory.own_function import FunctionUsers
from oidcgate.directory.port import AmbiguousUser, DirectoryUnavailable, KnownUser, UserDirectory, fold
from tests.contracts.user_directory import NOW, DirectoryOf, UserDirectoryContract

LONG = 30.0


def directory_of_function(function: Callable[..., Any], *, seconds: float = LONG) -> AskedDirectory:
    return AskedDirectory(FunctionUsers(function, "people:find", timeout_seconds=seconds), "people")


@pytest.mark.parametrize("form", ["mapping", "user"])
class TestFunction(UserDirectoryContract):
    reads_all = False

    @pytest.fixture
    def directory_of(self, form: str) -> DirectoryOf:
        def make(users: Sequence[Mapping[str, Any]]) -> UserDirectory:
            def find(name: str) -> Any:
                found = [user for user in users if fold(user["userName"]) == fold(name)]
                if len(found) > 1:
                    raise AmbiguousUser(name)
                return _as_user(found[0]) if found and form == "user" else next(iter(found), None)

            return directory_of_function(find)

        return make


def _as_user(entry: Mapping[str, Any]) -> KnownUser:
    known = {"userName", "active", "displayName"}
    attributes = {name: value for name, value in entry.items() if name not in known}
    return KnownUser(entry["userName"], entry.get("active", True), entry.get("displayName"), attributes)


class Odd:
    """Gives another answer each time it is looked at."""


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"userName": "bob"}, id="somebody else"),
        pytest.param({"userName": "alice", "active": "no"}, id="active as text"),
        pytest.param(KnownUser("alice", active="no"), id="active as text of a user"),  # type: ignore[arg-type]
        pytest.param(KnownUser("alice", active=0), id="active as number"),  # type: ignore[arg-type]
        pytest.param({"user_name": "alice"}, id="mistyped"),
        pytest.param(KnownUser("alice\u200b"), id="invisible"),
        pytest.param(KnownUser(7), id="number"),  # type: ignore[arg-type]
        pytest.param({}, id="empty"),
    ],
)
def test_a_malformed_user_is_nobody(given: object) -> None:
    assert directory_of_function(lambda _: given).find("alice", now=NOW) is None


async def _asynchronous(name: str) -> None:
    """What nobody awaits."""


@pytest.mark.parametrize(
    ("function", "told"),
    [
        pytest.param(lambda _: "alice", "it gave a str", id="text"),
        pytest.param(lambda _: True, "it gave a bool", id="true"),
        pytest.param(lambda _: [{"userName": "alice"}], "it gave a list", id="list"),
        pytest.param(lambda _: Odd(), "it gave a Odd", id="odd"),
        pytest.param(_asynchronous, "it gave a coroutine", id="async"),
    ],
)
def test_an_answer_of_another_kind_is_none(function: Callable[..., Any], told: str) -> None:
    with pytest.raises(DirectoryUnavailable, match=told) as unavailable:
        directory_of_function(function).find("alice", now=NOW)
    assert unavailable.value.answered
    assert "people:find" in str(unavailable.value)


@pytest.mark.parametrize(
    "error", [KeyError("hunter2"), SystemExit(1), DirectoryUnavailable("later")], ids=repr
)
def test_an_exception_means_that_it_cannot_say(error: BaseException) -> None:
    def find(name: str) -> None:
        raise error

    with pytest.raises(DirectoryUnavailable) as unavailable:
        directory_of_function(find).find("alice", now=NOW)
    assert "hunter2" not in str(unavailable.value)
    assert type(error).__name__ in str(unavailable.value)


def test_a_function_that_hangs_is_not_waited_for() -> None:
    hangs, names = threading.Event(), []

    def find(name: str) -> KnownUser:
        names.append(name)
        if len(names) == 1:
            hangs.wait(LONG)
        return KnownUser(name)

    directory = directory_of_function(find, seconds=0.05)
    with pytest.raises(DirectoryUnavailable, match=r"within 0\.05 seconds") as unavailable:
        directory.find("alice", now=NOW)
    assert not unavailable.value.answered
    with pytest.raises(DirectoryUnavailable):
        directory.find("alice", now=NOW)
    assert names == ["alice"]
    hangs.set()
    patient = directory_of_function(find)
    assert patient.find("alice", now=NOW) == KnownUser("alice")

"""One user as a directory writes it: what it means, and which fault of it is told where."""

import pytest

from oidcgate.directory.entries import user_of
from oidcgate.directory.port import KnownUser
from oidcgate.settings import Problem


@pytest.mark.parametrize(
    ("entry", "user"),
    [
        pytest.param({"userName": "alice"}, KnownUser("alice", True, None, {}), id="a-name-is-enough"),
        pytest.param(
            {"userName": "alice", "active": False, "displayName": "Alice A.", "groups": ["a"], "n": 0},
            KnownUser("alice", False, "Alice A.", {"groups": ["a"], "n": 0}),
            id="all-of-it",
        ),
        pytest.param(
            {"userName": "alice", "active": True, "displayName": None},
            KnownUser("alice", True, None, {}),
            id="no-display-name",
        ),
    ],
)
def test_a_user(entry: object, user: KnownUser) -> None:
    assert user_of(entry, "users[3]") == user


@pytest.mark.parametrize(
    ("entry", "key", "value", "says", "fix"),
    [
        pytest.param("alice", "users[3]", None, "is not a user", "write userName", id="no-mapping"),
        pytest.param([], "users[3]", None, "is not a user", "write userName", id="a-list"),
        pytest.param({}, "users[3]", None, "has no userName", "add userName", id="no-name"),
        pytest.param(
            {"mail": "a@b", "Username": "a"}, "users[3]", None, "has no userName", "by 'Username'?", id="near"
        ),
        pytest.param({"uName": "a"}, "users[3]", None, "has no userName", "by 'uName'?", id="just-near"),
        pytest.param(
            *({"username_": "a", "userNam": "b"}, "users[3]", None, "has no userName", "by 'userNam'?"),
            id="the-nearest",
        ),
        pytest.param({"userName": ""}, "users[3].userName", "", "is empty", "give", id="empty-name"),
        pytest.param(
            {"userName": 7}, "users[3].userName", 7, "is not a string", "quotes", id="name-is-a-number"
        ),
        pytest.param(
            {"userName": "a", "active": "no"},
            "users[3].active",
            "no",
            "boolean",
            "true or false",
            id="active",
        ),
        pytest.param(
            {"userName": "a", "active": None}, "users[3].active", None, "boolean", "true or false", id="null"
        ),
        pytest.param(
            {"userName": "a", "displayName": 5},
            "users[3].displayName",
            5,
            "string",
            "quotes",
            id="display-name",
        ),
    ],
)
def test_a_fault(entry: object, key: str, value: object, says: str, fix: str) -> None:
    problem = user_of(entry, "users[3]")
    assert isinstance(problem, Problem)
    assert (problem.key, problem.value) == (key, value)
    assert says in problem.message
    assert fix in problem.fix


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        pytest.param("Active", "active", id="capital"),
        pytest.param("ACTIVE", "active", id="capitals"),
        pytest.param("activ", "active", id="misspelt"),
        pytest.param("is_active", "active", id="underscore"),
        pytest.param("is-active", "active", id="hyphen"),
        pytest.param("inactive", "active", id="turned-around"),
        pytest.param("display_name", "displayName", id="as-in-sql"),
        pytest.param("dispayName", "displayName", id="a-letter-short"),
        pytest.param("user_name", "userName", id="twice"),
    ],
)
def test_what_was_nearly_written_is_told(name: str, meant: str) -> None:
    entry = {"userName": "alice", "active": True, name: False}
    problem = Problem(f"users[3].{name}", None, f"is not {meant}", f"write {meant}, or another name")
    assert user_of(entry, "users[3]") == problem


@pytest.mark.parametrize(
    "name", ["activity", "name", "nickName", "userType", "title", "emails", "groups", "meta", "id", "enabled"]
)
def test_what_is_something_else_is_an_attribute(name: str) -> None:
    assert user_of({"userName": "alice", name: "x"}, "users[3]") == KnownUser("alice", attributes={name: "x"})

"""Users in a file: formats, faults, and what holds while the file changes."""

import csv
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from oidcgate.directory.file import FileDirectory
from oidcgate.directory.port import AmbiguousUser, DirectoryUnavailable, UserDirectory
from oidcgate.waiting import WouldWait, at_once
from tests.contracts.user_directory import NOW, DirectoryOf, UserDirectoryContract


class Clock:
    """A clock that moves by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "users.toml"


def write(path: Path, text: str | bytes, *, at: int = NOW - 100) -> None:
    """Write the file in place, with `at` as the moment of its last change."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.utime(path, (at, at))


def toml(*names: str) -> str:
    return "".join(f"[[users]]\nuserName = {json.dumps(name)}\n" for name in names)


def names(directory: UserDirectory, *wanted: str, now: int = NOW) -> list[str]:
    return [name for name in wanted if directory.find(name, now=now)]


class TestToml(UserDirectoryContract):
    @pytest.fixture
    def directory_of(self, path: Path) -> DirectoryOf:
        def make(users: Sequence[Mapping[str, Any]]) -> UserDirectory:
            lines = []
            for user in users:
                lines += ["[[users]]", *(f"{name} = {json.dumps(value)}" for name, value in user.items())]
            write(path, "\n".join(lines))
            return FileDirectory(path, lambda: NOW)

        return make


@pytest.mark.parametrize("form", ["scim", "list"])
class TestJson(UserDirectoryContract):
    @pytest.fixture
    def directory_of(self, tmp_path: Path, form: str) -> DirectoryOf:
        def make(users: Sequence[Mapping[str, Any]]) -> UserDirectory:
            scim = {
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
                "totalResults": len(users),
                "Resources": list(users),
            }
            write(tmp_path / "users.json", json.dumps(scim if form == "scim" else list(users)))
            return FileDirectory(tmp_path / "users.json", lambda: NOW)

        return make


class TestCsv(UserDirectoryContract):
    attributes_of_alice: ClassVar[Mapping[str, Any]] = {"title": "Explorer"}

    @pytest.fixture
    def directory_of(self, tmp_path: Path) -> DirectoryOf:
        def make(users: Sequence[Mapping[str, Any]]) -> UserDirectory:
            columns = ["userName", "active", "displayName", "title"]
            with (tmp_path / "users.csv").open("w", newline="") as file:
                rows = csv.DictWriter(file, columns, extrasaction="ignore")
                rows.writeheader()
                rows.writerows({**user, "active": str(user.get("active", "")).lower()} for user in users)
            os.utime(tmp_path / "users.csv", (NOW - 100, NOW - 100))
            return FileDirectory(tmp_path / "users.csv", lambda: NOW)

        return make


CSV_ROWS = [
    pytest.param("alice,true,x", [], id="whole"),
    pytest.param('"alice",TRUE,"a, b"', [], id="quoted"),
    pytest.param("alice,,", [], id="empty cells say nothing"),
    pytest.param("alice,no,x", ["is not a boolean; write true or false"], id="no boolean"),
    pytest.param("alice,0,x", ["is not a boolean"], id="number"),
    pytest.param("alice,true", ["has 2 cells, and line 1 names 3"], id="too few"),
    pytest.param("alice,true,x,y", ["has 4 cells, and line 1 names 3"], id="too many"),
    pytest.param(",true,x", ["is empty; give the user a name"], id="no name"),
    pytest.param(" alice,true,x", ["has spaces around it"], id="spaces"),
    pytest.param('"ali\nce",true,x', ["control or an invisible character"], id="two lines"),
    pytest.param("ali\0ce,true,x", ["control or an invisible character"], id="nul"),
]


@pytest.mark.parametrize(("row", "told"), CSV_ROWS)
def test_a_row_of_a_table(tmp_path: Path, row: str, told: list[str]) -> None:
    write(tmp_path / "users.csv", f"\ufeffuserName,active,displayName\r\n{row}\r\n\r\nbob,,\r\n")
    directory = FileDirectory(tmp_path / "users.csv", lambda: NOW)
    assert names(directory, "alice", "bob") == (["bob"] if told else ["alice", "bob"])
    problems = directory.problems()
    assert len(problems) == len(told)
    for problem, text in zip(problems, told, strict=True):
        assert text in str(problem)
        assert "users.csv rows[0]" in str(problem)


UNREADABLE = [
    pytest.param("users.toml", b"[users]\nuserName = 'a'", "[[users]] with two brackets", id="one bracket"),
    pytest.param("users.csv", b"", "holds no users", id="empty CSV"),
    pytest.param("users.csv", b"userName\n", "holds no users", id="CSV of a heading"),
    pytest.param("users.csv", b"username,active\na,true\n", "line 1; 'username'?", id="no userName"),
    pytest.param("users.csv", b"userName;active\na;true\n", "not separated by commas", id="semicolons"),
    pytest.param("users.csv", b"userName,userName\na,b\n", "a column twice", id="columns twice"),
    pytest.param("users.csv", b'userName\n"a', "is no CSV: unexpected end of data", id="CSV cut off"),
    pytest.param("users.csv", b'userName\n"a"b\n', "is no CSV", id="CSV quotes"),
    pytest.param("users.csv", b"userName\n" + b"a" * 200_000, "is no CSV: field larger", id="CSV cell"),
    pytest.param("users.csv", b"userName\n\xe9\n", "line 2 is not UTF-8", id="CSV in Latin-1"),
    pytest.param("users.toml", b"[[users]]\nuserName = ", "is no TOML: Invalid value (at", id="cut off"),
    pytest.param("users.toml", b"[[users]]\nuserName = 'a\xff'", "line 2 is not UTF-8", id="no UTF-8"),
    pytest.param("users.toml", b"", "holds no users", id="empty"),
    pytest.param("users.toml", b"users = []", "holds no users", id="no users"),
    pytest.param("users.toml", b"[[user]]\nuserName = 'a'", "[[users]] is missing; 'user'?", id="mistyped"),
    pytest.param("users.toml", b"users = 'a'", "[[users]] is missing", id="no list"),
    pytest.param("users.toml", b"a = " + b"[" * 100_000, "is no TOML", id="deep TOML"),
    pytest.param("users.json", b'[{"userName": "a"}', "is no JSON", id="cut off JSON"),
    pytest.param("users.json", b"[" * 100_000, "is no JSON", id="deep JSON"),
    pytest.param("users.json", b'[{"userName": "a", "userName": "b"}]', "given twice", id="named twice"),
    pytest.param("users.json", b"7", "the list Resources is missing", id="number"),
    pytest.param(
        "users.json",
        b'{"totalResults": 9, "Resources": [{"userName": "a"}]}',
        "one page of 1 users out of 9",
        id="one page",
    ),
]


@pytest.mark.parametrize(
    ("name", "fix"), [("users.csv", "names of the columns"), ("users.toml", "[[users]]")]
)
def test_the_fix_speaks_of_what_the_file_is(tmp_path: Path, name: str, fix: str) -> None:
    write(tmp_path / name, b"userName;active")
    (problem,) = FileDirectory(tmp_path / name, lambda: NOW).problems()
    assert fix in problem.fix


@pytest.mark.parametrize(("name", "text", "message"), UNREADABLE)
def test_a_file_that_says_nothing_at_start(tmp_path: Path, name: str, text: bytes, message: str) -> None:
    write(tmp_path / name, text)
    directory = FileDirectory(tmp_path / name, lambda: NOW)
    (problem,) = directory.problems()
    assert message in str(problem)
    assert str(tmp_path / name) in str(problem)
    with pytest.raises(DirectoryUnavailable):
        directory.find("a", now=NOW)


@pytest.mark.parametrize(("name", "text", "message"), UNREADABLE)
def test_a_file_that_says_nothing_later_leaves_the_last_good_one_for_a_while(
    tmp_path: Path, clock: Clock, name: str, text: bytes, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / name
    before = {".json": '[{"userName": "before"}]', ".csv": "userName\nbefore\n", ".toml": toml("before")}
    write(path, before[path.suffix])
    directory = FileDirectory(path, clock, max_stale_seconds=60)
    generation = directory.generation()
    write(path, text)
    clock.now += 1
    for passed in (0, 30, 60):
        assert names(directory, "before", "a", now=clock.now + passed) == ["before"]
    with pytest.raises(DirectoryUnavailable):
        directory.find("before", now=clock.now + 61)
    assert directory.generation() == generation
    assert message in str(directory.problems()[0])
    (logged,) = caplog.records
    assert logged.levelno == logging.WARNING
    assert "the users of before hold for 60 s" in logged.getMessage()


def test_a_missing_file_is_a_problem_until_it_is_there(path: Path, clock: Clock) -> None:
    directory = FileDirectory(path, clock)
    assert "cannot be read: No such file" in str(directory.problems()[0])
    with pytest.raises(DirectoryUnavailable):
        directory.find("a", now=NOW)
    write(path, toml("a"))
    clock.now += 1
    assert directory.problems() == []
    assert names(directory, "a", now=clock.now) == ["a"]


def test_a_file_that_vanishes_and_comes_back(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, toml("a"))
    directory = FileDirectory(path, clock, max_stale_seconds=60)
    generation = directory.generation()
    saved = path.rename(path.with_suffix(".saved"))
    assert names(directory, "a", now=NOW + 1) == ["a"]
    with pytest.raises(DirectoryUnavailable, match="No such file"):
        directory.find("a", now=NOW + 62)
    saved.rename(path)
    assert names(directory, "a", now=NOW + 63) == ["a"]
    clock.now = NOW + 64
    assert directory.generation() == generation
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == [
        "No such file or directory; the users of before hold for 60 s",
        "can be read again",
    ]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert "cannot be read: Is a directory" in str(FileDirectory(tmp_path, lambda: NOW).problems()[0])


def test_a_change_is_seen_within_a_second(path: Path, clock: Clock) -> None:
    write(path, toml("a", "b"))
    directory = FileDirectory(path, clock)
    generation = directory.generation()
    write(path, toml("b", "c"))
    assert names(directory, "a", "b", "c") == ["a", "b"]
    assert directory.generation() == generation
    clock.now += 1
    assert directory.generation() != generation
    assert names(directory, "a", "b", "c", now=clock.now) == ["b", "c"]


def test_a_file_replaced_by_one_of_the_same_size_and_age_is_seen(path: Path, clock: Clock) -> None:
    write(path, toml("a"))
    directory = FileDirectory(path, clock)
    assert names(directory, "a", "b") == ["a"]
    write(path.with_suffix(".new"), toml("b"))
    path.with_suffix(".new").rename(path)
    assert names(directory, "a", "b", now=NOW + 1) == ["b"]


def test_a_file_still_being_written_is_not_taken_up(path: Path, clock: Clock) -> None:
    """Cut off between two users it reads well: whoever comes behind the cut must not be locked out."""
    write(path, toml("a", "b"))
    directory = FileDirectory(path, clock)
    assert names(directory, "a", "b", "c") == ["a", "b"]
    write(path, toml("a"), at=NOW + 1)
    assert names(directory, "a", "b", "c", now=NOW + 1) == ["a", "b"]
    write(path, toml("a", "b", "c"), at=NOW + 1)
    assert names(directory, "a", "b", "c", now=NOW + 2) == ["a", "b", "c"]


def test_a_file_first_read_in_the_second_it_was_written_is_read_again(path: Path, clock: Clock) -> None:
    write(path, toml("a"), at=NOW)
    directory = FileDirectory(path, clock)
    status = path.stat()
    assert names(directory, "a") == ["a"]
    write(path, toml("b"), at=NOW)
    assert path.stat().st_mtime_ns == status.st_mtime_ns
    assert names(directory, "a", "b", now=NOW + 1) == ["b"]


def test_a_file_from_the_future_is_taken_up(path: Path, clock: Clock) -> None:
    write(path, toml("a"))
    directory = FileDirectory(path, clock)
    assert names(directory, "a") == ["a"]
    write(path, toml("b"), at=NOW + 9999)
    assert names(directory, "b", now=NOW + 1) == ["b"]


def test_an_unchanged_file_is_not_read_again(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, toml("a"))
    directory = FileDirectory(path, clock)
    assert names(directory, "a") == ["a"]
    monkeypatch.setattr("oidcgate.directory.file.read_users", None)
    assert names(directory, "a", now=NOW + 50) == ["a"]


def test_within_a_second_the_file_is_not_looked_at(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, toml("a"))
    directory = FileDirectory(path, clock)
    generation = directory.generation()
    monkeypatch.setattr(FileDirectory, "_read", None)
    assert directory.generation() == generation
    assert names(directory, "a") == ["a"]


def test_where_waiting_is_not_allowed_the_file_is_not_touched(path: Path, clock: Clock) -> None:
    write(path, toml("a"))
    directory = FileDirectory(path, clock)
    with pytest.raises(WouldWait):
        at_once(directory.generation)
    generation = directory.generation()
    assert at_once(directory.generation) == generation
    assert at_once(directory.find, "a", now=NOW) is not None
    clock.now += 1
    with pytest.raises(WouldWait):
        at_once(directory.generation)


def test_a_clock_set_back_does_not_stop_the_looking(path: Path, clock: Clock) -> None:
    write(path, toml("a"))
    directory = FileDirectory(path, clock)
    assert names(directory, "a") == ["a"]
    write(path, toml("b"))
    assert names(directory, "b", now=NOW - 3600) == ["b"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        pytest.param({"userName": "a\tb"}, "control", id="control character"),
        pytest.param({"userName": " a"}, "spaces around", id="space"),
        pytest.param({"userName": 7}, "is not a string", id="number"),
        pytest.param({"username": "a"}, "did you mean it by 'username'?", id="mistyped"),
        pytest.param({"title": "a"}, "add userName", id="nameless"),
        pytest.param({"userName": "a", "active": "false"}, "is not a boolean", id="active a string"),
        pytest.param({"userName": "a", "active": 0}, "is not a boolean", id="active a number"),
        pytest.param(
            {"userName": "a", "displayName": 7}, "displayName: 7 is not a string", id="display name"
        ),
        pytest.param("a", "is not a user", id="no object"),
    ],
)
def test_a_faulty_user_is_left_out_and_the_others_stay(
    tmp_path: Path, entry: object, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "users.json", json.dumps([{"userName": "good"}, entry]))
    directory = FileDirectory(tmp_path / "users.json", lambda: NOW)
    (problem,) = directory.problems()
    assert f"{tmp_path}/users.json [1]" in str(problem)
    assert message in str(problem)
    assert str(problem) in caplog.text
    assert names(directory, "good", "a", "7") == ["good"]


@pytest.mark.row("F-10")
def test_a_duplicate_that_comes_later_ends_the_first_one_too(path: Path, clock: Clock) -> None:
    write(path, toml("alice", "bob"))
    directory = FileDirectory(path, clock)
    assert names(directory, "alice") == ["alice"]
    write(path, toml("alice", "bob", "Alice"))
    with pytest.raises(AmbiguousUser):
        directory.find("alice", now=NOW + 1)
    assert names(directory, "bob", now=NOW + 1) == ["bob"]


def test_attributes_cannot_be_changed(path: Path) -> None:
    write(path, toml("a") + 'title = "x"')
    user = FileDirectory(path, lambda: NOW).find("a", now=NOW)
    assert user is not None
    with pytest.raises(TypeError):
        user.attributes["title"] = "y"


def test_many_problems_are_counted_not_all_logged(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(path, toml(*["twice"] * 100))
    assert len(FileDirectory(path, lambda: NOW).problems()) == 99
    assert len(caplog.records) == 21
    assert "99 problems in all" in caplog.text

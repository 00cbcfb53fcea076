"""What every user directory must do. A test module subclasses this and gives the fixture `directory_of`.

The fixture takes users as SCIM writes them and gives a directory that holds them. One that is asked over a
connection also shows what happens while its server hangs or is gone: `UserServerContract`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import pytest

from oidcgate.directory.asked import PAUSE_SECONDS
from oidcgate.directory.port import AmbiguousUser, DirectoryUnavailable, LookAlike, UserDirectory, fold

NOW = 1_800_000_000
DirectoryOf = Callable[[Sequence[Mapping[str, Any]]], UserDirectory]

ALICE: Mapping[str, Any] = {
    "userName": "Alice",
    "displayName": "Alice Liddell",
    "title": "Explorer",
    "groups": ["a"],
}

#: Names that say something in SQL, in filters of SCIM or LDAP, in patterns, URLs or templates.
INJECTIONS: Sequence[str] = (
    "x' OR '1'='1",
    "' UNION SELECT 'bob' --",
    "bob'; DROP TABLE people; --",
    'x" or userName pr or userName eq "x',
    'x" or "1" eq "1',
    "bob\\",
    'bob\\"',
    "*",
    "b*",
    "%",
    "b_b",
    "bob)(userName=*",
    "*)(objectClass=*)",
    "bob&count=0",
    "bob#",
    "bob%00",
    "../bob",
    ":name",
    "{0}",
    "%(n)s",
    "?",
    "$1",
)


class UserDirectoryContract:
    """The suite.

    Attributes:
        attributes_of_alice: her further attributes, as this directory gives them.
        reads_all: whether it knows of names that compare equal before somebody asks for them.
        tells_look_alikes_apart: whether it is asked by a server for which names are equal but for case alone.
    """

    attributes_of_alice: ClassVar[Mapping[str, Any]] = {"title": "Explorer", "groups": ["a"]}
    reads_all: ClassVar[bool] = True
    tells_look_alikes_apart: ClassVar[bool] = False

    @pytest.mark.row("F-07")
    @pytest.mark.parametrize("name", ["Alice", "alice", "ALICE"])
    def test_a_user_is_found_whatever_the_case_and_named_as_the_directory_does(
        self, directory_of: DirectoryOf, name: str
    ) -> None:
        user = directory_of([{"userName": "bob"}, ALICE]).find(name, now=NOW)
        assert user is not None
        assert (user.user_name, user.active, user.display_name) == ("Alice", True, "Alice Liddell")
        assert dict(user.attributes) == self.attributes_of_alice

    @pytest.mark.row("F-08")
    @pytest.mark.parametrize(
        "name",
        [
            "mallory",
            "",
            " alice",
            "alice ",
            "alice\n",
            "ali",
            "alice@example.com",
            "a" * 100_000,
            "\ud800",
            "alice\0",
        ],
        ids=[
            "unknown",
            "empty",
            "space before",
            "after",
            "line end",
            "part",
            "mail",
            "long",
            "surrogate",
            "nul",
        ],
    )
    def test_another_name_is_nobody(self, directory_of: DirectoryOf, name: str) -> None:
        assert directory_of([ALICE]).find(name, now=NOW) is None

    @pytest.mark.row("F-08", "G-15")
    @pytest.mark.parametrize(
        ("presented", "user_name"),
        [
            ("ａlice", "alice"),
            ("\u212aate", "kate"),
            ("stra\u00dfe", "strasse"),
            ("\u017fam", "sam"),
            ("al\u0131ce", "alice"),
            ("\u03b1lice", "alice"),
        ],
        ids=["full-width", "kelvin", "sharp s", "long s", "dotless i", "greek alpha"],
    )
    def test_a_look_alike_is_nobody(self, directory_of: DirectoryOf, presented: str, user_name: str) -> None:
        directory = directory_of([{"userName": user_name}])
        alike = fold(presented) == fold(user_name)
        try:
            assert directory.find(presented, now=NOW) is None
        except LookAlike:
            assert alike
        else:
            # Who is asked by a server that compares in its own way cannot know of all of them.
            assert not alike or self.tells_look_alikes_apart or not self.reads_all

    def test_two_spellings_of_one_letter_are_one_name(self, directory_of: DirectoryOf) -> None:
        user = directory_of([{"userName": "Jos\u00e9"}]).find("jose\u0301", now=NOW)
        assert user is not None
        assert user.user_name == "Jos\u00e9"

    @pytest.mark.row("F-08")
    def test_an_inactive_user_is_found_as_inactive(self, directory_of: DirectoryOf) -> None:
        user = directory_of([{**ALICE, "active": False}]).find("alice", now=NOW)
        assert user is not None
        assert not user.active

    @pytest.mark.row("F-10")
    @pytest.mark.parametrize(
        "second", ["Alice", "alice", "ALICE", "ａlice"], ids=["same", "lower", "upper", "full-width"]
    )
    def test_users_that_compare_equal_are_refused_for_both_and_reported(
        self, directory_of: DirectoryOf, second: str
    ) -> None:
        directory = directory_of([ALICE, {"userName": "bob"}, {"userName": second}])
        if self.tells_look_alikes_apart and not second.isascii():
            # Its server tells these apart, and so did whoever named them.
            found = [directory.find(name, now=NOW) for name in ("Alice", second)]
            assert [user.user_name for user in found if user] == ["Alice", second]
            return
        for name in ("Alice", second):
            with pytest.raises(AmbiguousUser):
                directory.find(name, now=NOW)
        assert directory.find("bob", now=NOW) is not None
        if self.reads_all:
            (problem,) = directory.problems()
            assert fold(str(problem.value)) == fold(second)
            assert "are refused" in problem.message

    @pytest.mark.row("F-10")
    def test_three_users_of_one_name_are_refused_too(self, directory_of: DirectoryOf) -> None:
        directory = directory_of([{"userName": name} for name in ("a", "A", "a")])
        with pytest.raises(AmbiguousUser):
            directory.find("a", now=NOW)
        if self.reads_all:
            assert directory.problems()

    def test_a_name_is_a_name_whatever_it_would_mean_elsewhere(self, directory_of: DirectoryOf) -> None:
        directory = directory_of([ALICE, {"userName": "bob"}])
        assert [name for name in INJECTIONS if directory.find(name, now=NOW)] == []
        assert directory.find("bob", now=NOW) is not None

    def test_people_may_be_named_so(self, directory_of: DirectoryOf) -> None:
        directory = directory_of([ALICE, *({"userName": name} for name in INJECTIONS)])
        for name in INJECTIONS:
            user = directory.find(name, now=NOW)
            assert user is not None, name
            assert user.user_name == name
        assert directory.find("bob", now=NOW) is None

    def test_a_sound_directory_has_no_problems_and_one_generation(self, directory_of: DirectoryOf) -> None:
        directory = directory_of([ALICE, {"userName": "bob"}])
        assert directory.problems() == []
        assert directory.generation() == directory.generation()


class UserServer(Protocol):
    """The server that a directory asks, in the hands of a test."""

    def freeze(self) -> None:
        """It goes on accepting connections, in its kernel's name, and answers nothing."""

    def thaw(self) -> None: ...

    def kill(self) -> None: ...

    def start(self) -> None:
        """After `kill`; it holds the users of before."""


class UserServerContract:
    """What happens while a server hangs or is gone. The fixture `served` gives it, with a directory of its
    own that holds `ALICE` and bob, and whose time limit is short.
    """

    def test_a_server_that_hangs_is_unavailable_and_then_back(
        self, served: tuple[UserServer, UserDirectory]
    ) -> None:
        server, directory = served
        assert directory.find("alice", now=NOW) is not None
        server.freeze()
        try:
            for attempt in range(3):
                with pytest.raises(DirectoryUnavailable) as unavailable:
                    directory.find("alice", now=NOW + attempt * (PAUSE_SECONDS + 1))
                assert not unavailable.value.answered
        finally:
            server.thaw()
        assert directory.find("alice", now=NOW + 100) is not None
        assert directory.find("mallory", now=NOW + 100) is None

    def test_a_server_that_was_killed_is_unavailable_and_then_back(
        self, served: tuple[UserServer, UserDirectory]
    ) -> None:
        server, directory = served
        assert directory.find("alice", now=NOW) is not None
        server.kill()
        for attempt in range(3):
            with pytest.raises(DirectoryUnavailable) as unavailable:
                directory.find("alice", now=NOW + attempt * (PAUSE_SECONDS + 1))
            assert not unavailable.value.answered
        server.start()
        assert directory.find("alice", now=NOW + 100) is not None

    def test_a_server_that_is_not_there_at_first(self, served: tuple[UserServer, UserDirectory]) -> None:
        server, directory = served
        server.kill()
        with pytest.raises(DirectoryUnavailable):
            directory.find("alice", now=NOW)
        server.start()
        assert directory.find("alice", now=NOW + 100) is not None

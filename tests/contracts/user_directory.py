"""What every user directory must do. A test module subclasses this and gives the fixture `directory_of`.

The fixture takes users as SCIM writes them and gives a directory that holds them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import pytest

from oidcgate.directory.port import AmbiguousUser, UserDirectory

NOW = 1_800_000_000
DirectoryOf = Callable[[Sequence[Mapping[str, Any]]], UserDirectory]

ALICE: Mapping[str, Any] = {
    "userName": "Alice",
    "displayName": "Alice Liddell",
    "title": "Explorer",
    "groups": ["a"],
}


class UserDirectoryContract:
    """The suite.

    Attributes:
        attributes_of_alice: her further attributes, as this directory gives them.
        reads_all: whether it knows of names that compare equal before somebody asks for them.
    """

    attributes_of_alice: ClassVar[Mapping[str, Any]] = {"title": "Explorer", "groups": ["a"]}
    reads_all: ClassVar[bool] = True

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
        assert directory_of([{"userName": user_name}]).find(presented, now=NOW) is None

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
        for name in ("Alice", second):
            with pytest.raises(AmbiguousUser):
                directory.find(name, now=NOW)
        assert directory.find("bob", now=NOW) is not None
        if self.reads_all:
            (problem,) = directory.problems()
            assert problem.value == second
            assert "both are refused" in problem.message

    @pytest.mark.row("F-10")
    def test_three_users_of_one_name_are_refused_too(self, directory_of: DirectoryOf) -> None:
        directory = directory_of([{"userName": name} for name in ("a", "A", "a")])
        with pytest.raises(AmbiguousUser):
            directory.find("a", now=NOW)
        assert len(directory.problems()) == (2 if self.reads_all else 0)

    def test_a_sound_directory_has_no_problems_and_one_generation(self, directory_of: DirectoryOf) -> None:
        directory = directory_of([ALICE, {"userName": "bob"}])
        assert directory.problems() == []
        assert directory.generation() == directory.generation()

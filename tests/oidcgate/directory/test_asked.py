"""What holds for every directory that is asked for one name at a time: `oidcgate.directory.asked`."""

import logging
import threading
from collections.abc import Sequence

import pytest

from oidcgate.directory.asked import PAUSE_SECONDS, AskedDirectory
from oidcgate.directory.port import AmbiguousUser, DirectoryUnavailable, KnownUser, LookAlike
from oidcgate.settings import Problem

NOW = 1_800_000_000


class Source:
    """Gives what a test puts there, and counts."""

    def __init__(self, *users: KnownUser) -> None:
        self.users = users
        self.asked: list[str] = []
        self.failure: str | None = None

    def users_like(self, name: str) -> Sequence[KnownUser]:
        self.asked.append(name)
        if self.failure is not None:
            raise DirectoryUnavailable(self.failure)
        return self.users

    def problems(self) -> list[Problem]:
        return []


@pytest.mark.row("F-08")
def test_whoever_the_source_gives_for_another_name_is_not_meant() -> None:
    source = Source(KnownUser("bob"), KnownUser("alicia"))
    assert AskedDirectory(source, "people").find("alice", now=NOW) is None


@pytest.mark.row("F-10")
@pytest.mark.parametrize("second", ["Alice", "ALICE", "alice", "ａlice"])
def test_two_that_compare_equal_are_neither(second: str) -> None:
    directory = AskedDirectory(Source(KnownUser("alice"), KnownUser(second)), "people")
    with pytest.raises(AmbiguousUser):
        directory.find("alice", now=NOW)


@pytest.mark.row("G-15")
def test_a_name_that_only_looks_like_a_user_s_is_told_from_one_that_is_free() -> None:
    directory = AskedDirectory(Source(KnownUser("alice", active=False)), "people")
    with pytest.raises(LookAlike, match="'ａlice' looks like 'alice'"):
        directory.find("ａlice", now=NOW)
    assert directory.find("bob", now=NOW) is None


@pytest.mark.parametrize(
    "name", ["", " alice", "alice\n", "alice\0", "a" * 151, "\ud800", "al\u200dice"], ids=ascii
)
def test_what_nobody_can_be_named_is_asked_nobody(name: str) -> None:
    source = Source(KnownUser("alice"))
    assert AskedDirectory(source, "people").find(name, now=NOW) is None
    assert source.asked == []


class TestOutage:
    def test_a_source_that_is_down_is_asked_again_after_a_pause(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        source = Source(KnownUser("alice"))
        directory = AskedDirectory(source, "people")
        source.failure = "cannot be reached"
        with caplog.at_level(logging.WARNING, "oidcgate.directory"):
            for now in (NOW, NOW, NOW + PAUSE_SECONDS, NOW + PAUSE_SECONDS):
                with pytest.raises(DirectoryUnavailable, match="cannot be reached"):
                    directory.find("alice", now=now)
            assert len(source.asked) == 2
            source.failure = None
            assert directory.find("alice", now=NOW + 2 * PAUSE_SECONDS) == KnownUser("alice")
        assert [record.message for record in caplog.records] == [
            "people: cannot be reached; asked again every 1 s",
            "people: answers again",
        ]

    def test_it_is_asked_at_once_when_the_clock_was_set_back(self) -> None:
        source = Source(KnownUser("alice"))
        directory = AskedDirectory(source, "people")
        source.failure = "cannot be reached"
        with pytest.raises(DirectoryUnavailable):
            directory.find("alice", now=NOW)
        source.failure = None
        assert directory.find("alice", now=NOW - 1000) is not None

    def test_while_one_waits_for_it_others_do_not(self) -> None:
        hangs, gives_up = threading.Event(), threading.Event()

        class Hanging(Source):
            def users_like(self, name: str) -> Sequence[KnownUser]:
                self.asked.append(name)
                if len(self.asked) > 1:
                    hangs.set()
                    gives_up.wait(30)
                raise DirectoryUnavailable("does not answer")

        source = Hanging()
        directory = AskedDirectory(source, "people")
        failures: list[BaseException] = []

        def ask() -> None:
            try:
                directory.find("alice", now=NOW + 10)
            except DirectoryUnavailable as error:
                failures.append(error)

        with pytest.raises(DirectoryUnavailable):
            directory.find("alice", now=NOW)
        thread = threading.Thread(target=ask)
        thread.start()
        assert hangs.wait(30)
        with pytest.raises(DirectoryUnavailable):
            directory.find("bob", now=NOW + 10)
        gives_up.set()
        thread.join()
        assert source.asked == ["alice", "alice"]
        assert len(failures) == 1

    def test_an_error_of_another_kind_does_not_close_the_source(self) -> None:
        source = Source(KnownUser("alice"))
        directory = AskedDirectory(source, "people")
        source.failure = "down"
        with pytest.raises(DirectoryUnavailable):
            directory.find("alice", now=NOW)
        source.users = None  # type: ignore[assignment]  # a fault of a source's own
        source.failure = None
        with pytest.raises(TypeError):
            directory.find("alice", now=NOW + 5)
        source.users = (KnownUser("alice"),)
        assert directory.find("alice", now=NOW + 10) is not None

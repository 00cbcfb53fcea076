"""When a directory is asked about the people of sessions, and what holds while it cannot be."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from oidcgate.directory.port import AmbiguousUser, DirectoryUnavailable, KnownUser, LookAlike
from oidcgate.gate.known_users import KnownUsers
from oidcgate.gate.session import Found, SessionLimits, Unavailable, UnavailableReason
from oidcgate.waiting import WouldWait, at_once
from tests.oidcgate.gate.parts import NOW, Directory, record

ALICE = KnownUser("Alice", True, "Alice Liddell")
DOWN = DirectoryUnavailable("the test says so")
NONE = Unavailable(UnavailableReason.DIRECTORY)


class Asked(Directory):
    """A directory that is asked over a network: its outage does not change its generation."""

    def generation(self) -> int:
        return self.number


def found(session_id: str = "s1", user_name: str = "Alice", *, known_at: int = NOW) -> Found:
    """A session that this worker has just opened."""
    return Found(record(session_id, user_name, known_at=known_at), session_id, SessionLimits())


@pytest.fixture
def directory() -> Asked:
    return Asked(ALICE)


@pytest.fixture
def users(directory: Asked) -> KnownUsers:
    return KnownUsers(directory)


def seen(users: KnownUsers, session: Found, now: int) -> tuple[bool, bool] | Unavailable:
    """Whether the person of a session is known, and whether barred, after a look."""
    unavailable = users.refresh(session, now)
    return unavailable or (session.person.known, session.person.barred)


def test_an_answer_is_asked_for_again_when_it_is_old(users: KnownUsers, directory: Asked) -> None:
    session = found()
    for now in (NOW, NOW + 59):
        assert seen(users, session, now) == (True, False)
    assert directory.asked == ["Alice"]
    directory.users.clear()
    assert seen(users, session, NOW + 60) == (False, False)


def test_all_sessions_of_one_person_ask_once(users: KnownUsers, directory: Asked) -> None:
    for number in range(100):
        session = found(f"s{number}")
        assert seen(users, session, NOW + number % 60) == (True, False)
        assert session.person.identity.display_name == "Alice Liddell"
    assert directory.asked == ["Alice"]


def test_an_answer_gets_no_older_by_going_from_session_to_session(
    users: KnownUsers, directory: Asked
) -> None:
    first, second = found("s1"), found("s2")
    seen(users, first, NOW)
    directory.users.clear()
    # Heard of by another session, a second before the answer is due.
    assert seen(users, second, NOW + 59) == (True, False)
    assert seen(users, second, NOW + 60) == (False, False)


def test_whoever_signs_in_is_asked_about_and_not_again_at_once(users: KnownUsers, directory: Asked) -> None:
    seen(users, found(), NOW)
    assert users.find("alice", now=NOW + 1) == ALICE
    assert seen(users, found("s2"), NOW + 2) == (True, False)
    assert directory.asked == ["Alice", "alice"]


@pytest.mark.row("G-15")
@pytest.mark.parametrize("failure", [None, LookAlike("ａlice"), AmbiguousUser("ａlice")], ids=repr)
def test_what_is_heard_about_a_look_alike_says_nothing_about_the_user(
    users: KnownUsers, directory: Asked, failure: Exception | None
) -> None:
    seen(users, found(), NOW)
    directory.failure = failure
    with suppress(AmbiguousUser):
        assert users.find("ａlice", now=NOW + 10) is None
    directory.failure = None
    assert seen(users, found("s2"), NOW + 11) == (True, False)


@pytest.mark.row("F-08")
def test_a_sign_in_that_hears_of_a_removal_tells_the_other_sessions(
    users: KnownUsers, directory: Asked
) -> None:
    session = found()
    seen(users, session, NOW)
    directory.users.clear()
    assert users.find("ALICE", now=NOW + 10) is None
    assert seen(users, found("s2"), NOW + 11) == (False, False)


def test_the_answer_of_another_generation_is_of_no_use(users: KnownUsers, directory: Asked) -> None:
    session = found()
    seen(users, session, NOW)
    directory.change()
    assert seen(users, session, NOW + 1) == (False, False)
    assert seen(users, found("s2"), NOW + 1) == (False, False)


def test_a_clock_that_was_set_back_makes_no_answer_last(users: KnownUsers, directory: Asked) -> None:
    seen(users, found(), NOW)
    directory.users.clear()
    assert seen(users, found("s2"), NOW - 1000) == (False, False)


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        pytest.param(lambda d: d.users.update(alice=KnownUser("Alice", False)), (False, True), id="inactive"),
        pytest.param(lambda d: setattr(d, "failure", AmbiguousUser()), (False, True), id="ambiguous"),
        pytest.param(lambda d: d.users.clear(), (False, False), id="gone"),
    ],
)
@pytest.mark.row("F-10")
def test_whom_the_directory_lets_in_no_longer_is_remembered_as_that(
    users: KnownUsers, directory: Asked, change: Callable[[Asked], None], answer: tuple[bool, bool]
) -> None:
    change(directory)
    assert seen(users, found(), NOW) == answer
    assert seen(users, found("s2"), NOW) == answer
    directory.failure = DOWN
    assert seen(users, found("s3"), NOW + 100) == answer
    assert len(directory.asked) == 2


@pytest.mark.parametrize("name", ["", " alice", "alice\0", "al\nice", "\ud800", "a" * 151], ids=ascii)
def test_what_nobody_can_be_named_is_asked_nobody(users: KnownUsers, directory: Asked, name: str) -> None:
    assert users.find(name, now=NOW) is None
    assert directory.asked == []


def test_an_answer_that_was_overtaken_is_no_news(users: KnownUsers, directory: Asked) -> None:
    users.find("alice", now=NOW + 10)
    directory.users.clear()
    users.find("alice", now=NOW + 20)
    directory.change(ALICE)
    directory.number -= 1
    # Asked before the one that heard of the removal, and answered after it.
    users.find("alice", now=NOW + 15)
    directory.users.clear()
    assert seen(users, found(), NOW + 21) == (False, False)
    assert len(directory.asked) == 3


class TestOutage:
    def test_the_last_answer_holds_for_so_long_and_no_longer(
        self, users: KnownUsers, directory: Asked
    ) -> None:
        session = found()
        seen(users, session, NOW)
        directory.failure = DOWN
        assert seen(users, session, NOW + 60) == (True, False)
        assert seen(users, session, NOW + 3600) == (True, False)
        assert seen(users, session, NOW + 3601) == NONE
        directory.failure = None
        assert seen(users, session, NOW + 3602) == (True, False)

    def test_it_is_asked_once_a_second(self, users: KnownUsers, directory: Asked) -> None:
        session = found()
        seen(users, session, NOW)
        directory.failure = DOWN
        for _ in range(10):
            assert seen(users, session, NOW + 60) == (True, False)
        assert len(directory.asked) == 2
        seen(users, session, NOW + 61)
        assert len(directory.asked) == 3

    @pytest.mark.parametrize("number", range(2))
    def test_also_for_a_session_new_to_this_worker(
        self, users: KnownUsers, directory: Asked, number: int
    ) -> None:
        directory.failure = DOWN
        session = found()
        for _ in range(10):
            assert seen(users, session, NOW) == (True, False)
        assert len(directory.asked) == 1

    def test_a_session_that_is_new_here_goes_on_with_what_another_one_heard(
        self, users: KnownUsers, directory: Asked
    ) -> None:
        old = NOW - 3000
        seen(users, found("s1", known_at=old), NOW)
        directory.failure = DOWN
        # What it was sealed with is too old by then, and what this worker knows is not.
        assert seen(users, found("s2", known_at=old), NOW + 3000) == (True, False)
        assert seen(users, found("s3", known_at=old), NOW + 3601) == NONE
        assert seen(KnownUsers(directory), found("s4", known_at=old), NOW + 3000) == NONE

    def test_news_of_another_session_count_before_the_last_answer_of_its_own(
        self, users: KnownUsers, directory: Asked
    ) -> None:
        first = found("s1")
        seen(users, first, NOW)
        directory.users["alice"] = KnownUser("Alice", False)
        assert users.find("alice", now=NOW + 30) == KnownUser("Alice", False)
        directory.failure = DOWN
        assert seen(users, first, NOW + 100) == (False, True)

    def test_nobody_new_comes_in(self, users: KnownUsers, directory: Asked) -> None:
        seen(users, found(), NOW)
        directory.failure = DOWN
        with pytest.raises(DirectoryUnavailable):
            users.find("alice", now=NOW + 1)

    def test_a_change_of_the_directory_ends_the_pause(self, users: KnownUsers, directory: Asked) -> None:
        session = found()
        directory.failure = DOWN
        seen(users, session, NOW)
        directory.failure = None
        directory.change()
        assert seen(users, session, NOW) == (False, False)


class TestOnALoop:
    def test_only_what_is_not_remembered_would_wait(self, users: KnownUsers, directory: Asked) -> None:
        with pytest.raises(WouldWait):
            at_once(users.refresh, found(), NOW)
        assert directory.asked == []
        seen(users, found(), NOW)
        assert at_once(users.refresh, found("s2"), NOW + 59) is None
        with pytest.raises(WouldWait):
            at_once(users.refresh, found("s3"), NOW + 60)


def test_answers_are_remembered_of_so_many(directory: Asked) -> None:
    users = KnownUsers(directory, remembered=2)
    for name in ("Alice", "a", "b", "c", "Alice"):
        seen(users, found(name, name), NOW)
    assert directory.asked == ["Alice", "a", "b", "c", "Alice"]
    assert len(users._answers) == 2


def test_what_answers_from_memory_is_asked_each_time(directory: Asked) -> None:
    class InMemory(Asked):
        answers_from_memory = True

    directory = InMemory(ALICE)
    users = KnownUsers(directory)
    for number in range(3):
        seen(users, found(f"s{number}"), NOW)
    assert len(directory.asked) == 3
    assert len(users._answers) == 0

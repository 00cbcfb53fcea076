"""One request before its decision: which steps are taken, in which order, and what a wait stops."""

from collections.abc import Callable

import pytest

from oidcgate.directory.port import DirectoryUnavailable, KnownUser
from oidcgate.gate.decision import Allow, Answer, Reason, Refuse, Unavailable
from oidcgate.gate.forwarding import Forwarding, NotForwardable
from oidcgate.gate.judge import Judge
from oidcgate.gate.known_users import KnownUsers
from oidcgate.gate.policy import Access, Policy, Rule
from oidcgate.gate.session import (
    Absent,
    AbsentReason,
    Found,
    SessionLimits,
    UnavailableReason,
)
from oidcgate.gate.session import Unavailable as SessionUnavailable
from oidcgate.gate.stored_sessions import StoredSessions
from oidcgate.identity import Identity
from oidcgate.waiting import WouldWait, at_once
from oidcgate.web.cookies import CookieNames
from oidcgate.web.facts import Facts, RequestKind
from oidcgate.web.sealing import KeyRing
from tests.oidcgate.gate.parts import NOW, PUBLIC_URL, SECRET, Directory, Store, cookie_of, record


def facts(path: str = "/a") -> Facts:
    return Facts("GET", path, "", RequestKind.SCRIPT, "app.example.com", "", "")


class Parts:
    """A judge over a session store and a directory that count."""

    def __init__(self, forwarding: Forwarding | None = None) -> None:
        self.store, self.state = Store(), Store()
        self.directory = Directory(KnownUser("Alice"))
        names = CookieNames.of(PUBLIC_URL)
        about = (names, KeyRing([SECRET]), "gate", self.state, SessionLimits())
        self.sessions = StoredSessions(*about, store=self.store)
        policy = Policy([Rule("/public/**", Access.ANYONE)])
        self.judge = Judge(
            self.sessions, KnownUsers(self.directory), policy, forwarding or Forwarding("none", ("X-User",))
        )

    def sign_in(self, user_name: str = "Alice") -> str:
        cookie = cookie_of(self.sessions.create(record(user_name=user_name), NOW))
        self.store.calls.clear()
        return cookie


@pytest.fixture
def parts() -> Parts:
    return Parts()


def test_a_known_user_is_found_asked_about_allowed_and_named(parts: Parts) -> None:
    decision, session = parts.judge(facts(), parts.sign_in(), NOW)
    assert decision == Allow(Reason.KNOWN_USER, identified=True)
    assert isinstance(session, Found)
    assert session.person.identity.user_name == "Alice"
    assert session.forwarded == ((b"x-user", b"Alice"),)
    assert (parts.store.calls, parts.directory.asked) == (["get"], ["Alice"])


@pytest.mark.parametrize("path", ["/a", "/public/x", "/.oidcgate/userinfo"])
def test_without_a_cookie_nobody_is_asked(path: str, parts: Parts) -> None:
    _, session = parts.judge(facts(path), "", NOW)
    assert session == Absent(AbsentReason.NO_COOKIE)
    assert parts.store.calls == parts.state.calls == parts.directory.asked == []


def test_routes_of_the_gate_look_at_sessions_themselves(parts: Parts) -> None:
    decision, session = parts.judge(facts("/.oidcgate/logout"), parts.sign_in(), NOW)
    assert decision == Answer()
    assert isinstance(session, Absent)
    assert parts.store.calls == []


def test_who_has_no_session_needs_no_directory(parts: Parts) -> None:
    decision, session = parts.judge(facts(), "a=1", NOW)
    assert (decision, session) == (
        Refuse(AbsentReason.NO_COOKIE, 401),
        Absent(AbsentReason.NO_COOKIE),
    )
    assert parts.directory.asked == []


@pytest.mark.row("G-05")
def test_outages_of_store_and_directory_are_told_apart(parts: Parts) -> None:
    cookie = parts.sign_in()
    parts.store.down = True
    assert parts.judge(facts(), cookie, NOW)[0] == Unavailable(UnavailableReason.SESSION_STORE)
    parts.store.down = False
    parts.directory.failure = DirectoryUnavailable("the test says so")
    later = NOW + 3601
    decision, session = parts.judge(facts(), cookie, later)
    assert decision == Unavailable(UnavailableReason.DIRECTORY)
    # A front must not take it for the session's person.
    assert session == SessionUnavailable(UnavailableReason.DIRECTORY)
    assert parts.judge(facts("/public/x"), cookie, later)[0] == Allow(Reason.PUBLIC, identified=False)


# -- how an app hears who it is


class Counting(Forwarding):
    """Headers as they are, counted; and a chance to change the world while they are made."""

    def __init__(self) -> None:
        super().__init__("none", ("X-User",))
        self.made: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def headers(self, identity: Identity) -> tuple[tuple[bytes, bytes], ...]:
        self.made.append(identity.user_name)
        made = super().headers(identity)
        self.meanwhile()
        return made


def test_headers_are_made_once_for_each_look_at_the_directory() -> None:
    forwarding = Counting()
    parts = Parts(forwarding)
    cookie = parts.sign_in()
    for _ in range(3):
        parts.judge(facts(), cookie, NOW)
    assert forwarding.made == ["Alice"]
    parts.directory.change(KnownUser("ALICE"))
    for _ in range(3):
        _, session = parts.judge(facts(), cookie, NOW)
        assert isinstance(session, Found)
        assert session.forwarded == ((b"x-user", b"ALICE"),)
    assert forwarding.made == ["Alice", "ALICE"]


def test_headers_are_never_those_of_a_person_who_was_replaced_meanwhile() -> None:
    forwarding = Counting()
    parts = Parts(forwarding)
    cookie = parts.sign_in()

    def another_thread_looks_at_the_directory() -> None:
        forwarding.meanwhile = lambda: None
        parts.directory.change(KnownUser("ALICE"))
        parts.judge(facts("/public/x"), cookie, NOW)

    forwarding.meanwhile = another_thread_looks_at_the_directory
    parts.judge(facts(), cookie, NOW)
    _, session = parts.judge(facts(), cookie, NOW)
    assert isinstance(session, Found)
    assert (session.person.identity.user_name, session.forwarded) == ("ALICE", ((b"x-user", b"ALICE"),))


@pytest.mark.row("T-02")
def test_who_cannot_be_named_is_refused_each_time_and_is_nobody_in_public() -> None:
    forwarding = Counting()
    parts = Parts(forwarding)
    cookie = parts.sign_in()
    parts.judge(facts(), cookie, NOW)
    parts.directory.change(KnownUser("Alice,Bob"))
    # The directory is asked by the session's name and may answer in another spelling.
    parts.directory.users["alice"] = KnownUser("Alice,Bob")
    for _ in range(2):
        decision, _ = parts.judge(facts(), cookie, NOW)
        assert decision == Refuse(Reason.NAME_NOT_FORWARDABLE, 403, "Alice,Bob")
        assert parts.judge(facts("/public/x"), cookie, NOW)[0] == Allow(Reason.PUBLIC, identified=False)
    parts.directory.change(KnownUser("Alice"))
    assert parts.judge(facts(), cookie, NOW)[0] == Allow(Reason.KNOWN_USER, identified=True)


def test_a_front_without_headers_makes_none() -> None:
    class Never(Forwarding):
        def headers(self, identity: Identity) -> tuple[tuple[bytes, bytes], ...]:
            raise NotForwardable

    parts = Parts(Never())
    assert parts.judge(facts(), parts.sign_in(), NOW)[0] == Allow(Reason.KNOWN_USER, identified=True)


# -- where waiting is not allowed


def test_whoever_must_not_wait_is_told_before_store_and_directory_are_asked(parts: Parts) -> None:
    cookie = parts.sign_in()
    with pytest.raises(WouldWait):
        at_once(parts.judge, facts(), cookie, NOW)
    assert parts.store.calls == parts.directory.asked == []
    parts.judge(facts(), cookie, NOW)
    calls = (list(parts.store.calls), list(parts.state.calls), list(parts.directory.asked))
    decision, session = at_once(parts.judge, facts(), cookie, NOW)
    assert decision == Allow(Reason.KNOWN_USER, identified=True)
    assert isinstance(session, Found)
    assert (parts.store.calls, parts.state.calls, parts.directory.asked) == calls
    # A due look at the directory is a wait as well, and takes nothing away from who may wait.
    with pytest.raises(WouldWait):
        at_once(parts.judge, facts(), cookie, NOW + 60)
    assert parts.directory.asked == ["Alice"]
    assert parts.judge(facts(), cookie, NOW + 60)[0] == decision
    assert parts.directory.asked == ["Alice", "Alice"]


def test_a_directory_that_answers_from_memory_is_asked_where_waiting_is_not_allowed(parts: Parts) -> None:
    cookie = parts.sign_in()
    parts.judge(facts(), cookie, NOW)
    parts.directory.answers_from_memory = True
    judge = Judge(parts.sessions, KnownUsers(parts.directory), Policy([]), Forwarding("none", ()))
    decision, _ = at_once(judge, facts(), cookie, NOW + 60)
    assert decision == Allow(Reason.KNOWN_USER, identified=True)
    assert parts.directory.asked == ["Alice", "Alice"]

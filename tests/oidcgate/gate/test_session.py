"""The session's record and its codec, and what is done with sessions."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.gate.kept_tokens import Kept
from oidcgate.gate.revocations import Revocations
from oidcgate.gate.session import (
    COOKIE_BUDGET_BYTES,
    Absent,
    AbsentReason,
    Found,
    SessionLimits,
    SessionRecord,
    SessionTooLarge,
    Unavailable,
    UnavailableReason,
    decode_record,
    encode_record,
)
from oidcgate.gate.sessions import Ended, SealedSessions, Sessions
from oidcgate.gate.stored_sessions import StoredSessions
from oidcgate.storage.records import StoreUnavailable
from oidcgate.web.cookies import CookieNames
from oidcgate.web.sealing import KeyRing, new_secret
from tests.oidcgate.gate.parts import ISSUER, NOW, Store, cookie_of, record

NAMES = CookieNames.of("https://app.example.com")
SECRET = new_secret()
LIMITS = SessionLimits.of(idle_seconds=600, absolute_seconds=3600)


def sealed(state: Store, *, secrets: tuple[str, ...] = (SECRET,), gate: str = "gate") -> Sessions:
    return SealedSessions(NAMES, KeyRing(secrets), gate, state, LIMITS)


def stored(state: Store, *, secrets: tuple[str, ...] = (SECRET,), gate: str = "gate") -> Sessions:
    return StoredSessions(NAMES, KeyRing(secrets), gate, state, LIMITS, store=state)


KINDS = pytest.mark.parametrize("make", [sealed, stored])


@pytest.fixture
def state() -> Store:
    return Store()


def began(session_id: str, **more: Any) -> SessionRecord:
    """A session that began now."""
    return record(session_id, created_at=NOW, **more)


def reason_of(answer: object) -> AbsentReason:
    assert isinstance(answer, Absent)
    return answer.reason


# -- the record


def test_a_record_survives_its_codec() -> None:
    whole = record(
        sid="x",
        acr="gold",
        amr=("pwd", "otp"),
        display_name="A",
        claims={"groups": ["a"], "n": 1},
        tokens=True,
    )
    assert decode_record(encode_record(whole)) == whole


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x02" + encode_record(record())[1:], id="another version"),
        pytest.param(b"\x01", id="only a version"),
        pytest.param(b"\x01\x91\xa1s", id="too few fields"),
        pytest.param(b"\x01{}", id="JSON"),
        pytest.param(encode_record(record()) + b"\xc0", id="trailing bytes"),
        pytest.param(b"\x01\xdc\x00\x04\xa1\x80", id="text that is not UTF-8"),
    ],
)
def test_what_is_no_record_of_this_version_is_absent(data: bytes) -> None:
    assert decode_record(data) is None


@given(st.binary(max_size=200))
def test_no_bytes_break_the_decoder(data: bytes) -> None:
    assert isinstance(decode_record(b"\x01" + data), SessionRecord | None)


def test_records_written_before_a_field_was_added_are_read() -> None:
    old = b"\x01" + msgspec.msgpack.encode(["s1", "https://id.example.com", "sub", "Alice"])
    decoded = decode_record(old)
    assert decoded is not None
    assert (decoded.user_name, decoded.tokens) == ("Alice", False)


def test_a_record_shows_neither_claims_nor_its_id() -> None:
    shown = repr(record(session_id="canary-id", claims={"email": "canary@example.com"}))
    assert "canary" not in shown


# -- found


@KINDS
@pytest.mark.row("T-03")
def test_a_session_is_found_again_by_another_worker(make: type, state: Store) -> None:
    cookie = cookie_of(make(state).create(record(), NOW))
    found = make(state).load(f"theme=dark; {cookie}", NOW + 1)
    assert isinstance(found, Found)
    assert found.record.user_name == "Alice"
    assert (found.record.created_at, found.record.seen_at, found.record.absolute_at) == (NOW, NOW, NOW + 3600)


@KINDS
@pytest.mark.row("T-03")
def test_a_remembered_session_makes_no_store_call(make: type, state: Store) -> None:
    sessions = make(state)
    cookie = cookie_of(sessions.create(record(), NOW))
    first = sessions.load(cookie, NOW)
    state.calls.clear()
    assert sessions.load(cookie, NOW + 30) is first
    assert state.calls == []


@KINDS
def test_no_cookie_no_session(make: type, state: Store) -> None:
    assert make(state).load("", NOW) == Absent(AbsentReason.NO_COOKIE)
    assert make(state).load("theme=dark", NOW) == Absent(AbsentReason.NO_COOKIE)


@KINDS
@pytest.mark.row("T-03", "G-23")
def test_cookies_of_two_logins_differ_and_hold_nothing_readable(make: type, state: Store) -> None:
    sessions = make(state)
    first = cookie_of(sessions.create(record("s1"), NOW))
    second = cookie_of(sessions.create(record("s2"), NOW))
    assert first != second
    assert "Alice" not in first
    (set_cookie,) = sessions.create(record("s3"), NOW)
    assert set_cookie.startswith(f"{NAMES.session}=")
    assert set_cookie.endswith("; Path=/; HttpOnly; Secure; SameSite=Lax")


@KINDS
@pytest.mark.parametrize(
    ("mutate", "reason"),
    [
        pytest.param(lambda c: c[:-1], AbsentReason.UNREADABLE, id="truncated by one"),
        pytest.param(lambda c: c[: len(c) // 2], AbsentReason.UNREADABLE, id="half"),
        pytest.param(lambda c: c + "A", AbsentReason.UNREADABLE, id="longer by one"),
        pytest.param(
            lambda c: c[:-5] + ("B" if c[-5] == "A" else "A") + c[-4:], AbsentReason.UNREADABLE, id="altered"
        ),
        pytest.param(lambda c: c.partition("=")[0] + "=" + "A" * 8192, AbsentReason.TOO_LONG, id="8 KB"),
        pytest.param(lambda c: c.partition("=")[0] + "=", AbsentReason.UNREADABLE, id="empty"),
        pytest.param(lambda c: f"{c}; {c}", AbsentReason.NO_COOKIE, id="twice"),
        pytest.param(lambda c: f"{c}\xff", AbsentReason.UNREADABLE, id="not ASCII"),
    ],
)
def test_damaged_cookies_are_absent_by_name(
    make: type, mutate: object, reason: AbsentReason, state: Store
) -> None:
    sessions = make(state)
    cookie = cookie_of(sessions.create(record(), NOW))
    assert reason_of(sessions.load(mutate(cookie), NOW)) is reason


@KINDS
def test_a_cookie_of_another_gate_or_secret_is_unreadable(make: type, state: Store) -> None:
    cookie = cookie_of(make(state).create(record(), NOW))
    assert reason_of(make(state, gate="other").load(cookie, NOW)) is AbsentReason.UNREADABLE
    assert reason_of(make(state, secrets=(new_secret(),)).load(cookie, NOW)) is AbsentReason.UNREADABLE


@KINDS
@pytest.mark.row("G-16")
def test_a_rotated_secret_logs_nobody_out_and_the_next_touch_moves_to_the_new_one(
    make: type, state: Store
) -> None:
    fresh = new_secret()
    cookie = cookie_of(make(state).create(record(), NOW))
    rotated = make(state, secrets=(fresh, SECRET))
    found = rotated.load(cookie, NOW)
    assert isinstance(found, Found)
    cookie = cookie_of(rotated.touch(found, NOW + 60))
    later = make(state, secrets=(fresh,))
    assert isinstance(later.load(cookie, NOW + 60), Found)
    # Nor does it vanish from the sight of who lists sessions.
    assert [each.session_id for each in later.index.everybody(NOW + 60)] == ["s1"]


def test_handles_and_records_of_stored_sessions_cannot_be_swapped(state: Store) -> None:
    sessions = stored(state)
    alice = cookie_of(sessions.create(record("s1", "Alice"), NOW))
    sessions.create(record("s2", "Bob"), NOW)
    bob = state.inner.get("session", "s2", now=NOW)
    assert bob is not None
    state.inner.put("session", "s1", bob.value, expires_at=NOW + 600)
    assert reason_of(sessions.load(alice, NOW)) is AbsentReason.OTHER_VERSION


def test_a_sealed_record_is_no_handle_and_a_handle_no_record(state: Store) -> None:
    as_sealed = cookie_of(sealed(state).create(record(), NOW))
    as_stored = cookie_of(stored(state).create(record(), NOW))
    assert reason_of(stored(state).load(as_sealed, NOW)) is AbsentReason.UNREADABLE
    assert reason_of(sealed(state).load(as_stored, NOW)) is AbsentReason.UNREADABLE


def test_a_store_that_lost_its_memory_means_a_new_login(state: Store) -> None:
    cookie = cookie_of(stored(state).create(record(), NOW))
    state.inner.take("session", "s1", now=NOW)
    assert reason_of(stored(state).load(cookie, NOW)) is AbsentReason.UNKNOWN


# -- limits


@KINDS
@pytest.mark.row("T-03")
@pytest.mark.parametrize("remembered", [True, False])
def test_an_unused_session_ends(make: type, remembered: bool, state: Store) -> None:
    sessions = make(state)
    cookie = cookie_of(sessions.create(record(), NOW))
    if remembered:
        assert isinstance(sessions.load(cookie, NOW), Found)
    assert isinstance(sessions.load(cookie, NOW + 599), Found)
    assert reason_of(sessions.load(cookie, NOW + 600)) is AbsentReason.IDLE


@KINDS
@pytest.mark.row("T-03")
def test_a_used_session_goes_on_to_its_absolute_end(make: type, state: Store) -> None:
    sessions = make(state)
    cookie = cookie_of(sessions.create(record(), NOW))
    for now in range(NOW, NOW + 3600, 300):
        found = sessions.load(cookie, now)
        assert isinstance(found, Found)
        if now >= found.touch_at:
            cookie = next(iter([c.partition(";")[0] for c in sessions.touch(found, now)]), cookie)
    assert isinstance(sessions.load(cookie, NOW + 3599), Found)
    assert reason_of(sessions.load(cookie, NOW + 3600)) is AbsentReason.EXPIRED


@KINDS
def test_use_is_recorded_once_in_a_while_and_not_by_each_request_at_once(make: type, state: Store) -> None:
    sessions = make(state)
    found = sessions.load(cookie_of(sessions.create(record(), NOW)), NOW)
    assert isinstance(found, Found)
    assert found.touch_at == NOW + 60
    sessions.touch(found, NOW + 60)
    assert found.touch_at > NOW + 60


def test_use_on_one_worker_keeps_the_session_on_another(state: Store) -> None:
    here, there = stored(state), stored(state)
    cookie = cookie_of(here.create(record(), NOW))
    assert isinstance(there.load(cookie, NOW), Found)
    found = here.load(cookie, NOW + 500)
    assert isinstance(found, Found)
    assert here.touch(found, NOW + 500) == []
    assert isinstance(there.load(cookie, NOW + 900), Found)
    assert reason_of(there.load(cookie, NOW + 1100)) is AbsentReason.IDLE


def test_a_touch_does_not_bring_back_a_session_that_ended_meanwhile(state: Store) -> None:
    here, there = stored(state), stored(state)
    cookie = cookie_of(here.create(record(), NOW))
    found = here.load(cookie, NOW)
    assert isinstance(found, Found)
    there.end(found.record, NOW)
    here.touch(found, NOW + 60)
    assert state.inner.get("session", "s1", now=NOW + 60) is None


@KINDS
@pytest.mark.row("G-05")
def test_a_touch_that_cannot_be_written_does_no_harm(make: type, state: Store) -> None:
    sessions = make(state)
    cookie = cookie_of(sessions.create(record(), NOW))
    found = sessions.load(cookie, NOW)
    assert isinstance(found, Found)
    state.blind = True
    sessions.touch(found, NOW + 60)
    assert isinstance(sessions.load(cookie, NOW + 61), Found)


# -- the end


@KINDS
@pytest.mark.row("G-23", "T-03")
def test_a_logout_ends_every_copy_on_every_worker_at_once(make: type, state: Store) -> None:
    here, there = make(state), make(state)
    cookie = cookie_of(here.create(record(), NOW))
    found = here.load(cookie, NOW)
    assert isinstance(found, Found)
    assert isinstance(there.load(cookie, NOW), Found)
    older = cookie
    renewed = [c.partition(";")[0] for c in here.touch(found, NOW + 60)] or [cookie]
    assert here.end(found.record, NOW + 61) == Ended(found.record, None)
    assert here.gone().startswith(f"{NAMES.session}=; Path=/; Max-Age=0")
    for worker in (here, there, make(state)):
        for copy in (older, *renewed):
            assert reason_of(worker.load(copy, NOW + 62)) in (AbsentReason.REVOKED, AbsentReason.UNKNOWN)


@KINDS
@pytest.mark.row("G-23")
def test_a_revocation_lives_as_long_as_a_copy_can(make: type, state: Store) -> None:
    sessions = make(state)
    cookie = cookie_of(sessions.create(record(), NOW))
    found = sessions.load(cookie, NOW)
    assert isinstance(found, Found)
    sessions.end(found.record, NOW)
    for now in range(NOW, NOW + 700, 50):
        assert isinstance(make(state).load(cookie, now), Absent)


@pytest.mark.row("G-23")
def test_a_copy_renewed_by_a_worker_that_could_not_read_of_the_logout_is_dead_as_well(state: Store) -> None:
    limits = SessionLimits.of(idle_seconds=3600, absolute_seconds=43_200)

    def worker(store: Store) -> Sessions:
        return SealedSessions(
            NAMES, KeyRing([SECRET]), "gate", store, limits, revocation_max_stale_seconds=3600
        )

    its_store = Store()
    its_store.inner = state.inner
    here, there = worker(state), worker(its_store)
    cookie = cookie_of(here.create(record(), NOW))
    assert isinstance(there.load(cookie, NOW), Found)
    found = here.load(cookie, NOW)
    assert isinstance(found, Found)
    its_store.down = True
    here.end(found.record, NOW + 10)
    stale = there.load(cookie, NOW + 3000)
    assert isinstance(stale, Found)
    renewed = cookie_of(there.touch(stale, NOW + 3000))
    its_store.down = False
    for now in (NOW + 3001, NOW + 10 + 3600 + 120, NOW + 3000 + 3599):
        for each in (here, there, worker(state)):
            assert reason_of(each.load(renewed, now)) is AbsentReason.REVOKED


@KINDS
@pytest.mark.row("G-23")
def test_a_logout_that_comes_before_its_login_wins(make: type, state: Store) -> None:
    here, there = make(state), make(state)
    here.revoke("s1", NOW)
    assert there.was_overtaken(record("s1"), NOW, NOW)
    assert not there.was_overtaken(record("s2"), NOW, NOW)
    cookie = cookie_of(there.create(record("s1"), NOW + 1))
    assert reason_of(there.load(cookie, NOW + 2)) is AbsentReason.REVOKED
    assert isinstance(there.load(cookie_of(there.create(record("s2"), NOW + 1)), NOW + 2), Found)


@KINDS
@pytest.mark.row("G-08")
def test_all_sessions_of_a_user_end_and_later_ones_live(make: type, state: Store) -> None:
    here, there = make(state), make(state)
    before = cookie_of(here.create(record("s1", "Alice"), NOW))
    bob = cookie_of(here.create(record("s2", "Bob"), NOW))
    assert isinstance(there.load(before, NOW), Found)
    here.revoke_user("ALICE", NOW + 10)
    after = cookie_of(here.create(record("s3", "Alice"), NOW + 11))
    for worker in (here, there):
        reason = reason_of(worker.load(before, NOW + 12))
        # A worker that has to look for it finds that it is gone.
        assert reason in (AbsentReason.REVOKED, AbsentReason.UNKNOWN)
        assert isinstance(worker.load(bob, NOW + 12), Found)
        assert isinstance(worker.load(after, NOW + 12), Found)


@KINDS
@pytest.mark.row("G-08")
@pytest.mark.parametrize("by", ["subject", "sid"])
def test_all_sessions_of_a_subject_or_of_a_session_at_the_provider_end(
    make: type, by: str, state: Store
) -> None:
    here, there = make(state), make(state)
    mine, elsewhere = {"sub": "a", "sid": "op-1"}, {"sub": "a", "sid": "op-1", "iss": "https://other.example"}
    cookies = {
        name: cookie_of(here.create(record(name, "Alice", **more), NOW))
        for name, more in [("mine", mine), ("other-op", elsewhere), ("other", {"sub": "b", "sid": "op-2"})]
    }
    for cookie in cookies.values():
        assert isinstance(there.load(cookie, NOW), Found)
    if by == "sid":
        ended = here.revoke_sid(ISSUER, "op-1", NOW + 10)
    else:
        ended = here.revoke_subject(ISSUER, "a", NOW + 10)
    assert [each.record.session_id for each in ended] == ["mine"]
    assert reason_of(there.load(cookies["mine"], NOW + 10)) is AbsentReason.REVOKED
    for name in ("other-op", "other"):
        assert isinstance(there.load(cookies[name], NOW + 10), Found)


@KINDS
@pytest.mark.parametrize(
    ("end", "began", "overtaken"),
    [
        pytest.param(lambda here: here.revoke_sid(ISSUER, "op-1", NOW), NOW, True, id="sid"),
        pytest.param(lambda here: here.revoke_sid(ISSUER, "op-1", NOW), NOW + 1, False, id="sid-before"),
        pytest.param(lambda here: here.revoke_sid(ISSUER, "op-2", NOW), NOW, False, id="another-sid"),
        pytest.param(lambda here: here.revoke_sid("https://x", "op-1", NOW), NOW, False, id="another-iss"),
        pytest.param(lambda here: here.revoke_named_sid(ISSUER, "op-1", NOW), NOW, True, id="named-sid"),
        pytest.param(
            lambda here: here.revoke_named_sid(ISSUER, "op-1", NOW), NOW + 1, False, id="named-before"
        ),
        pytest.param(lambda here: here.revoke_subject(ISSUER, "a", NOW), NOW - 9, True, id="subject"),
        pytest.param(lambda here: here.revoke_user("ALICE", NOW), NOW, True, id="user"),
        pytest.param(
            lambda here: here.revoke_sid(ISSUER, "op-2", NOW, sub="a"), NOW, False, id="sub-with-sid"
        ),
    ],
)
def test_a_login_that_began_before_the_end_of_others_ends_with_them(
    make: type, end: Callable[[Any], object], began: int, overtaken: bool, state: Store
) -> None:
    here, there = make(state), make(state)
    end(here)
    begun = record("s1", "Alice", sub="a", sid="op-1")
    there.create(begun, NOW + 30)
    assert there.was_overtaken(begun, began, NOW + 30) is overtaken


@KINDS
def test_what_has_no_sid_ends_with_any_of_its_subject(make: type, state: Store) -> None:
    here, there = make(state), make(state)
    records = [record("s1", sub="a"), record("s2", sub="a", sid="op-2"), record("s3", sub="b")]
    cookies = [cookie_of(here.create(each, NOW)) for each in records]
    ended = there.revoke_sid(ISSUER, "op-1", NOW, sub="a")
    assert [each.record.session_id for each in ended] == ["s1"]
    assert [isinstance(here.load(cookie, NOW), Found) for cookie in cookies] == [False, True, True]
    assert here.was_overtaken(records[0], NOW, NOW)


def test_a_sid_that_somebody_made_up_is_held_by_no_worker_and_soon_forgotten(state: Store) -> None:
    sessions = sealed(state)
    cookie = cookie_of(sessions.create(record(sid="op-1"), NOW))
    sessions.load(cookie, NOW)
    assert sessions.revoke_named_sid(ISSUER, "made-up", NOW) == []
    sessions.load(cookie, NOW)
    assert not sessions.revocations.covers(record(sid="made-up"))
    assert not sessions.was_overtaken(record(sid="made-up"), NOW, NOW + 1200)
    assert len(sessions.revoke_named_sid(ISSUER, "op-1", NOW)) == 1
    assert isinstance(sessions.load(cookie, NOW), Absent)


def test_a_subject_and_a_sid_of_the_same_spelling_are_two(state: Store) -> None:
    sessions = sealed(state)
    cookie = cookie_of(sessions.create(record(sub="x", sid="y"), NOW))
    sessions.revoke_sid(ISSUER, "x", NOW)
    sessions.revoke_subject(ISSUER, "y", NOW)
    sessions.revoke_user("x", NOW)
    sessions.revoke_subject(ISSUER + "x", "", NOW)
    assert isinstance(sessions.load(cookie, NOW), Found)


@KINDS
@pytest.mark.row("G-05")
def test_a_logout_that_cannot_be_written_says_so(make: type, state: Store) -> None:
    sessions = make(state)
    found = sessions.load(cookie_of(sessions.create(record(), NOW)), NOW)
    assert isinstance(found, Found)
    state.down = True
    with pytest.raises(StoreUnavailable):
        sessions.end(found.record, NOW)


@KINDS
@pytest.mark.row("G-05", "G-23")
@pytest.mark.parametrize("outage", ["down", "blind"])
def test_an_end_that_cannot_be_written_holds_here_and_is_written_when_it_can_be(
    make: type, outage: str, state: Store
) -> None:
    here, there = make(state), make(state)
    cookie = cookie_of(here.create(record(), NOW))
    found = here.load(cookie, NOW)
    assert isinstance(found, Found)
    setattr(state, outage, True)
    here.end_surely(found.record, NOW)
    assert reason_of(here.load(cookie, NOW)) is AbsentReason.REVOKED
    state.calls.clear()
    for _ in range(20):
        assert reason_of(here.load(cookie, NOW + 1)) is AbsentReason.REVOKED
    assert state.calls == ["put"], "tried again, but not by every request"
    setattr(state, outage, False)
    assert isinstance(there.load(cookie, NOW + 1), Found)
    assert reason_of(here.load(cookie, NOW + 2)) is AbsentReason.REVOKED
    state.calls.clear()
    for worker in (there, make(state)):
        assert isinstance(worker.load(cookie, NOW + 2), Absent)
    assert reason_of(here.load(cookie, NOW + 3)) is AbsentReason.REVOKED
    assert "put" not in state.calls, "once"


@pytest.mark.row("G-05", "G-23")
def test_an_end_that_is_not_written_outlives_a_full_read(state: Store) -> None:
    revocations = Revocations(state, longest_session_seconds=43_200)
    revocations.check(NOW)
    revocations.refuse_session("s1")
    revocations.check(NOW + 3600)
    assert revocations.covers(began("s1"))
    assert not revocations.covers(began("s2"))


# -- outages


@KINDS
@pytest.mark.row("G-05")
@pytest.mark.parametrize("outage", ["down", "blind"])
def test_an_unreadable_state_store_lets_nobody_in_and_logs_nobody_out(
    make: type, outage: str, state: Store
) -> None:
    sessions = make(state)
    cookie = cookie_of(sessions.create(record(), NOW))
    assert isinstance(sessions.load(cookie, NOW), Found)
    # Something has changed that the worker cannot read.
    make(state).revoke("another", NOW)
    setattr(state, outage, True)
    assert isinstance(sessions.load(cookie, NOW + 10), Found)
    for now in (NOW + 11, NOW + 500):
        assert sessions.load(cookie, now) == Unavailable(UnavailableReason.STATE_STORE)
    setattr(state, outage, False)
    assert isinstance(sessions.load(cookie, NOW + 501), Found)


@pytest.mark.row("G-05")
def test_a_worker_that_never_read_the_revocations_admits_no_one(state: Store) -> None:
    cookie = cookie_of(sealed(state).create(record(), NOW))
    state.down = True
    assert sealed(state).load(cookie, NOW) == Unavailable(UnavailableReason.STATE_STORE)


@pytest.mark.row("G-05")
def test_an_unreadable_session_store_is_neither_found_nor_absent(state: Store) -> None:
    sessions = StoredSessions(NAMES, KeyRing([SECRET]), "gate", Store(), LIMITS, store=state)
    cookie = cookie_of(sessions.create(record(), NOW))
    state.down = True
    assert sessions.load(cookie, NOW) == Unavailable(UnavailableReason.SESSION_STORE)
    state.down = False
    assert isinstance(sessions.load(cookie, NOW), Found)


@pytest.mark.row("G-05")
def test_a_failing_store_is_not_asked_by_every_request(state: Store) -> None:
    revocations = Revocations(state, longest_session_seconds=3600)
    revocations.check(NOW)
    sealed(state).revoke("x", NOW)
    state.blind = True
    state.calls.clear()
    for _ in range(20):
        revocations.check(NOW + 1)
    assert state.calls == ["find"]


# -- revocations in number


def test_more_revocations_than_a_page_are_all_in_force(state: Store) -> None:
    for number in range(2500):
        Revocations(state, longest_session_seconds=3600).revoke_session(f"s{number:05}", NOW, NOW + 3600)
    fresh = Revocations(state, longest_session_seconds=3600)
    fresh.check(NOW)
    assert all(fresh.covers(began(f"s{number:05}")) for number in range(2500))
    assert not fresh.covers(began("s99999"))


@pytest.mark.parametrize("pause", [0, 1, 599, 600, 1300, 3599, 3600, 9000])
def test_a_revocation_is_seen_however_long_after_the_last_look(pause: int, state: Store) -> None:
    here, there = (Revocations(state, longest_session_seconds=36_000) for _ in range(2))
    here.check(NOW)
    there.revoke_session("s1", NOW + pause, NOW + 36_000)
    here.check(NOW + pause)
    assert here.covers(began("s1"))
    # And later ones do not push it out.
    there.revoke_session("s2", NOW + pause + 700, NOW + 36_000)
    here.check(NOW + pause + 700)
    assert here.covers(began("s1"))


def test_a_host_whose_clock_is_minutes_off_is_heard(state: Store) -> None:
    here, ahead, behind = (Revocations(state, longest_session_seconds=36_000) for _ in range(3))
    here.check(NOW)
    ahead.revoke_session("a", NOW + 500, NOW + 36_000)
    behind.revoke_session("b", NOW - 500, NOW + 36_000)
    here.check(NOW + 60)
    assert here.covers(began("a"))
    assert here.covers(began("b"))


@pytest.mark.parametrize("off", [-500, -30, 30, 500])
def test_a_host_whose_clock_is_off_is_heard_within_a_minute_though_nothing_else_ends(
    off: int, state: Store
) -> None:
    here, other = (Revocations(state, longest_session_seconds=36_000) for _ in range(2))
    here.check(NOW)
    other.revoke_session("s", NOW + 10 + off, NOW + 36_000)
    here.check(NOW + 10)
    here.check(NOW + 60)
    assert here.covers(began("s"))
    state.calls.clear()
    here.check(NOW + 120)
    assert state.calls == []  # there is nothing new to look for


def test_a_read_that_failed_is_made_up_for_by_the_next(state: Store) -> None:
    here, other = (
        Revocations(state, longest_session_seconds=36_000, max_stale_seconds=3600) for _ in range(2)
    )
    here.check(NOW)
    other.revoke_session("s", NOW + 10 - 500, NOW + 36_000)
    state.blind = True
    for later in range(60, 1500, 30):
        here.check(NOW + later)
    assert not here.covers(began("s"))
    state.blind = False
    here.check(NOW + 1500)
    assert here.covers(began("s"))


@pytest.mark.parametrize("off", [-4, 4])
def test_a_host_whose_clock_is_seconds_off_is_heard_at_once(off: int, state: Store) -> None:
    here, other = (Revocations(state, longest_session_seconds=36_000) for _ in range(2))
    here.check(NOW)
    other.revoke_session("s", NOW + off, NOW + 36_000)
    here.check(NOW)
    assert here.covers(began("s"))


def test_one_more_revocation_costs_a_worker_what_is_new_and_not_what_it_has_read(state: Store) -> None:
    here, there = (Revocations(state, longest_session_seconds=36_000) for _ in range(2))
    for number in range(2000):
        there.revoke_session(f"old-{number}", NOW - 30, NOW + 36_000)
    here.check(NOW)
    there.revoke_session("new", NOW, NOW + 36_000)
    state.found = 0
    here.check(NOW)
    assert here.covers(began("new"))
    assert here.covers(began("old-7"))
    assert state.found < 10


def test_what_anybody_can_forbid_is_held_by_no_worker(state: Store) -> None:
    sessions, other = sealed(state), sealed(state)
    cookie = cookie_of(other.create(record(), NOW))
    other.load(cookie, NOW)
    version = other.revocations.version
    sessions.forbid("attempt", NOW)
    state.calls.clear()
    sessions.forbid("attempt", NOW)
    # Sent again it writes nothing: not another generation, not another row.
    assert "put" not in state.calls
    assert other.was_overtaken(record("attempt"), NOW, NOW)
    other.load(cookie, NOW)
    assert not other.revocations.covers(began("attempt"))
    assert other.revocations.version >= version


# -- size


@pytest.mark.row("G-03")
def test_a_session_too_large_for_a_cookie_is_refused_and_names_what_is_large(state: Store) -> None:
    claims = {"groups": [f"group-{number:04}" for number in range(400)], "email": "alice@example.com"}
    with pytest.raises(SessionTooLarge, match="groups") as caught:
        sealed(state).create(record(claims=claims), NOW)
    assert caught.value.size > COOKIE_BUDGET_BYTES
    assert caught.value.largest[0] == "groups"
    assert "group-0001" not in str(caught.value)
    # In a store there is room.
    assert len(cookie_of(stored(state).create(record(claims=claims), NOW))) < 200


@pytest.mark.row("G-03")
@given(st.integers(0, 3000))
def test_no_cookie_passes_the_budget(length: int) -> None:
    try:
        cookie = cookie_of(sealed(Store()).create(record(claims={"x": "y" * length}), NOW))
    except SessionTooLarge:
        assert length > 2000
        return
    assert len(cookie) <= COOKIE_BUDGET_BYTES


# -- kept tokens


@KINDS
def test_kept_tokens_go_with_the_session(make: type, state: Store) -> None:
    sessions = make(state)
    kept = Kept("s1", "id-token")
    sessions.kept_tokens.keep(kept, NOW)
    assert sessions.end(record(tokens=True), NOW).kept == kept
    assert sessions.kept_tokens.take("s1", NOW) is None

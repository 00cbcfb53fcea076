"""Who is told of the end of a session: written once, leased by one, and lost by nobody, on both databases."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Connection, event, insert

from provider.services.logout import BACK_CHANNEL
from provider.store import logout_notices, participants, schema, sessions
from provider.store.clients import Client, insert_client, set_client_enabled
from provider.store.engine import Store
from provider.store.logout_notices import Notice
from tests.provider.databases import is_postgresql, one_after_the_other
from tests.provider.store.test_sign_in_rows import SESSION

R = "r"
NOW = 1_000


def client(client_id: str, uri: str = "https://app.example/out") -> Client:
    return Client(client_id, True, 0, client_id, "none", (), (), (), (), False, backchannel_logout_uri=uri)


def begin(conn: Connection, number: int, *client_ids: str, user_id: str = "sub-1") -> None:
    """A session with these clients."""
    hashed = f"{number:064}"
    sessions.add(conn, R, replace(SESSION, session_hash=hashed, sid=f"sid-{number}", user_id=user_id))
    for client_id in client_ids:
        participants.take_part(conn, R, f"sid-{number}", client_id, 10_000)


def write(conn: Connection, *, configured: tuple[str, ...] = (), limit: int = 10, now: int = NOW) -> int:
    return logout_notices.write_due(conn, R, BACK_CHANNEL, configured, now, sessions=limit)


def waiting(conn: Connection) -> list[tuple[str, str]]:
    return [(one.sid, one.client_id) for one in logout_notices.list_notices(conn, R, failed=False)]


@pytest.fixture
def stored(store: Store) -> Store:
    """Two clients that want to be told, one that does not, one that is switched off; two sessions."""
    with store.begin() as conn:
        for one in (client("a"), client("b"), client("quiet", ""), client("off")):
            insert_client(conn, R, one)
        set_client_enabled(conn, R, "off", False)
        begin(conn, 1, "a", "b", "quiet", "off", "of-the-file", "gone")
        begin(conn, 2, "a")
    return store


def test_who_takes_part_is_written_once_and_may_be_prolonged(stored: Store) -> None:
    with stored.begin() as conn:
        participants.take_part(conn, R, "sid-2", "a", 20_000)
        participants.take_part(conn, R, "sid-2", "b", 10_000)
        assert participants.clients_of(conn, R, "sid-2") == ["a", "b"]
        assert participants.clients_of(conn, "other", "sid-2") == []
        assert participants.with_setting(conn, R, "sid-1", BACK_CHANNEL, ["of-the-file"]) == [
            "a",
            "b",
            "of-the-file",
        ]


@pytest.mark.row("P-33")
def test_the_end_of_a_session_is_told_to_each_client_that_wants_to_know(stored: Store) -> None:
    with stored.begin() as conn:
        assert write(conn, configured=("of-the-file",)) == 0
        assert not logout_notices.has_untold(conn, R)
        assert sessions.end(conn, R, f"{1:064}", 900)
        assert logout_notices.has_untold(conn, R)
        assert not logout_notices.has_untold(conn, "other")
        assert logout_notices.count(conn, R) == (1, 0, 0)

        assert write(conn, configured=("of-the-file", "of-another-session")) == 1

        assert waiting(conn) == [("sid-1", "a"), ("sid-1", "b"), ("sid-1", "of-the-file")]
        (first, *_) = logout_notices.list_notices(conn, R, failed=False)
        assert first == Notice("sid-1", "a", "sub-1", 900, NOW, 0)
        assert participants.clients_of(conn, R, "sid-1") == []
        assert participants.clients_of(conn, R, "sid-2") == ["a"]
        assert write(conn, configured=("of-the-file",)) == 0
        assert logout_notices.count(conn, R) == (0, 3, 0)


@pytest.mark.row("P-33")
def test_every_session_of_a_person_is_told_of_by_its_name(stored: Store) -> None:
    with stored.begin() as conn:
        begin(conn, 3, "a", user_id="sub-2")
        assert sorted(sessions.end_of_user(conn, R, "sub-1", 900)) == ["sid-1", "sid-2"]
        assert write(conn) == 2
        assert waiting(conn) == [("sid-1", "a"), ("sid-2", "a"), ("sid-1", "b")]
        assert sessions.end_of_user(conn, R, "sub-1", 900) == ()


def test_one_session_may_go_on(stored: Store) -> None:
    with stored.begin() as conn:
        assert sessions.end_of_user(conn, R, "sub-1", 900, keep="sid-1") == ("sid-2",)
        assert sessions.find_by_sid(conn, R, "sid-1") is not None
        assert sessions.find_by_sid(conn, R, "sid-2") is None
        assert sessions.has_ended(conn, R, "sid-2")
        assert not sessions.has_ended(conn, R, "sid-1")
        assert not sessions.has_ended(conn, R, "unknown")


def test_sessions_are_written_a_few_at_a_time_the_oldest_end_first(stored: Store) -> None:
    with stored.begin() as conn:
        sessions.end(conn, R, f"{2:064}", 800)
        sessions.end(conn, R, f"{1:064}", 900)
        assert write(conn, limit=1) == 1
        assert waiting(conn) == [("sid-2", "a")]
        assert write(conn, limit=1) == 1
        assert write(conn, limit=1) == 0
        assert len(waiting(conn)) == 3


@pytest.fixture
def told(stored: Store) -> Store:
    """With the notices of both sessions."""
    with stored.begin() as conn:
        sessions.end_of_user(conn, R, "sub-1", 900)
        write(conn)
    return stored


def lease(
    conn: Connection, client_id: str = "a", *, now: int = NOW, until: int = NOW + 60, limit: int = 9
) -> list[Notice]:
    return logout_notices.lease(conn, R, client_id, now, until=until, limit=limit)


def due(conn: Connection, after: str = "", *, now: int = NOW, limit: int = 9) -> list[str]:
    return list(logout_notices.due_clients(conn, R, after, now, limit=limit))


def test_clients_come_in_turn(told: Store) -> None:
    with told.begin() as conn:
        assert due(conn) == ["a", "b"]
        assert due(conn, limit=1) == ["a"]
        assert due(conn, "a") == ["b"]
        assert due(conn, "b") == []
        assert due(conn, now=NOW - 1) == []
        assert logout_notices.due_clients(conn, "other", "", NOW, limit=9) == []
        logout_notices.put_off(conn, R, {"a": NOW + 10})
        assert due(conn) == ["b"]
        assert due(conn, now=NOW + 10) == ["a", "b"]


def test_what_is_given_back_is_sent_by_others_as_if_it_had_not_been_taken(told: Store) -> None:
    with told.begin() as conn:
        late = lease(conn)
        logout_notices.give_back(conn, R, late)
        taken = lease(conn)
        assert [one.attempts for one in taken] == [1, 1]
        again = lease(conn, now=NOW + 60, until=NOW + 120)
        logout_notices.give_back(conn, R, taken)
        assert lease(conn, now=NOW + 60) == []
        assert [one.attempts for one in again] == [2, 2]


def test_what_is_leased_is_nobody_elses_until_the_lease_ends(told: Store) -> None:
    with told.begin() as conn:
        (taken,) = lease(conn, limit=1)
        assert taken.attempts == 1
        (other,) = lease(conn)
        assert {taken.sid, other.sid} == {"sid-1", "sid-2"}
        assert lease(conn) == []
        assert due(conn) == ["b"]
        assert lease(conn, now=NOW + 59) == []
        assert [one.attempts for one in lease(conn, now=NOW + 60, until=NOW + 120)] == [2, 2]


def settled(conn: Connection, how: str, notice: Notice) -> None:
    if how == "done":
        logout_notices.settle_done(conn, R, [notice])
    elif how == "later":
        logout_notices.settle_later(conn, R, [(notice, "timeout", NOW + 10)])
    else:
        logout_notices.settle_failed(conn, R, [(notice, "status 400")], NOW)


@pytest.mark.parametrize("how", ["done", "later", "failed"])
def test_whose_lease_ran_out_changes_nothing_any_more(told: Store, how: str) -> None:
    with told.begin() as conn:
        late = lease(conn)
        taken = lease(conn, now=NOW + 60, until=NOW + 120)
        for notice in late:
            settled(conn, how, notice)
        assert logout_notices.count(conn, R) == (0, 3, 0)
        assert lease(conn, now=NOW + 60) == []
        for notice in taken:
            settled(conn, how, notice)
        assert (
            logout_notices.count(conn, R) == {"done": (0, 1, 0), "later": (0, 3, 0), "failed": (0, 1, 2)}[how]
        )


def test_a_notice_that_is_put_off_comes_again(told: Store) -> None:
    with told.begin() as conn:
        first, second = lease(conn)
        settled(conn, "later", first)
        settled(conn, "done", second)
        assert lease(conn, now=NOW + 9) == []
        (again,) = lease(conn, now=NOW + 10)
        assert (again.sid, again.attempts, again.reason) == (first.sid, 2, "timeout")
        settled(conn, "done", again)
        assert waiting(conn) == [("sid-1", "b")]


def test_everything_of_a_client_is_put_off(told: Store) -> None:
    with told.begin() as conn:
        logout_notices.put_off(conn, R, {"a": NOW + 30})
        assert lease(conn, now=NOW + 29) == []
        assert len(lease(conn, "b")) == 1
        logout_notices.put_off(conn, R, {"a": NOW + 20})
        assert lease(conn, now=NOW + 29) == []
        assert len(lease(conn, now=NOW + 30)) == 2


def test_what_has_failed_is_kept_and_may_be_sent_again(told: Store) -> None:
    with told.begin() as conn:
        for notice in lease(conn):
            settled(conn, "failed", notice)
        assert lease(conn, now=NOW + 10_000) == []
        failed = list(logout_notices.list_notices(conn, R, failed=True))
        assert [(one.sid, one.reason, one.failed_at) for one in failed] == [
            ("sid-1", "status 400", NOW),
            ("sid-2", "status 400", NOW),
        ]
        assert list(logout_notices.list_notices(conn, R, failed=True, client_id="b")) == []
        assert logout_notices.retry_failed(conn, R, NOW + 5, client_id="b") == 0
        assert logout_notices.retry_failed(conn, R, NOW + 5) == 2
        assert [one.attempts for one in lease(conn, now=NOW + 5)] == [1, 1]


@pytest.mark.row("P-26")
@pytest.mark.parametrize("client_id", [None, "many"])
def test_a_list_of_any_length_is_one_statement(store: Store, client_id: str | None) -> None:
    names = sorted(f"sid-{number}" for number in range(2_500))
    rows = [{"realm_id": R, **vars(Notice(sid, "many", "sub-1", 0, 0, 0))} for sid in reversed(names)]
    sent: list[str] = []
    with store.begin() as conn:
        conn.execute(insert(schema.logout_notices), rows)
    with store.read() as conn:
        event.listen(conn, "before_cursor_execute", lambda *seen: sent.append(seen[2]))
        found = logout_notices.list_notices(conn, R, failed=False, client_id=client_id)
        assert [one.sid for one in found] == names
    assert len([one for one in sent if not one.startswith("BEGIN")]) == 1


def test_what_is_too_old_is_given_up_unless_it_is_on_its_way(told: Store) -> None:
    with told.begin() as conn:
        (flying,) = lease(conn, limit=1)
        assert not logout_notices.has_older(conn, R, 900)
        assert logout_notices.has_older(conn, R, 901)
        assert logout_notices.give_up_older(conn, R, 900, NOW, limit=9) == []
        given_up = logout_notices.give_up_older(conn, R, 901, NOW, limit=9)
        assert len(given_up) == 2
        assert all(one.failed_at == NOW for one in given_up)
        settled(conn, "done", flying)
        assert logout_notices.count(conn, R) == (0, 0, 2)


def test_two_who_put_off_the_same_client_do_not_wait_for_each_other(told: Store) -> None:
    """Each has a notice of it in hand, as two processes that tell one client that is down."""

    def settle_and_put_off(notice: Notice) -> Callable[[Connection], bool]:
        def act(conn: Connection) -> bool:
            settled(conn, "later", notice)
            logout_notices.put_off(conn, R, {"a": NOW + 10})
            return True

        return act

    with told.begin() as conn:
        first, second = lease(conn)
        begin(conn, 3, "a")
        sessions.end(conn, R, f"{3:064}", 900)
        write(conn)
    if is_postgresql(told):
        with told.begin() as other:
            settled(other, "later", second)
            with told.begin() as one:
                settle_and_put_off(first)(one)
            logout_notices.put_off(other, R, {"a": NOW + 10})
    else:
        one_after_the_other(told, settle_and_put_off(first), settle_and_put_off(second))
    with told.read() as conn:
        assert due(conn, now=NOW + 9) == ["b"]


Race = tuple[Callable[[Connection], object], Callable[[Connection], object]]


def test_two_who_lease_at_once_get_different_notices(told: Store) -> None:
    """In PostgreSQL they overlap; in SQLite one waits for the other."""
    if is_postgresql(told):
        with told.begin() as one, told.begin() as other:
            first, second = lease(one, limit=1), lease(other)
    else:
        first, second = one_after_the_other(told, lambda conn: lease(conn, limit=1), lease)
    assert sorted(notice.sid for notice in (*first, *second)) == ["sid-1", "sid-2"]


@pytest.mark.row("P-33")
def test_two_who_write_at_once_write_each_session_once(stored: Store) -> None:
    with stored.begin() as conn:
        sessions.end_of_user(conn, R, "sub-1", 900)
    if is_postgresql(stored):
        with stored.begin() as one, stored.begin() as other:
            counted = [write(one, limit=1), write(other)]
    else:
        counted = list(one_after_the_other(stored, lambda conn: write(conn, limit=1), write))
    assert counted == [1, 1]
    with stored.read() as conn:
        assert waiting(conn) == [("sid-1", "a"), ("sid-2", "a"), ("sid-1", "b")]


@pytest.mark.row("P-33")
def test_of_two_sign_outs_at_once_one_ends_the_session(stored: Store) -> None:
    def end(conn: Connection) -> bool:
        return sessions.end(conn, R, f"{1:064}", 900)

    assert one_after_the_other(stored, end, end) == (True, False)
    with stored.begin() as conn:
        assert write(conn) == 1
        assert waiting(conn) == [("sid-1", "a"), ("sid-1", "b")]


@pytest.mark.row("P-33")
def test_who_is_given_something_while_the_session_ends_is_told(stored: Store) -> None:
    """The look at the session is its lock: what ends it comes after what was given in it."""

    def grant(conn: Connection) -> bool:
        found = sessions.find(conn, R, f"{2:064}")
        if found is not None:
            participants.take_part(conn, R, found.sid, "b", found.expires_at)
        return found is not None

    def end(conn: Connection) -> bool:
        return sessions.end(conn, R, f"{2:064}", 900)

    assert one_after_the_other(stored, grant, end) == (True, True)
    with stored.begin() as conn:
        write(conn)
        assert waiting(conn) == [("sid-2", "a"), ("sid-2", "b")]


@pytest.mark.row("P-33")
def test_who_comes_after_the_end_is_given_nothing(stored: Store) -> None:
    def grant(conn: Connection) -> bool:
        return sessions.find(conn, R, f"{2:064}") is not None

    def end(conn: Connection) -> bool:
        return sessions.end(conn, R, f"{2:064}", 900)

    assert one_after_the_other(stored, end, grant) == (True, False)

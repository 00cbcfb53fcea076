"""Sessions, interactions and counters: one of two wins, and the other sees what the first did."""

from dataclasses import replace

import pytest
from sqlalchemy import Connection

from oidcgate.slowing import Counter
from provider.store import grants, interactions, sessions, throttle
from provider.store.engine import Store
from provider.store.grants import GrantRow
from provider.store.interactions import UNCLAIMED, Interaction
from provider.store.sessions import BrowserSession
from tests.provider.databases import is_postgresql, one_after_the_other

SESSION = BrowserSession(
    session_hash="h" * 64,
    sid="sid-1",
    user_id="sub-1",
    auth_time=100,
    acr="knowledge",
    amr=("pwd", "otp"),
    created_at=100,
    seen_at=100,
    expires_at=10_000,
)
WAITING = Interaction(
    id_hash="i" * 64,
    browser_hash=UNCLAIMED,
    client_id="app",
    redirect_uri="https://app.example/cb",
    request={"kind": "authorize", "parameters": [["state", "\u00e4\u0000\U0001f600"]]},
    state={},
    created_at=1,
    expires_at=2,
    finished_at=None,
)
GRANT = GrantRow("grant-1", "app", "sub-1", "sid-1", ("openid",), 100, "knowledge", ("pwd",), 100, 10_000)


@pytest.fixture
def stored(store: Store) -> Store:
    """With a session and a stored request."""
    with store.begin() as conn:
        sessions.add(conn, "r", SESSION)
        interactions.add(conn, "r", WAITING)
    return store


def test_a_session_comes_back_until_it_has_ended(stored: Store) -> None:
    with stored.begin() as conn:
        assert sessions.find(conn, "r", "h" * 64) == SESSION
        assert sessions.find(conn, "other", "h" * 64) is None
        assert sessions.end(conn, "r", "h" * 64, 200)
        assert sessions.find(conn, "r", "h" * 64) is None
        assert not sessions.end(conn, "r", "h" * 64, 201)


def test_a_session_is_renewed_and_its_old_cookie_is_dead(stored: Store) -> None:
    new = replace(SESSION, session_hash="n" * 64, auth_time=200)
    with stored.begin() as conn:
        assert sessions.renew(conn, "r", "h" * 64, new)
        assert sessions.find(conn, "r", "h" * 64) is None
        assert sessions.find(conn, "r", "n" * 64) == new
        assert not sessions.renew(conn, "r", "h" * 64, new)


def test_the_last_use_never_moves_backwards(stored: Store) -> None:
    with stored.begin() as conn:
        for at in (150, 120):
            sessions.touch(conn, "r", "h" * 64, at)
        assert sessions.find(conn, "r", "h" * 64) == replace(SESSION, seen_at=150)


def test_every_session_of_a_person_ends_at_once(stored: Store) -> None:
    with stored.begin() as conn:
        sessions.add(conn, "r", replace(SESSION, session_hash="2" * 64, sid="sid-2"))
        sessions.add(conn, "r", replace(SESSION, session_hash="3" * 64, user_id="sub-2"))
        sessions.add(conn, "other", SESSION)
        assert len(sessions.end_of_user(conn, "r", "sub-1", 200)) == 2
        assert sessions.end_of_user(conn, "r", "sub-1", 200) == ()
        assert sessions.find(conn, "r", "3" * 64) is not None
        assert sessions.find(conn, "other", "h" * 64) is not None


@pytest.mark.row("S-19")
def test_what_is_granted_while_somebody_signs_out_is_revoked_with_the_rest(stored: Store) -> None:
    """The sign-out waits for the code that is being written, and then sees its grant."""

    def grant(conn: Connection) -> int:
        assert sessions.find(conn, "r", "h" * 64) is not None
        grants.insert_grant(conn, "r", GRANT)
        return 0

    def sign_out(conn: Connection) -> int:
        sessions.end(conn, "r", "h" * 64, 200)
        return grants.revoke_session_grants(conn, "r", "sid-1", 200, "logout")

    assert one_after_the_other(stored, grant, sign_out) == (0, 1)


@pytest.mark.row("S-19")
def test_nothing_is_granted_in_a_session_that_is_being_signed_out(stored: Store) -> None:
    def sign_out(conn: Connection) -> bool:
        return sessions.end(conn, "r", "h" * 64, 200)

    def look(conn: Connection) -> bool:
        return sessions.find(conn, "r", "h" * 64) is not None

    assert one_after_the_other(stored, sign_out, look) == (True, False)


def test_looking_at_a_session_without_writing_waits_for_nobody(stored: Store) -> None:
    with stored.begin() as conn:
        sessions.end(conn, "r", "h" * 64, 200)
        with stored.read() as reader:
            assert sessions.find(reader, "r", "h" * 64) == SESSION


def test_a_stored_request_comes_back_as_it_came(stored: Store) -> None:
    with stored.read() as conn:
        assert interactions.find(conn, "r", "i" * 64) == WAITING
        assert interactions.find(conn, "other", "i" * 64) is None


def test_one_browser_claims_a_request(stored: Store) -> None:
    said = one_after_the_other(
        stored,
        lambda conn: interactions.claim(conn, "r", "i" * 64, "a" * 64),
        lambda conn: interactions.claim(conn, "r", "i" * 64, "b" * 64),
    )
    assert said == (True, False)
    with stored.read() as conn:
        assert interactions.find(conn, "r", "i" * 64) == replace(WAITING, browser_hash="a" * 64)


@pytest.mark.row("P-04")
def test_a_request_is_finished_once_and_nothing_is_noted_afterwards(stored: Store) -> None:
    def finish(conn: Connection) -> bool:
        return interactions.finish(conn, "r", "i" * 64, 5)

    assert one_after_the_other(stored, finish, finish) == (True, False)
    with stored.begin() as conn:
        assert not interactions.set_state(conn, "r", "i" * 64, {"x": 1})
        assert interactions.find(conn, "r", "i" * 64) == replace(WAITING, finished_at=5)


def test_what_a_person_did_is_noted(stored: Store) -> None:
    with stored.begin() as conn:
        assert interactions.set_state(conn, "r", "i" * 64, {"login": {"sid": "s"}})
        assert not interactions.set_state(conn, "other", "i" * 64, {})
        assert interactions.find(conn, "r", "i" * 64) == replace(WAITING, state={"login": {"sid": "s"}})


def test_a_counter_is_written_and_forgotten(store: Store) -> None:
    with store.begin() as conn:
        throttle.write(conn, "r", "k", Counter(1, 10, 0))
        throttle.write(conn, "r", "k", Counter(2, 20, 25))
        throttle.write(conn, "other", "k", Counter(7, 7, 7))
        assert throttle.read_for_update(conn, "r", ["k", "absent"]) == {"k": Counter(2, 20, 25)}
        throttle.delete_counters(conn, "r", ["k", "absent"])
        assert throttle.read_for_update(conn, "r", ["k"]) == {}
        assert throttle.read_for_update(conn, "other", ["k"]) == {"k": Counter(7, 7, 7)}


@pytest.mark.parametrize("there", [False, True], ids=["first-failure", "further"])
def test_two_failures_at_once_are_two(store: Store, there: bool) -> None:
    """A counter that is not there yet is locked like one that is."""

    def fail(conn: Connection) -> int:
        found = throttle.read_for_update(conn, "r", ["account", "pair"]).get("pair", Counter(0, 0, 0))
        throttle.write(conn, "r", "pair", found._replace(failures=found.failures + 1))
        return found.failures

    if there:
        with store.begin() as conn:
            fail(conn)
    assert one_after_the_other(store, fail, fail) == ((1, 2) if there else (0, 1))


def test_counters_of_other_names_are_not_waited_for(store: Store) -> None:
    if not is_postgresql(store):
        return  # one writer at a time, whatever it writes
    other = Store(store.engine.url.render_as_string(hide_password=False), busy_seconds=0.2)
    with store.begin() as conn:
        throttle.read_for_update(conn, "r", ["a"])
        with other.begin() as second:
            throttle.read_for_update(second, "r", ["b"])
            throttle.read_for_update(second, "r-2", ["a"])
    other.dispose()

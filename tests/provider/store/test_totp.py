"""Rows of authenticators: one a person, and a code used up by one caller however many there are."""

import pytest
from sqlalchemy import Connection

from provider.store import totp
from provider.store.engine import Store
from provider.store.totp import Totp
from tests.provider.databases import one_after_the_other
from tests.provider.processes import in_processes

ROW = Totp("alice", "sealed", 100, 1_000)


@pytest.fixture
def stored(store: Store) -> Store:
    """With one authenticator."""
    with store.begin() as conn:
        assert totp.add(conn, "default", ROW)
    return store


def test_one_a_person_and_never_replaced(stored: Store) -> None:
    with stored.begin() as conn:
        assert not totp.add(conn, "default", ROW._replace(sealed_secret="other"))
        # The transaction goes on: what else was done in it stands.
        assert totp.add(conn, "default", ROW._replace(user_id="bob"))
        assert totp.add(conn, "second", ROW._replace(sealed_secret="of another realm"))
    with stored.read() as conn:
        assert totp.find(conn, "default", "alice") == ROW
        assert totp.find(conn, "default", "bob") is not None
        assert totp.find(conn, "default", "carol") is None


@pytest.mark.row("P-04")
def test_a_step_is_accepted_once_and_no_earlier_one_after_it(stored: Store) -> None:
    with stored.begin() as conn:
        assert totp.accept(conn, "default", "alice", 102, "anew")
    for step in (102, 101, 100, 99):
        with stored.begin() as conn:
            assert not totp.accept(conn, "default", "alice", step, "not stored")
    with stored.begin() as conn:
        assert totp.find(conn, "default", "alice") == ROW._replace(last_step=102, sealed_secret="anew")
        assert totp.accept(conn, "default", "alice", 103, "anew")
        assert not totp.accept(conn, "default", "bob", 103, "anew")
        assert not totp.accept(conn, "second", "alice", 103, "anew")


@pytest.mark.row("P-04")
def test_two_that_overlap_accept_a_code_once(stored: Store) -> None:
    def use(conn: Connection) -> bool:
        return totp.accept(conn, "default", "alice", 200, "x")

    assert one_after_the_other(stored, use, use) == (True, False)


def test_two_that_overlap_set_up_one_authenticator(stored: Store) -> None:
    def set_up(conn: Connection) -> bool:
        return totp.add(conn, "default", ROW._replace(user_id="carol"))

    assert one_after_the_other(stored, set_up, set_up) == (True, False)


@pytest.mark.row("P-04")
def test_of_eight_processes_one_gets_the_code(stored: Store) -> None:
    def use() -> None:
        with stored.begin() as conn:
            if not totp.accept(conn, "default", "alice", 300, "x"):
                raise SystemExit(1)

    assert sorted(in_processes(8, use)) == [0, 1, 1, 1, 1, 1, 1, 1]


def test_one_is_replaced_that_is_still_there(stored: Store) -> None:
    newer = ROW._replace(sealed_secret="newer", last_step=7, enrolled_at=2_000)
    with stored.begin() as conn:
        assert not totp.replace(conn, "default", newer, 999)
        assert not totp.replace(conn, "second", newer, 1_000)
        assert not totp.replace(conn, "default", newer._replace(user_id="bob"), 1_000)
        assert totp.find(conn, "default", "alice") == ROW
        assert totp.replace(conn, "default", newer, 1_000)
        assert totp.find(conn, "default", "alice") == newer


@pytest.mark.row("P-28")
def test_two_that_overlap_replace_it_once(stored: Store) -> None:
    def replace(conn: Connection) -> bool:
        return totp.replace(conn, "default", ROW._replace(enrolled_at=2_000), 1_000)

    assert one_after_the_other(stored, replace, replace) == (True, False)


def test_removed_is_gone_and_may_be_set_up_anew(stored: Store) -> None:
    with stored.begin() as conn:
        assert totp.remove(conn, "default", "alice")
        assert not totp.remove(conn, "default", "alice")
        assert totp.find(conn, "default", "alice") is None
        assert totp.add(conn, "default", ROW)

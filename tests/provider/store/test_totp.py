"""Rows of authenticators: one a person, and a code used up by one caller however many there are."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from provider.store import totp
from provider.store.engine import Store
from provider.store.migrations import upgrade
from provider.store.totp import Totp
from tests.provider.processes import in_processes

ROW = Totp("alice", "sealed", 100, 1_000)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'x.db'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    made = Store(url)
    upgrade(made)
    with made.begin() as conn:
        assert totp.add(conn, "default", ROW)
    yield made
    made.dispose()


def test_one_a_person_and_never_replaced(store: Store) -> None:
    with store.begin() as conn:
        assert not totp.add(conn, "default", ROW._replace(sealed_secret="other"))
        # The transaction goes on: what else was done in it stands.
        assert totp.add(conn, "default", ROW._replace(user_id="bob"))
        assert totp.add(conn, "second", ROW._replace(sealed_secret="of another realm"))
    with store.read() as conn:
        assert totp.find(conn, "default", "alice") == ROW
        assert totp.find(conn, "default", "bob") is not None
        assert totp.find(conn, "default", "carol") is None


@pytest.mark.row("P-04")
def test_a_step_is_accepted_once_and_no_earlier_one_after_it(store: Store) -> None:
    with store.begin() as conn:
        assert totp.accept(conn, "default", "alice", 102, "anew")
    for step in (102, 101, 100, 99):
        with store.begin() as conn:
            assert not totp.accept(conn, "default", "alice", step, "not stored")
    with store.begin() as conn:
        assert totp.find(conn, "default", "alice") == ROW._replace(last_step=102, sealed_secret="anew")
        assert totp.accept(conn, "default", "alice", 103, "anew")
        assert not totp.accept(conn, "default", "bob", 103, "anew")
        assert not totp.accept(conn, "second", "alice", 103, "anew")


@pytest.mark.row("P-04")
def test_two_stores_over_one_database_accept_a_code_once(store: Store, url: str) -> None:
    other = Store(url)
    try:
        with store.begin() as conn:
            first = totp.accept(conn, "default", "alice", 200, "x")
        with other.begin() as conn:
            second = totp.accept(conn, "default", "alice", 200, "x")
    finally:
        other.dispose()
    assert (first, second) == (True, False)


@pytest.mark.row("P-04")
def test_of_eight_processes_one_gets_the_code(store: Store) -> None:
    def use() -> None:
        with store.begin() as conn:
            if not totp.accept(conn, "default", "alice", 300, "x"):
                raise SystemExit(1)

    assert sorted(in_processes(8, use)) == [0, 1, 1, 1, 1, 1, 1, 1]


def test_removed_is_gone_and_may_be_set_up_anew(store: Store) -> None:
    with store.begin() as conn:
        assert totp.remove(conn, "default", "alice")
        assert not totp.remove(conn, "default", "alice")
        assert totp.find(conn, "default", "alice") is None
        assert totp.add(conn, "default", ROW)

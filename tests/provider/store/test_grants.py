"""Grants, codes and tokens: used once whoever races, stopped in one statement however many there are."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.exc import IntegrityError

from provider.store.engine import Store
from provider.store.grants import (
    AccessTokenRow,
    CodeRow,
    GrantRow,
    RefreshTokenRow,
    consume_code,
    consume_refresh_token,
    find_access_token,
    find_code,
    find_grant,
    find_refresh_token,
    find_successor,
    insert_access_token,
    insert_code,
    insert_grant,
    insert_refresh_token,
    revoke_client_grants,
    revoke_grant,
    revoke_session_grants,
    revoke_user_grants,
)
from tests.provider.databases import one_after_the_other

GRANT = GrantRow(
    "grant-1",
    "app",
    "sub-1",
    "sid-1",
    ("openid", "email"),
    90,
    "knowledge",
    ("pwd",),
    100,
    10_000,
    "https://api.example",
    {"userinfo": ("email", "name")},
    "acme",
)
CODE = CodeRow("c" * 64, "grant-1", "app", "https://app.example/cb", "n\u00e9\U0001f600", "x" * 43, 160)
ACCESS = AccessTokenRow("a" * 64, "grant-1", "app", ("openid",), "https://api.example", 100, 3700)
REFRESH = RefreshTokenRow("r" * 64, "grant-1", None, ("openid", "email"), 100, 10_000)


@pytest.fixture
def stored(store: Store) -> Store:
    """With one grant, its code and its tokens."""
    with store.begin() as conn:
        insert_grant(conn, "r", GRANT)
        insert_code(conn, "r", CODE)
        insert_access_token(conn, "r", ACCESS)
        insert_refresh_token(conn, "r", REFRESH)
    return store


def test_what_was_written_comes_back(stored: Store) -> None:
    with stored.read() as conn:
        assert find_grant(conn, "r", "grant-1") == GRANT
        assert find_code(conn, "r", "c" * 64) == CODE
        assert find_access_token(conn, "r", "a" * 64) == ACCESS
        assert find_refresh_token(conn, "r", "r" * 64) == REFRESH
        assert find_successor(conn, "r", "r" * 64) is None


def test_another_realm_has_none_of_it(stored: Store) -> None:
    with stored.begin() as conn:
        assert find_grant(conn, "other", "grant-1") is None
        assert find_code(conn, "other", "c" * 64) is None
        assert find_access_token(conn, "other", "a" * 64) is None
        assert find_refresh_token(conn, "other", "r" * 64) is None
        assert not consume_code(conn, "other", "c" * 64, 1)
        assert not revoke_grant(conn, "other", "grant-1", 1, "x")
        assert revoke_user_grants(conn, "other", "sub-1", 1, "x") == 0


@pytest.mark.row("P-04")
def test_a_code_is_used_by_one_of_two(stored: Store) -> None:
    def use(conn: Connection) -> bool:
        return consume_code(conn, "r", "c" * 64, 120)

    assert one_after_the_other(stored, use, use) == (True, False)
    with stored.read() as conn:
        assert find_code(conn, "r", "c" * 64) == replace(CODE, consumed_at=120)


@pytest.mark.row("P-04")
def test_a_code_whose_use_was_rolled_back_is_good_for_the_one_who_waited(stored: Store) -> None:
    class Broken(Exception):
        pass

    def use_and_break() -> None:
        with stored.begin() as conn:
            assert consume_code(conn, "r", "c" * 64, 120)
            raise Broken

    with pytest.raises(Broken):
        use_and_break()
    with stored.begin() as conn:
        assert consume_code(conn, "r", "c" * 64, 121)


@pytest.mark.row("S-13", "P-06", "P-25")
def test_a_refresh_token_is_used_by_one_of_two(stored: Store) -> None:
    def use(successor: str) -> Callable[[Connection], bool]:
        return lambda conn: consume_refresh_token(conn, "r", "r" * 64, 120, successor)

    assert one_after_the_other(stored, use("sealed-1"), use("sealed-2")) == (True, False)
    with stored.read() as conn:
        used = replace(REFRESH, consumed_at=120, successor_sealed="sealed-1")
        assert find_refresh_token(conn, "r", "r" * 64) == used


@pytest.mark.row("S-13", "P-25")
def test_a_refresh_token_has_one_successor_whoever_races(stored: Store) -> None:
    first, second = (replace(REFRESH, token_hash=one * 64, predecessor_hash="r" * 64) for one in "12")

    with pytest.raises(IntegrityError):
        one_after_the_other(
            stored,
            lambda conn: insert_refresh_token(conn, "r", first),
            lambda conn: insert_refresh_token(conn, "r", second),
        )
    with stored.read() as conn:
        assert find_successor(conn, "r", "r" * 64) == first


@pytest.mark.row("P-06")
def test_who_holds_a_grant_is_waited_for_and_seen(stored: Store) -> None:
    """A second use of a code waits for the first one's commit, and then finds the code used."""

    def look_and_use(conn: Connection) -> str:
        find_grant(conn, "r", "grant-1", for_update=True)
        code = find_code(conn, "r", "c" * 64)
        assert code is not None
        if code.consumed_at is not None:
            revoke_grant(conn, "r", "grant-1", 130, "code_reused")
            return "reused"
        return "used" if consume_code(conn, "r", "c" * 64, 120) else "lost"

    assert one_after_the_other(stored, look_and_use, look_and_use) == ("used", "reused")
    with stored.read() as conn:
        assert find_grant(conn, "r", "grant-1") == replace(GRANT, revoked_at=130, revoke_reason="code_reused")


@pytest.mark.row("P-06")
def test_a_grant_that_is_being_stopped_is_stopped_for_whoever_waits_for_it(stored: Store) -> None:
    """Refreshing and revoking at the same moment: no token outlives the revocation."""

    def stop(conn: Connection) -> bool:
        return revoke_grant(conn, "r", "grant-1", 130, "logout")

    def refresh(conn: Connection) -> bool:
        grant = find_grant(conn, "r", "grant-1", for_update=True)
        return grant is not None and grant.revoked_at is None

    assert one_after_the_other(stored, stop, refresh) == (True, False)


def test_a_grant_is_stopped_once_and_keeps_the_first_reason(stored: Store) -> None:
    with stored.begin() as conn:
        assert revoke_grant(conn, "r", "grant-1", 130, "logout")
        assert not revoke_grant(conn, "r", "grant-1", 140, "other")
        assert revoke_user_grants(conn, "r", "sub-1", 150, "other") == 0
        assert find_grant(conn, "r", "grant-1") == replace(GRANT, revoked_at=130, revoke_reason="logout")


STOPS: dict[str, tuple[Callable[[Connection], int], set[str]]] = {
    "family": (lambda conn: revoke_grant(conn, "r", "g1", 9, "x"), {"g1"}),
    "session": (lambda conn: revoke_session_grants(conn, "r", "s1", 9, "x"), {"g1", "g2"}),
    "session-and-client": (
        lambda conn: revoke_session_grants(conn, "r", "s1", 9, "x", client_id="b"),
        {"g2"},
    ),
    "user": (lambda conn: revoke_user_grants(conn, "r", "u1", 9, "x"), {"g1", "g2", "g3"}),
    "client": (lambda conn: revoke_client_grants(conn, "r", "a", 9, "x"), {"g1", "g3", "g4"}),
}


@pytest.mark.row("P-26")
@pytest.mark.parametrize("name", STOPS)
def test_what_belongs_together_is_stopped_in_one_statement_and_nothing_else(store: Store, name: str) -> None:
    rows = [
        ("g1", "a", "u1", "s1"),
        ("g2", "b", "u1", "s1"),
        ("g3", "a", "u1", "s2"),
        ("g4", "a", "u2", "s3"),
    ]
    with store.begin() as conn:
        for realm in ("r", "other"):
            for grant_id, client_id, user_id, sid in rows:
                row = replace(GRANT, grant_id=grant_id, client_id=client_id, user_id=user_id, sid=sid)
                insert_grant(conn, realm, row)
    stop, expected = STOPS[name]
    sent: list[str] = []
    with store.begin() as conn:
        event.listen(conn, "before_cursor_execute", lambda *seen: sent.append(seen[2]))
        assert stop(conn) == len(expected)
        assert len(sent) == 1
        stopped = {
            (realm, grant_id)
            for realm in ("r", "other")
            for grant_id, *_ in rows
            if (found := find_grant(conn, realm, grant_id)) is not None and found.revoked_at == 9
        }
    assert stopped == {("r", grant_id) for grant_id in expected}

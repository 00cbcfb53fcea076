"""The database answers out of an index, with few rows and with many: its own EXPLAIN says so."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Table, event, text

from provider.store import clients, grants, person_tokens, sessions, sweeping
from provider.store import device_codes as device_rows
from provider.store.engine import Store
from provider.store.schema import (
    access_tokens,
    assertions,
    browser_sessions,
    codes,
    device_codes,
    initial_tokens,
    interactions,
    logout_notices,
    refresh_tokens,
    revoked_tokens,
    session_clients,
    throttle,
)
from provider.store.schema import grants as grants_table
from tests.provider.databases import is_postgresql

FEW = 5_000
MANY = 100_000
#: Ended by then: one row in a hundred.
BEFORE = 100


@pytest.fixture
def filled(store: Store, request: pytest.FixtureRequest) -> Iterator[Store]:
    """A database with so many grants, tokens and sessions."""
    for table in sweeping.ENDED:
        with store.begin() as conn:
            conn.execute(text(_filling(table, request.param, is_postgresql(store))))
    with store.begin() as conn:
        conn.execute(text(_clients(request.param, is_postgresql(store))))
        conn.execute(text("ANALYZE"))
    yield store
    # Before the database is taken away.
    store.dispose()


def _filling(table: Table, count: int, with_json: bool) -> str:
    """Rows that the database makes: fifty grants to a person, five to a session, a hundred clients; one in a
    hundred has ended.
    """
    values = {
        "realm_id": "'default'",
        "expires_at": "n % 100 * 100",
        "charged_at": "n % 100 * 100",
        "failed_at": "n % 100 * 100",
        "grant_id": "'grant-' || n",
        "sid": "'sid-' || (n / 5)",
        "user_id": "'user-' || (n / 50)",
        "client_id": "'client-' || (n % 100)",
        "predecessor_hash": "'before-' || n",
    }
    kinds = {"JSON": "CAST('[]' AS json)" if with_json else "'[]'", "BIGINT": "1", "INTEGER": "1"}
    columns = [column for column in table.columns if not column.nullable or column.name in values]
    made = ", ".join(
        values.get(column.name, kinds.get(str(column.type), f"'{column.name}-' || n")) for column in columns
    )
    names = ", ".join(column.name for column in columns)
    numbers = _numbers(count)
    return f"INSERT INTO {table.name} ({names}) {numbers} SELECT {made} FROM s"  # noqa: S608 (names of ours)


def _clients(count: int, with_json: bool) -> str:
    """Clients, one in a hundred of which registered itself; to nearly all of these nothing was ever given."""
    names = "realm_id, client_id, enabled, settings, created_at, registration_hash"
    settings = "CAST('{}' AS json)" if with_json else "'{}'"
    registered = "CASE WHEN n % 100 = 0 THEN 'hash-' || n END"
    values = f"'default', 'client-' || n, TRUE, {settings}, n, {registered}"
    return f"INSERT INTO clients ({names}) {_numbers(count)} SELECT {values} FROM s"  # noqa: S608


def _numbers(count: int) -> str:
    return f"WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < {count - 1})"  # noqa: S608


def plans(store: Store, act: Callable[[Connection], object]) -> str:
    """How the database carries out the statements of `act`."""
    sent: list[tuple[str, Any]] = []

    def note(_c: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        sent.append((statement, parameters))

    explain = "EXPLAIN" if is_postgresql(store) else "EXPLAIN QUERY PLAN"
    with store.engine.connect() as conn:
        event.listen(conn, "before_cursor_execute", note)
        act(conn)
        event.remove(conn, "before_cursor_execute", note)
        lines = [
            str(line[-1])
            for statement, parameters in sent
            if not statement.startswith("BEGIN")
            for line in conn.exec_driver_sql(f"{explain} {statement}", parameters)
        ]
        conn.rollback()
    return "\n".join(lines)


Act = Callable[[Connection], object]
STATEMENTS: dict[str, tuple[Act, str]] = {
    "by-user": (lambda conn: grants.revoke_user_grants(conn, "default", "user-7", 1, "x"), "grants_by_user"),
    "by-sid": (lambda conn: grants.revoke_session_grants(conn, "default", "sid-7", 1, "x"), "grants_by_sid"),
    "by-sid-and-client": (
        lambda conn: grants.revoke_session_grants(conn, "default", "sid-7", 1, "x", client_id="client-35"),
        "grants_by_sid",
    ),
    "by-client": (
        lambda conn: grants.revoke_client_grants(conn, "default", "client-7", 1, "x"),
        "grants_by_client",
    ),
    "by-user-and-client": (
        lambda conn: grants.revoke_user_client_grants(conn, "default", "user-7", "client-57", 1, "x"),
        "grants_by_user",
    ),
    "by-family": (lambda conn: grants.revoke_grant(conn, "default", "grant-7", 1, "x"), "grants"),
    "access-token-given-back": (
        lambda conn: grants.delete_access_token(conn, "default", "token_hash-7"),
        "access_tokens",
    ),
    "jwt-given-back": (lambda conn: grants.is_revoked(conn, "default", "token_hash-7"), "revoked_tokens"),
    "sessions-of-user": (
        lambda conn: sessions.end_of_user(conn, "default", "user-7", 1),
        "browser_sessions_by_user",
    ),
    "live-sessions-of-user": (
        lambda conn: sessions.list_live(conn, "default", now=1, seen_after=0, user_id="user-7"),
        "browser_sessions_by_user",
    ),
    "tokens-of-user": (
        lambda conn: person_tokens.held_of_user(conn, "default", "user-7", BEFORE),
        "grants_by_user",
    ),
    "granted-to-clients-of-user": (
        lambda conn: person_tokens.given_to_clients(conn, "default", "user-7", ["client-57"]),
        "grants_by_user",
    ),
    "clients-of-user": (
        lambda conn: person_tokens.clients_of_user(conn, "default", "user-7"),
        "grants_by_user",
    ),
    "successor": (
        lambda conn: grants.find_successor(conn, "default", "before-7"),
        "refresh_tokens_one_successor",
    ),
    "typed": (
        lambda conn: device_rows.find_typed(conn, "default", "user_code-7"),
        "device_codes_by_user_code",
    ),
    "waiting-devices": (
        lambda conn: device_rows.count_waiting(conn, "default", "client-7", BEFORE),
        "device_codes_by_client",
    ),
    "unused-clients": (
        lambda conn: clients.find_unused(conn, "default", before=BEFORE, limit=500),
        "clients_registered",
    ),
    "clients-in-use": (lambda conn: clients.note_use(conn, "default", 1), "clients_registered"),
    "registered-clients": (lambda conn: clients.count_registered(conn, "default"), "clients_registered"),
    **{
        f"sweep-{table.name}": (
            lambda conn, table=table: sweeping.sweep(conn, "default", table, before=BEFORE, limit=500),
            index,
        )
        for table, index in {
            interactions: "interactions_by_end",
            browser_sessions: "browser_sessions_by_end",
            session_clients: "session_clients_by_end",
            logout_notices: "logout_notices_failed",
            throttle: "throttle_by_charge",
            codes: "codes_by_end",
            device_codes: "device_codes_by_end",
            access_tokens: "access_tokens_by_end",
            refresh_tokens: "refresh_tokens_by_end",
            grants_table: "grants_by_end",
            assertions: "assertions_by_end",
            revoked_tokens: "revoked_tokens_by_end",
            initial_tokens: "initial_tokens_by_end",
        }.items()
    },
}


@pytest.mark.row("P-26")
@pytest.mark.parametrize("filled", [FEW], indirect=True)
def test_what_is_looked_for_is_found_by_its_index(filled: Store) -> None:
    for name, (act, index) in STATEMENTS.items():
        assert index in plans(filled, act), name


@pytest.mark.heavy
@pytest.mark.row("P-26")
@pytest.mark.parametrize("filled", [MANY], indirect=True)
def test_no_table_is_read_as_a_whole_when_there_are_many_rows(filled: Store) -> None:
    whole = "Seq Scan" if is_postgresql(filled) else "SCAN"
    for name, (act, index) in STATEMENTS.items():
        said = plans(filled, act)
        assert index in said, (name, said)
        # The keys that a statement itself names are no table.
        tables = [line for line in said.splitlines() if "CONSTANT ROWS" not in line]
        assert not any(whole in line for line in tables), (name, said)


def test_every_kind_of_row_that_is_swept_is_looked_at_here() -> None:
    assert {f"sweep-{table.name}" for table in sweeping.ENDED} <= set(STATEMENTS)

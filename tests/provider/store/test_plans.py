"""The database answers out of an index, with few rows and with many, and in SQLite without statistics too, as
it is where nobody runs ANALYZE: its own EXPLAIN says so.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Table, event, text

from provider.services.logout import BACK_CHANNEL
from provider.store import (
    clients,
    grants,
    logout_notices,
    participants,
    person_tokens,
    sessions,
    sweeping,
)
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
    metadata,
    refresh_tokens,
    revoked_tokens,
    session_clients,
    throttle,
)
from provider.store.schema import grants as grants_table
from provider.store.schema import logout_notices as notices
from tests.provider.databases import is_postgresql

FEW = 5_000
MANY = 100_000
#: Ended by then: one row in a hundred.
BEFORE = 100
#: Those of a few rows of a realm: they may be read as a whole.
PARTIAL = [
    str(index.name)
    for table in metadata.tables.values()
    for index in table.indexes
    if index.dialect_options["sqlite"]["where"] is not None
]
KINDS = [
    pytest.param((FEW, True), id="few"),
    pytest.param((FEW, False), id="few-without-statistics"),
]
KINDS_OF_MANY = [
    pytest.param((MANY, True), id="many"),
    pytest.param((MANY, False), id="many-without-statistics"),
]


@pytest.fixture
def filled(store: Store, request: pytest.FixtureRequest) -> Iterator[Store]:
    """A database with so many grants, tokens and sessions, and with statistics or without."""
    count, analyzed = request.param
    if is_postgresql(store) and not analyzed:
        pytest.skip("PostgreSQL keeps statistics by itself")
    for table in sweeping.ENDED:
        with store.begin() as conn:
            conn.execute(text(_filling(table, count, is_postgresql(store))))
    with store.begin() as conn:
        conn.execute(text(_clients(count, is_postgresql(store))))
        if analyzed:
            conn.execute(text("ANALYZE"))
    yield store
    # Before the database is taken away.
    store.dispose()


def _filling(table: Table, count: int, with_json: bool) -> str:
    """Rows that the database makes: fifty grants to a person, five to a session, a hundred clients; one in a
    hundred has ended. One in ten notices has failed.
    """
    values = {
        "realm_id": "'default'",
        "expires_at": "n % 100 * 100",
        "charged_at": "n % 100 * 100",
        "failed_at": "CASE WHEN n % 10 = 0 THEN n % 100 * 100 END",
        "created_at": "n / 7 % 100 * 100",
        "due_at": "n / 7 % 100 * 100",
        "ended_at": "CASE WHEN n % 100 = 7 THEN n % 10000 END",
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

    def note(
        _c: object, _cursor: object, statement: str, parameters: Any, _context: object, many: bool
    ) -> None:
        sent.append((statement, parameters[0] if many else parameters))

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


def read_as_a_whole(store: Store, said: str) -> list[str]:
    """What of a plan reads a table, or what a realm has in one."""
    if is_postgresql(store):
        return [line for line in said.splitlines() if "Seq Scan" in line]
    return [
        line
        for line in said.splitlines()
        # The keys that a statement itself names are no table.
        if ("SCAN" in line and "CONSTANT ROWS" not in line)
        or (line.endswith("(realm_id=?)") and not any(name in line for name in PARTIAL))
    ]


Act = Callable[[Connection], object]
NOTICE = logout_notices.Notice("sid-7", "client-35", "user-0", 0, 0, 1)
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
    "live-sessions": (
        lambda conn: sessions.list_live(conn, "default", now=1, seen_after=0, after="sid-7", limit=50),
        "browser_sessions_by_sid",
    ),
    "taking-part": (
        lambda conn: participants.take_part(conn, "default", "sid-7", "client-new", 9_000),
        "session_clients",
    ),
    "prolonged": (lambda conn: participants.prolong(conn, "default", "sid-7", 9_000), "session_clients"),
    "clients-of-session": (lambda conn: participants.clients_of(conn, "default", "sid-7"), "session_clients"),
    "clients-to-tell": (
        lambda conn: participants.with_setting(conn, "default", "sid-7", BACK_CHANNEL, ["client-35"]),
        "session_clients",
    ),
    "sessions-to-tell-of": (
        lambda conn: logout_notices.write_due(conn, "default", BACK_CHANNEL, ["none"], 1, sessions=50),
        "browser_sessions_untold",
    ),
    "notices-of-client": (
        lambda conn: logout_notices.lease(conn, "default", "client-7", BEFORE, until=BEFORE, limit=10),
        "logout_notices_waiting",
    ),
    **{
        f"notice-{name}": (act, "logout_notices")
        for name, act in dict[str, Act](
            done=lambda conn: logout_notices.settle_done(conn, "default", [NOTICE]),
            later=lambda conn: logout_notices.settle_later(conn, "default", [(NOTICE, "why", 9_000)]),
            failed=lambda conn: logout_notices.settle_failed(conn, "default", [(NOTICE, "why")], 9_000),
        ).items()
    },
    "old-notices": (lambda conn: logout_notices.has_older(conn, "default", BEFORE), "logout_notices_by_age"),
    "old-notices-given-up": (
        lambda conn: logout_notices.give_up_older(conn, "default", BEFORE, 9_000, limit=10),
        "logout_notices_by_age",
    ),
    "waiting-notices-of-client": (
        lambda conn: list(logout_notices.list_notices(conn, "default", failed=False, client_id="client-7")),
        "logout_notices_waiting",
    ),
    **{
        f"sweep-{table.name}": (
            lambda conn, table=table: sweeping.sweep(conn, "default", table, before=BEFORE, limit=500),
            index,
        )
        for table, index in {
            interactions: "interactions_by_end",
            browser_sessions: "browser_sessions_by_end",
            session_clients: "session_clients_by_end",
            notices: "logout_notices_failed",
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
@pytest.mark.parametrize("filled", KINDS, indirect=True)
def test_what_is_looked_for_is_found_by_its_index(filled: Store) -> None:
    for name, (act, index) in STATEMENTS.items():
        said = plans(filled, act)
        assert index in said, (name, said)
        # PostgreSQL reads a small table as a whole.
        assert is_postgresql(filled) or not read_as_a_whole(filled, said), (name, said)


@pytest.mark.heavy
@pytest.mark.row("P-26")
@pytest.mark.parametrize("filled", KINDS_OF_MANY, indirect=True)
def test_no_table_is_read_as_a_whole_when_there_are_many_rows(filled: Store) -> None:
    for name, (act, index) in STATEMENTS.items():
        said = plans(filled, act)
        assert index in said, (name, said)
        assert not read_as_a_whole(filled, said), (name, said)


def test_every_kind_of_row_that_is_swept_is_looked_at_here() -> None:
    assert {f"sweep-{table.name}" for table in sweeping.ENDED} <= set(STATEMENTS)

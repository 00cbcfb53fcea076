"""Migrations lead to the tables of `schema`, forwards and back, with what is in them, however many processes
ask at once: on both databases.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, BigInteger, Boolean, Connection, Integer, MetaData, Table, inspect, select, text

from provider.store import totp
from provider.store.clients import find_client
from provider.store.engine import Store
from provider.store.migrations import _config, is_current, upgrade
from provider.store.schema import metadata
from provider.store.totp import Totp
from provider.store.user_attributes import find_attribute, put_attribute
from tests.provider.processes import in_processes

REVISIONS = [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()][::-1]
ALEMBIC = "alembic_version"


@pytest.fixture
def store(empty_url: str) -> Iterator[Store]:
    made = Store(empty_url)
    yield made
    made.dispose()


def downgrade(store: Store, revision: str) -> None:
    with store.begin() as conn:
        config = _config()
        config.attributes["connection"] = conn
        command.downgrade(config, revision)


def tables_of(conn: Connection) -> list[Table]:
    found = MetaData()
    found.reflect(conn)
    return [table for table in found.sorted_tables if table.name != ALEMBIC]


def fill(store: Store) -> dict[str, dict[str, Any]]:
    """A row in every table there is; what went into which."""
    rows = {}
    with store.begin() as conn:
        for table in tables_of(conn):
            rows[table.name] = {column.name: value_for(column.type) for column in table.columns}
            conn.execute(table.insert().values(**rows[table.name]))
    return rows


def value_for(kind: object) -> Any:
    if isinstance(kind, JSON):
        return {"a": ["b", "\u00e4\u4e16"]}
    if isinstance(kind, Boolean):
        return True
    if isinstance(kind, Integer | BigInteger):
        return 1_800_000_000
    return "\u00e4"


def rows_in(store: Store) -> dict[str, dict[str, Any]]:
    """The row of every table; of an empty one there is nothing."""
    with store.read() as conn:
        return {
            table.name: dict(conn.execute(select(table)).mappings().one_or_none() or {})
            for table in tables_of(conn)
        }


def kept(rows: dict[str, dict[str, Any]], of: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Those tables and columns of `rows` that `of` has too."""
    return {
        table: {name: value for name, value in row.items() if name in of[table]}
        for table, row in rows.items()
        if table in of
    }


def in_both(
    one: dict[str, dict[str, Any]], other: dict[str, dict[str, Any]]
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """The tables and columns that both have: a step may move a column elsewhere, which has its own test."""
    return kept(one, other), kept(other, one)


def differences(store: Store) -> list[Any]:
    with store.read() as conn:
        context = MigrationContext.configure(
            conn, opts={"compare_type": True, "compare_server_default": False}
        )
        return list(compare_metadata(context, metadata))


def test_the_tables_are_those_of_the_schema(store: Store) -> None:
    upgrade(store)
    assert differences(store) == []
    with store.read() as conn:
        looked = inspect(conn)
        for table in metadata.tables.values():
            made = {index["name"]: (index["column_names"], bool(index["unique"]))
                    for index in looked.get_indexes(table.name)}  # fmt: skip
            assert made == {
                index.name: ([column.name for column in index.columns], index.unique)
                for index in table.indexes
            }
            assert looked.get_pk_constraint(table.name)["constrained_columns"] == [
                column.name for column in table.primary_key.columns
            ]


def test_every_table_is_split_by_realm() -> None:
    for table in metadata.tables.values():
        assert "realm_id" in table.primary_key.columns
        assert all("realm_id" in index.columns for index in table.indexes)


def with_what_is_lost(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The audiences of access tokens do not come back: before 0004 there was one, which nobody read. Nor do
    consents: 0005 could not seal them.
    """
    tokens = rows["access_tokens"]
    return {
        **rows,
        "access_tokens": {**tokens, **({"audience": []} if "audience" in tokens else {})},
        **({"consents": {}} if "consents" in rows else {}),
    }


@pytest.mark.parametrize("revision", REVISIONS)
def test_what_is_there_stays_there_forwards_and_back(store: Store, revision: str) -> None:
    upgrade(store, revision)
    rows = fill(store)
    upgrade(store)
    whole = rows_in_those(store, rows)
    newest, before = in_both(rows_in_those(store, rows), rows)
    assert newest == before
    assert differences(store) == []
    downgrade(store, revision)
    assert rows_in(store) == with_what_is_lost(rows)
    upgrade(store)
    assert rows_in_those(store, rows) == whole


def rows_in_those(store: Store, rows: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The rows of these tables; one that came later is empty."""
    with store.read() as conn:
        return {
            table.name: dict(conn.execute(select(table)).mappings().one())
            for table in tables_of(conn)
            if table.name in rows
        }


def test_each_step_can_be_taken_back_with_rows_in_every_table(store: Store) -> None:
    upgrade(store)
    rows = fill(store)
    for revision in [*REVISIONS[-2::-1], "base"]:
        downgrade(store, revision)
        if revision != "base":
            now, then = in_both(rows_in(store), rows)
            assert now == then
    with store.read() as conn:
        assert inspect(conn).get_table_names() == [ALEMBIC]


def test_again_changes_nothing(store: Store) -> None:
    upgrade(store)
    rows = fill(store)
    upgrade(store)
    assert rows_in(store) == rows


def test_whether_a_database_is_of_this_version(store: Store) -> None:
    assert not is_current(store)
    upgrade(store)
    assert is_current(store)
    with store.begin() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = 'from-tomorrow'"))
    assert not is_current(store)


def test_eight_processes_at_once(store: Store) -> None:
    assert in_processes(8, lambda: upgrade(store)) == [0] * 8
    assert is_current(store)


def test_a_migration_that_is_cut_off_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("alembic.runtime.migration.HeadMaintainer.update_to_step", cut)
    with pytest.raises(KeyboardInterrupt):
        upgrade(store)
    with store.read() as conn:
        assert inspect(conn).get_table_names() == []


def test_clients_that_are_there_keep_the_realms_second_factor(store: Store) -> None:
    upgrade(store, "0002")
    with store.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO clients (realm_id, client_id, name, enabled, auth_method, redirect_uris,"
                " post_logout_redirect_uris, flows, scopes, trusted, created_at)"
                " VALUES ('default', 'old', 'Old', true, 'none', '[]', '[]', '[]', '[\"openid\"]', false, 7)"
            )
        )
    upgrade(store)
    with store.begin() as conn:
        client = find_client(conn, "default", "old")
        assert client is not None
        assert (client.second_factor, client.acr_profile, client.created_at) == ("realm", "rfc8176", 7)
        assert totp.add(conn, "default", Totp("alice", "sealed", 1, 1))
    with store.begin() as conn:
        config = _config()
        config.attributes["connection"] = conn
        command.downgrade(config, "0002")
    with store.begin() as conn:
        assert "totp" not in inspect(conn).get_table_names()
        assert conn.execute(text("SELECT client_id, created_at FROM clients")).all() == [("old", 7)]
    upgrade(store)
    with store.read() as conn:
        assert find_client(conn, "default", "old") == client
        assert totp.find(conn, "default", "alice") is None


@pytest.mark.row("S-36")
def test_consents_of_before_are_asked_for_again_and_nothing_else_is_lost(store: Store) -> None:
    """Up and down: rows in clear go, and what was sealed goes back to an empty table."""
    upgrade(store, "0004")
    rows = fill(store)
    upgrade(store, "0005")
    with store.begin() as conn:
        assert "consents" not in inspect(conn).get_table_names()
        assert find_attribute(conn, "default", "sub", "consents") is None
        put_attribute(conn, "default", "sub", "consents", "sealed")
    downgrade(store, "0004")
    assert rows_in(store) == {**rows, "consents": {}}
    upgrade(store, "0005")
    with store.read() as conn:
        assert find_attribute(conn, "default", "sub", "consents") is None

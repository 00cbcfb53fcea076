"""Migrations lead to the tables of `schema`, forwards and back, however many processes ask at once."""

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from provider.store.engine import Store
from provider.store.migrations import _config, is_current, upgrade
from provider.store.schema import metadata
from tests.provider.processes import in_processes


@pytest.fixture
def store(tmp_path: Path):
    made = Store(f"sqlite:///{tmp_path / 'x.db'}")
    yield made
    made.dispose()


def test_the_tables_are_those_of_the_schema(store: Store) -> None:
    upgrade(store)
    with store.read() as conn:
        assert compare_metadata(MigrationContext.configure(conn), metadata) == []


def test_every_table_is_split_by_realm() -> None:
    for table in metadata.tables.values():
        assert "realm_id" in table.primary_key.columns
        assert all("realm_id" in index.columns for index in table.indexes)


def test_again_changes_nothing(store: Store) -> None:
    upgrade(store)
    with store.begin() as conn:
        conn.execute(text("INSERT INTO throttle VALUES ('default', 'k', 1, 2, 3)"))
    upgrade(store)
    with store.read() as conn:
        assert conn.execute(text("SELECT count(*) FROM throttle")).scalar_one() == 1


def test_back_to_nothing(store: Store) -> None:
    upgrade(store)
    with store.begin() as conn:
        config = _config()
        config.attributes["connection"] = conn
        command.downgrade(config, "base")
    with store.read() as conn:
        assert inspect(conn).get_table_names() == ["alembic_version"]


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

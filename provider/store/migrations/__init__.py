"""Bringing a database to the tables of this version.

One file per change in `versions`; `env.py` is how Alembic is told.

Runs inside one transaction that holds the database's write lock, so that any number of processes may ask at
once and a change is there wholly or not at all.
"""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from provider.store.engine import Store

#: PostgreSQL: the advisory lock that migrations hold. Any number, as long as it stays the same.
_ADVISORY_LOCK: Final = 7_431_902_264
#: How long to wait for a process that migrates already: tables with millions of rows take their time.
_OTHERS_SECONDS: Final = 600


def upgrade(store: Store, revision: str = "head") -> None:
    """Apply every change that the database lacks, up to `revision`.

    Raises:
        StoreUnavailable: the database is locked, read-only or gone; nothing has changed.
    """
    with store.begin() as conn:
        if conn.dialect.name == "postgresql":
            _wait_for_others(conn)
        config = _config()
        config.attributes["connection"] = conn
        command.upgrade(config, revision)


def is_current(store: Store) -> bool:
    """Whether the database has every change, and none that this version does not know."""
    with store.read() as conn:
        found = MigrationContext.configure(conn).get_current_heads()
    return set(found) == set(ScriptDirectory.from_config(_config()).get_heads())


def _wait_for_others(conn: Connection) -> None:
    usual = conn.scalar(text("SELECT current_setting('lock_timeout')"))
    longer = text("SELECT set_config('lock_timeout', :value, true)")
    conn.execute(longer, {"value": f"{_OTHERS_SECONDS}s"})
    conn.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _ADVISORY_LOCK})
    # Not for the tables: while a change waits for one, everybody else waits behind it.
    conn.execute(longer, {"value": usual})


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config

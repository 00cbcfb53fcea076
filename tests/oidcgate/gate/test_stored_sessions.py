"""Stored sessions over the stores of one host; over memcached: tests/live/test_memcached_sessions.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from oidcgate.storage.memory import MemoryStore
from oidcgate.storage.records import RecordCache
from oidcgate.storage.sql import SqlStore
from tests.contracts.session_store import SessionStoreContract


class TestInMemory(SessionStoreContract):
    @pytest.fixture
    def records(self) -> RecordCache:
        return MemoryStore(clock=lambda: 0)


class TestInSqlite(SessionStoreContract):
    @pytest.fixture
    def records(self, tmp_path: Path) -> Iterator[RecordCache]:
        store = SqlStore(f"sqlite:///{tmp_path}/sessions.db", clock=lambda: 0)
        yield store
        store.close()

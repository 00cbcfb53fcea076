"""Stored sessions over every store but memcached, which is tests/live/test_memcached_sessions.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from oidcgate.storage.memory import MemoryStore
from oidcgate.storage.records import RecordCache
from oidcgate.storage.redis import RedisStore
from oidcgate.storage.redis_address import redis_server_of
from oidcgate.storage.sql import SqlStore
from tests.contracts.session_store import SessionStoreContract
from tests.support.postgresql import Postgresql
from tests.support.redis import redis_server


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


@pytest.mark.live
class TestInRedis(SessionStoreContract):
    @pytest.fixture
    def records(self) -> Iterator[RecordCache]:
        with redis_server() as server:
            store = RedisStore(redis_server_of(server.url), "gate", wall_clock=lambda: 0)
            yield store
            store.close()


@pytest.mark.live
class TestInPostgresql(SessionStoreContract):
    @pytest.fixture
    def records(self, postgresql_server: Postgresql) -> Iterator[RecordCache]:
        with postgresql_server.database() as name:
            store = SqlStore(postgresql_server.url(name), clock=lambda: 0)
            yield store
            store.close()

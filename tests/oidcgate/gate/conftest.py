"""Each kind of state store that processes or hosts share, for tests of what the gate keeps there."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from oidcgate.storage.memory import MemoryStore
from oidcgate.storage.records import RecordStore
from oidcgate.storage.redis import RedisStore
from oidcgate.storage.redis_address import redis_server_of
from oidcgate.storage.sql import SqlStore
from tests.oidcgate.gate.parts import NOW
from tests.support.postgresql import Postgresql
from tests.support.redis import redis_server

OpenState = Callable[[pytest.FixtureRequest, Path], AbstractContextManager[RecordStore]]


@contextmanager
def memory(_: pytest.FixtureRequest, __: Path) -> Iterator[RecordStore]:
    yield MemoryStore(clock=lambda: NOW)


@contextmanager
def sqlite(_: pytest.FixtureRequest, folder: Path) -> Iterator[RecordStore]:
    with closing(SqlStore(f"sqlite:///{folder}/state.db", clock=lambda: NOW)) as store:
        yield store


@contextmanager
def postgresql(request: pytest.FixtureRequest, _: Path) -> Iterator[RecordStore]:
    server: Postgresql = request.getfixturevalue("postgresql_server")
    with server.database() as name, closing(SqlStore(server.url(name), clock=lambda: NOW)) as store:
        yield store


@contextmanager
def redis(_: pytest.FixtureRequest, __: Path) -> Iterator[RecordStore]:
    with redis_server() as server, closing(RedisStore(redis_server_of(server.url), "gate")) as store:
        yield store


@pytest.fixture(
    params=[
        memory,
        sqlite,
        pytest.param(postgresql, marks=pytest.mark.live),
        pytest.param(redis, marks=pytest.mark.live),
    ],
    ids=lambda opens: opens.__name__,
)
def shared_state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordStore]:
    """A state store that many threads may use at once."""
    opens: OpenState = request.param
    with opens(request, tmp_path) as store:
        yield store

"""The stores that settings name, made: of the state, and of sessions that are not sealed into cookies.

How settings name them is `oidcgate.gate.store_settings`; the stores are `oidcgate.storage`. Nothing is opened
or asked here. What only some need is imported only where it is named.
"""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from oidcgate.gate.config import GateConfig
from oidcgate.gate.revocations import REVOCATIONS
from oidcgate.gate.store_settings import IN_STATE, POSTGRESQL, SQLITE, anchored_file, anchored_state
from oidcgate.settings import Check, Problem, Secret
from oidcgate.storage.memory import MemoryStore
from oidcgate.storage.records import RecordCache, RecordStore
from oidcgate.storage.redis_address import REDIS_SCHEMES, redis_server_of
from oidcgate.storage.rendezvous import MEMCACHED, servers_of
from oidcgate.storage.sql import SqlStore

__all__ = [
    "absent_file",
    "is_elsewhere",
    "session_store",
    "state_doubts",
    "state_store",
    "store_check",
    "stores_uninstalled",
]


def state_store(config: GateConfig, clock: Callable[[], float]) -> RecordStore:
    """The store of `[state]`."""
    state = config.state
    if state.store == "memory":
        return MemoryStore(clock=clock)
    # A kept token or a replayed sign-out is no news to the other workers.
    return _shared(
        state.store,
        state.store_password,
        state.namespace,
        watched={REVOCATIONS},
        lag=state.revocation_lag_seconds,
    )


def session_store(config: GateConfig, state: RecordStore, clock: Callable[[], float]) -> RecordCache:
    """The store of `[session]`, which is not "sealed"; `state` is that of `[state]`."""
    session, namespace = config.session, config.state.namespace
    if session.store == "memory":
        return MemoryStore(clock=clock)
    if session.store == IN_STATE:
        return state
    if session.store.startswith(MEMCACHED):
        from oidcgate.storage.memcached import MemcachedCache

        return MemcachedCache(servers_of(session.store), namespace)
    return _shared(session.store, session.store_password, namespace, watched=(), lag=2)


def _shared(
    store: str, password: Secret | None, namespace: str, *, watched: Collection[str], lag: float
) -> RecordStore:
    plain = None if password is None else password.reveal()
    if store.startswith(REDIS_SCHEMES):
        from oidcgate.storage.redis import RedisStore

        server = redis_server_of(store)
        return RedisStore(server, namespace, password=plain, watched=watched, lag_seconds=lag)
    return SqlStore(store, password=plain, watched=watched, lag_seconds=lag)


def state_doubts(config: GateConfig, store: RecordStore) -> Iterator[str]:
    """Why the state store may forget what it must not; each with what to do.

    Args:
        store: what `state_store` made of it.

    Raises:
        StoreUnavailable: it cannot be asked now.
    """
    if not config.state.store.startswith(REDIS_SCHEMES):
        return
    from oidcgate.storage.redis import RedisStore

    assert isinstance(store, RedisStore)  # noqa: S101 (what is made of such a setting)
    yield from store.doubts()


def stores_uninstalled(config: GateConfig) -> Iterator[Problem]:
    """What the stores need and is not installed."""
    for key, store in (("state.store", config.state.store), ("session.store", config.session.store)):
        for beginnings, library, extra in (
            ((POSTGRESQL,), "psycopg", "sql"),
            (REDIS_SCHEMES, "redis", "redis"),
            ((MEMCACHED,), "pymemcache", "memcached"),
        ):
            if store.startswith(beginnings) and find_spec(library) is None:
                yield Problem(key, None, f"needs {library}", f"pip install 'oidcgate[{extra}]'")


def store_check(path: str | os.PathLike[str], env: Mapping[str, str]) -> Check:
    """A rule for whoever reads the configuration at `path`: stores in a file have a folder for it."""
    folder = Path(path).absolute().parent

    def check(config: GateConfig) -> Iterator[Problem]:
        state, session = config.state.store, config.session.store
        placed = anchored_state(config.state, folder, env).store
        for key, given, store in (
            ("state.store", state, placed),
            ("session.store", session, anchored_file(session, folder)),
        ):
            fault = SqlStore(store).folder_fault() if store.startswith(SQLITE) else None
            if fault is not None:
                yield Problem(
                    key,
                    given,
                    f"cannot be opened: {fault}",
                    "make its folder and let the server's user write there, or name another",
                )

    return check


def is_elsewhere(store: str) -> bool:
    """Whether a setting names a store that has to be reached: no file, and nothing in memory or cookies."""
    return store not in ("memory", "sealed", IN_STATE) and not store.startswith(SQLITE)


def absent_file(store: str) -> str | None:
    """The SQLite file that a setting names and that is not there; None for every other store.

    Whoever only looks must not open it: it would be made, as a file of theirs.
    """
    file = store.removeprefix(SQLITE)
    return file if file != store and not Path(file).exists() else None

"""Where sessions and state are kept, as settings name it. Pure; the stores themselves are made in `stores`.

- One process: `memory` for both.
- One host: sessions `sealed`, `sql` or `sqlite:///FILE`; state `sqlite:///FILE`.
- Several hosts: sessions `sealed`, `sql`, `postgresql+psycopg://…`, `redis://…` or `memcached://…`; state
  PostgreSQL or Redis.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from oidcgate.settings import Problem, Secret, cross_check, setting
from oidcgate.storage.redis_address import REDIS_SCHEMES, redis_server_of
from oidcgate.storage.rendezvous import MEMCACHED, servers_of

__all__ = [
    "IN_STATE",
    "POSTGRESQL",
    "SQLITE",
    "StateSettings",
    "anchored_file",
    "anchored_state",
    "password_problem",
    "session_store_problem",
    "stores_problem",
]

SQLITE: Final = "sqlite:///"
POSTGRESQL: Final = "postgresql+psycopg://"
#: Sessions beside the state, in its database.
IN_STATE: Final = "sql"
#: Whose records those in a Redis are, unless it is told: as with a database, of whoever names the same one.
_NAMESPACE: Final = "oidcgate"
_NAMESPACE_SYNTAX: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_WITH_PASSWORD: Final = (POSTGRESQL, *REDIS_SCHEMES)


def session_store_problem(value: str) -> str | None:
    """What is wrong with a `session.store`, and what to do."""
    if value in ("sealed", "memory", IN_STATE):
        return None
    try:
        if value.startswith(MEMCACHED):
            servers_of(value)
            return None
    except ValueError as error:
        return str(error)
    return _database_problem(
        value, f'"sealed", "redis://HOST", "{MEMCACHED}h1:11211,h2", "sql", or "memory" for one process'
    )


def _state_store_problem(value: str) -> str | None:
    if value == "memory":
        return None
    return _database_problem(value, '"sqlite:///oidcgate-state.db", or "memory" for one process')


def _namespace_problem(value: str) -> str | None:
    if _NAMESPACE_SYNTAX.fullmatch(value):
        return None
    return "is no name; write up to 64 letters, digits, dots, dashes and underscores, as in wiki"


def _database_problem(value: str, wanted: str) -> str | None:
    if value.startswith(POSTGRESQL) or (value.startswith(SQLITE) and value != SQLITE):
        return None
    if not value.startswith(REDIS_SCHEMES):
        return f"is no known store; write {wanted}"
    try:
        redis_server_of(value)
    except ValueError as error:
        return str(error)
    return None


@dataclasses.dataclass(frozen=True)
class StateSettings:
    """`[state]`: what a cookie cannot know, such as revocations."""

    store: str = setting(
        default="sqlite:///oidcgate-state.db",
        check=_state_store_problem,
        help='Shared by all processes: "sqlite:///FILE" on one host, "postgresql+psycopg://…" or '
        '"redis://HOST:PORT/DB" (over TLS "rediss://…") across hosts; "memory" for one process.',
    )
    store_password: Secret | None = setting(
        default=None, help="The password for the store, where it is PostgreSQL or Redis."
    )
    namespace: str = setting(
        default=_NAMESPACE,
        check=_namespace_problem,
        help="Whose records those in a Redis are, of state and sessions: gates that share a database of one "
        "and have nothing to do with each other need a name each. Another name is an empty store.",
    )
    revocation_lag_seconds: float = setting(
        default=2,
        minimum=0.1,
        maximum=60,
        help="How late a sign-out by another process may take effect where the store is PostgreSQL or Redis: "
        "each worker asks it so often. With a SQLite file it is the next request.",
    )
    max_stale_seconds: int = setting(
        default=10,
        minimum=0,
        maximum=3600,
        help="How long who is signed in passes while the store does not say who has signed out; then 503.",
    )

    @cross_check
    def _password_is_asked_for(self) -> Iterable[Problem]:
        yield from password_problem(self.store, self.store_password)

    @cross_check
    def _namespace_is_asked_for(self) -> Iterable[Problem]:
        if self.namespace != _NAMESPACE and not self.store.startswith(REDIS_SCHEMES):
            yield Problem(
                "namespace",
                self.namespace,
                f"is given and {self.store!r} has none: everybody who names that store shares its records",
                "remove it, and name another store where records are to be apart",
            )


def password_problem(store: str, password: Secret | None) -> Iterable[Problem]:
    """A password that nobody would ask for."""
    if password is not None and not store.startswith(_WITH_PASSWORD):
        yield Problem(
            "store_password", None, f"is given and {store!r} asks for none", "remove it, or correct the store"
        )


def stores_problem(session_store: str, state_store: str) -> Iterable[Problem]:
    """Two stores that do not go together."""
    if session_store == "memory" and state_store != "memory":
        yield Problem(
            "session.store",
            session_store,
            "keeps sessions in one process while state.store is shared by several",
            'use sealed, or state.store = "memory" too',
        )
    if session_store == IN_STATE and not state_store.startswith((SQLITE, POSTGRESQL)):
        yield Problem(
            "session.store",
            session_store,
            "keeps sessions in the database of state.store, which is none",
            "name the store itself, or use a database as state.store",
        )
    elif session_store not in ("sealed", "memory") and state_store == "memory":
        # Each process remembers sessions, so what ended in another one has to reach it.
        yield Problem(
            "state.store",
            state_store,
            "keeps sign-outs in one process while session.store is shared by several",
            'use "sqlite:///oidcgate-state.db" on one host, PostgreSQL or "redis://…" on several',
        )


def anchored_file(store: str, folder: Path) -> str:
    """A store with a file's name taken from `folder`."""
    return f"{SQLITE}{folder / store.removeprefix(SQLITE)}" if store.startswith(SQLITE) else store


def anchored_state(state: StateSettings, folder: Path, env: Mapping[str, str]) -> StateSettings:
    """`[state]` with a file's name taken from `folder`, or from where systemd lets a service write."""
    given = env.get("STATE_DIRECTORY", "").partition(":")[0]
    place = Path(given) if given and state.store == StateSettings().store else folder
    return dataclasses.replace(state, store=anchored_file(state.store, place))

"""Opening PostgreSQL so that no wait for it is without end. Used by `sql` alone.

The provider opens its own (`provider.store.postgresql`), which is another database and another schema.
"""

import time
from collections.abc import Generator
from typing import Any, Final, TypeVar

import sqlalchemy as sa

__all__ = ["open_engine"]

T = TypeVar("T")

#: A process that stops in the middle of a transaction holds its locks for so long.
_IDLE_SECONDS: Final = 60


def open_engine(url: sa.URL, busy_seconds: float) -> sa.Engine:
    """An engine over the database of the URL; nothing is opened yet.

    Args:
        busy_seconds: how long to wait for a connection, for a lock, and for a server that does not answer.
    """
    milliseconds = max(1, round(busy_seconds * 1000))
    ours = f"-c lock_timeout={milliseconds} -c idle_in_transaction_session_timeout={_IDLE_SECONDS * 1000}"
    # What stands in the URL comes later and wins.
    options = " ".join((ours, *url.normalized_query.get("options", ())))
    engine = sa.create_engine(
        url,
        # A connection that the server closed, as it does when it is restarted, is replaced before it is used.
        pool_pre_ping=True,
        pool_size=4,
        max_overflow=28,
        pool_timeout=busy_seconds,
        connect_args={
            "options": options,
            "connect_timeout": max(2, round(busy_seconds)),
            # A host that vanished without a word is noticed, not waited for.
            "tcp_user_timeout": milliseconds,
            "fallback_application_name": "oidcgate",
        },
    )
    # A lock is to be told of by the server, which knows; so it has a second more.
    impatient = _impatient(busy_seconds + 1)

    def connect(_dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> Any:
        return impatient.connect(*arguments, **options)

    sa.event.listen(engine, "do_connect", connect)
    return engine


def _impatient(seconds: float) -> Any:
    """psycopg's connection, which gives up a server that does not answer in time: psycopg has no such limit.

    Made here, since psycopg is there only where somebody uses PostgreSQL.
    """
    import psycopg

    class Impatient(psycopg.Connection[Any]):
        def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
            return super().wait(self._limited(gen), *arguments, **options)

        def _limited(self, gen: "Generator[Any, Any, T]") -> "Generator[Any, Any, T]":
            until = time.monotonic() + seconds
            ready = None
            while True:
                try:
                    wanted = gen.send(ready)
                except StopIteration as end:
                    return end.value  # type: ignore[no-any-return]  # it has no type of its own
                # Woken at least each tenth of a second, with nothing ready where nothing came.
                ready = yield wanted
                if not ready and time.monotonic() > until:
                    # What becomes of the statement cannot be told, and the answer to it must not be taken for
                    # that to another one.
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"it did not answer within {seconds:g} seconds")

    return Impatient

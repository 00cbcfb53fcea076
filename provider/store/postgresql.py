"""Opening PostgreSQL: waits that end, texts that hold no values, and what its errors mean.

What a transaction is to the rest of the provider is in `engine`; the other database is `sqlite`.

A transaction that writes is READ COMMITTED: what must not race is a conditional UPDATE, a unique index or a
locked row, which is one rule for both databases, and nothing has to be tried again as it would under
SERIALIZABLE.
"""

import hashlib
from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import ARRAY, URL, BigInteger, Connection, Engine, bindparam, create_engine, event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ProgrammingError

#: Execution options of a transaction that only reads: it sees one moment, as it does in SQLite.
READING: Final = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

#: A process that stops in the middle of a transaction holds its locks for so long.
_IDLE_SECONDS: Final = 60
#: Errors of a statement that are the operator's to mend: no right to a table or schema, no tables of ours, no
#: schema to make them in.
_OPERATORS: Final = frozenset({"42501", "42P01", "3F000"})

#: A function in FROM gives its rows in the order of the array.
_LOCK: Final = text("SELECT pg_advisory_xact_lock(number) FROM unnest(:numbers) AS number").bindparams(
    bindparam("numbers", type_=ARRAY(BigInteger))
)


def open_engine(url: URL, busy_seconds: float) -> Engine:
    """An engine over the database of the URL.

    Args:
        busy_seconds: how long to wait for a connection, for a lock, and for a server that does not answer.
    """
    milliseconds = max(1, round(busy_seconds * 1000))
    ours = f"-c lock_timeout={milliseconds} -c idle_in_transaction_session_timeout={_IDLE_SECONDS * 1000}"
    # What stands in the URL comes later and wins.
    options = " ".join((ours, *url.normalized_query.get("options", ())))
    engine = create_engine(
        url,
        pool_size=16,
        max_overflow=16,
        pool_timeout=busy_seconds,
        # A connection that the server closed, as it does when it is restarted, is replaced before it is used.
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={
            "options": options,
            "connect_timeout": max(2, round(busy_seconds)),
            # A host that vanished without a word is noticed, not waited for.
            "tcp_user_timeout": milliseconds,
            "keepalives_idle": max(1, round(busy_seconds)),
            "keepalives_interval": 1,
            "fallback_application_name": "oidcgate-provider",
        },
    )
    event.listen(engine, "handle_error", _without_values)
    return engine


def lock_names(conn: Connection, names: Iterable[str]) -> None:
    """Take the advisory lock of each name, until the transaction ends. Two names may share one."""
    # In one order everywhere, so that two who want the same ones never wait for each other.
    numbers = sorted({_number(name) for name in names})
    conn.execute(_LOCK, {"numbers": numbers})


def is_not_ours_to_use(error: ProgrammingError) -> bool:
    """Whether a statement failed for want of rights or tables, or a connection for an option of the URL."""
    if not hasattr(error.orig, "sqlstate"):
        return False
    # Without a statement it was the connection that could not be made.
    return error.statement is None or getattr(error.orig, "sqlstate", None) in _OPERATORS


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def _without_values(context: ExceptionContext) -> None:
    """Keep the first line of an error: DETAIL and HINT quote the row, and logs must not hold it."""
    original: Any = context.original_exception
    primary = getattr(getattr(original, "diag", None), "message_primary", None)
    if primary is None:
        return
    whole = str(original)
    original.args = (primary,)
    error = context.sqlalchemy_exception
    if error is not None:
        error.args = (str(error.args[0]).replace(whole, primary),)

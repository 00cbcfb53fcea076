"""A store that writes down when each transaction was asked for and when it was over, for tests that race.

The clock is one for all processes of the machine, so the lines of several can be laid over each other.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection

from provider.store.engine import Store

#: Where the lines go.
VARIABLE = "OIDCGATE_TESTS_STORE_LOG"


class Transaction(NamedTuple):
    """One transaction that writes; instants in nanoseconds."""

    process: int
    asked_at: int
    over_at: int


class LoggedStore(Store):
    """The store, with a line in the file that `VARIABLE` names for each transaction that writes."""

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        asked_at = time.monotonic_ns()
        try:
            with super().begin() as conn:
                yield conn
        finally:
            line = f"{os.getpid()} {asked_at} {time.monotonic_ns()}\n"
            # One short write to a file that is only appended to: lines of several processes stay whole.
            log = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(log, line.encode())
            os.close(log)


def read_log(log: Path) -> list[Transaction]:
    """What has been written."""
    return [Transaction(*map(int, line.split())) for line in log.read_text().splitlines()]


def at_once(transactions: list[Transaction]) -> tuple[int, int]:
    """How many transactions were under way at the same moment, and in how many processes, at the most."""
    most = processes = 0
    for one in transactions:
        # The largest number is reached when one of them begins.
        others = [other for other in transactions if other.asked_at <= one.asked_at < other.over_at]
        most = max(most, len(others))
        processes = max(processes, len({other.process for other in others}))
    return most, processes

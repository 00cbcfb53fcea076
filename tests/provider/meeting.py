"""Where all who race meet before they write.

When threads and processes get the processor is chance; that the first transactions of all of them are wanted
at one moment is made certain here. Next door: `processes.race`, which starts them.
"""

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Connection

from provider.store.engine import Store

_PATIENCE_SECONDS = 60

_Begin = Callable[[Store], AbstractContextManager[Connection]]


class Meeting:
    """So many threads, in this process and those forked from it; each wants a transaction or more."""

    def __init__(self, number: int) -> None:
        self._barrier = multiprocessing.get_context("fork").Barrier(number, timeout=_PATIENCE_SECONDS)
        self._waiting_for = threading.local()

    @contextmanager
    def expects(self) -> Iterator[None]:
        """Hold up the first transaction of this thread in the block until all others want theirs.

        Raises:
            BrokenBarrierError: Somebody did not come within a minute.
        """
        self._waiting_for.first = True
        yield
        assert not self._waiting_for.first, "no transaction was wanted"

    def held_up(self, begin: _Begin) -> _Begin:
        """`Store.begin`, for those who are expected."""

        def wait_and_begin(store: Store) -> AbstractContextManager[Connection]:
            if getattr(self._waiting_for, "first", False):
                self._waiting_for.first = False
                self._barrier.wait()
            return begin(store)

        return wait_and_begin

"""Several processes that do the same at once, by forking this one."""

import json
import os
import threading
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def in_processes(count: int, work: Callable[[], object]) -> list[int]:
    """Run `work` in `count` children; returns their exit codes, 0 where it did not raise."""
    return [
        os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in [_child(work) for _ in range(count)]
    ]


def race(processes: int, threads: int, prepare: Callable[[], T], act: Callable[[T], Any]) -> list[Any]:
    """Let `act` run in so many processes with so many threads each, all from the same moment on.

    Args:
        prepare: what each process does first, by itself; `act` gets what it returns.
        act: returns something that JSON can hold.

    Returns:
        What they returned, in no order.
    """
    start_reader, start_writer = os.pipe()
    ready_reader, ready_writer = os.pipe()
    answers: list[int] = []
    children: list[int] = []
    for _ in range(processes):
        answer_reader, answer_writer = os.pipe()

        def work(answer: int = answer_writer) -> None:
            os.close(start_writer)
            prepared = prepare()
            said: list[Any] = []
            barrier = threading.Barrier(threads + 1)

            def run() -> None:
                barrier.wait(60)
                said.append(act(prepared))

            started = [threading.Thread(target=run) for _ in range(threads)]
            for thread in started:
                thread.start()
            os.write(ready_writer, b".")
            os.read(start_reader, 1)  # until the parent closes its end, for all at once
            barrier.wait(60)
            for thread in started:
                thread.join(120)
            with os.fdopen(answer, "w") as sink:
                json.dump(said, sink)

        children.append(_child(work))
        os.close(answer_writer)
        answers.append(answer_reader)
    os.close(ready_writer)
    ready = 0
    while ready < processes:
        came = len(os.read(ready_reader, processes))
        assert came, "a process ended before the race"
        ready += came
    os.close(start_writer)
    results = []
    for answer_reader in answers:
        with os.fdopen(answer_reader) as source:
            results += json.load(source)
    for reader in (ready_reader, start_reader):
        os.close(reader)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * processes
    return results


def _child(work: Callable[[], object]) -> int:
    with warnings.catch_warnings():
        # Newer Pythons warn of threads here; the child only works on a database and leaves.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:  # pragma: no cover (another process)
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return child

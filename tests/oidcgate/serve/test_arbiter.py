"""gunicorn's arbiter as we change it: signals around the start of a worker."""

import signal
import subprocess
import sys

import pytest
from gunicorn.arbiter import Arbiter

from oidcgate.serve import arbiter as arbiter_module
from oidcgate.serve.sidecar import ENDINGS


def test_a_worker_is_told_nothing_before_it_can_hear(monkeypatch: pytest.MonkeyPatch) -> None:
    blocked: list[set[signal.Signals]] = []

    def spawned(self: Arbiter) -> int:
        blocked.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))
        return 7

    monkeypatch.setattr(Arbiter, "spawn_worker", spawned)
    made = object.__new__(arbiter_module._Arbiter)
    assert made.spawn_worker() == 7
    assert set(ENDINGS) <= blocked[0]
    assert not set(ENDINGS) & signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.parametrize("worker", ["worker.SidecarWorker", "threads.ThreadedWorker"])
def test_a_worker_hears_what_it_was_told_before(worker: str) -> None:
    """In a process of its own, which a signal ends."""
    module, _, name = worker.partition(".")
    code = f"""
import os, signal
from oidcgate.serve.sidecar import ENDINGS
from oidcgate.serve.{module} import {name} as Worker
signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
worker = object.__new__(Worker)
worker.handle_exit = lambda number, frame: os._exit(0)
worker.PIPE = os.pipe()
os.set_blocking(worker.PIPE[1], False)
os.kill(os.getpid(), signal.SIGTERM)
worker.init_signals()
os._exit(1)
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0

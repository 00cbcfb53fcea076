"""What the arbiter prepares before and between workers, without starting one."""

import logging
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.arbiter import Arbiter

from oidcgate.serve import arbiter as arbiter_module
from oidcgate.serve.arbiter import Prepared
from oidcgate.serve.sidecar import ENDINGS
from oidcgate.settings import SettingsError
from tests.oidcgate.serve.sidecars import Configured, configured


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configured:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return configured(tmp_path, "http://127.0.0.1:8081", metrics=False)


def arbiter(at: Configured, **changes: Any) -> Any:
    """As much of gunicorn's as is looked at."""
    address = changes.pop("address", [("127.0.0.1", at.port)])
    cfg = SimpleNamespace(address=address, reuse_port=changes.pop("reuse_port", False))
    return SimpleNamespace(LISTENERS=changes.pop("listeners", []), cfg=cfg)


@pytest.fixture
def taken(at: Configured) -> Any:
    with socket.create_server(("127.0.0.1", at.port)) as other:
        yield other


def test_it_does_not_start_where_somebody_listens(at: Configured, taken: socket.socket) -> None:
    prepared = Prepared(at.file, {})
    with pytest.raises(SettingsError) as refused:
        prepared.starting(arbiter(at))
    assert [problem.key for problem in refused.value.problems] == ["serve.bind"]


def test_it_keeps_no_address_when_it_cannot_have_all(at: Configured, taken: socket.socket) -> None:
    prepared = Prepared(at.file, {"OIDCGATE_SERVE__METRICS_BIND": f"127.0.0.1:{at.metrics_port}"})
    with pytest.raises(SettingsError):
        prepared.starting(arbiter(at))
    socket.create_server(("127.0.0.1", at.metrics_port)).close()


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"address": [7]}, id="an-open-socket-by-its-number"),
        pytest.param({"listeners": [object()]}, id="it-listens-already"),
        pytest.param({"reuse_port": True}, id="shared-on-purpose"),
        pytest.param({"env": {"GUNICORN_FD": "7"}}, id="from-the-arbiter-before-this-one"),
        pytest.param({"env": {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}}, id="from-systemd"),
    ],
)
def test_an_address_that_it_was_given_is_not_in_the_way(
    at: Configured, taken: socket.socket, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = dict(given)
    for name, value in given.pop("env", {}).items():
        monkeypatch.setenv(name, value)
    prepared = Prepared(at.file, {})
    prepared.starting(arbiter(at, **given))
    # gunicorn is still to read it.
    assert os.environ.get("LISTEN_FDS", "1") == "1"


def test_a_reload_that_would_move_it_changes_nothing(
    at: Configured, caplog: pytest.LogCaptureFixture
) -> None:
    prepared = Prepared(at.file, {})
    before = prepared.config
    text = at.file.read_text()
    at.file.write_text(text.replace(f'bind = "127.0.0.1:{at.port}"', 'bind = "127.0.0.1:1"', 1))
    with caplog.at_level(logging.ERROR, logger="oidcgate.serve"):
        assert prepared.renew() is False
    assert prepared.config is before
    assert f"'127.0.0.1:1' is not where this server listens (127.0.0.1:{at.port})" in caplog.text
    at.file.write_text(text)
    assert prepared.renew() is True


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


def test_gunicorns_own_limits_on_heads_are_as_near_as_it_can_be(tmp_path: Path) -> None:
    at = configured(tmp_path, "http://127.0.0.1:8081", engine="wsgi")
    options = Prepared(at.file, {}).options()
    # Of its own it would take 4,094 bytes for the line and 8,190 for a field, fewer than the other engine.
    limits = {name: value for name, value in options.items() if name.startswith("limit_")}
    assert limits == {
        "limit_request_line": 8190,
        "limit_request_fields": 100,
        "limit_request_field_size": 32 * 1024,
    }

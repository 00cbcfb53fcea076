"""What the arbiter prepares before and between workers, without starting one."""

import logging
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from oidcgate.serve.prepared import Prepared
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


def test_the_log_is_told_at_the_start_of_settings_without_effect(
    at: Configured, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="oidcgate.serve"):
        Prepared(at.file, {}).ready(None)
        assert "no effect" not in caplog.text
        Prepared(at.file, {"OIDCGATE_SERVE__THREADS": "9"}).ready(None)
    [told] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert told.getMessage().startswith("settings that have no effect here: serve.threads (for ")


def moved_metrics(at: Configured, prepared: Prepared, bind: str) -> bool:
    text = at.file.read_text()
    at.file.write_text(re.sub(r'metrics_bind = "[^"]*"', f'metrics_bind = "{bind}"', text))
    return prepared.renew()


@pytest.fixture
def with_metrics(at: Configured) -> Iterator[Prepared]:
    prepared = Prepared(at.file, {})
    try:
        assert moved_metrics(at, prepared, f"127.0.0.1:{at.metrics_port}")
        yield prepared
    finally:
        prepared.close()


@pytest.mark.parametrize("engine", ["async", "wsgi"])
def test_metrics_that_a_reload_switches_off_are_not_written_any_more(
    at: Configured, with_metrics: Prepared, engine: str
) -> None:
    at.file.write_text(at.file.read_text().replace('engine = "async"', f'engine = "{engine}"'))
    before = with_metrics.served().reports
    assert before.scraped is not None
    assert moved_metrics(at, with_metrics, "")
    after = with_metrics.served().reports
    assert after.scraped is None
    after.send("2-8", {})
    assert list(before.scraped.board.folder.iterdir()) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", at.metrics_port))
    # A worker from before is still there for a while, and what it counted is not lost.
    before.counters.count("accepted")
    before.send("1-7", {})
    with_metrics.worker_ended(None, SimpleNamespace(age=1, pid=7))
    assert moved_metrics(at, with_metrics, f"127.0.0.1:{at.metrics_port}")
    again = with_metrics.served().reports.scraped
    assert again is not None
    assert b"oidcgate_accepted_total 1.0" in again.answer("/metrics").body


def test_another_host_on_the_port_of_metrics_is_not_blamed_on_others(
    at: Configured, with_metrics: Prepared, caplog: pytest.LogCaptureFixture
) -> None:
    before = with_metrics.config
    with caplog.at_level(logging.ERROR, logger="oidcgate.serve"):
        assert not moved_metrics(at, with_metrics, f"0.0.0.0:{at.metrics_port}")
    assert "another program" not in caplog.text
    assert (
        f"serve.metrics_bind: '0.0.0.0:{at.metrics_port}' meets the address where metrics are served until "
        f"the old workers have ended (127.0.0.1:{at.metrics_port}); choose another port, or restart it"
    ) in caplog.text
    assert with_metrics.config is before
    socket.create_connection(("127.0.0.1", at.metrics_port), timeout=10).close()
    # Where both can be listened at, nothing is in the way.
    assert moved_metrics(at, with_metrics, f"127.0.0.2:{at.metrics_port}")


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

"""`oidcgate-provider serve` under gunicorn: reloading, ending, headers that must not move anything."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live.served_provider import ServedProvider, workers_of
from tests.support.servers import Server

pytestmark = [pytest.mark.live, pytest.mark.slow]

NAME = b"GET /.well-known/openid-configuration HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def until(server: Server, true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, server.log_text()


def token_status(op: ServedProvider) -> str | None:
    return op.redeem("no-such-code").error


def test_a_reload_takes_a_right_configuration_and_leaves_a_wrong_one(tmp_path: Path) -> None:
    op = ServedProvider.configured(tmp_path)
    config = tmp_path / "provider.toml"
    right = config.read_text()
    with op.served(workers=2) as server:
        assert token_status(op) == "invalid_grant"

        config.write_text(right.replace('client_id = "app"', 'client_id = "renamed"'))
        os.kill(server.process.pid, signal.SIGHUP)
        until(server, lambda: token_status(op) == "invalid_client")

        config.write_text(right.replace("issuer", "isuer"))
        before = set(workers_of(server))
        os.kill(server.process.pid, signal.SIGHUP)
        until(server, lambda: "the configuration was not reloaded" in server.log_text())
        until(server, lambda: len(set(workers_of(server)) - before) == 2)
        assert "isuer: is not a setting; did you mean 'issuer'?" in server.log_text()
        assert token_status(op) == "invalid_client"


def test_a_wrong_configuration_does_not_start(tmp_path: Path) -> None:
    op = ServedProvider.configured(tmp_path)
    config = tmp_path / "provider.toml"
    config.write_text(config.read_text().replace("issuer", "isuer"))
    with pytest.raises(AssertionError, match="did you mean 'issuer'"), op.served(workers=1):
        pass


def test_it_ends_with_its_workers(tmp_path: Path) -> None:
    op = ServedProvider.configured(tmp_path)
    with op.served(workers=2) as server:
        workers = workers_of(server)
    assert server.process.returncode == 0
    for pid in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_no_header_moves_a_path_or_the_issuer(tmp_path: Path) -> None:
    op = ServedProvider.configured(tmp_path)
    headers = (
        "SCRIPT_NAME: /elsewhere",
        "PATH_INFO: /jwks",
        "X-Forwarded-Host: evil.example",
        "X-Forwarded-Proto: https",
    )
    with op.served(workers=1):
        plain = op.ask(NAME)
        assert plain.body["issuer"] == f"http://127.0.0.1:{op.port}"
        for header in headers:
            assert op.ask(NAME.replace(b"Host: x\r\n", f"Host: x\r\n{header}\r\n".encode())) == plain

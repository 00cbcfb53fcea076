"""Real server processes for tests: started on a free port, waited for, and ended by their id.

What the processes serve is the caller's; the certificates are in :mod:`tests.support.tls`.
"""

import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path

from tests.support.tls import Certificate

START_SECONDS = 120
ROOT = Path(__file__).parents[2]
#: Below what Linux gives to connections and to servers that leave the choice to it.
_PORTS = (20_000, 32_000)


@dataclass(frozen=True)
class Server:
    """A running server process and the folder its log is in."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def log_text(self) -> str:
        """All that the process has written so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_for_text(self, text: str) -> None:
        """Return when the process has written ``text``."""

        def look() -> None:
            if text not in self.log_text():
                raise OSError

        _until(self, look)


def free_port() -> int:
    """A port of this test process alone, at which nobody listens.

    It is none of those that the system gives to whoever names no port, so no connection and no other server
    takes it before ours is up; and another test process cannot be given it while this one runs.
    """
    for _ in range(1000):
        port = _PORTS[0] + secrets.randbelow(_PORTS[1] - _PORTS[0])
        reserved = socket.socket(socket.AF_UNIX)
        try:
            # A name without a file, which belongs to one process and ends with it.
            reserved.bind(f"\0oidcgate-tests-port-{port}")
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            reserved.close()
            continue
        # For good: it must outlive whoever asked.
        reserved.detach()
        return port
    raise AssertionError(f"no port between {_PORTS[0]} and {_PORTS[1]} is free")


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    port: int,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Run ``command`` until the block ends; it is up when it accepts connections on ``port``.

    Raises:
        AssertionError: the process ended, or did not listen in time; the message holds its log.
    """
    with log.open("wb") as sink:
        process = subprocess.Popen(  # its own group, so that workers end with it
            [str(part) for part in command],
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
    server = Server(process, port, log)
    try:
        wait_until_it_listens(server)
        yield server
    finally:
        stop(process)


@contextmanager
def gunicorn(
    application: str,
    *,
    port: int,
    log: Path,
    env: Mapping[str, str],
    certificate: Certificate | None = None,
    workers: int = 1,
) -> Iterator[Server]:
    """Serve a WSGI callable (``module:name``, found beside the tests) with gunicorn's gthread worker."""
    tls = ["--certfile", certificate.certificate, "--keyfile", certificate.key] if certificate else []
    command = [
        sys.executable, "-m", "gunicorn", application, "--bind", f"127.0.0.1:{port}",
        "--worker-class", "gthread", "--threads", "4", "--graceful-timeout", "2", *tls,
        "--workers", str(workers),
    ]  # fmt: skip
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    with running(command, port=port, log=log, cwd=ROOT, env={**env, "PYTHONPATH": path}) as server:
        _wait_until_it_answers(server, tls=certificate is not None)
        yield server


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the process and its group: politely first, by force after ten seconds."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def wait_until_it_listens(server: Server) -> None:
    """Return when it accepts connections.

    Raises:
        AssertionError: it ended, or did not in time; the message holds its log.
    """

    def connect() -> None:
        socket.create_connection(("127.0.0.1", server.port), timeout=1).close()

    _until(server, connect)


def _wait_until_it_answers(server: Server, *, tls: bool) -> None:
    """gunicorn listens before a worker has imported the app; only an answer shows that one did."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    def ask() -> None:
        if tls:
            connection: HTTPConnection = HTTPSConnection(
                "127.0.0.1", server.port, timeout=30, context=context
            )
        else:
            connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        connection.close()

    _until(server, ask)


def _until(server: Server, attempt: Callable[[], None]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        code = server.process.poll()
        assert code is None, f"the server ended with {code}:\n{server.log_text()}"
        try:
            attempt()
        except (OSError, HTTPException):
            time.sleep(0.05)  # nothing announces readiness; the loop is bounded by the deadline
        else:
            return
    raise AssertionError(f"the server on port {server.port} is not ready:\n{server.log_text()}")

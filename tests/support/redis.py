"""Redis servers of a test's own, on a free port or a socket file: frozen, killed, started anew."""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.servers import START_SECONDS, free_port


class Redis:
    """One server on this machine, running from the start.

    Attributes:
        url: how a setting names it.
        shown: how a message does.
    """

    def __init__(
        self, folder: Path, *arguments: str, socket: bool = False, password: str | None = None
    ) -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("redis-server is not installed")
        self._password = password
        self.port = 0 if socket else free_port()
        self._path = folder / "s" if socket else None
        where = ["--unixsocket", str(self._path)] if socket else ["--bind", "127.0.0.1"]
        log = ["--logfile", str(folder / "log"), "--dir", str(folder), "--save", ""]
        asks = ["--requirepass", password] if password else []
        # The port first: a test may name another one for TLS, and none without.
        self._command = [program, "--port", str(self.port), *where, *log, *asks, *arguments]
        self.url = f"redis://{self._path}" if socket else f"redis://127.0.0.1:{self.port}/0"
        self.shown = f"unix:{self._path}" if socket else f"127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        """Run it until it answers; it has what it wrote to its folder, if anything."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.say("PING")
            except redis.exceptions.ConnectionError:
                assert self._process.poll() is None, "redis-server ended at once"
                assert time.monotonic() < deadline
                time.sleep(0.01)  # nothing announces a server that is ready; the loop is bounded
            else:
                return

    def freeze(self) -> None:
        """It goes on accepting connections, in its kernel's name, and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(START_SECONDS)

    def say(self, *command: str | bytes) -> Any:
        """What it answers to one command."""
        with self.client() as client:
            return client.execute_command(*command)

    def client(self) -> redis.Redis:
        if self._path is not None:
            return redis.Redis(unix_socket_path=str(self._path), password=self._password, protocol=2)
        return redis.Redis(port=self.port, password=self._password, protocol=2)

    def end(self) -> None:
        if self._process.poll() is None:
            self.kill()


@contextmanager
def redis_server(*arguments: str, **options: Any) -> Iterator[Redis]:
    """A server with further arguments, until the block ends."""
    # A short path: a socket's name has room for about 100 bytes.
    folder = Path(tempfile.mkdtemp(prefix="oidcgate-rd-"))
    server = None
    try:
        server = Redis(folder, *arguments, **options)
        yield server
    finally:
        if server is not None:
            server.end()
        shutil.rmtree(folder)

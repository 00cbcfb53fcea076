"""memcached servers of a test's own, on a free port or a socket file: frozen, killed, started anew."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.servers import START_SECONDS, free_port

_LAST_WORDS = ("END", "OK", "STORED", "BUSY", "ERROR", "CLIENT_ERROR", "SERVER_ERROR")


class Memcached:
    """One server on this machine, running from the start.

    Attributes:
        entry: how `memcached://…` names it.
    """

    def __init__(self, *arguments: str, path: Path | None = None) -> None:
        program = shutil.which("memcached")
        if program is None:
            pytest.skip("memcached is not installed")
        self._path = path
        self._port = free_port()
        where = ["-s", str(path)] if path else ["-l", "127.0.0.1", "-p", str(self._port)]
        # It refuses to run as root unless told so.
        who = ["-u", "root"] if os.getuid() == 0 else []
        self._command = [program, "-U", "0", "-t", "2", *who, *where, *arguments]
        self.entry = str(path) if path else f"127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        """Run it, with an empty memory, until it accepts connections."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._connect().close()
            except OSError:
                assert self._process.poll() is None, "memcached ended at once"
                assert time.monotonic() < deadline
                time.sleep(0.01)  # nothing announces a server that is ready; the loop is bounded
            else:
                return

    def freeze(self) -> None:
        """It goes on accepting connections, in its kernel's name, and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)
        # Until then it may answer.
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash would: with all that it knew."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(START_SECONDS)

    def say(self, command: str) -> list[str]:
        """What it answers to one command, by line."""
        with self._connect() as connection:
            connection.sendall(command.encode() + b"\r\n")
            with connection.makefile("r", encoding="latin-1", newline="\r\n") as answer:
                lines: list[str] = []
                while not lines or lines[-1].split()[0] not in _LAST_WORDS:
                    lines.append(answer.readline().rstrip("\r\n"))
                return lines

    def stat(self, name: str) -> int:
        """One of its counters."""
        return int(dict(line.split()[1:3] for line in self.say("stats") if line != "END")[name])

    def keys(self) -> list[str]:
        """The names of all that it holds; it has to be started with `-o no_modern`."""
        slabs = {line.split(":")[1] for line in self.say("stats items") if line != "END"}
        items = [line for slab in sorted(slabs) for line in self.say(f"stats cachedump {slab} 0")]
        return [line.split()[1] for line in items if line != "END"]

    def end(self) -> None:
        if self._process.poll() is None:
            self.kill()
        if self._path:
            self._path.unlink(missing_ok=True)

    def _connect(self) -> socket.socket:
        if self._path is None:
            return socket.create_connection(("127.0.0.1", self._port), timeout=10)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(10)
        try:
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            raise
        return connection


def url_of(servers: Sequence[Memcached]) -> str:
    """The setting that names these servers."""
    return "memcached://" + ",".join(server.entry for server in servers)


@contextmanager
def memcached(*arguments: str) -> Iterator[Memcached]:
    """A server on a free port, with further arguments, until the block ends."""
    server = Memcached(*arguments)
    try:
        yield server
    finally:
        server.end()


@contextmanager
def memcached_socket() -> Iterator[Memcached]:
    """A server on a unix socket until the block ends."""
    # A short path: a socket's name has room for about 100 bytes.
    folder = Path(tempfile.mkdtemp(prefix="oidcgate-mc-"))
    server = Memcached(path=folder / "s")
    try:
        yield server
    finally:
        server.end()
        folder.rmdir()

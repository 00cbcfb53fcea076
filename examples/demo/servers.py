"""The demo's server processes: started together, ended together, whatever happens to the demo itself."""

import ctypes
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

_START_SECONDS = 60
_STOP_SECONDS = 10
_POLL_SECONDS = 0.1
_PR_SET_PDEATHSIG = 1
# A socket's path has 104 bytes on some systems, its terminating zero among them, and ends in a name of ours.
_SOCKET_FOLDER_BYTES = 104 - 1 - len("/tool-desk.sock")


class DemoFailed(Exception):
    """The demo cannot go on; the message is for whoever started it."""


@dataclass(frozen=True)
class Server:
    """A server process.

    Attributes:
        listens: its port of this machine, or its Unix socket.
        ready_path: on a port, answers 200 once the server is of use.
    """

    name: str
    listens: int | Path
    ready_path: str
    log: Path
    process: "subprocess.Popen[bytes]"

    def ready(self) -> bool:
        """Whether it answers where it listens."""
        if isinstance(self.listens, Path):
            with socket.socket(socket.AF_UNIX) as probe:
                return probe.connect_ex(str(self.listens)) == 0
        connection = http.client.HTTPConnection("127.0.0.1", self.listens, timeout=5)
        try:
            connection.request("GET", self.ready_path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def require_alive(self) -> None:
        """Raise DemoFailed with the end of its log, if it has ended."""
        code = self.process.poll()
        if code is not None:
            tail = "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-30:])
            raise DemoFailed(
                f"The {self.name} ended by itself (status {code}). The end of its log:\n\n{tail}"
            )


def require_free(name: str, port: int, option: str) -> None:
    """Raise DemoFailed if something listens on `port` of this machine already."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family) as probe:
                probe.settimeout(1)
                taken = probe.connect_ex((address, port)) == 0
        except OSError:
            continue  # no IPv6 here
        if taken:
            variable, other = f"DEMO_{option.upper().replace('-', '_')}", port + 100
            raise DemoFailed(
                f"Port {port}, wanted by the {name}, is in use. End what listens there, or choose another:\n"
                f"  make demo {variable}={other}\n"
                f"  or: .venv/bin/python -m examples.demo --{option} {other}"
            )


def require_room_for_sockets(folder: Path) -> None:
    """Raise DemoFailed if the system could not take the path of a Unix socket in `folder`."""
    if len(os.fsencode(folder)) > _SOCKET_FOLDER_BYTES:
        raise DemoFailed(
            f"The folder for temporary files has too long a name for Unix sockets: {folder.parent}\n"
            "Choose another:\n  make demo TMPDIR=/tmp"
        )


class EndSignals:
    """Ctrl-C and its like, heeded between two steps.

    Raised in the middle of one it could get lost (what Python runs around a fork swallows it) or lose the
    process that was just started. A second one changes nothing, so that whoever is impatient leaves no server
    behind.
    """

    def __init__(self) -> None:
        """Listen from now on."""
        self._told = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._tell)

    def sleep(self, seconds: float) -> None:
        """Do nothing for a while.

        Raises:
            KeyboardInterrupt: the demo was told to end.
        """
        time.sleep(seconds)
        if self._told:
            raise KeyboardInterrupt

    def _tell(self, number: int, frame: FrameType | None) -> None:
        self._told = True


def python(*arguments: str) -> list[str]:
    """A command of the Python that runs the demo."""
    return [sys.executable, *arguments]


def start(
    name: str, command: Sequence[str], *, listens: int | Path, folder: Path, ready_path: str = "/"
) -> Server:
    """Start one server, with its log in `folder`."""
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 (no part of the command comes from outside)
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(os.environ),
            # A group of its own: Ctrl-C reaches the demo only, which then ends the servers in good order.
            start_new_session=True,
            # Safe, because the demo has one thread.
            preexec_fn=_ending_with(os.getpid()),
        )
    return Server(name, listens, ready_path, log, process)


def wait_until_ready(servers: Sequence[Server], signals: EndSignals) -> None:
    """Return once all answer.

    Raises:
        KeyboardInterrupt: the demo was told to end.
        DemoFailed: one ended, or did not answer in time.
    """
    deadline = time.monotonic() + _START_SECONDS
    waiting = list(servers)
    while waiting:
        for server in servers:
            server.require_alive()
        waiting = [server for server in waiting if not server.ready()]
        if waiting and time.monotonic() > deadline:
            raise DemoFailed(f"The {waiting[0].name} does not answer after {_START_SECONDS} seconds.")
        signals.sleep(_POLL_SECONDS)


def watch(servers: Sequence[Server], signals: EndSignals) -> None:
    """Stay here while all servers live.

    Raises:
        DemoFailed: one has ended.
        KeyboardInterrupt: the demo was told to end.
    """
    while True:
        for server in servers:
            server.require_alive()
        signals.sleep(_POLL_SECONDS)


def stop(servers: Sequence[Server]) -> None:
    """End all servers: politely, then by force; returns when no process of theirs is left."""
    for server in servers:
        if server.process.poll() is None:
            server.process.terminate()
    deadline = time.monotonic() + _STOP_SECONDS
    for server in servers:
        with suppress(subprocess.TimeoutExpired):
            server.process.wait(max(0.0, deadline - time.monotonic()))
        # Whatever a server leaves behind is in its group, also when the server itself is gone.
        try:
            os.killpg(server.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        server.process.wait()


def _environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment without settings of other gates and providers: they would win over files."""
    foreign = ("OIDCGATE_", "OIDCPROVIDER_", "GUNICORN_")
    return {name: value for name, value in inherited.items() if not name.startswith(foreign)}


def _ending_with(parent: int) -> Callable[[], None]:
    """To be run in the new process: lets the kernel end it with the demo, should that be killed."""
    if not sys.platform.startswith("linux"):
        return lambda: None
    # Loaded before the fork; after it nothing but the call itself is safe.
    libc = ctypes.CDLL(None)

    def bind() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return bind

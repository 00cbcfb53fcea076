"""`python -m benchmarks.sidecar.streams`: what is no request rate.

1 GB down and up through `oidcgate serve` with the memory of its workers; how long the first byte of an event
stream is under way; how long the sidecar takes to its first answer; how long `oidcgate` takes to import. Idle
WebSockets are next door in `idle_websockets`.
"""

import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from benchmarks.sidecar import ours, stack
from benchmarks.sidecar.load import processes
from benchmarks.sidecar.stack import ROOT, Served

GIGABYTE = 1_000_000_000
_BLOCK = bytes(1_000_000)


def _connected(origin: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", stack.port_of(origin)), timeout=60)


def _head(method: str, path: str, origin: str, cookie: str, more: str = "") -> bytes:
    host = origin.partition("//")[2]
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n{more}\r\n".encode()


def _body_start(connection: socket.socket) -> bytes:
    """Read an answer's head, which has to say 200; gives what came of the body with it."""
    received = b""
    while b"\r\n\r\n" not in received:
        block = connection.recv(65_536)
        if not block:
            raise RuntimeError(f"the answer ended within its head: {received!r}")
        received += block
    head, _, body = received.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"not answered with 200: {head!r}")
    return body


def down(origin: str, cookie: str) -> None:
    """Take 1 GB."""
    with _connected(origin) as connection:
        connection.sendall(_head("GET", f"/down/{GIGABYTE}", origin, cookie))
        count = len(_body_start(connection))
        buffer = bytearray(1_000_000)
        while count < GIGABYTE:
            read = connection.recv_into(buffer)
            if not read:
                raise RuntimeError(f"the answer ended after {count} bytes")
            count += read


def up(origin: str, cookie: str) -> None:
    """Send 1 GB, and hear that all of it arrived."""
    with _connected(origin) as connection:
        more = f"Content-Length: {GIGABYTE}\r\nOrigin: {origin}\r\n"
        connection.sendall(_head("POST", "/up", origin, cookie, more))
        for _ in range(GIGABYTE // len(_BLOCK)):
            connection.sendall(_BLOCK)
        body = _body_start(connection)
        while len(body) < len(str(GIGABYTE)):
            body += connection.recv(100)
        if int(body) != GIGABYTE:
            raise RuntimeError(f"{body!r} bytes arrived")


def _memory(served: Served, field: str) -> list[int]:
    """Of each process of the server, in KB: VmRSS now, VmHWM the most since `_forget_peak`."""
    found = []
    for process in processes([served.group]):
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        found.append(int(next(line for line in lines if line.startswith(f"{field}:")).split()[1]))
    return found


def _forget_peak(served: Served) -> None:
    for process in processes([served.group]):
        Path(f"/proc/{process}/clear_refs").write_text("5")


def straight(origin: str) -> None:
    """Print how fast client and app are by themselves."""
    for name, move in (("down", down), ("up", up)):
        began = time.monotonic()
        move(origin, "none=1")
        print(f"1 GB {name:5} {GIGABYTE / 1e6 / (time.monotonic() - began):6.0f} MB/s straight from the app")


def gigabyte(served: Served, cookie: str) -> None:
    """Print what 1 GB each way does to the memory of the server's processes."""
    for name, move in (("down", down), ("up", up)):
        before = _memory(served, "VmRSS")
        _forget_peak(served)
        began = time.monotonic()
        move(served.origin, cookie)
        seconds = time.monotonic() - began
        peak, after = _memory(served, "VmHWM"), _memory(served, "VmRSS")
        print(
            f"1 GB {name:5} {GIGABYTE / 1e6 / seconds:6.0f} MB/s; KB of arbiter and workers"
            f" before {before}, at most {peak}, after {after}: {max(map(int.__sub__, peak, before)):+} KB"
        )


def delays(origin: str, cookie: str) -> Iterator[float]:
    """Milliseconds that each event of one stream was under way."""
    with _connected(origin) as connection:
        connection.sendall(_head("GET", "/events", origin, cookie))
        received = _body_start(connection)
        while True:
            while b"data: " in received and b"\n\n" in received:
                event, _, received = received.partition(b"\n\n")
                yield (time.monotonic_ns() - int(event.rpartition(b"data: ")[2])) / 1e6
            block = connection.recv(65_536)
            received += block
            if not block or b"\r\n0\r\n" in received:
                return


def first_byte(upstream: str, sidecar: str, cookie: str, streams: int = 20) -> None:
    """Print how long events are under way, straight from the app and through the sidecar."""
    for name, origin in (("straight", upstream), ("through the sidecar", sidecar)):
        each = [list(delays(origin, cookie)) for _ in range(streams)]
        first = [delay[0] for delay in each]
        later = [ms for delay in each for ms in delay[1:]]
        print(
            f"event stream {name:20} first event {statistics.median(first):6.2f} ms (most {max(first):.2f}),"
            f" later ones {statistics.median(later):6.2f} ms (most {max(later):.2f})"
        )


def _cpu_of(command: list[str]) -> float:
    """Milliseconds of CPU time of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, cwd=ROOT)  # noqa: S603 (our own command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def import_time(rounds: int = 10) -> None:
    """Print the CPU time of imports over that of an interpreter that does nothing."""

    def lowest(code: str) -> float:
        return min(_cpu_of([sys.executable, "-c", code]) for _ in range(rounds))

    nothing = lowest("")
    for code in ("import oidcgate", "from oidcgate import Gate", "from oidcgate import AsyncGate"):
        print(f"{code:34} {lowest(code) - nothing:6.0f} ms CPU (target for oidcgate: <= 150)")


def start_time(start: Callable[[], AbstractContextManager[Served]], rounds: int = 5) -> None:
    """Print how long a start of the sidecar takes until it answers."""
    taken = []
    for _ in range(rounds):
        began = time.monotonic()
        with start():
            taken.append(time.monotonic() - began)
    median, low, high = statistics.median(taken), min(taken), max(taken)
    print(f"start to first answer {median:.2f} s ({low:.2f}-{high:.2f}), target <= 1")


def main() -> None:
    """Measure all of it."""
    with tempfile.TemporaryDirectory(prefix="oidcgate-benchmark-") as path, ExitStack() as running:
        folder = Path(path)
        client = stack.client("async", "/.oidcgate/callback")
        issuer = running.enter_context(stack.provider(folder, [client]))
        app = running.enter_context(ours.served(folder, "app", "streams()"))
        gated = ours.configured(folder, client, issuer, app.origin, engine="async", people=10)
        with ours.sidecar(gated) as served:
            cookie = stack.sign_in(served.origin)
            straight(app.origin)
            gigabyte(served, cookie)
            first_byte(app.origin, served.origin, cookie)
        start_time(lambda: ours.sidecar(gated))
    import_time()


if __name__ == "__main__":
    main()

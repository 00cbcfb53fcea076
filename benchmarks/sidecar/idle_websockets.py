"""`python -m benchmarks.sidecar.idle_websockets [NUMBER]`: what open WebSockets cost that say nothing.

Opens NUMBER (10,000) WebSockets of as many people through `oidcgate serve`, and prints the memory of its
processes for each, what the system keeps for their sockets, the CPU time that they take while nobody says
anything (long enough for each to be judged anew), and how long plain requests take beside them. Then a
message passes through each, and all are closed, and opened and closed again: what grows then is a leak.

The upstream is a process of its own: `python -m benchmarks.sidecar.idle_websockets --upstream PORT`.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import uvloop

from benchmarks.sidecar import ours, stack
from benchmarks.sidecar.load import cpu_seconds, processes
from benchmarks.sidecar.stack import ROOT, Served, port_of
from oidcgate.proxy.websocket import accept_value
from tests.support.servers import free_port, running

NUMBER = 10_000
IDLE_SECONDS = 31  # each is judged anew every ten
REQUESTS = 2_000
_AT_ONCE = 100
_SETTLE_SECONDS = 5
_DEADLINE_SECONDS = 60

_KEY = b"c2l4dGVlbiBieXRlcyBzbw=="
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" + b"x" * 1024
_MESSAGE = b"\x82\x85mask" + bytes(a ^ b for a, b in zip(b"hello", b"maskm", strict=True))
_REPLY = b"\x82\x05hello"


class Upstream(asyncio.Protocol):
    """Agrees to every handshake, answers each message with one of its own, and other requests with 1 KB."""

    __slots__ = ("_head", "_open", "_transport")

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._head = b""
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody is there."""
        self._transport = transport  # type: ignore[assignment] # a stream's is always one that writes

    def data_received(self, data: bytes) -> None:
        """A part of a head, or a whole message."""
        if self._open:
            self._transport.write(_REPLY)
            return
        self._head += data
        if not self._head.endswith(b"\r\n\r\n"):
            return
        if b"\r\nsec-websocket-key: " in self._head:
            key = self._head.partition(b"\r\nsec-websocket-key: ")[2].partition(b"\r\n")[0]
            switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            self._transport.write(switch + b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept_value(key))
            self._open = True
        else:
            self._transport.write(_ANSWER)
        self._head = b""


async def serve(port: int) -> None:
    """Be the upstream."""
    loop = asyncio.get_running_loop()
    await (await loop.create_server(Upstream, "127.0.0.1", port, backlog=4096)).serve_forever()


class Client(asyncio.Protocol):
    """One WebSocket: `news` is what is waited for, the 101 first and then the answer to a message."""

    __slots__ = ("news", "received", "transport")

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.received = b""
        self.news: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The sidecar is there."""
        self.transport = transport  # type: ignore[assignment] # as above

    def data_received(self, data: bytes) -> None:
        """A part of the head, or an answer."""
        self.received += data
        whole = self.received.endswith(b"\r\n\r\n") or self.received == _REPLY
        if whole and self.news is not None and not self.news.done():
            self.news.set_result(self.received)
            self.received = b""

    def connection_lost(self, exc: Exception | None) -> None:
        """Not while anything is measured."""
        if self.news is not None and not self.news.done():
            self.news.set_exception(ConnectionError(f"closed: {exc!r} {self.received!r}"))

    async def say(self, data: bytes) -> bytes:
        """Send, and wait for what comes back."""
        self.news = asyncio.get_running_loop().create_future()
        self.transport.write(data)
        try:
            return await asyncio.wait_for(self.news, _DEADLINE_SECONDS)
        finally:
            self.news = None


async def _opened(origin: str, cookie: str) -> Client:
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(Client, "127.0.0.1", port_of(origin))
    head = (
        f"GET /live HTTP/1.1\r\nHost: {origin.partition('//')[2]}\r\nConnection: Upgrade\r\n"
        f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {_KEY.decode()}\r\n"
        f"Origin: {origin}\r\nCookie: {cookie}\r\n\r\n"
    )
    answer = await client.say(head.encode())
    if not answer.startswith(b"HTTP/1.1 101"):
        raise RuntimeError(f"not opened: {answer!r}")
    return client


async def _all_opened(origin: str, cookies: list[str]) -> list[Client]:
    clients: list[Client] = []
    for start in range(0, len(cookies), _AT_ONCE):
        some = cookies[start : start + _AT_ONCE]
        clients += await asyncio.gather(*[_opened(origin, cookie) for cookie in some])
    return clients


async def _plain_requests(origin: str, cookie: str) -> str:
    """Times of requests one after the other, on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(origin))
    head = f"GET / HTTP/1.1\r\nHost: {origin.partition('//')[2]}\r\nCookie: {cookie}\r\n\r\n".encode()
    taken = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        writer.write(head)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"not answered with 200: {answer!r}")
        await reader.readexactly(1024)
        taken.append((time.perf_counter() - began) * 1000)
    writer.close()
    taken.sort()
    p99 = taken[len(taken) * 99 // 100]
    return f"median {statistics.median(taken):.2f} ms, p99 {p99:.2f} ms, most {taken[-1]:.2f} ms"


def _memory(served: Served) -> int:
    """Bytes of the server's processes, pages that they share counted once (proportional set size)."""
    total = 0
    for process in processes([served.group]):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def _system_memory() -> int:
    """Bytes that the system keeps for sockets' buffers, those of all ends."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            return int(line.split()[-1]) * 4096
    return 0


async def measure(served: Served, cookies: list[str], number: int) -> None:
    """Open, wait, look, talk, close; print each."""
    print(f"plain requests before:  {await _plain_requests(served.origin, cookies[0])}")
    before, sockets_before = _memory(served), _system_memory()
    began = time.monotonic()
    clients = await _all_opened(served.origin, cookies[:number])
    seconds = time.monotonic() - began
    print(f"{number} WebSockets opened in {seconds:.1f} s, {number / seconds:.0f}/s")

    await asyncio.sleep(_SETTLE_SECONDS)
    opened, sockets = _memory(served), _system_memory()
    print(
        f"memory of all processes {before / 1e6:.1f} -> {opened / 1e6:.1f} MB,"
        f" {(opened - before) / number / 1024:.1f} KB each (to reach: <= 40);"
        f" buffers of the system {(sockets - sockets_before) / number / 1024:.1f} KB each"
    )
    cpu = cpu_seconds([served.group])
    await asyncio.sleep(IDLE_SECONDS)
    cpu = cpu_seconds([served.group]) - cpu
    idle = _memory(served)
    print(
        f"idle for {IDLE_SECONDS} s: {cpu / IDLE_SECONDS * 100:.1f} % of one core;"
        f" then {(idle - before) / number / 1024:.1f} KB each"
    )
    print(f"plain requests beside:  {await _plain_requests(served.origin, cookies[0])}")

    began = time.monotonic()
    for start in range(0, number, _AT_ONCE):
        some_clients = clients[start : start + _AT_ONCE]
        replies = await asyncio.gather(*[client.say(_MESSAGE) for client in some_clients])
        if set(replies) != {_REPLY}:
            raise RuntimeError(f"not answered as sent: {set(replies)!r}")
    print(f"a message through each and back in {time.monotonic() - began:.1f} s")
    talked = _memory(served)
    await _all_closed(clients)
    closed = _memory(served)
    clients = await _all_opened(served.origin, cookies[:number])
    await asyncio.sleep(_SETTLE_SECONDS)
    again = _memory(served)
    await _all_closed(clients)
    print(
        f"memory after talking {talked / 1e6:.1f} MB; all closed {closed / 1e6:.1f}, kept for the next;"
        f" all opened again {again / 1e6:.1f}; all closed {_memory(served) / 1e6:.1f}"
    )


async def _all_closed(clients: list[Client]) -> None:
    for client in clients:
        client.transport.close()
    await asyncio.sleep(_SETTLE_SECONDS)


def main(number: int) -> None:
    """Measure with a gate in front, as it is meant to be used."""
    with tempfile.TemporaryDirectory(prefix="oidcgate-benchmark-") as path, ExitStack() as servers:
        folder = Path(path)
        client = stack.client("async", "/.oidcgate/callback")
        issuer = servers.enter_context(stack.provider(folder, [client]))
        port = free_port()
        command = [sys.executable, "-m", "benchmarks.sidecar.idle_websockets", "--upstream", str(port)]
        servers.enter_context(running(command, port=port, log=folder / "upstream.log", cwd=ROOT))
        gated = ours.configured(folder, client, issuer, f"http://127.0.0.1:{port}", engine="async")
        served = servers.enter_context(ours.sidecar(gated))
        cookies = gated.cookies()
        cookies *= -(-number // len(cookies))
        uvloop.run(measure(served, cookies, number))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--upstream"]:
        uvloop.run(serve(int(sys.argv[2])))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else NUMBER)

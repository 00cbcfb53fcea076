"""A sidecar's server in this process with a tunnel behind it, and the ends that a test speaks for itself.

Whoever speaks WebSocket as it should be is the `websockets` library; `Raw` is for who does not. The tests are
beside this module.
"""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection

from oidcgate.handover import DROP_COOKIE, TUNNEL_HEADERS
from oidcgate.proxy.routes import Destination, Limits, Upstream
from oidcgate.proxy.troubles import Trouble
from oidcgate.proxy.websocket import accept_value, carry
from oidcgate.serve.protocol import protocol_factory
from oidcgate.serve.service import ServerLimits, Service

KEY = base64.b64encode(b"sixteen bytes so").decode()
ACCEPT = accept_value(KEY.encode()).decode()
SWITCH = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Accept: {ACCEPT}\r\n"
)
Message = MutableMapping[str, Any]


@dataclass
class Front:
    """The running server.

    Attributes:
        port: where it listens on 127.0.0.1.
        service: its connections.
        tasks: those of tunnels and handshakes that are still there.
        troubles: what was reported, in order.
        clients: connections of the test; whatever is still open at the end is closed.
        ended: how many tasks have ended.
    """

    port: int
    service: Service
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    troubles: list[tuple[Trouble, str]] = field(default_factory=list)
    clients: list["Raw"] = field(default_factory=list)
    ended: int = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def kinds(self) -> list[Trouble]:
        return [kind for kind, _ in self.troubles]


@asynccontextmanager
async def front(
    url: str,
    *,
    limits: Limits | None = None,
    own: Sequence[tuple[bytes, bytes]] = (),
    drop_cookie: Callable[[bytes], bool] | None = None,
    certificate: ssl.SSLContext | None = None,
    upstream: Upstream | None = None,
) -> AsyncIterator[Front]:
    """A server that tunnels every WebSocket to `url`."""
    upstream = upstream or Upstream(url)
    service = Service(ServerLimits())
    running = Front(0, service)

    def note(kind: Trouble, where: Upstream | None, detail: str) -> None:
        assert where == upstream
        running.troubles.append((kind, detail))

    async def app(
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.tasks.append(task)
        if drop_cookie is not None:
            scope[DROP_COOKIE] = drop_cookie
            scope[TUNNEL_HEADERS] = [(b"set-cookie", b"__Host-gate=renewed")]
        try:
            await carry(
                scope,
                receive,
                send,
                route=Destination(upstream, b"app.example.com", b"https"),
                own_headers=own,
                limits=limits or Limits(),
                on_error=note,
            )
        finally:
            running.tasks.remove(task)
            running.ended += 1

    server = await service.loop.create_server(
        protocol_factory(app, service), "127.0.0.1", 0, ssl=certificate, backlog=4096
    )
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
        for raw in running.clients:
            raw.writer.transport.abort()
        for _ in range(2):  # the first time, a tunnel says goodbye and waits
            for task in tuple(running.tasks):
                task.cancel()
            await asyncio.sleep(0.01)
        await until(lambda: not running.tasks)
        await service.stop(0.0)


async def echo(connection: ServerConnection) -> None:
    """An upstream that says what it hears."""
    async for message in connection:
        await connection.send(message)


def url_of(server: Any) -> str:
    """Where an upstream of the `websockets` library is reached."""
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def client(running: Front, path: str = "/", **options: Any) -> Any:
    """A client that speaks WebSocket as it should be."""
    options.setdefault("compression", None)
    return connect(running.url + path, proxy=None, max_size=None, **options)


async def until(true: Callable[[], bool]) -> None:
    """Return when it is; whoever calls has a deadline."""
    while not true():
        await asyncio.sleep(0.005)


@dataclass
class Raw:
    """One end of a connection, byte by byte."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: str = ""

    async def read_head(self) -> str:
        self.head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        return self.head

    @property
    def status(self) -> int:
        return int(self.head.split(" ")[1])

    def write(self, data: bytes | str) -> None:
        self.writer.write(data if isinstance(data, bytes) else data.encode("latin-1"))

    async def read(self, size: int) -> bytes:
        return await self.reader.readexactly(size)

    async def rest(self) -> bytes:
        """All until the other end closes, or breaks off."""
        read = b""
        try:
            while chunk := await self.reader.read(65536):
                read += chunk
        except ConnectionError:
            pass
        return read

    def close(self) -> None:
        self.writer.close()


def request(*fields: str, path: str = "/", key: str = KEY) -> str:
    """The head of a handshake."""
    lines = [
        f"GET {path} HTTP/1.1", "Host: whatever.example", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", *fields,
    ]  # fmt: skip
    return "\r\n".join(lines) + "\r\n\r\n"


async def raw_client(running: "Front", *fields: str, behind: bytes = b"", path: str = "/") -> Raw:
    """A client that has sent its handshake, and `behind` with it."""
    raw = Raw(*await asyncio.open_connection("127.0.0.1", running.port))
    running.clients.append(raw)
    raw.write(request(*fields, path=path).encode() + behind)
    return raw


@dataclass
class RawUpstream:
    """A server whose every connection is given to the test, one after the other."""

    port: int
    _queue: asyncio.Queue[Raw]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connection(self) -> Raw:
        """The next one, its request head read."""
        raw = await self._queue.get()
        await raw.read_head()
        return raw


@asynccontextmanager
async def raw_upstream(*, limit: int = 1 << 16) -> AsyncIterator[RawUpstream]:
    """An upstream that the test plays."""
    queue: asyncio.Queue[Raw] = asyncio.Queue()
    all_of_them: list[Raw] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw = Raw(reader, writer)
        all_of_them.append(raw)
        queue.put_nowait(raw)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=limit)
    try:
        yield RawUpstream(server.sockets[0].getsockname()[1], queue)
    finally:
        server.close()
        for raw in all_of_them:
            raw.writer.transport.abort()


async def raw_tunnel(running: Front, upstream: RawUpstream, *, switch: str = SWITCH) -> tuple[Raw, Raw]:
    """An open tunnel, both of whose ends the test plays: client and upstream."""
    client = await raw_client(running)
    server = await upstream.connection()
    server.write(switch + "\r\n")
    await client.read_head()
    assert client.status == 101
    return client, server

"""The two neighbours of a `Proxy`: a server that calls it, and an upstream, both played by the test.

`Call` is one ASGI request with every piece in the test's hand; `played` listens on a real socket and hands
out each connection. What the proxy does between them is in test_http*.py.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oidcgate.handover import BODY_FOLLOWS, FORWARD, AnswerCut
from oidcgate.proxy.http import Proxy
from oidcgate.proxy.routes import Limits, Public, Route, Upstream
from oidcgate.proxy.troubles import Trouble
from oidcgate.web.forwarded import TrustedPeers

Message = MutableMapping[str, Any]
PUBLIC = Public.from_url("https://app.example.com")
CLIENT = ("192.0.2.1", 40000)
#: So often are time-outs looked at here.
LOOK_SECONDS = 0.02


class Call:
    """One request; the test is the server that asks `app`.

    Attributes:
        sent: the messages of the answer that the client has taken.
        asked: how often the app asked for a message of the request.
        offered: how many messages of the answer there have been, taken or not.
        cut: the app said that the answer will never be complete.
        takes: clear it, and the client takes nothing.
    """

    def __init__(
        self,
        app: Any,
        method: str = "GET",
        path: str = "/",
        *,
        query: bytes = b"",
        headers: Sequence[tuple[bytes, bytes]] = (),
        body: bytes | None = b"",
        http_version: str = "1.1",
        client: tuple[str, int] | None = CLIENT,
        forward: Sequence[tuple[bytes, bytes]] | None = None,
    ) -> None:
        """Begin the request.

        Args:
            body: all of it, with its Content-Length; None: it comes by `feed`, and `headers` frame it.
        """
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": http_version,
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "root_path": "",
            "headers": [(b"host", b"whatever.example"), *headers],
            "client": client,
            "server": ("127.0.0.1", 80),
        }
        if forward is not None:
            self.scope[FORWARD] = forward
        if body:
            self.scope["headers"].append((b"content-length", b"%d" % len(body)))
        self.sent: list[Message] = []
        self.asked = 0
        self.offered = 0
        self.cut = False
        self.takes = asyncio.Event()
        self.takes.set()
        self._messages: deque[Message] = deque()
        self._news = asyncio.Condition()
        if body is not None:
            self._messages.append({"type": "http.request", "body": body, "more_body": False})
        self.task = asyncio.create_task(self._run(app))

    async def feed(self, body: bytes, *, more: bool = True) -> None:
        """The client sends a piece of the body."""
        await self._say({"type": "http.request", "body": body, "more_body": more})

    async def leave(self) -> None:
        """The client closes its connection."""
        await self._say({"type": "http.disconnect"})

    async def done(self) -> "Call":
        """The app has returned, or cut the answer."""
        await self.task
        return self

    async def until(self, true: "Callable[[Call], bool]") -> None:
        """Wait until something is so, which changes only with messages."""
        async with self._news:
            await self._news.wait_for(lambda: true(self))

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"]) if self.sent else 0

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return list(self.sent[0]["headers"])

    def header(self, name: bytes) -> list[bytes]:
        return [value for other, value in self.headers if other == name]

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])

    @property
    def complete(self) -> bool:
        return len(self.sent) > 1 and not self.sent[-1].get("more_body", False)

    @property
    def body_follows(self) -> bool:
        return bool(self.sent[0].get(BODY_FOLLOWS))

    @property
    def unread(self) -> int:
        """Messages that the app has not asked for."""
        return len(self._messages)

    async def _run(self, app: Any) -> None:
        try:
            await app(self.scope, self._receive, self._send)
        except AnswerCut:
            self.cut = True
        finally:
            async with self._news:
                self._news.notify_all()

    async def _say(self, message: Message) -> None:
        async with self._news:
            self._messages.append(message)
            self._news.notify_all()

    async def _receive(self) -> Message:
        self.asked += 1
        async with self._news:
            self._news.notify_all()
            await self._news.wait_for(lambda: bool(self._messages))
            self._news.notify_all()
            # Who has left stays away.
            gone = self._messages[0]["type"] == "http.disconnect"
            return self._messages[0] if gone else self._messages.popleft()

    async def _send(self, message: Message) -> None:
        async with self._news:
            self.offered += 1
            self._news.notify_all()
        await self.takes.wait()
        async with self._news:
            self.sent.append(message)
            self._news.notify_all()


@dataclass
class Line:
    """One connection that the proxy has opened."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> bytes:
        """The head of the next request."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def read(self, size: int) -> bytes:
        return await self.reader.readexactly(size)

    def say(self, *parts: bytes) -> None:
        """Send bytes."""
        self.writer.write(b"".join(parts))

    def close(self) -> None:
        """Send what is left and close."""
        self.writer.close()

    def reset(self) -> None:
        """Break the connection off."""
        self.writer.transport.abort()

    async def closed(self) -> bytes:
        """What the proxy still sends until it closes."""
        rest = b""
        try:
            while data := await self.reader.read(65536):
                rest += data
        except ConnectionError:
            pass
        return rest

    async def answers(self, *parts: bytes) -> bytes:
        """Read a request without a body and answer it."""
        request = await self.request()
        self.say(*parts)
        return request


@dataclass
class Played:
    """An upstream that the test plays.

    Attributes:
        url: where it listens.
        opened: how many connections there have been.
    """

    url: str
    opened: int
    _lines: asyncio.Queue[Line]

    async def line(self) -> Line:
        """The next connection."""
        return await self._lines.get()

    @property
    def unattended(self) -> int:
        """Connections that the test has not asked for."""
        return self._lines.qsize()


@asynccontextmanager
async def played(
    *, tls: ssl.SSLContext | None = None, path: Path | None = None, limit: int = 2**16
) -> AsyncIterator[Played]:
    """Listen on a port, over TLS or on a Unix socket.

    Args:
        limit: bytes that a line reads ahead of the test.
    """
    lines: list[Line] = []
    over = asyncio.Event()
    upstream = Played("", 0, asyncio.Queue())

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream.opened += 1
        lines.append(Line(reader, writer))
        upstream._lines.put_nowait(lines[-1])
        if over.is_set():
            # It was on its way in when the test ended.
            writer.transport.abort()

    if path is not None:
        server = await asyncio.start_unix_server(accept, path, limit=limit)
        upstream.url = f"unix:{path}"
    else:
        server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls, limit=limit)
        port = server.sockets[0].getsockname()[1]
        upstream.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield upstream
    finally:
        over.set()
        server.close()
        for line in lines:
            line.reset()
        await server.wait_closed()


class Fronted(Proxy):
    """A `Proxy` and what it reported.

    Attributes:
        troubles: kinds in order.
        details: what was said besides.
    """

    def __init__(
        self,
        *routes: Route,
        limits: Limits | None = None,
        trusted: TrustedPeers | None = None,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self.troubles: list[Trouble] = []
        self.details: list[str] = []
        super().__init__(
            routes,
            public=PUBLIC,
            limits=limits,
            trusted=trusted,
            on_error=self._note,
            look_seconds=look_seconds,
        )

    def _note(self, kind: Trouble, _upstream: Upstream | None, detail: str) -> None:
        self.troubles.append(kind)
        self.details.append(detail)


@asynccontextmanager
async def fronted(*routes: Route | str, **options: Any) -> AsyncIterator[Fronted]:
    """A proxy, closed in the end; a URL stands for the upstream of everything."""
    proxy = Fronted(
        *(Route(Upstream(route)) if isinstance(route, str) else route for route in routes), **options
    )
    try:
        yield proxy
    finally:
        proxy.close()

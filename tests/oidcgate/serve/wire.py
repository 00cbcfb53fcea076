"""A connection without a socket: bytes go straight into the protocol, and what it does is written down.

What needs a socket (back-pressure of the kernel, resets, memory) is tested over one in `test_sockets` and,
under gunicorn, in `tests/live`.
"""

import asyncio
import io
from collections.abc import Awaitable, Callable, Coroutine
from http.client import HTTPResponse
from typing import Any, cast

import uvloop

from oidcgate.serve.exchange import Message, Scope
from oidcgate.serve.protocol import SidecarProtocol, protocol_factory
from oidcgate.serve.service import ServerLimits, Service

Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test on the kind of loop that the worker has."""
    uvloop.run(test)


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeTransport(asyncio.Transport):
    """Remembers what is asked of it; `unsent` bytes of what was written are not taken by the client."""

    def __init__(self, wire: "Wire") -> None:
        super().__init__()
        self._wire = wire
        self.sent = bytearray()
        self.unsent = 0
        self.closed = self.aborted = self.eof = self.paused = False
        self.protocol: Any = None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("192.0.2.7", 50000), "sockname": ("192.0.2.1", 80)}.get(name, default)

    def write(self, data: Any) -> None:
        assert not self.eof, "written after the end was said"
        if not self.closed:
            self.sent += data

    def writelines(self, list_of_data: Any) -> None:
        for piece in list_of_data:
            self.write(piece)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.eof = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._wire.loop.call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        self.aborted = True
        self.close()

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol


class Wire:
    """One connection to `app`."""

    def __init__(
        self,
        app: App,
        limits: ServerLimits | None = None,
        clock: Clock | None = None,
        service: Service | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.service = service or Service(limits or ServerLimits(), clock=clock, wall_clock=lambda: 0.0)
        self.transport = FakeTransport(self)
        self.protocol: SidecarProtocol = protocol_factory(app, self.service)()
        self.transport.protocol = self.protocol
        self.protocol.connection_made(self.transport)

    async def feed(self, *pieces: bytes) -> "Wire":
        """The client sends."""
        for piece in pieces:
            if not self.transport.closed:
                self.transport.protocol.data_received(piece)
            await settled()
        return self

    async def leave(self) -> None:
        """The client goes."""
        self.protocol.eof_received()
        self.transport.close()
        await settled()

    @property
    def sent(self) -> bytes:
        """All that was written to the client."""
        return bytes(self.transport.sent)

    @property
    def ended(self) -> bool:
        """Whether the client has been told that nothing more comes."""
        return self.transport.closed or self.transport.eof

    def answers(self, *methods: str) -> list["Answer"]:
        """All answers so far, whole ones. `methods` of the requests, GET unless named."""
        return parsed(self.sent, *methods)

    def statuses(self) -> list[int]:
        return [answer.status for answer in self.answers()]


async def settled() -> None:
    """Everything that can happen without anything from outside has happened."""
    for _ in range(20):
        await asyncio.sleep(0)


class Answer:
    """A response as a client reads it."""

    def __init__(self, response: HTTPResponse, body: bytes) -> None:
        self.status = response.status
        self.headers = [(name.lower(), value) for name, value in response.getheaders()]
        self.body = body

    def field(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, f"{name} is there {len(values)} times"
        return values[0] if values else None


class _Socket:
    def __init__(self, stream: io.BytesIO) -> None:
        self._stream = stream

    def makefile(self, mode: str) -> io.BytesIO:
        return _Unclosed(self._stream)


class _Unclosed(io.BytesIO):
    """Shows the rest of another stream, and says at the end how much of it was read."""

    def __init__(self, stream: io.BytesIO) -> None:
        self._origin, self._start = stream, stream.tell()
        super().__init__(stream.read())

    def close(self) -> None:
        if not self.closed:
            self._origin.seek(self._start + self.tell())
        super().close()


def parsed(data: bytes, *methods: str) -> list[Answer]:
    """The responses in `data`."""
    stream, found = io.BytesIO(data), []
    while stream.tell() < len(data):
        method = methods[len(found)] if len(found) < len(methods) else "GET"
        response = HTTPResponse(cast(Any, _Socket(stream)), method=method)
        response.begin()
        found.append(Answer(response, response.read()))
        response.close()
    return found


# Apps


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers everything, and reads nothing."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the whole body, and answers it."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


class Recorder:
    """Answers what another app answers, and keeps what it was asked."""

    def __init__(self, app: App = hello) -> None:
        self._app = app
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await self._app(scope, receive, send)

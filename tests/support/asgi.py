"""An ASGI server without sockets, for tests: it calls an app as servers do and holds it to the protocol.

One `Exchange` is one connection. A message of the app that the protocol does not allow where it comes fails
the call with an AssertionError, as `wsgiref.validate` does for WSGI apps. Real servers are in
:mod:`tests.support.uvicorn_thread`.

Spec: ASGI 3.0, HTTP and WebSocket message format 2.4.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, NamedTuple, Self, TypeVar
from urllib.parse import unquote

T = TypeVar("T")

Scope = dict[str, Any]
Message = dict[str, Any]
App = Callable[..., Awaitable[None]]
HeaderPairs = Iterable[tuple[bytes | str, bytes | str]]

#: Longer than anything here takes; reached only by a fault.
DEADLINE_SECONDS = 20


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on a loop of its own; whatever it started and left is an error."""

    async def whole() -> T:
        async with asyncio.timeout(DEADLINE_SECONDS):
            result = await main
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return result

    return asyncio.run(whole())


def _bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")


def scope_of(
    kind: str, target: str = "/", *, method: str = "GET", headers: HeaderPairs = (), **more: Any
) -> Scope:
    """A scope as uvicorn makes it of a request line and headers; `more` replaces or adds keys."""
    path, _, query = target.partition("?")
    scope: Scope = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "https" if kind == "http" else "wss",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "headers": [
            (b"host", b"app.example.com"),
            *((_bytes(name).lower(), _bytes(value)) for name, value in headers),
        ],
        "client": ("203.0.113.7", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
        "extensions": {},
    }
    if kind == "websocket":
        del scope["method"]
        scope["subprotocols"] = []
        scope["extensions"] = {"websocket.http.response": {}}
    scope.update(more)
    return scope


class Answer(NamedTuple):
    """What came back.

    Attributes:
        status: of the HTTP answer; 101 for an accepted WebSocket; None when a WebSocket was closed, or
            nothing was sent at all.
        whole: whether the body was sent to its end.
        close: the code with which a WebSocket was closed.
        messages: everything that was sent.
    """

    status: int | None
    headers: list[tuple[bytes, bytes]]
    body: bytes
    whole: bool
    close: int | None
    messages: list[Message]

    def all(self, name: str) -> list[str]:
        wanted = name.lower().encode()
        return [value.decode("latin-1") for key, value in self.headers if key == wanted]

    def one(self, name: str) -> str:
        (value,) = self.all(name)
        return value


class Exchange:
    """One connection to an app.

    Args:
        app: the app.
        scope: of type `http` or `websocket`.
        body: of an HTTP request, whole; None: the test says it itself, by `say`.
    """

    def __init__(self, app: App, scope: Scope, body: bytes | None = b"") -> None:
        self.scope = scope
        self.messages: list[Message] = []
        self.received = 0
        self._app = app
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._news = asyncio.Event()
        self._state = "new"
        self._kind = scope["type"]
        if self._kind == "websocket":
            self.say({"type": "websocket.connect"})
        elif body is not None:
            self.say({"type": "http.request", "body": body, "more_body": False})
        self.task: asyncio.Task[None] | None = None

    def start(self) -> Self:
        """Call the app, in a task as servers do."""
        self.task = asyncio.get_running_loop().create_task(self._run())
        return self

    def say(self, message: Message) -> None:
        """The client says this."""
        self._inbox.put_nowait(message)

    async def until(self, holds: Callable[[list[Message]], bool]) -> None:
        """Return when what the app has sent so far fulfils `holds`; fail when it ends before."""
        assert self.task is not None
        while not holds(self.messages):
            self._news.clear()
            news = asyncio.ensure_future(self._news.wait())
            await asyncio.wait({news, self.task}, return_when=asyncio.FIRST_COMPLETED)
            news.cancel()
            if self.task.done() and not holds(self.messages):
                self.task.result()
                raise AssertionError(f"the app is done and sent no more than {self.messages}")

    async def sent(self, kind: str) -> None:
        """Return when the app has sent a message of this type."""
        await self.until(lambda messages: any(message["type"] == kind for message in messages))

    async def answer(self) -> Answer:
        """Wait for the app to be done; its exception is raised here."""
        if self.task is None:
            self.start()
        assert self.task is not None
        await asyncio.wait_for(self.task, DEADLINE_SECONDS)
        return self.so_far()

    def so_far(self) -> Answer:
        """What has come back until now."""
        status: int | None = None
        close: int | None = None
        whole = False
        headers: list[tuple[bytes, bytes]] = []
        body = b""
        for message in self.messages:
            kind = message["type"]
            if kind.endswith("response.start"):
                status, headers = message["status"], [(n, v) for n, v in message.get("headers", ())]
            elif kind.endswith("response.body"):
                body += message.get("body", b"")
                whole = not message.get("more_body", False)
            elif kind == "websocket.accept":
                status, headers = 101, [(n, v) for n, v in message.get("headers") or ()]
            elif kind == "websocket.close":
                close = message.get("code", 1000)
        if self._kind == "http" and self.scope["method"] == "HEAD":
            body = b""
        return Answer(status, headers, body, whole, close, self.messages)

    async def _run(self) -> None:
        await self._app(self.scope, self._receive, self._send)

    async def _receive(self) -> Message:
        message = await self._inbox.get()
        self.received += 1
        return message

    async def _send(self, message: Message) -> None:
        self._state = self._next_state(message)
        self.messages.append(dict(message))
        self._news.set()
        await asyncio.sleep(0)  # servers give way here

    def _next_state(self, message: Message) -> str:
        """The protocol's own order of messages."""
        kind, state = message["type"], self._state
        if kind.endswith(".start") or kind == "websocket.accept":
            assert state == "new", f"{kind} after {state}"
            for name, value in message.get("headers") or ():
                assert type(name) is bytes, name
                assert type(value) is bytes, value
                assert name == name.lower(), name
                assert not {0, 10, 13} & {*name, *value}, (name, value)
            if kind == "websocket.accept":
                assert self._kind == "websocket"
                return "open"
            assert type(message["status"]) is int
            if self._kind == "websocket":
                assert kind == "websocket.http.response.start"
                assert "websocket.http.response" in self.scope["extensions"]
            else:
                assert kind == "http.response.start"
            return "head"
        if kind.endswith(".body"):
            assert kind == ("websocket.http" if self._kind == "websocket" else "http") + ".response.body"
            assert state == "head", f"{kind} after {state}"
            return "head" if message.get("more_body", False) else "done"
        assert self._kind == "websocket", kind
        if kind == "websocket.send":
            assert state == "open", f"{kind} after {state}"
            assert (message.get("bytes") is None) != (message.get("text") is None)
            return state
        assert kind == "websocket.close", kind
        assert state in ("new", "open"), f"{kind} after {state}"
        return "closed"


def request(
    app: App,
    target: str = "/",
    method: str = "GET",
    *,
    headers: HeaderPairs = (),
    body: bytes = b"",
    **more: Any,
) -> Answer:
    """One HTTP request on a loop of its own."""
    scope = scope_of("http", target, method=method, headers=headers, **more)
    return run(Exchange(app, scope, body).answer())


def websocket(app: App, target: str = "/", *, headers: HeaderPairs = (), **more: Any) -> Answer:
    """One WebSocket on a loop of its own, from a client that says nothing."""
    return run(Exchange(app, scope_of("websocket", target, headers=headers, **more)).answer())

"""Ways to knock at a front: as a WSGI server calls it, as an ASGI server does, or over a socket.

All take a request byte by byte as a client would write it, and give back what a client would read. What the
fronts are made of is in :mod:`tests.support.fronts`.
"""

import asyncio
import contextlib
import http.client
import io
import socket
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote_to_bytes
from wsgiref.validate import validator

from requests.adapters import BaseAdapter
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from oidcgate.net.wsgi import WSGIAdapter
from tests.support.asgi import Exchange, scope_of

T = TypeVar("T")
Headers = Iterable[tuple[str, str]]

SECONDS = 20


class Answer(NamedTuple):
    """What a client reads: header values by Latin-1, the body without its framing."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def one(self, name: str) -> str:
        (value,) = self.all(name)
        return value


class Stream(NamedTuple):
    """An answer that is on its way: `head` has no body yet, `read` gives what comes next, b"" at the end."""

    head: Answer
    read: Callable[[], bytes]


class Door(ABC):
    """One way in. Targets and headers go in as they are written, header names in any spelling."""

    host = "app.test"

    def ask(self, target: str, method: str = "GET", headers: Headers = (), body: bytes = b"") -> Answer:
        """One request and its whole answer."""
        with self.open(target, method, headers, body) as stream:
            content = b""
            while part := stream.read():
                content += part
            return stream.head._replace(body=content)

    @abstractmethod
    def open(
        self, target: str, method: str = "GET", headers: Headers = (), body: bytes = b""
    ) -> contextlib.AbstractContextManager[Stream]:
        """One request whose answer is read as it comes."""

    @abstractmethod
    def websocket(self, target: str, headers: Headers = ()) -> tuple[int, str | None]:
        """Open a WebSocket and say hello.

        Returns:
            The status of the answer, and what was heard; None when nobody listens to a WebSocket there.
        """

    def adapter(self) -> BaseAdapter:
        """The same way in, for a user agent."""

        def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            headers = [
                (key.removeprefix("HTTP_").replace("_", "-").title(), value)
                for key, value in environ.items()
                if (key.startswith("HTTP_") and key != "HTTP_HOST") or key == "CONTENT_TYPE"
            ]
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            headers.append(("Host", environ["HTTP_HOST"]))
            target = environ["RAW_URI"]
            answer = self.ask(target, environ["REQUEST_METHOD"], headers, body)
            start_response(f"{answer.status} {http.client.responses.get(answer.status, '')}", answer.headers)
            return [answer.body]

        return WSGIAdapter(app)

    def _whole_headers(self, headers: Headers, body: bytes, method: str) -> list[tuple[str, str]]:
        whole = list(headers)
        names = {name.lower() for name, _ in whole}
        if "host" not in names:
            whole.insert(0, ("Host", self.host))
        framed = names & {"content-length", "transfer-encoding"}
        if not framed and (body or method in ("POST", "PUT", "PATCH")):
            whole.append(("Content-Length", str(len(body))))
        return whole


class WSGIDoor(Door):
    """A WSGI server that merges names loosely, and holds the front to the protocol. Spec: PEP 3333."""

    def __init__(self, front: Callable[..., Iterable[bytes]]) -> None:
        self._front = validator(front)  # type: ignore[arg-type]  # typeshed's own type of a WSGI app

    @contextlib.contextmanager
    def open(
        self, target: str, method: str = "GET", headers: Headers = (), body: bytes = b""
    ) -> Iterator[Stream]:
        begun: list[Any] = []

        def start_response(status: str, pairs: list[tuple[str, str]], exc_info: Any = None) -> Any:
            begun[:] = [status, pairs]
            return lambda data: None

        result = self._front(self._environ(target, method, headers, body), start_response)
        try:
            parts = iter(result)
            # A server may call for the first part before it looks at the head.
            first = next(parts, b"")
            status, pairs = begun
            left = [first] if first else []

            def read() -> bytes:
                while not left:
                    part = next(parts, None)
                    if part is None:
                        return b""
                    if part:
                        return part
                return left.pop()

            yield Stream(Answer(int(status.split(" ")[0]), list(pairs), b""), read)
            while next(parts, None) is not None:
                pass
        finally:
            if hasattr(result, "close"):
                result.close()

    def websocket(self, target: str, headers: Headers = ()) -> tuple[int, str | None]:
        upgrade = [("Upgrade", "websocket"), ("Connection", "Upgrade"), *headers]
        upgrade += [("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
        return self.ask(target, headers=upgrade).status, None

    def _environ(self, target: str, method: str, headers: Headers, body: bytes) -> dict[str, Any]:
        path, _, query = target.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path.encode("latin-1")).decode("latin-1"),
            "QUERY_STRING": query,
            "RAW_URI": target,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        for name, value in self._whole_headers(headers, body, method):
            key = name.upper().replace("-", "_")
            key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        return environ


class Loop:
    """An event loop in a thread of its own, for what lasts longer than one call."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="loop")
        self._thread.start()

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result(SECONDS)

    def close(self) -> None:
        """Cancel what is left and end the thread."""

        async def cancel() -> None:
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

        self.run(cancel())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SECONDS)
        self._loop.close()


class ASGIDoor(Door):
    """An ASGI server that holds the front to the protocol."""

    def __init__(self, front: Any, loop: Loop) -> None:
        self._front = front
        self._loop = loop

    @contextlib.contextmanager
    def open(
        self, target: str, method: str = "GET", headers: Headers = (), body: bytes = b""
    ) -> Iterator[Stream]:
        exchange = self._loop.run(self._begin("http", target, method, headers, body))
        self._loop.run(exchange.until(lambda messages: bool(messages)))
        start = exchange.messages[0]
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
        taken, ended = 1, False

        def more(messages: list[Any]) -> bool:
            return len(messages) > taken

        def read() -> bytes:
            nonlocal taken, ended
            part = b""
            while not part and not ended:
                self._loop.run(exchange.until(more))
                message = exchange.messages[taken]
                part, ended = message.get("body", b""), not message.get("more_body", False)
                taken += 1
            return part

        yield Stream(Answer(start["status"], pairs, b""), read)
        answer = self._loop.run(exchange.answer())
        assert answer.whole, "the answer has no end"

    def websocket(self, target: str, headers: Headers = ()) -> tuple[int, str | None]:
        return self._loop.run(self._talk(target, headers))

    async def _talk(self, target: str, headers: Headers) -> tuple[int, str | None]:
        exchange = await self._begin("websocket", target, "GET", headers, b"")
        await exchange.until(lambda messages: bool(messages))
        if exchange.messages[0]["type"] != "websocket.accept":
            return (await exchange.answer()).status or 0, None
        exchange.say({"type": "websocket.receive", "text": "hello"})
        await exchange.sent("websocket.send")
        exchange.say({"type": "websocket.disconnect", "code": 1000})
        answer = await exchange.answer()
        return 101, answer.messages[1]["text"]

    async def _begin(self, kind: str, target: str, method: str, headers: Headers, body: bytes) -> Exchange:
        pairs = self._whole_headers(headers, body, method)
        encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
        scope = scope_of(kind, target, headers=encoded)
        if kind == "http":
            scope["method"] = method
        del scope["headers"][0]  # the usual Host
        return Exchange(self._front, scope, body).start()


class SocketDoor(Door):
    """A server on this machine; each request on a connection of its own."""

    def __init__(self, port: int, host: str) -> None:
        self.port = port
        self.host = host

    @contextlib.contextmanager
    def open(
        self, target: str, method: str = "GET", headers: Headers = (), body: bytes = b""
    ) -> Iterator[Stream]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS) as connection:
            whole = [*self._whole_headers(headers, body, method), ("Connection", "close")]
            lines = "".join(f"{name}: {value}\r\n" for name, value in whole)
            connection.sendall(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"))
            # A server that refuses may not read the rest.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(body)
            response = http.client.HTTPResponse(connection, method=method)
            response.begin()
            yield Stream(Answer(response.status, response.getheaders(), b""), lambda: response.read1(65_536))
            response.close()

    def adapter(self) -> BaseAdapter:
        raise NotImplementedError("a user agent uses sockets by itself")

    def websocket(self, target: str, headers: Headers = ()) -> tuple[int, str | None]:
        url = f"ws://127.0.0.1:{self.port}{target}"
        try:
            with connect(
                url, additional_headers=list(headers), proxy=None, open_timeout=SECONDS, compression=None
            ) as websocket:
                websocket.send("hello")
                return 101, str(websocket.recv(timeout=SECONDS))
        except InvalidStatus as refused:
            return refused.response.status_code, None

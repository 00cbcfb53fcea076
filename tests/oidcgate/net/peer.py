"""A server that says exactly what a test tells it to, byte by byte, over a real socket."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

Script = Callable[["Conversation"], None]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class Conversation:
    """One connection, seen from the server."""

    def __init__(self, connection: socket.socket, over: threading.Event) -> None:
        self.connection = connection
        self.over = over

    def request(self) -> bytes:
        """Read one request without body."""
        data = b""
        while b"\r\n\r\n" not in data and (chunk := self.connection.recv(4096)):
            data += chunk
        return data

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def drip(self, data: bytes) -> None:
        """Send a byte every 20 ms until the test is over or the client gone."""
        for byte in data:
            if self.over.wait(0.02):
                return
            self.send(bytes([byte]))

    def hang(self) -> None:
        """Say nothing more until the test is over."""
        self.over.wait(30)


def answer(body: bytes, headers: bytes = b"") -> bytes:
    return HEAD + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Peer:
    """A listening socket on a port of its own, or at `path`; each connection runs the script in a thread."""

    def __init__(
        self,
        script: Script,
        *,
        tls: ssl.SSLContext | None = None,
        address: str = "127.0.0.1",
        path: Path | None = None,
    ) -> None:
        self._script = script
        self._tls = tls
        if path is None:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            self._listener = socket.create_server((address, 0), family=family)
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self._listener.listen()
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self.over = threading.Event()
        self.port: int = 0 if path is not None else self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.server_names: list[str | None] = []
        self.connections = 0
        if tls is not None:
            tls.sni_callback = lambda _socket, name, _context: self.server_names.append(name)
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._converse, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _converse(self, connection: socket.socket) -> None:
        try:
            if self._tls is not None:
                # wrap_socket takes the descriptor over: the plain socket is no handle to end it by any more.
                self._open.remove(connection)
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            self._script(Conversation(connection, self.over))
        except OSError:
            pass  # the client went away: that is what many of these tests are about
        finally:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):  # most are closed already
                connection.shutdown(socket.SHUT_RDWR)
        for thread in [self._accepting, *self._threads]:
            thread.join(10)

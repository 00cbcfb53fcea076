"""The client's own server, where a provider fetches documents: https, in this process, while a module runs.

What is served is the modules'; where it listens is `target.Receiving`.
"""

import secrets
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.conformance.op.target import Receiving


@dataclass(frozen=True)
class Document:
    """What a GET is answered with."""

    body: bytes
    content_type: str


@dataclass(frozen=True)
class Call:
    """A request that came."""

    method: str
    path: str
    content_type: str
    body: bytes


@dataclass
class Receiver:
    """A server with documents at addresses that nobody guesses; it listens until it is closed.

    Attributes:
        calls: what was asked, in order.
    """

    receiving: Receiving
    documents: dict[str, Document] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        host, _, port = self.receiving.listen.rpartition(":")
        self._server = ThreadingHTTPServer((host, int(port)), _handler(self))
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.receiving.certificate, self.receiving.key)
        # Each connection shakes hands in its own thread.
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def serve(self, name: str, body: bytes, content_type: str = "application/json") -> str:
        """Serve a document from now on, and return its address.

        Args:
            name: the last part of the address.
        """
        path = f"/{secrets.token_urlsafe(12)}/{name}"
        self.documents[path] = Document(body, content_type)
        return f"{self.receiving.url}{path}"

    def serve_anew(self, url: str, body: bytes) -> None:
        """Serve something else at an address."""
        path = self._path(url)
        self.documents[path] = Document(body, self.documents[path].content_type)

    def was_asked_for(self, url: str) -> bool:
        """Whether anybody has called an address."""
        return any(call.path == self._path(url) for call in self.calls)

    def _path(self, url: str) -> str:
        return url.removeprefix(self.receiving.url)


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 30

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            receiver.calls.append(Call(self.command, self.path, self.headers.get("Content-Type", ""), body))
            document = receiver.documents.get(self.path)
            self.send_response(404 if document is None else 200)
            if document is not None:
                self.send_header("Content-Type", document.content_type)
                self.send_header("Content-Length", str(len(document.body)))
            self.end_headers()
            if document is not None:
                self.wfile.write(document.body)

        do_GET = do_POST = _answer

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing: what was asked is kept."""

    return Handler

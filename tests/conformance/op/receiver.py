"""A client's own server: https, in this process, while a module runs.

It serves what a provider fetches and keeps what it is asked; what it serves is the modules'. Where it listens
is `target.Receiving`.
"""

import secrets
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.conformance.op.browser import FORM, Pairs, pairs_of
from tests.conformance.op.target import Receiving


@dataclass(frozen=True)
class Document:
    """What a request is answered with."""

    body: bytes
    content_type: str


#: For whoever only has to arrive.
EMPTY = Document(b"<!doctype html><title>Client</title>", "text/html; charset=utf-8")


@dataclass(frozen=True)
class Call:
    """A request that came.

    Attributes:
        path: with its query.
        headers: by names in small letters.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def url(self) -> str:
        """What it asked for, without the query."""
        return f"https://{self.headers.get('host', '')}{self.path}".partition("?")[0]

    @property
    def query(self) -> Pairs:
        return pairs_of(self.path.partition("?")[2])

    @property
    def form(self) -> Pairs:
        """The parameters of the body; none when it is no form."""
        content_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return pairs_of(self.body.decode("utf-8", "replace")) if content_type == FORM else ()


@dataclass
class Receiver:
    """A server with documents at addresses that nobody guesses; it listens until it is closed.

    Attributes:
        otherwise: what is served everywhere else; None: nothing.
        calls: what was asked, in order.
    """

    receiving: Receiving
    documents: dict[str, Document] = field(default_factory=dict)
    otherwise: Document | None = None
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        host, _, port = self.receiving.listen.rpartition(":")
        self._came = threading.Condition()
        self._server = _Server((host, int(port)), _handler(self))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.receiving.certificate, self.receiving.key)
        # Each connection shakes hands in its own thread.
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_port

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

    def calls_to(self, url: str) -> list[Call]:
        """What was asked of an address so far, whatever the query."""
        return [call for call in self.calls if call.url == url.partition("?")[0]]

    def first_call_to(self, url: str, seconds: float) -> Call | None:
        """What was asked of an address first, waited for so long; None: nothing."""
        until = time.monotonic() + seconds
        with self._came:
            while not self.calls_to(url):
                left = until - time.monotonic()
                if left <= 0:
                    return None
                self._came.wait(left)
        return self.calls_to(url)[0]

    def keep(self, call: Call) -> Document | None:
        """Note what was asked, and say what is served there. Called by the server."""
        with self._came:
            self.calls.append(call)
            self._came.notify_all()
        return self.documents.get(call.path, self.otherwise)

    def _path(self, url: str) -> str:
        return url.removeprefix(self.receiving.url)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: browsers end connections that they do not need any more."""


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 30

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            document = receiver.keep(Call(self.command, self.path, headers, body))
            self.send_response(404 if document is None else 200)
            # Spec: OIDC Back-Channel Logout 2.8, OIDC Front-Channel Logout 2.
            self.send_header("Cache-Control", "no-store")
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

"""The server of the providers that the modules play: one port, a provider under each `/test/a/NAME/`."""

import json
import ssl
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from tests.conformance.rp.alias import Alias
from tests.conformance.rp.answers import Answer
from tests.conformance.rp.target import RelyingParty

_PREFIX = "/test/a/"


class ProviderServer:
    """Providers by their names."""

    def __init__(self, url: str) -> None:
        self.base = f"{url}{_PREFIX}"
        self.aliases: dict[str, Alias] = {}

    def issuer(self, name: str) -> str:
        """The issuer of the provider of this name."""
        return f"{self.base}{name}/"

    def alias(self, name: str, rp: RelyingParty) -> Alias:
        """A new provider of this name, in place of the one that was there."""
        self.aliases[name] = Alias(self.issuer(name), rp)
        return self.aliases[name]


@contextmanager
def serving(
    certificate: Path, key: Path, listen: str = "127.0.0.1:0", url: str = ""
) -> Iterator[ProviderServer]:
    """Serve providers until the block ends.

    Args:
        certificate, key: PEM files, for the host of the URL.
        listen: address and port.
        url: how a relying party reaches them, without a path; "": at `localhost`, on that port.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    host, _, port = listen.rpartition(":")
    server = ThreadingHTTPServer((host, int(port)), _Handler)
    server.daemon_threads = True
    # The thread of each connection shakes hands, not the one that accepts them.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    providers = ProviderServer(url or f"https://localhost:{server.server_address[1]}")
    server.providers = providers  # type: ignore[attr-defined]  # handlers reach it by their server
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield providers
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # A connection that is kept and not used again is let go.
    timeout = 30

    def do_GET(self) -> None:
        self._send(self._answer(urlsplit(self.path).query))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._send(self._answer(body.decode()))

    def _answer(self, parameters: str) -> Answer:
        providers: ProviderServer = self.server.providers  # type: ignore[attr-defined]  # put there above
        name, _, endpoint = urlsplit(self.path).path.removeprefix(_PREFIX).partition("/")
        alias = providers.aliases.get(name)
        if alias is None:
            return Answer(404)
        try:
            return alias.answer(endpoint, dict(parse_qsl(parameters)), self.headers)
        except Exception:
            # The module fails with it; the client sees a server that is broken.
            alias.fault(traceback.format_exc())
            return Answer(500)

    def _send(self, answer: Answer) -> None:
        document = answer.document
        as_it_is = isinstance(document, str)
        body = b"" if document is None else (document if as_it_is else json.dumps(document)).encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if not as_it_is:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

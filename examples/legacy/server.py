"""HTTP of the tool desk: the standard library's own server, as a program of that age would use.

Who is there stands in the header `X-Forwarded-User`, put there by whatever stands in front of the desk. So
nobody else may reach it: it listens on this machine alone, or on a Unix socket.
"""

import os
import re
import socket
import sys
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, quote, urlsplit

from examples.legacy import pages
from examples.legacy.desk import Desk, NotPossible
from examples.legacy.intercom import Intercom, Line, answer_to

FOLDER = Path(__file__).parent
FORM_BYTES = 16 * 1024 * 1024
ASSETS = {"/desk.css": "text/css; charset=utf-8", "/desk.js": "text/javascript; charset=utf-8"}
CONTENT_SECURITY_POLICY = "default-src 'self'; img-src data:; frame-ancestors 'none'"


class Server(ThreadingHTTPServer):
    """The desk on a port of this machine, or on a Unix socket."""

    def __init__(self, address: tuple[str, int] | str) -> None:
        self.desk, self.intercom = Desk(), Intercom()
        if isinstance(address, str):
            self.address_family = socket.AF_UNIX
        super().__init__(address, Handler)  # type: ignore[arg-type]  # a path, for a Unix socket

    def server_bind(self) -> None:
        if self.address_family != socket.AF_UNIX:
            super().server_bind()
            return
        self.socket.bind(self.server_address)
        os.chmod(str(self.server_address), 0o600)
        self.server_name, self.server_port = "localhost", 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Browsers leave in the middle of things all day long.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "ToolDesk/2.3", ""
    timeout = 120

    def do_GET(self) -> None:
        name, path = self._name(), urlsplit(self.path).path
        if path in ASSETS:
            self._send(200, (FOLDER / path[1:]).read_bytes(), ASSETS[path])
        elif name is None:
            self._nobody()
        elif (page := self.PAGES.get(path)) is not None:
            self._page(200, page(self.server.desk, name))
        elif path == "/counter/events":
            self._events()
        elif path == "/intercom/line":
            self._line(name)
        elif path.startswith("/drawings/"):
            self._drawing(name, path)
        else:
            self._page(404, pages.notice(name, "Not here", "There is no such page at this desk."))

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body, name, path = self._body(), self._name(), urlsplit(self.path).path
        if body is None:
            return
        if name is None:
            self._nobody()
            return
        desk = self.server.desk
        try:
            if path == "/borrow":
                desk.borrow(_field(body, "tool"), name)
                self._see("/tools")
            elif path == "/return":
                desk.bring_back(_field(body, "tool"), name)
                self._see("/")
            elif path == "/drawings":
                desk.leave(*_file(body, self.headers.get("Content-Type", "")), name)
                self._see("/drawings")
            else:
                self._page(404, pages.notice(name, "Not here", "There is no such form at this desk."))
        except NotPossible as no:
            self._page(409, pages.notice(name, "Not possible", str(no)))

    PAGES: ClassVar[Mapping[str, Callable[[Desk, str], str]]] = {
        "/": pages.loans,
        "/tools": pages.tools,
        "/drawings": lambda desk, name: pages.drawings(list(desk.drawings), name),
        "/counter": lambda desk, name: pages.counter(name),
        "/intercom": lambda desk, name: pages.intercom(name),
    }

    def _name(self) -> str | None:
        """Who is there, as whoever stands in front of the desk says it."""
        value: str | None = self.headers.get("X-Forwarded-User")
        # http.server reads header bytes as Latin-1; names are UTF-8.
        return value.encode("latin-1").decode("utf-8", "replace") if value else None

    def _nobody(self) -> None:
        text = (
            "This request does not say who you are. The desk is behind the company's front door: go in there."
        )
        self._page(403, pages.notice(None, "Who is there?", text))

    def _events(self) -> None:
        """The clock and the movements, each as it happens, until the reader leaves."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "HEAD":
            return
        desk, seen = self.server.desk, 0
        while True:
            self.wfile.write(f"event: clock\ndata: {desk.clock()}\n\n".encode())
            for movement in desk.wait(seen, seconds=1):
                seen = movement.serial
                text = f"{movement.time}  {movement.text}"
                self.wfile.write(f"event: movement\nid: {seen}\ndata: {text}\n\n".encode())

    def _line(self, name: str) -> None:
        key = self.headers.get("Sec-WebSocket-Key")
        if self.headers.get("Upgrade", "").lower() != "websocket" or not key or self.command != "GET":
            self._page(400, pages.notice(name, "Not possible", "The intercom is for its own page."))
            return
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", answer_to(key))
        self.end_headers()
        self.close_connection = True
        # Somebody may listen for hours and say nothing.
        self.connection.settimeout(None)
        self.server.intercom.serve(Line(name, self.rfile, self.wfile))

    def _drawing(self, name: str, path: str) -> None:
        number = path.split("/")[2]
        drawing = self.server.desk.drawing(int(number)) if number.isascii() and number.isdigit() else None
        if drawing is None:
            self._page(404, pages.notice(name, "Not here", "That drawing is no longer kept."))
            return
        disposition = f"attachment; filename*=UTF-8''{quote(drawing.name, safe='')}"
        self._send(200, drawing.content, "application/octet-stream", {"Content-Disposition": disposition})

    def _body(self) -> bytes | None:
        """The body of a form; None when it was refused, which is then answered."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            status, text = 411, "A form has to say how long it is."
        elif int(length) > FORM_BYTES:
            status, text = 413, "That is more than 16 MB."
        else:
            return self.rfile.read(int(length))
        self.close_connection = True
        self._page(status, pages.notice(self._name(), "Not possible", text))
        return None

    def _see(self, path: str) -> None:
        self._send(303, b"", "text/plain", {"Location": path})

    def _page(self, status: int, text: str) -> None:
        self._send(status, text.encode(), "text/html; charset=utf-8")

    def _send(self, status: int, body: bytes, kind: str, more: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in (more or {}).items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def address_string(self) -> str:
        # There is no address on a Unix socket; with a name beside it the log says what matters here.
        return f"{self.client_address[0] if self.client_address else 'socket'} {self._logged_name()}"

    def _logged_name(self) -> str:
        # A head that could not be read has no headers.
        return (self._name() if hasattr(self, "headers") else None) or "nobody"


def _field(body: bytes, name: str) -> str:
    return parse_qs(body.decode("utf-8", "replace")).get(name, [""])[0]


def _file(body: bytes, content_type: str) -> tuple[str, bytes]:
    """Name and content of the file in a form."""
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    if boundary is not None:
        for part in (b"\r\n" + body).split(b"\r\n--" + boundary[1].encode("latin-1"))[1:-1]:
            head, _, content = part.partition(b"\r\n\r\n")
            named = re.search(rb'filename="([^"]+)"', head)
            # Some browsers of the time send the whole path.
            name = named[1].decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2] if named else ""
            if name:
                return name[:200], content
    raise NotPossible("No file was chosen.")

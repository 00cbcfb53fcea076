"""The two neighbours of a `ReverseProxy`: a WSGI server that calls it, and upstreams that follow a script.

What the proxy does between them is in test_environ.py and test_wsgi.py.
"""

import contextlib
import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from oidcgate.proxy.wsgi import ReverseProxy
from tests.oidcgate.net.peer import Peer, Script

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
EMPTY = OK + b"Content-Length: 0\r\n\r\n"
PUBLIC_URL = "https://app.example.com"


class Answer(NamedTuple):
    status: str
    headers: list[tuple[str, str]]
    body: bytes

    def field(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]

    def error(self) -> str:
        error: str = json.loads(self.body)["error"]
        return error


class Begun:
    """An answer whose body is taken by hand."""

    def __init__(self, app: Any, environ: dict[str, Any]) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.blocks: Iterable[bytes] = app(environ, self._start)

    def _start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], Any]:
        self.status, self.headers = status, list(headers)
        return lambda data: None

    def close(self) -> None:
        close = getattr(self.blocks, "close", None)
        if close is not None:
            close()


def environ_of(method: str = "GET", path: str = "/", **more: Any) -> dict[str, Any]:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
    }
    environ |= {"REMOTE_ADDR": "198.51.100.7", "SERVER_PROTOCOL": "HTTP/1.1"}
    setup_testing_defaults(environ)
    body = more.pop("body", b"")
    if body:
        environ["wsgi.input"] = io.BytesIO(body)
        environ.setdefault("CONTENT_LENGTH", str(len(body)))
    environ.update(more)
    return environ


def ask(app: Any, method: str = "GET", path: str = "/", *, valid: bool = True, **more: Any) -> Answer:
    """One request, held to PEP 3333 on both sides unless it is invalid itself."""
    begun = Begun(validator(app) if valid else app, environ_of(method, path, **more))
    try:
        body = b"".join(begun.blocks)
    finally:
        begun.close()
    return Answer(begun.status, begun.headers, body)


@contextlib.contextmanager
def proxied(script: Script, **arguments: Any) -> Iterator[tuple[ReverseProxy, Peer]]:
    with (
        Peer(script) as peer,
        contextlib.closing(ReverseProxy(f"http://127.0.0.1:{peer.port}", **arguments)) as app,
    ):
        yield app, peer

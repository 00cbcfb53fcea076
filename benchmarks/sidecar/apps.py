"""Applications that gunicorn serves for the benchmark, each made by a call on its command line."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.sidecar.stack import BODY_BYTES
from oidcgate import Gate
from oidcgate.proxy.http import Proxy
from oidcgate.proxy.routes import Public, Route, Upstream
from oidcgate.proxy.wsgi import ReverseProxy
from oidcgate.serve.sidecar import Sidecar

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

EVENTS = 5
EVENT_SECONDS = 0.1

_BODY = b"x" * BODY_BYTES
_HEADERS = [("Content-Type", "text/plain"), ("Content-Length", str(len(_BODY)))]


def hello() -> WSGIApp:
    """As little as an app can do, so that what is measured is what stands in front of it."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", list(_HEADERS))
        return [_BODY]

    return app


def guarded(file: str) -> WSGIApp:
    """`hello` with the gate in its process."""
    return Gate.from_config(hello(), file)


def wsgi_proxy(upstream: str) -> WSGIApp:
    """The WSGI engine without a gate."""
    return ReverseProxy(upstream)


def async_proxy(upstream: str) -> Sidecar:
    """The async engine without a gate; `SidecarWorker` serves it."""
    return Sidecar(Proxy([Route(Upstream(upstream))], public=Public("http", "localhost")))


def streams() -> WSGIApp:
    """What lasts: GET /down/N sends N bytes, POST /up counts what it is sent, GET /events says when it spoke.

    An event is the time (`time.monotonic_ns`, one clock for all processes of a machine) at which it is sent.
    """

    def events() -> Iterable[bytes]:
        for _ in range(EVENTS):
            yield b"data: %d\n\n" % time.monotonic_ns()
            time.sleep(EVENT_SECONDS)

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        if path.startswith("/down/"):
            length = int(path.removeprefix("/down/"))
            start_response("200 OK", [("Content-Length", str(length))])
            block = bytes(65_536)
            return (block[: min(len(block), length - at)] for at in range(0, length, len(block)))
        if path == "/up":
            count = 0
            while block := environ["wsgi.input"].read(65_536):
                count += len(block)
            answer = str(count).encode()
            start_response("200 OK", [("Content-Length", str(len(answer)))])
            return [answer]
        if path == "/events":
            start_response("200 OK", [("Content-Type", "text/event-stream")])
            return events()
        return hello()(environ, start_response)

    return app

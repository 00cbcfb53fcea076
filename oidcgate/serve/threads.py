"""The sidecar on gunicorn's threads: `engine = "wsgi"`.

Here lives `ThreadedSidecar`, the app that such a worker serves, with a thread that does once a second what
the other engine's sweep does: lines of the access log and numbers for metrics go out. Requests are answered
by `ThreadedWorker`, which is gunicorn's `gthread` but for its end; that of the other engine is `worker` next
door.
"""

import signal
import socket
import threading
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, Final

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]  # gunicorn has no types

from oidcgate.serve.access_log import AccessLog
from oidcgate.serve.metrics import CONTENT_TYPE, Board, Counters, page
from oidcgate.serve.recording import RecordedWSGI, Recorder
from oidcgate.serve.sidecar import ENDINGS, worker_name
from oidcgate.web.forwarded import TrustedPeers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["ThreadedSidecar", "ThreadedWorker", "worker_begins", "worker_ends"]

_REPORT_SECONDS: Final = 1.0
_SCRAPE_SECONDS: Final = 5.0


class ThreadedWorker(ThreadWorker):  # type: ignore[misc]  # so its class is Any
    """gunicorn's worker, which would go on listening while it ends, and reset whoever connects meanwhile."""

    def init_signals(self) -> None:
        """Hear signals from now on."""
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Begin or cease to accept; at the end answer who has connected already, and give up the address."""
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listening in self.sockets:
            accepted = -1
            while accepted != self.nr_conns:
                accepted = self.nr_conns
                self.accept(listening)
            listening.close()


class ThreadedSidecar:
    """One worker's share of a sidecar."""

    def __init__(
        self,
        app: "WSGIApplication",
        *,
        counters: Counters,
        access_log: AccessLog | None,
        trusted: TrustedPeers,
        board: Board | None,
        metrics_socket: socket.socket | None,
    ) -> None:
        """Serve `app`.

        Args:
            app: what answers.
            counters: where requests are counted.
            access_log: where they are told; None: nowhere.
            trusted: peers whose word on a client's address is believed.
            board: where numbers are told to other workers; None: nowhere.
            metrics_socket: where Prometheus asks; listening, and shared by all workers.
        """
        self._counters = counters
        self._access_log = access_log
        self._board = board
        self._metrics_socket = metrics_socket
        recorded = access_log is not None or board is not None
        self._app = RecordedWSGI(app, Recorder(counters, access_log, trusted)) if recorded else app

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """One request. Spec: PEP 3333."""
        return self._app(environ, start_response)

    def begin(self, name: str) -> None:
        """Report from now on, in a thread of its own."""
        if self._access_log is not None or self._board is not None:
            threading.Thread(target=self._report, args=(name,), name="oidcgate-reports", daemon=True).start()

    def report(self, name: str) -> None:
        """Let go out what there is."""
        if self._access_log is not None:
            self._access_log.flush()
        if self._board is not None:
            self._board.write(name, self._counters.numbers({}))

    def _report(self, name: str) -> None:
        server = None
        if self._board is not None and self._metrics_socket is not None:
            server = _scraped(self._board, self._metrics_socket)
        while True:
            self.report(name)
            due = time.monotonic() + _REPORT_SECONDS
            while (left := due - time.monotonic()) > 0:
                if server is None:
                    time.sleep(left)
                else:
                    server.timeout = left
                    server.handle_request()


def worker_begins(worker: Any) -> None:
    """gunicorn's hook: a worker has its app."""
    if isinstance(worker.wsgi, ThreadedSidecar):
        worker.wsgi.begin(worker_name(worker))


def worker_ends(_arbiter: Any, worker: Any) -> None:
    """gunicorn's hook: a worker is about to leave."""
    app = getattr(worker, "wsgi", None)
    if isinstance(app, ThreadedSidecar):
        app.report(worker_name(worker))


def _scraped(board: Board, listening: socket.socket) -> HTTPServer:
    class Handler(BaseHTTPRequestHandler):
        timeout = _SCRAPE_SECONDS
        server_version = "oidcgate"
        sys_version = ""

        def do_GET(self) -> None:
            there = self.path.partition("?")[0] in ("/", "/metrics")
            body = page(board.total()) if there else b"see /metrics\n"
            self.send_response(200 if there else 404)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Scrapes are no news."""

    server = HTTPServer(listening.getsockname()[:2], Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listening
    return server

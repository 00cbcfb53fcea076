"""The sidecar on gunicorn's threads: `engine = "wsgi"`.

Here lives `ThreadedSidecar`, the app that such a worker serves, with a thread that does once a second what
the other engine's sweep does (lines of the access log and numbers for metrics go out) and one for scrapes.
Requests are answered by `ThreadedWorker`, which is gunicorn's `gthread` but for its end; that of the other
engine is `worker` next door.
"""

import signal
import socket
import threading
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, Final

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]  # gunicorn has no types

from oidcgate.serve.recording import RecordedWSGI
from oidcgate.serve.scraping import Scraped
from oidcgate.serve.sidecar import ENDINGS, Reports, worker_name

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["ThreadedSidecar", "ThreadedWorker", "scrape_server", "worker_begins", "worker_ends"]

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
    """One worker's share of a sidecar.

    Attributes:
        reports: where it is told.
    """

    def __init__(self, app: "WSGIApplication", reports: Reports) -> None:
        """Serve `app`, and tell of it."""
        self.reports = reports
        recorder = reports.recorder()
        self._app = app if recorder is None else RecordedWSGI(app, recorder)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """One request. Spec: PEP 3333."""
        return self._app(environ, start_response)

    def begin(self, name: str) -> None:
        """Report from now on, in threads of its own."""
        if self.reports.wanted:
            threading.Thread(target=self._report, args=(name,), name="oidcgate-reports", daemon=True).start()
        if self.reports.scraped is not None:
            # Apart: whoever scrapes slowly keeps no line of the access log back.
            server = scrape_server(self.reports.scraped)
            threading.Thread(target=server.serve_forever, name="oidcgate-scrapes", daemon=True).start()

    def report(self, name: str) -> None:
        """Let go out what there is."""
        self.reports.send(name, {})

    def _report(self, name: str) -> None:
        while True:
            self.report(name)
            time.sleep(_REPORT_SECONDS)


def worker_begins(worker: Any) -> None:
    """gunicorn's hook: a worker has its app."""
    if isinstance(worker.wsgi, ThreadedSidecar):
        worker.wsgi.begin(worker_name(worker))


def worker_ends(_arbiter: Any, worker: Any) -> None:
    """gunicorn's hook: a worker is about to leave."""
    app = getattr(worker, "wsgi", None)
    if isinstance(app, ThreadedSidecar):
        app.report(worker_name(worker))


def scrape_server(scraped: Scraped) -> HTTPServer:
    """What answers scrapes, one at a time, each for a few seconds at most."""

    class Handler(BaseHTTPRequestHandler):
        server_version = "oidcgate"
        sys_version = ""

        def handle(self) -> None:
            # The whole scrape has this long: a limit on each read lets one that drips go on for ever.
            cut = threading.Timer(_SCRAPE_SECONDS, self.connection.shutdown, (socket.SHUT_RDWR,))
            cut.daemon = True
            cut.start()
            try:
                super().handle()
            finally:
                cut.cancel()

        def do_GET(self) -> None:
            answer = scraped.answer(self.path.partition("?")[0])
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:
            """Scrapes are no news."""

    server = HTTPServer(scraped.listening.getsockname()[:2], Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = scraped.listening
    return server

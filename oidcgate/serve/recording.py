"""Each request is told to the access log and counted, whichever engine answered it.

Here lives `Recorder`, which a worker's service tells of exchanges, and `RecordedWSGI`, which sees the
requests of gunicorn's threads. What a line looks like is `access_log`, what is counted `metrics`.
"""

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from oidcgate.identity import IDENTITY_ENVIRON
from oidcgate.serve.access_log import AccessLog, Entry
from oidcgate.serve.exchange import MALFORMED, Exchange
from oidcgate.serve.metrics import Counters
from oidcgate.serve.request_head import Refusal
from oidcgate.web.cookies import GATE_PATH

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from oidcgate.serve.protocol import SidecarProtocol

__all__ = ["OUTCOME", "RecordedWSGI", "Recorder"]

#: Key of the environ under which the outcome of a request is found.
OUTCOME: Final = "oidcgate.outcome"

_GATE: Final = "gate"
_REFUSED: Final = "refused"
_LEFT: Final = "left"


class Recorder:
    """Tells log and counters."""

    def __init__(self, counters: Counters, access_log: AccessLog | None) -> None:
        """Record from now on.

        Args:
            counters: where it is counted.
            access_log: where it is told; None: nowhere.
        """
        self._counters = counters
        self._log = access_log

    def finished(self, exchange: Exchange) -> None:
        """A request is over."""
        scope, client = exchange.scope, exchange.connection.client
        path: str = scope["raw_path"].decode("ascii")
        entry = Entry(
            client[0] if client else "",
            scope["method"],
            path,
            exchange.status,
            exchange.sent,
            time.monotonic() - exchange.began_at,
            exchange.user,
            exchange.outcome or _outcome(path, exchange.status),
        )
        self.note(entry)

    def refused(self, connection: "SidecarProtocol", refusal: Refusal) -> None:
        """What came was no request; if it was the body of one, that is told when it is over."""
        self._counters.count("malformed", str(refusal.status))
        if self._log is not None and not connection.in_body():
            client = connection.client[0] if connection.client else ""
            self._log.note(Entry(client, "", "", refusal.status, 0, 0.0, "", MALFORMED))

    def note(self, entry: Entry) -> None:
        """The same for whoever has the entry already."""
        self._counters.request(entry.outcome, entry.status, entry.seconds, entry.sent)
        if self._log is not None:
            self._log.note(entry)


def _outcome(path: str, status: int) -> str:
    if not status:
        return _LEFT
    return _GATE if path.startswith(GATE_PATH) else _REFUSED


class RecordedWSGI:
    """A WSGI app whose requests are recorded."""

    def __init__(self, app: "WSGIApplication", recorder: Recorder) -> None:
        self._app = app
        self._recorder = recorder

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """One request. Spec: PEP 3333."""
        request = _Request(environ, self._recorder)

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Any:
            request.status = int(status[:3])
            if exc_info is None:
                return start_response(status, headers)
            return start_response(status, headers, exc_info)

        try:
            return _Counted(self._app(environ, start), request)
        except BaseException:
            request.end()
            raise


class _Request:
    def __init__(self, environ: "WSGIEnvironment", recorder: Recorder) -> None:
        self._environ = environ
        self._recorder = recorder
        self._began_at = time.monotonic()
        self._ended = False
        self.status = 0
        self.sent = 0

    def end(self) -> None:
        if self._ended:
            return
        self._ended = True
        environ = self._environ
        raw = environ.get("RAW_URI")
        path = environ.get("PATH_INFO", "") if raw is None else raw.partition("?")[0]
        identity = environ.get(IDENTITY_ENVIRON)
        self._recorder.note(
            Entry(
                environ.get("REMOTE_ADDR", ""),
                environ["REQUEST_METHOD"],
                path,
                self.status,
                self.sent,
                time.monotonic() - self._began_at,
                identity.user_name if identity is not None else "",
                environ.get(OUTCOME) or _outcome(path, self.status),
            )
        )


class _Counted:
    """The body of an answer, as it passes."""

    def __init__(self, body: Iterable[bytes], request: _Request) -> None:
        self._body = body
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._body:
            self._request.sent += len(piece)
            yield piece

    def close(self) -> None:
        """The server is done with it."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._request.end()

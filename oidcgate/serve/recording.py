"""Each request is told to the access log and counted, whichever engine answered it.

Here lives `Recorder`, which a worker's service tells of exchanges, and `RecordedWSGI`, which sees the
requests of gunicorn's threads. What a line looks like is `access_log`, what is counted `metrics`.
"""

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from oidcgate.handover import OUTCOME, AnswerCut, Outcome
from oidcgate.identity import IDENTITY_ENVIRON
from oidcgate.serve.access_log import AccessLog, Entry
from oidcgate.serve.metrics import Counters
from oidcgate.serve.request_head import Refusal
from oidcgate.serve.service import Connection, Finished
from oidcgate.web.cookies import GATE_PATH
from oidcgate.web.forwarded import TrustedPeers, believed_hops, claimed_hops

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["RecordedWSGI", "Recorder"]


class Recorder:
    """Tells log and counters."""

    def __init__(
        self, counters: Counters, access_log: AccessLog | None, trusted: TrustedPeers | None = None
    ) -> None:
        """Record from now on.

        Args:
            counters: where it is counted.
            access_log: where it is told; None: nowhere.
            trusted: peers whose X-Forwarded-For is believed; by default nobody.
        """
        self._counters = counters
        self._log = access_log
        self._trusted = trusted or TrustedPeers()
        self._believes = self._trusted.believes_somebody

    def finished(self, exchange: Finished) -> None:
        """A request is over."""
        scope, client = exchange.scope, exchange.connection.client
        address = client[0] if client else ""
        if self._believes:
            address = self.client(address, claimed_hops(scope["headers"]).decode("latin-1"))
        path: str = scope["raw_path"].decode("ascii")
        entry = Entry(
            address,
            scope["method"],
            path,
            exchange.status,
            exchange.sent,
            time.monotonic() - exchange.began_at,
            exchange.user,
            exchange.outcome or _outcome(path, exchange.status),
        )
        self.note(entry)

    def refused(self, connection: Connection, refusal: Refusal) -> None:
        """What came was no request; if it was the body of one, that is told when it is over."""
        self._counters.count("malformed", str(refusal.status))
        if self._log is not None and not connection.in_body():
            client = connection.client[0] if connection.client else ""
            self._log.note(Entry(client, "", "", refusal.status, 0, 0.0, "", Outcome.MALFORMED))

    def client(self, peer: str, claimed: str) -> str:
        """The address of the client, as far as what it says of its way is to be believed.

        Args:
            peer: address of the connection's other end; "" for a Unix socket.
            claimed: X-Forwarded-For.
        """
        if not self._believes or not claimed:
            return peer
        hops = believed_hops(peer, claimed, self._trusted)
        return hops[0] if hops else peer

    def note(self, entry: Entry) -> None:
        """The same for whoever has the entry already."""
        self._counters.request(entry.outcome, entry.status, entry.seconds, entry.sent)
        if self._log is not None:
            self._log.note(entry)


def _outcome(path: str, status: int) -> Outcome:
    if not status:
        return Outcome.LEFT
    return Outcome.GATE if path.startswith(GATE_PATH) else Outcome.REFUSED


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
        self.broken = False

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
                self._recorder.client(
                    environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR", "")
                ),
                environ["REQUEST_METHOD"],
                path,
                self.status,
                self.sent,
                time.monotonic() - self._began_at,
                identity.user_name if identity is not None else "",
                self._outcome(path),
            )
        )

    def _outcome(self, path: str) -> Outcome:
        if self.broken:
            return Outcome.FAILED
        return self._environ.get(OUTCOME) or _outcome(path, self.status)


class _Counted:
    """The body of an answer, as it passes."""

    def __init__(self, body: Iterable[bytes], request: _Request) -> None:
        self._body = body
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._body:
                self._request.sent += len(piece)
                yield piece
        except AnswerCut:
            self._request.broken = True
            raise

    def close(self) -> None:
        """The server is done with it."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._request.end()

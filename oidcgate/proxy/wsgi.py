"""`ReverseProxy`: a server elsewhere as a WSGI app, so that a gate can stand around it under any WSGI server.

Here lives the way between an answer and `start_response`, and the choice of an upstream. What a WSGI environ
says of a request is read by `environ` next door, which fields pass is decided in `request_head` and
`response_head`; connections are `blocking`'s, time limits `blocking_exchange`'s. The same for ASGI, with
WebSockets and without a thread per request, is `http`.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from oidcgate.handover import FORWARD, OUTCOME, PUBLIC_URL, AnswerCut, Outcome
from oidcgate.proxy.blocking import Pool
from oidcgate.proxy.blocking_exchange import Exchange
from oidcgate.proxy.client_way import forwarded
from oidcgate.proxy.dial import tls_context
from oidcgate.proxy.environ import asks_for_websocket, body_of, fields_of, path_and_target
from oidcgate.proxy.fields import BadHead, header_lines
from oidcgate.proxy.pages import proxy_pages
from oidcgate.proxy.request_head import request_head
from oidcgate.proxy.response_head import response_headers
from oidcgate.proxy.routes import Destination, Limits, Public, Route, RouteTable, Upstream
from oidcgate.proxy.short_answers import reader_of, short_answer
from oidcgate.proxy.troubles import OnError, Trouble, UpstreamTrouble, log_trouble
from oidcgate.web.canonical_path import BadPath
from oidcgate.web.forwarded import parse_trusted_peers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["ReverseProxy"]


class ReverseProxy:
    """The app at an HTTP address, as a WSGI app: `Gate(ReverseProxy("http://127.0.0.1:8081"))`.

    It belongs inside a `Gate`: it knows no identity, so by itself it lets every client say who it is. Bodies
    pass in both directions as they come and are never held. What is not passed on: fields that concern one
    connection, and what a client says of the way it came; `X-Forwarded-*`, `Forwarded` and `X-Real-IP` are
    written anew.

    The limits of WSGI are its limits: a WebSocket is answered with 501 (`oidcgate serve` can do them), a
    client that leaves is noticed only at the next byte for it, an answer that the app gives before it has the
    whole request only after the next block of it, a chunked request needs a server that sets
    `wsgi.input_terminated`, and `Expect: 100-continue` is the server's to answer. An answer that breaks off
    is raised out of the iteration as an error; a server that has announced neither a length nor chunks (such
    as `wsgiref`) cannot make its client see that.
    """

    #: Tells a gate to leave it to us to send its identity headers.
    forwards_identity: Final = True

    def __init__(
        self,
        url: str | None = None,
        *,
        routes: Sequence[Route] = (),
        ca_file: str | Path | None = None,
        client_cert_file: str | Path | None = None,
        client_key_file: str | Path | None = None,
        public_url: str | None = None,
        trusted_proxies: Iterable[str] = (),
        insecure_encoded_slash: bool = False,
        limits: Limits | None = None,
        on_error: OnError = log_trouble,
        pages_folder: Path | None = None,
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            url: `http://host:port`, `https://host:port` or `unix:/path/of/socket`, without a path.
            routes: instead of `url`, for several upstreams by host and path.
            ca_file: certificates (PEM) that vouch for an https upstream, instead of the system's.
            client_cert_file: certificate (PEM) by which an https upstream knows us.
            client_key_file: its key, unless it is in the same file.
            public_url: where clients reach us; becomes Host and X-Forwarded-Host, -Proto and -Port. Unless
                given it is what the gate around says, and without one the upstream's own address: never what
                a client says.
            trusted_proxies: networks whose X-Forwarded-For is believed; `unix`: peers on a Unix socket.
            insecure_encoded_slash: pass on `%2F` in a path; the gate around has to judge both its readings.
            limits: time and size.
            on_error: hears of every trouble once; unless given, it is logged.
            pages_folder: templates and texts of one's own for the page that says the app is down.

        Raises:
            ValueError: an address or network is none, or routes contradict each other.
            OSError: a file of certificates cannot be read.
        """
        if (url is None) == (not routes):
            raise ValueError("name one upstream by its URL, or several by routes")
        if url is not None:
            files = [
                None if file is None else Path(file) for file in (ca_file, client_cert_file, client_key_file)
            ]
            routes = (Route(Upstream(url, *files)),)
        elif ca_file or client_cert_file or client_key_file:
            raise ValueError("with routes, certificates belong to the Upstream of each")
        limits = limits or Limits()
        self._public = Public.from_url(public_url) if public_url else None
        self._fallback = Public("http", _authority(routes[0].upstream))
        self._table = lru_cache(maxsize=64)(lambda public: RouteTable(routes, public))
        upstreams = self._table(self._public or self._fallback).upstreams
        for upstream in upstreams:
            tls_context(upstream)
        self._pools = {upstream: Pool(upstream, limits) for upstream in upstreams}
        self._trusted = parse_trusted_peers(trusted_proxies)
        # The way of a request is the same for all requests of one client.
        self._way = lru_cache(maxsize=1024)(self._way_lines)
        self._insecure_encoded_slash = insecure_encoded_slash
        self._report = on_error
        self._pages = proxy_pages(pages_folder)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """One request. Spec: PEP 3333."""
        request: _Request | None = None
        try:
            if asks_for_websocket(environ):
                raise UpstreamTrouble(Trouble.NO_UPGRADE)
            request = self._request(environ)
            pool = self._pools[request.destination.upstream]
            exchange = Exchange(pool, request.method, request.head, request.body)
        except (BadPath, BadHead, UnicodeEncodeError) as bad:
            trouble = UpstreamTrouble(Trouble.BAD_REQUEST, _fault(bad))
        except UpstreamTrouble as raised:
            trouble = raised
        else:
            try:
                return self._answer(exchange, request.destination.upstream, environ, start_response)
            except BadHead as bad:
                exchange.close()
                trouble = UpstreamTrouble(Trouble.MALFORMED, bad.fault)
            except BaseException:
                exchange.close()
                raise
        return self._answer_shortly(trouble, request and request.destination, environ, start_response)

    def _answer_shortly(
        self,
        trouble: UpstreamTrouble,
        destination: Destination | None,
        environ: "WSGIEnvironment",
        start_response: "StartResponse",
    ) -> Iterable[bytes]:
        self._report(trouble.kind, destination and destination.upstream, trouble.detail)
        environ[OUTCOME] = Outcome.FAILED
        reader = None
        # Nobody has said where browsers reach us: a page would have to name the app by its own address.
        if destination is not None and (self._public is not None or PUBLIC_URL in environ):
            reader = reader_of(environ, destination.host.decode("ascii"), self._pages)
        method: str = environ["REQUEST_METHOD"]
        status, headers, body = short_answer(trouble.kind, method=method, reader=reader)
        # Connection is the server's; PEP 3333 forbids it to apps.
        passed = [
            (name.decode(), value.decode("latin-1")) for name, value in headers if name != b"connection"
        ]
        start_response(_status_line(status), passed)
        return [body] if body else []

    def close(self) -> None:
        """Close the connections that are not in use. Afterwards it goes on, with new ones."""
        for pool in self._pools.values():
            pool.close()

    def _request(self, environ: "WSGIEnvironment") -> "_Request":
        method: str = environ["REQUEST_METHOD"]
        path, target = path_and_target(environ, self._insecure_encoded_slash)
        query: str = environ.get("QUERY_STRING", "")
        if query:
            target += b"?" + query.encode("latin-1")
        headers = fields_of(environ)
        destination = self._destination(environ, path)
        framing, body = body_of(environ, headers)
        head = request_head(
            method,
            target,
            headers,
            host=destination.host,
            own=destination.admitted(environ.get(FORWARD, ())),
            own_lines=self._way_of(environ, destination),
            framing=framing,
        )
        return _Request(destination, method, head, body)

    def _destination(self, environ: "WSGIEnvironment", path: str) -> Destination:
        public = self._public
        if public is None:
            url = environ.get(PUBLIC_URL)
            public = _public(url) if url else self._fallback
        found = self._table(public).find(environ.get("HTTP_HOST", "").encode("latin-1"), path)
        if found is None:
            raise UpstreamTrouble(Trouble.NO_ROUTE)
        return found

    def _way_of(self, environ: "WSGIEnvironment", destination: Destination) -> bytes:
        peer = environ.get("REMOTE_ADDR") or None
        claimed = environ.get("HTTP_X_FORWARDED_FOR")
        if claimed and self._trusted.believes_somebody:
            # Not remembered: whoever is in front of us says something else for each client.
            return self._way_lines(peer, destination.proto, destination.host, claimed.encode("latin-1"))
        return self._way(peer, destination.proto, destination.host)

    def _way_lines(self, peer: str | None, proto: bytes, host: bytes, claimed: bytes = b"") -> bytes:
        return header_lines(forwarded(peer, claimed, trusted=self._trusted, proto=proto, host=host))

    def _answer(
        self,
        exchange: Exchange,
        upstream: Upstream,
        environ: "WSGIEnvironment",
        start_response: "StartResponse",
    ) -> Iterable[bytes]:
        answer = exchange.answer
        passed = response_headers(answer.status, answer.headers)
        headers = [(name.decode("ascii"), value.decode("latin-1")) for name, value in passed]
        if environ.get("SERVER_SOFTWARE", "").startswith(_WRITES_ITS_OWN):
            headers = [pair for pair in headers if pair[0] not in ("date", "server")]
        start_response(_status_line(answer.status), headers)
        if answer.complete:
            body = answer.take()
            return [body] if body else []
        return _Body(exchange, upstream, self._report)


class _Request(NamedTuple):
    destination: Destination
    method: str
    head: bytes
    body: Iterator[bytes] | None


class _Body:
    """The body of an answer, as it comes."""

    def __init__(self, exchange: Exchange, upstream: Upstream, report: OnError) -> None:
        self._exchange = exchange
        self._upstream = upstream
        self._report = report
        # At least a look at nothing, so that the server sends the head of a stream before its first event.
        self._first: bytes | None = exchange.answer.take()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._first is not None:
            data, self._first = self._first, None
            return data
        try:
            data = self._exchange.more()
        except UpstreamTrouble as trouble:
            self.close()
            self._report(trouble.kind, self._upstream, trouble.detail)
            raise AnswerCut(str(trouble.kind)) from None
        if not data:
            raise StopIteration
        return data

    def close(self) -> None:
        self._exchange.close()


# gunicorn writes these two itself, beside an app's.
_WRITES_ITS_OWN: Final = "gunicorn"
_STATUS_LINES: Final = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


def _status_line(status: int) -> str:
    # The upstream's own words for it mean nothing to a program, and few people have ever read them.
    return _STATUS_LINES.get(status) or f"{status} Unknown"


_public = lru_cache(maxsize=64)(Public.from_url)


def _authority(upstream: Upstream) -> str:
    return "localhost" if upstream.socket_path is not None else urlsplit(upstream.url).netloc


def _fault(bad: Exception) -> str:
    return bad.fault if isinstance(bad, BadPath | BadHead) else "characters beyond latin-1"

"""`ReverseProxy`: a server elsewhere as a WSGI app, so that a gate can stand around it under any WSGI server.

Here lives the way between a WSGI environ and the bytes of a request, and between an answer and
`start_response`. Which fields pass is decided in `rules`, which upstream serves what in `routes`; connections
and time limits are `blocking`'s. The same for ASGI, with WebSockets and without a thread per request, is
`http` next door.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from oidcgate.proxy.blocking import Exchange, Pool
from oidcgate.proxy.dial import tls_context
from oidcgate.proxy.routes import Destination, Limits, Public, Route, RouteTable, Upstream
from oidcgate.proxy.rules import (
    BadHead,
    Framing,
    HeaderPair,
    HeadFault,
    forwarded,
    header_lines,
    request_framing,
    request_head,
    response_headers,
)
from oidcgate.proxy.troubles import AnswerCut, OnError, Trouble, UpstreamTrouble, short_answer
from oidcgate.web.canonical_path import BadPath, canonical_path, check_raw_target, quote_path
from oidcgate.web.forwarded import parse_trusted_peers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["ReverseProxy"]

#: Set by a gate: the fields that say who the user is, and the public URL that the request came to.
_FORWARD_KEY: Final = "oidcgate.forward"
_PUBLIC_URL_KEY: Final = "oidcgate.public_url"

_BLOCK: Final = 64 * 1024
_LOG = logging.getLogger(__name__)


def _to_log(kind: Trouble, upstream: Upstream | None, detail: str) -> None:
    # What a client does wrong is no news to an operator.
    level = logging.WARNING if kind.startswith("upstream_") else logging.INFO
    _LOG.log(level, "%s %s %s", kind, upstream.url if upstream else "-", detail)


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
        on_error: OnError = _to_log,
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

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """One request. Spec: PEP 3333."""
        upstream: Upstream | None = None
        try:
            if _asks_for_websocket(environ):
                return _start_short(start_response, *_NO_WEBSOCKET)
            request = self._request(environ)
            upstream = request.upstream
            exchange = Exchange(self._pools[upstream], request.method, request.head, request.body)
        except (BadPath, BadHead, UnicodeEncodeError) as bad:
            trouble = UpstreamTrouble(Trouble.BAD_REQUEST, _fault(bad))
        except _LengthRequired:
            return _start_short(start_response, *_LENGTH_REQUIRED)
        except UpstreamTrouble as raised:
            trouble = raised
        else:
            try:
                return self._answer(exchange, upstream, environ, start_response)
            except BadHead as bad:
                exchange.close()
                trouble = UpstreamTrouble(Trouble.MALFORMED, bad.fault)
            except BaseException:
                exchange.close()
                raise
        self._report(trouble.kind, upstream, trouble.detail)
        status, headers, body = short_answer(trouble.kind)
        return _start_short(start_response, status, headers, body)

    def close(self) -> None:
        """Close the connections that are not in use. Afterwards it goes on, with new ones."""
        for pool in self._pools.values():
            pool.close()

    def _request(self, environ: "WSGIEnvironment") -> "_Request":
        method: str = environ["REQUEST_METHOD"]
        path, target = _path_and_target(environ, self._insecure_encoded_slash)
        query: str = environ.get("QUERY_STRING", "")
        if query:
            target += b"?" + query.encode("latin-1")
        headers = _headers(environ)
        destination = self._destination(environ, path)
        framing, body = _body(environ, headers)
        head = request_head(
            method,
            target,
            headers,
            host=destination.host,
            own=environ.get(_FORWARD_KEY, ()),
            own_lines=self._way_of(environ, destination),
            framing=framing,
        )
        return _Request(destination.upstream, method, head, body)

    def _destination(self, environ: "WSGIEnvironment", path: str) -> Destination:
        public = self._public
        if public is None:
            url = environ.get(_PUBLIC_URL_KEY)
            public = _public(url) if url else self._fallback
        found = self._table(public).find(environ.get("HTTP_HOST", "").encode("latin-1"), path)
        if found is None:
            raise UpstreamTrouble(Trouble.NO_ROUTE)
        return found

    def _way_of(self, environ: "WSGIEnvironment", destination: Destination) -> bytes:
        peer = environ.get("REMOTE_ADDR") or None
        claimed = environ.get("HTTP_X_FORWARDED_FOR")
        if claimed and (self._trusted.networks or self._trusted.unix):
            # Not remembered: whoever is in front of us says something else for each client.
            return self._way_lines(peer, destination.proto, destination.host, claimed.encode("latin-1"))
        return self._way(peer, destination.proto, destination.host)

    def _way_lines(self, peer: str | None, proto: bytes, host: bytes, claimed: bytes = b"") -> bytes:
        claims = [(b"x-forwarded-for", claimed)]
        return header_lines(forwarded(peer, claims, trusted=self._trusted, proto=proto, host=host))

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
    upstream: Upstream
    method: str
    head: bytes
    body: Iterator[bytes] | None


class _LengthRequired(Exception):
    """Where the body ends is known to the server alone, and it does not say so."""


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


def _start_short(
    start_response: "StartResponse", status: int, headers: Iterable[HeaderPair], body: bytes
) -> Iterable[bytes]:
    # Connection is the server's; PEP 3333 forbids it to apps.
    passed = [(name.decode(), value.decode()) for name, value in headers if name != b"connection"]
    start_response(_status_line(status), passed)
    return [body]


def _short(status: int, error: str, description: str) -> tuple[int, list[HeaderPair], bytes]:
    body = f'{{"error": "{error}", "error_description": "{description}"}}'.encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    return status, headers, body


_NO_WEBSOCKET: Final = _short(
    501, "not_implemented", "WebSockets cannot pass a WSGI server; serve the app with: oidcgate serve"
)
_LENGTH_REQUIRED: Final = _short(
    411, "length_required", "this server passes on no chunked requests; send Content-Length"
)


def _asks_for_websocket(environ: "WSGIEnvironment") -> bool:
    # Other upgrades are offers that a server need not take up; without their fields the request stays whole.
    return (
        "HTTP_UPGRADE" in environ
        and "websocket" in environ["HTTP_UPGRADE"].lower()
        and "upgrade" in environ.get("HTTP_CONNECTION", "").lower()
    )


def _path_and_target(environ: "WSGIEnvironment", insecure_encoded_slash: bool) -> tuple[str, bytes]:
    """The path that was judged, and how it is asked for: as on the wire, if the server says how that was."""
    decoded: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if raw is not None:
        raw = raw.partition("?")[0]
    if len(decoded) + len(raw or "") <= _REMEMBERED_LENGTH:
        return _remembered_target(decoded or "/", raw, insecure_encoded_slash)
    return _target(decoded, raw, insecure_encoded_slash)


def _target(decoded: str, raw: str | None, insecure_encoded_slash: bool) -> tuple[str, bytes]:
    path = canonical_path(decoded)
    if raw is None:
        return path, quote_path(path).encode("ascii")
    check_raw_target(raw, decoded, insecure_encoded_slash=insecure_encoded_slash)
    return path, raw.encode("latin-1")


# Both are pure, and a site has few paths compared with its requests.
_REMEMBERED_LENGTH: Final = 512
_remembered_target = lru_cache(maxsize=2048)(_target)


def _headers(environ: "WSGIEnvironment") -> list[HeaderPair]:
    """The fields of the request. A server has joined repeated ones and made "_" of "-"."""
    headers = [
        (_header_name(key), value.encode("latin-1")) for key, value in environ.items() if key[:5] == "HTTP_"
    ]
    for key, name in _CGI_FIELDS:
        value = environ.get(key)
        other = environ.get("HTTP_" + key)
        if other is not None:
            # Some servers give both. Where they differ, the second came under another name, such as
            # `Content_Length`, and to the upstream the two would be one.
            if other != value:
                raise BadHead(HeadFault.NAME)
        elif value:
            headers.append((name, value.encode("latin-1")))
    return headers


_CGI_FIELDS: Final = (("CONTENT_TYPE", b"content-type"), ("CONTENT_LENGTH", b"content-length"))


def _name(key: str) -> bytes:
    return key[5:].replace("_", "-").lower().encode("latin-1")


_REMEMBERED_KEY_LENGTH: Final = 64
_remembered_name = lru_cache(maxsize=1024)(_name)


def _header_name(key: str) -> bytes:
    return _remembered_name(key) if len(key) <= _REMEMBERED_KEY_LENGTH else _name(key)


def _body(
    environ: "WSGIEnvironment", headers: Iterable[HeaderPair]
) -> tuple[Framing, Iterator[bytes] | None]:
    """How the body is framed for the upstream, and its blocks in that frame; None when there is none.

    Raises:
        BadHead: the framing is ambiguous.
        _LengthRequired: only the server could say where the body ends.
    """
    protocol: str = environ.get("SERVER_PROTOCOL", "")
    framing = request_framing(headers, "1.0" if protocol == "HTTP/1.0" else "1.1")
    if framing.length:
        return framing, _measured(environ["wsgi.input"], framing.length)
    if framing.chunked:
        if not environ.get("wsgi.input_terminated"):
            raise _LengthRequired
        return framing, _in_chunks(environ["wsgi.input"])
    if framing.length is None and environ.get("wsgi.input_terminated") and not protocol.startswith("HTTP/1"):
        # From HTTP/2 on, a body need not be announced at all.
        read = _reader(environ["wsgi.input"])
        first = read(_BLOCK)
        if first:
            return _CHUNKED, chain([_chunk(first)], _in_chunks(environ["wsgi.input"]))
    return framing, None


_CHUNKED: Final = Framing(chunked=True)


def _reader(source: Any) -> Callable[[int], bytes]:
    # `read` of some servers waits until all that was asked for is there; `read1` takes what has come.
    reader: Callable[[int], bytes] = getattr(source, "read1", None) or source.read
    return reader


def _measured(source: Any, length: int) -> Iterator[bytes]:
    read = _reader(source)
    while length:
        data = read(min(length, _BLOCK))
        length -= len(data)
        if not data or length < 0:
            raise UpstreamTrouble(Trouble.CLIENT_GONE, "the body is shorter than it says")
        yield data


def _in_chunks(source: Any) -> Iterator[bytes]:
    read = _reader(source)
    while data := read(_BLOCK):
        yield _chunk(data)
    yield b"0\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


_public = lru_cache(maxsize=64)(Public.from_url)


def _authority(upstream: Upstream) -> str:
    return "localhost" if upstream.socket_path is not None else urlsplit(upstream.url).netloc


def _fault(bad: Exception) -> str:
    return bad.fault if isinstance(bad, BadPath | BadHead) else "characters beyond latin-1"

"""From a client's bytes to requests: uvicorn's parser callbacks, and the limits that it lacks.

Here lives `RequestReader`, which knows heads, bodies and what stands between them. Which heads are refused is
`request_head`; what becomes of a request and of its connection is `protocol`, which builds on this.

uvicorn leaves open how large a head may be, targets that are no paths, trailers that turn into fields, and
how much may be said around a body without ever saying any of it.
"""

from typing import Final
from urllib.parse import unquote

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from oidcgate.handover import EXCHANGE, UPGRADE
from oidcgate.proxy.fields import HeaderPair
from oidcgate.proxy.framing import NO_BODY, Framing
from oidcgate.serve.exchange import Exchange, Scope
from oidcgate.serve.request_head import (
    WATCHED,
    Refusal,
    check_handshake,
    check_host,
    check_line,
    check_target,
    expects_continue,
    framing_of,
    head_size,
    is_token_in,
    subprotocols,
)
from oidcgate.serve.service import Service
from oidcgate.serve.upgrade import Handshake, Upgrade

__all__ = ["RequestReader"]

#: Bytes of a body that may wait to be read by the app; reading stops above.
_BODY_HIGH_WATER: Final = 65_536
#: Bytes that may follow each other in a chunked body without any of them being body: sizes and extensions.
_FRAMING_BYTES: Final = 32_768


class _Enough(Exception):
    """Out of a callback: what follows is not read any more."""


class RequestReader(HttpToolsProtocol):
    """The half of a connection that reads.

    Attributes:
        service: what all connections share.
        deaf: nothing more is understood; whoever builds on this must feed no more.
        reading: the request whose body is being read, or was read last.
        in_head: the first byte of a head has come, and its last has not.
        head_since: when that was.
    """

    def __init__(self, config: Config, service: Service) -> None:
        super().__init__(config, service, {}, service.loop)
        self.service = service
        # Without the leniency that uvicorn asks for: what follows a last request is dropped here.
        self.parser = httptools.HttpRequestParser(self)
        self.deaf = False
        self.reading: Exchange | None = None
        self.in_head = False
        self.head_since = service.now
        # The head being read: its first bytes, and whether something else stands before it in them.
        self._begun = False
        self._raw = b""
        self._inside = False
        self._head_bytes = 0
        self._hosts = 0
        self._watched: list[HeaderPair] = []
        # The body being read.
        self._trailers = 0
        self._framing_bytes = 0
        self._arrived = 0
        # A request that offers another protocol than WebSocket: httptools stops behind its head.
        self._declined: Framing | None = None
        self._replaying = False
        self._refusal: Refusal | None = None

    # What builds on this

    def begin(self, exchange: Exchange) -> None:
        """A request's head has come."""
        raise NotImplementedError

    def exchange_for(self, scope: Scope, keep_alive: bool, expects_continue: bool) -> Exchange:
        """What answers this request on the whole connection."""
        raise NotImplementedError

    def handshake_for(self, scope: Scope) -> Handshake:
        """The same for one that wants to become a WebSocket."""
        raise NotImplementedError

    def refuse(self, refusal: Refusal) -> None:
        """What comes in is no request, or no body of one."""
        raise NotImplementedError

    def has_room(self) -> bool:
        """Whether one more request may follow those that are there."""
        raise NotImplementedError

    # Bytes

    def read(self, data: bytes) -> None:
        """Understand what the client says."""
        if isinstance(self.reading, Handshake):
            self._hold(self.reading, data)
            return
        if self.in_head:
            self._raw += data
        else:
            self._raw = data
            self._inside = self.in_body()
        self._begun = False
        self._feed(data)

    def forget(self) -> None:
        """Nothing more will be read: what is kept for it may go."""
        self._raw = b""
        self._watched = []
        self.headers = []

    def in_body(self) -> bool:
        """Whether a body is being read."""
        return self.reading is not None and not self.reading.body_ended

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as stop:
            self._go_on_behind_offer(data[stop.args[0] :])
        except httptools.HttpParserError:
            self._not_understood()
        else:
            if self.in_head:
                self._wait_for_rest_of_head(len(data))
            elif self.in_body():
                self._look_at_framing(len(data))
            if not self.in_head:
                self._raw = b""

    def _wait_for_rest_of_head(self, size: int) -> None:
        limit = self.service.limits.head_bytes
        if self._begun:
            self.head_since = self.service.now
            # Where in these bytes it began is not known when something stood before it.
            self._head_bytes = 0 if self._inside else size
            self._raw = self._raw[-limit:] if self._inside else self._raw
        else:
            self._head_bytes += size
        if self._head_bytes > limit:
            self.refuse(Refusal(431, "the request head is too large"))

    def _look_at_framing(self, size: int) -> None:
        """A chunk's extension and its like have no end of their own that anybody would notice."""
        assert self.reading is not None  # noqa: S101 (asked by the caller)
        if self.reading.arrived != self._arrived:
            self._arrived = self.reading.arrived
            self._framing_bytes = 0
        else:
            self._framing_bytes += size
            if self._framing_bytes > _FRAMING_BYTES:
                self.refuse(Refusal(400, "the body is framed by more than it holds"))

    def _hold(self, handshake: Handshake, data: bytes) -> None:
        """Early frames are kept for the tunnel; no more of them are read before there is one."""
        handshake.held += data
        self.flow.pause_reading()

    def _go_on_behind_offer(self, rest: bytes) -> None:
        """httptools has stopped behind a head that offers another protocol."""
        if isinstance(self.reading, Handshake):
            if rest:
                self._hold(self.reading, rest)
            return
        # Declined, so what follows is HTTP as before. The new parser is told how the body is framed.
        framing, self._declined = self._declined or NO_BODY, None
        self.parser = httptools.HttpRequestParser(self)
        if framing.has_body:
            said = b"content-length: %d" % (framing.length or 0)
            if framing.chunked:
                said = b"transfer-encoding: chunked"
            self._replaying = True
            self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % said)
            self._replaying = False
        if rest:
            self._inside = True
            self._feed(rest)

    # What httptools calls

    def on_message_begin(self) -> None:
        """The first byte of a head."""
        if self._replaying:
            return
        reading = self.reading
        if reading is not None:
            if not reading.keep_alive:
                raise _Enough
            if not self.has_room():
                # RFC 9112 9.3.2: who sends requests ahead has to live with answers to only some.
                reading.keep_alive = False
                raise _Enough
        self.in_head = self._begun = True
        self.url = b""
        self.headers = []
        self._hosts = 0
        self._watched = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head; behind the body it is a trailer, which is read and dropped."""
        if self.in_head:
            name = name.lower()
            self.headers.append((name, value))
            if name == b"host":
                self._hosts += 1
            elif name in WATCHED:
                self._watched.append((name, value.strip(b" \t")))
        elif not self._replaying:
            self._trailers += 1
            if self._trailers > self.service.limits.head_fields:
                raise self._refused(Refusal(431, "the body has too many trailers"))

    def on_headers_complete(self) -> None:
        """The head is there: it is refused, or somebody is asked to answer it."""
        if self._replaying:
            return
        try:
            exchange = self._understood()
        except Refusal as refusal:
            raise self._refused(refusal) from None
        self.in_head = False
        self._trailers = self._framing_bytes = self._arrived = 0
        self.reading = exchange
        self.begin(exchange)

    def on_body(self, body: bytes) -> None:
        """A piece of a request's body."""
        reading = self.reading
        if reading is None or reading.complete or reading.gone:
            return
        reading.feed(body)
        if reading.buffered > _BODY_HIGH_WATER:
            self.flow.pause_reading()

    def on_message_complete(self) -> None:
        """The end of a request's body, or of a head without one."""
        if self._declined is not None and self._declined.has_body:
            # Said of the head alone, because httptools takes what follows for another protocol.
            return
        self._inside = True
        if self.reading is not None:
            self.reading.end_body()

    def _understood(self) -> Exchange:
        limits = self.service.limits
        parser, target, headers = self.parser, self.url, self.headers
        method, version = parser.get_method(), parser.get_http_version()
        if len(headers) > limits.head_fields:
            raise Refusal(431, "the request has too many header fields")
        if len(self._raw) > limits.head_bytes and head_size(target, headers) > limits.head_bytes:
            raise Refusal(431, "the request head is too large")
        if version not in ("1.1", "1.0"):
            raise Refusal(400, "the only versions of HTTP here are 1.0 and 1.1")
        check_line(self._raw, method, target, version, inside=self._inside)
        check_target(target)
        check_host(self._hosts, version)
        watched, framing, waits = self._watched, NO_BODY, False
        websocket = False
        if watched:
            framing = framing_of(watched, version)
            waits = expects_continue(watched, version, framing)
            if any(name == b"upgrade" for name, _ in watched) and parser.should_upgrade():
                if version == "1.1" and is_token_in(watched, b"upgrade", b"websocket"):
                    check_handshake(method, headers, framing)
                    websocket = True
                else:
                    self._declined = framing
        if method == b"CONNECT":
            raise Refusal(400, "this is no proxy to connect through")
        path, _, query = target.partition(b"?")
        text = path.decode("ascii")
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": "http",
            "method": method.decode("ascii"),
            "root_path": "",
            "path": unquote(text) if "%" in text else text,
            "raw_path": path,
            "query_string": query,
            "headers": headers,
        }
        exchange: Exchange
        if websocket:
            exchange = handshake = self.handshake_for(scope)
            scope["type"], scope["scheme"] = "websocket", "ws"
            scope["subprotocols"] = subprotocols(headers)
            scope["extensions"] = {"websocket.http.response": {}, UPGRADE: Upgrade(handshake)}
        else:
            keep_alive = version == "1.1" and parser.should_keep_alive()
            exchange = self.exchange_for(scope, keep_alive, waits)
        scope[EXCHANGE] = exchange
        return exchange

    def _refused(self, refusal: Refusal) -> Refusal:
        # httptools keeps to itself what a callback raises.
        self._refusal = refusal
        return refusal

    def _not_understood(self) -> None:
        reading, refusal = self.reading, self._refusal
        if refusal is None and reading is not None and reading.body_ended and not reading.keep_alive:
            # Bytes behind a last request. Nobody was promised that they would be read.
            self.deaf = True
            return
        self.refuse(refusal or Refusal(400, "the request is malformed"))

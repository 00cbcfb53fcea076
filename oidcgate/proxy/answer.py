"""One answer of an upstream, read from bytes as they come. Pure: no socket, no clock.

Here lives when the head is complete, what of the body has come, when the answer is over, and whether the
connection can carry another one. The syntax is httptools'; what passes to the client and where a body ends is
decided in `response_head` and `framing`. Waiting for the bytes is the business of who reads them:
`blocking_exchange` for threads, `upstream` for an event loop.
"""

from typing import Final

import httptools

from oidcgate.proxy.fields import BadHead, HeaderPair
from oidcgate.proxy.framing import NO_BODY, Framing, response_framing
from oidcgate.proxy.routes import Limits
from oidcgate.proxy.troubles import Trouble, UpstreamTrouble

__all__ = ["AnswerReader"]

# What a field adds to its name and value: a colon, a blank and the line break.
_FIELD_OVERHEAD: Final = 4
# Content-Length and Transfer-Encoding, told from most others without looking at them.
_FRAMING_NAME_LENGTHS: Final = (14, 17)
_UPGRADE: Final = "switches protocols unasked"


class AnswerReader:
    """Reads one answer at a time. The bytes that come in are of one connection, from where the answer begins.

    Attributes:
        status: of the final answer; 0 until its head is complete.
        headers: its fields as the upstream wrote them.
        framing: where its body ends.
        head_complete: the three above are known.
        complete: nothing of the answer is missing.
        begun: at least one byte has come.
        reusable: once complete, whether the connection can carry another request. False also when more came
            than was asked for: whose answer that would be is anybody's guess.
        switched: what came behind a 101 that was asked for, and belongs to the other protocol.
    """

    __slots__ = (
        "_body",
        "_fault",
        "_fields",
        "_framing_fields",
        "_interim",
        "_interim_left",
        "_lasting",
        "_limit",
        "_method",
        "_parser",
        "_upgrade",
        "_without_body",
        "begun",
        "complete",
        "framing",
        "head_complete",
        "headers",
        "reusable",
        "status",
        "switched",
    )

    def __init__(self, method: str, limits: Limits, *, lasting: bool = False) -> None:
        """Begin.

        Args:
            method: of the request that is answered.
            limits: the sizes of heads are kept here; that of a head is also the most that may come without a
                byte of body, later on.
            lasting: more answers follow, each after a `restart`. Whoever says so calls `end` in the end,
                because the parser and this reader hold on to each other.
        """
        self._limit = limits.response_head_bytes
        self._fields = limits.response_fields
        self._interim = limits.interim_answers
        self._lasting = lasting
        self._parser: httptools.HttpResponseParser | None = None
        self._body: list[bytes] = []
        self.restart(method)

    def restart(self, method: str, *, upgrade: bool = False) -> None:
        """Begin anew: what comes next is the answer to another request on the same connection.

        Args:
            method: of that request.
            upgrade: it asks for another protocol, so 101 is an answer to it.
        """
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)
        self._method = method
        self._upgrade = upgrade
        self._without_body = 0
        self._interim_left = self._interim
        self._fault: UpstreamTrouble | None = None
        self._body.clear()
        self.status = 0
        self.switched = b""
        self.headers: list[HeaderPair] = []
        self._framing_fields: list[HeaderPair] = []
        self.framing: Framing = NO_BODY
        self.head_complete = self.complete = self.begun = self.reusable = False

    def feed(self, data: bytes) -> None:
        """Take what has come; not empty.

        Raises:
            UpstreamTrouble: it is malformed, or a head, trailers or chunk extensions go on without end.
        """
        parser = self._parser
        if parser is None or self.complete:
            self.reusable = False
            if self.status == 101:
                self.switched += data
            return
        self.begun = True
        before_head = not self.head_complete
        self._without_body += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as stop:
            self.switched = data[stop.args[0] :]
        except httptools.HttpParserError as error:
            # Behind the end of the answer it is not the answer that is malformed.
            if self.complete:
                self.reusable = False
            elif self._fault is None:
                self._fault = UpstreamTrouble(Trouble.MALFORMED, str(error))
        if before_head and (self._without_body > self._limit or len(self.headers) > self._fields):
            self._check_head()
        elif self._without_body > self._limit and not self.complete and self._fault is None:
            self._fault = UpstreamTrouble(Trouble.MALFORMED, "trailers or chunk extensions without end")
        if self._fault is not None:
            self.complete = False
            self._parser = None
            raise self._fault
        if before_head and self.head_complete:
            self._without_body = 0
        if self.complete and not self._lasting:
            self._parser = None

    def end(self, *, broken: bool = False) -> None:
        """The upstream has closed the connection.

        Args:
            broken: not in the regular way: an answer that ends with its connection has not ended.

        Raises:
            UpstreamTrouble: something is missing.
        """
        self.reusable = False
        self._parser = None
        if not self.complete:
            if broken or not self.framing.until_close:
                raise UpstreamTrouble(Trouble.TRUNCATED if self.head_complete else Trouble.CLOSED)
            self.complete = True

    def take(self) -> bytes:
        """What of the body has come since the last call."""
        body = self._body
        if not body:
            return b""
        taken = body[0] if len(body) == 1 else b"".join(body)
        body.clear()
        return taken

    def _check_head(self) -> None:
        """Judge a head that may be too large: what came with it may have been body."""
        size = sum([len(name) + len(value) + _FIELD_OVERHEAD for name, value in self.headers])
        if not self.head_complete or size > self._limit or len(self.headers) > self._fields:
            self._fault = self._fault or UpstreamTrouble(Trouble.HEAD_TOO_LARGE)

    # What the parser calls. An exception here would reach `feed` wrapped, so faults are kept instead.

    def _speaks_of_a_body(self) -> bool:
        return any(
            value != b"0" and name.lower() in (b"content-length", b"transfer-encoding")
            for name, value in self._framing_fields
        )

    def on_message_begin(self) -> None:
        if self.complete:
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        # Behind the head come trailers, or the head of an answer that nobody asked for.
        if not self.head_complete:
            pair = (name, value)
            self.headers.append(pair)
            if len(name) in _FRAMING_NAME_LENGTHS:
                self._framing_fields.append(pair)

    def on_headers_complete(self) -> None:
        if self.head_complete or self._fault is not None:
            return
        parser = self._parser
        assert parser is not None  # noqa: S101 - it is what calls
        status = parser.get_status_code()
        if 100 <= status < 200:
            if status == 101 and self._upgrade:
                self.status = status
                self.head_complete = True
                return
            self._interim_left -= 1
            if self._speaks_of_a_body():
                # Spec: RFC 9110 8.6, RFC 9112 6.1. What it frames would be read as the answer.
                self._fault = UpstreamTrouble(Trouble.MALFORMED, "an interim answer with a body")
            self.headers.clear()
            self._framing_fields.clear()
            if status == 101:
                self._fault = UpstreamTrouble(Trouble.MALFORMED, _UPGRADE)
            elif self._interim_left < 0:
                self._fault = UpstreamTrouble(Trouble.TOO_MANY_INTERIM)
            return
        try:
            self.framing = response_framing(self._method, status, self._framing_fields)
        except BadHead as bad:
            self._fault = UpstreamTrouble(Trouble.MALFORMED, bad.fault)
            return
        self.status = status
        self.head_complete = True
        # An answer that speaks of a body where none may be: an upstream that sends it all the same would have
        # it read as the answer to somebody else's request.
        self.reusable = parser.should_keep_alive() and (self.framing.has_body or not self._speaks_of_a_body())
        if not self.framing.has_body:
            self.complete = True

    def on_body(self, data: bytes) -> None:
        if self._fault is not None:
            return
        if self.complete:
            self.reusable = False
            return
        self._without_body = 0
        self._body.append(data)

    def on_message_complete(self) -> None:
        # Also called at the end of an interim answer.
        if self.head_complete:
            self.complete = True

"""What can go wrong between a client and an upstream, by name, and what the client is told.

Here live the kinds of trouble, the exception that carries one, and the short answer in its stead. Whoever
carries bytes (`http`, `websocket`, `wsgi` next door) raises and answers; logging is the caller's, through a
callback that hears every trouble once.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from oidcgate.proxy.routes import Upstream
from oidcgate.proxy.rules import HeaderPair

__all__ = ["AnswerCut", "OnError", "Trouble", "UpstreamTrouble", "no_report", "short_answer"]


class Trouble(StrEnum):
    """One kind of trouble. None of them says anything about the person or the request's contents."""

    # the upstream's, before its answer began: the client is told
    UNREACHABLE = "upstream_unreachable"
    CONNECT_TIMEOUT = "upstream_connect_timeout"
    TLS = "upstream_tls_failed"
    TOO_MANY = "upstream_connections_exhausted"
    HEAD_TIMEOUT = "upstream_head_timeout"
    CLOSED = "upstream_closed_without_answer"
    MALFORMED = "upstream_answer_malformed"
    HEAD_TOO_LARGE = "upstream_head_too_large"
    TOO_MANY_INTERIM = "upstream_too_many_interim_answers"
    # the upstream's, in the middle of its answer: the client's connection is cut
    TRUNCATED = "upstream_answer_truncated"
    IDLE = "upstream_idle"
    UPSTREAM_FRAMES = "upstream_frames_malformed"
    # the client's
    CLIENT_GONE = "client_gone"
    CLIENT_IDLE = "client_idle"
    BODY_MALFORMED = "client_body_malformed"
    CLIENT_FRAMES = "client_frames_malformed"
    BAD_REQUEST = "request_not_forwarded"
    NO_ROUTE = "no_route"
    # the server's that runs us
    NO_UPGRADE = "server_offers_no_upgrade"


OnError = Callable[[Trouble, Upstream | None, str], None]
"""Called with the kind, the upstream (None where no route was found) and a detail for the log: names of
faults and system errors; never a path, query, header value or body."""


def no_report(_kind: Trouble, _upstream: Upstream | None, _detail: str) -> None:
    """An `OnError` that tells nobody."""


class UpstreamTrouble(Exception):
    """An exchange failed. `kind` says how, `detail` is for the log."""

    def __init__(self, kind: Trouble, detail: str = "") -> None:
        self.kind = kind
        self.detail = detail
        super().__init__(f"{kind.value}: {detail}" if detail else kind.value)


class AnswerCut(Exception):
    """An answer that has begun cannot be completed: the server must cut the connection, not end the answer.

    Raised out of an app so that no client takes the part it has for the whole. It has been reported already;
    a server need not log it again.
    """


_ERRORS: Final = {
    Trouble.HEAD_TIMEOUT: (504, b"gateway_timeout"),
    Trouble.CONNECT_TIMEOUT: (504, b"gateway_timeout"),
    Trouble.TOO_MANY: (503, b"unavailable"),
    Trouble.CLIENT_IDLE: (408, b"request_timeout"),
    Trouble.CLIENT_GONE: (400, b"bad_request"),
    Trouble.BODY_MALFORMED: (400, b"bad_request"),
    Trouble.BAD_REQUEST: (400, b"bad_request"),
    Trouble.NO_ROUTE: (421, b"misdirected_request"),
    Trouble.NO_UPGRADE: (501, b"websocket_not_supported"),
}
_RETRY_SECONDS: Final = b"1"


def short_answer(kind: Trouble, *, unread: bool = False) -> tuple[int, list[HeaderPair], bytes]:
    """Status, fields and body of the answer to a client whose request met this trouble.

    Args:
        kind: of the trouble.
        unread: nobody will read the rest of the request, so that no other may follow it.
    """
    status, error = _ERRORS.get(kind, (502, b"bad_gateway"))
    body = b'{"error": "%b"}' % error
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    if status == 503:
        headers.append((b"retry-after", _RETRY_SECONDS))
    if unread or status in (400, 408):
        headers.append((b"connection", b"close"))
    return status, headers, body

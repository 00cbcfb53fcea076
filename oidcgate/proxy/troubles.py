"""What can go wrong between a client and an upstream, by name, and who hears of it.

Here live the kinds of trouble, the exception that carries one, and `log_trouble`, which says how much it
matters to an operator. What the client is told is `short_answers`' next door; whoever carries bytes (`http`,
`websocket`, `wsgi`) raises, answers, and calls an `OnError` once for each trouble.
"""

import logging
from collections.abc import Callable
from enum import StrEnum

from oidcgate.proxy.routes import Upstream

__all__ = ["OnError", "Trouble", "UpstreamTrouble", "log_trouble", "no_report"]

_log = logging.getLogger("oidcgate.proxy")


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
    # of the server that runs us
    NO_UPGRADE = "server_offers_no_upgrade"
    NO_LENGTH = "server_ends_no_chunked_body"

    @property
    def is_of_the_upstream(self) -> bool:
        """Whether the app behind is at fault, or the way there."""
        return self.value.startswith("upstream_")


OnError = Callable[[Trouble, Upstream | None, str], None]
"""Called with the kind, the upstream (None where none was chosen yet) and a detail for the log: names of
faults and system errors; never a path, query, header value or body."""


def no_report(_kind: Trouble, _upstream: Upstream | None, _detail: str) -> None:
    """An `OnError` that tells nobody."""


def log_trouble(kind: Trouble, upstream: Upstream | None, detail: str) -> None:
    """An `OnError` that tells the log."""
    # What a client does wrong, or leaves unfinished, is no news to an operator.
    level = logging.WARNING if kind.is_of_the_upstream else logging.DEBUG
    _log.log(level, "%s %s %s", kind.value, upstream.url if upstream else "-", detail)


class UpstreamTrouble(Exception):
    """An exchange failed. `kind` says how, `detail` is for the log."""

    def __init__(self, kind: Trouble, detail: str = "") -> None:
        self.kind = kind
        self.detail = detail
        super().__init__(f"{kind.value}: {detail}" if detail else kind.value)

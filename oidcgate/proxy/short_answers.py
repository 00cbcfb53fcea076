"""What a client is told whose request met a trouble: a page for a person, JSON for everything else.

Here live `short_answer` and what it needs to know of who asked. Which troubles there are is `troubles`' next
door, template and texts are `pages`, and sending is the business of `http`, `websocket` and `wsgi`. Nothing
that is told says where the upstream is or what it did: that is for the log.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from oidcgate.proxy.fields import HeaderPair
from oidcgate.proxy.troubles import Trouble
from oidcgate.web.facts import RequestKind, kind_of
from oidcgate.web.pages import Pages

__all__ = ["Reader", "ShortAnswer", "reader_of", "short_answer"]


class ShortAnswer(NamedTuple):
    """A whole answer; the names of its fields are in lower case."""

    status: int
    headers: list[HeaderPair]
    body: bytes


class Reader(NamedTuple):
    """A person in front of a browser that shows the answer as a page.

    Attributes:
        site: what the app is called: where browsers reach it, never where it is.
        accept_language: as the browser says it; "" when it says nothing.
        pages: what the page looks like.
    """

    site: str
    accept_language: str
    pages: Pages


def reader_of(environ: Mapping[str, Any], site: str, pages: Pages) -> Reader | None:
    """The person who waits for the answer to this request; None: a program does.

    Args:
        environ: the head of the request, as WSGI has it.
        site: see `Reader`.
        pages: see `Reader`.
    """
    if kind_of(environ["REQUEST_METHOD"], environ) is not RequestKind.NAVIGATION:
        return None
    return Reader(site, environ.get("HTTP_ACCEPT_LANGUAGE", ""), pages)


class _Error(NamedTuple):
    status: int
    code: str
    description: str = ""


_BAD_GATEWAY: Final = _Error(502, "bad_gateway")
_GATEWAY_TIMEOUT: Final = _Error(504, "gateway_timeout")
_BAD_REQUEST: Final = _Error(400, "bad_request")
_ERRORS: Final = {
    Trouble.HEAD_TIMEOUT: _GATEWAY_TIMEOUT,
    Trouble.CONNECT_TIMEOUT: _GATEWAY_TIMEOUT,
    Trouble.TOO_MANY: _Error(503, "unavailable"),
    Trouble.CLIENT_IDLE: _Error(408, "request_timeout"),
    Trouble.CLIENT_GONE: _BAD_REQUEST,
    Trouble.BODY_MALFORMED: _BAD_REQUEST,
    Trouble.BAD_REQUEST: _BAD_REQUEST,
    Trouble.NO_ROUTE: _Error(421, "misdirected_request"),
    Trouble.NO_UPGRADE: _Error(
        501,
        "websocket_not_supported",
        "no WebSocket passes this server; serve the app with: oidcgate serve",
    ),
    Trouble.NO_LENGTH: _Error(
        411, "length_required", "no chunked request passes this server; send Content-Length"
    ),
}
_RETRY_SECONDS: Final = b"1"
_ASKED_AGAIN_AT_WILL: Final = ("GET", "HEAD")


def short_answer(
    kind: Trouble, *, method: str = "GET", reader: Reader | None = None, unread: bool = False
) -> ShortAnswer:
    """The answer in place of the one that does not come.

    Args:
        kind: of the trouble.
        method: of the request; an answer to HEAD has no body.
        reader: who waits for a page; None: a program. Only what the app is at fault for is told as a page.
        unread: nobody will read the rest of the request, so that no other may follow it.
    """
    status, code, description = _ERRORS.get(kind, _BAD_GATEWAY)
    if reader is not None and kind.is_of_the_upstream:
        language = reader.pages.messages.negotiate(reader.accept_language)
        said, body = _page(reader.pages, status, language, reader.site, method in _ASKED_AGAIN_AT_WILL)
        headers = list(said)
    else:
        document = {"error": code, "error_description": description} if description else {"error": code}
        body = json.dumps(document).encode()
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    headers.append((b"content-length", b"%d" % len(body)))
    if status == 503:
        headers.append((b"retry-after", _RETRY_SECONDS))
    if unread or status in (400, 408):
        headers.append((b"connection", b"close"))
    return ShortAnswer(status, headers, b"" if method == "HEAD" else body)


# An app that is down is asked for by everybody at once.
@lru_cache(maxsize=64)
def _page(
    pages: Pages, status: int, language: str, site: str, repeatable: bool
) -> tuple[tuple[HeaderPair, ...], bytes]:
    """Fields and body of the page, without its length."""
    page = pages.render(
        "app_down.html", status=status, language=language, site=site, number=status, repeatable=repeatable
    )
    fields = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in page.headers.items()
        if name.lower() != "content-length"
    ]
    return tuple(fields), page.get_data()

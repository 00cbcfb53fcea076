"""Between ASGI and the werkzeug world: a scope as an environ, a response as messages.

Here lives what an asynchronous front needs so that a request is read by the very code that reads it under
WSGI (`oidcgate.web.facts`), and so that werkzeug applications can answer it. Nothing is decided here.
"""

import io
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes

from werkzeug import Response

from oidcgate.handover import BODY_FOLLOWS, OUTCOME, Outcome
from oidcgate.web.canonical_path import PathFault
from oidcgate.web.facts import BadRequest, Facts, facts_from_environ

__all__ = [
    "Answered",
    "answered",
    "check_path",
    "head_environ",
    "read_body",
    "read_head",
    "send_answer",
    "whole_environ",
]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

# What facts, session and refusals read of a request. All others are for the app alone.
_READ: Final = {
    name: "HTTP_" + name.decode().upper().replace("-", "_")
    for name in (
        *(b"host", b"cookie", b"origin", b"accept", b"accept-language", b"upgrade", b"connection"),
        *(b"sec-fetch-site", b"sec-fetch-mode", b"sec-purpose", b"x-requested-with"),
        b"access-control-request-method",
    )
}
_JOINED_BY: Final = {"HTTP_COOKIE": b"; "}  # HTTP/2 may send cookies apart. Spec: RFC 9113 8.2.3.
# What facts are read from, beside the request line.
_TELLING: Final = frozenset(_READ) - {b"cookie", b"accept-language"}
_REMEMBERED_BYTES: Final = 2048
# What a field that says nothing takes in that memory all the same, so that nobody fills it with those.
_FIELD_BYTES: Final = 100


def read_head(scope: Scope, headers: Headers, *, insecure_encoded_slash: bool = False) -> tuple[Facts, str]:
    """The facts of a request and its Cookie header, "" when there is none.

    Facts are remembered by all that they are read from: a browser says the same things again and again.

    Args:
        scope: of type `http` or `websocket`.
        headers: those of the scope from which identity names are gone.
        insecure_encoded_slash: let `%2F` stand in a path that is passed on as it came.

    Raises:
        BadRequest: method, host or path cannot be understood.
    """
    cookies: list[bytes] = []
    telling: list[tuple[bytes, bytes]] = []
    size = 0
    for pair in headers:
        name, value = pair
        if name in _TELLING:
            telling.append(pair)
            size += _FIELD_BYTES + len(value)
        elif name == b"cookie":
            cookies.append(value)
    get = scope.get
    raw: bytes | None = get("raw_path")
    path: str | None = scope["path"] if raw is None else None
    query: bytes = get("query_string", b"")
    size += len(query) + len(raw if raw is not None else scope["path"])
    read = _remembered_facts if size <= _REMEMBERED_BYTES else _facts
    facts = read(insecure_encoded_slash, scope["type"], get("method"), raw, path, query, *telling)
    return facts, b"; ".join(cookies).decode("latin-1") if cookies else ""


def _facts(
    insecure_encoded_slash: bool,
    kind: str,
    method: str | None,
    raw: bytes | None,
    path: str | None,
    query: bytes,
    *telling: tuple[bytes, bytes],
) -> Facts:
    scope = {"type": kind, "method": method, "raw_path": raw, "path": path, "query_string": query}
    environ = head_environ(scope, telling)
    return facts_from_environ(environ, insecure_encoded_slash=insecure_encoded_slash)


_remembered_facts = lru_cache(maxsize=4096)(_facts)


def head_environ(scope: Scope, headers: Headers) -> dict[str, Any]:
    """The head of a request in the form of a WSGI environ, as far as a decision reads it.

    Args:
        scope: of type `http` or `websocket`.
        headers: those of the scope from which identity names are gone.
    """
    environ = _joined((key, value) for name, value in headers if (key := _READ.get(name)) is not None)
    raw: bytes | None = scope.get("raw_path")
    if raw is None:
        environ["PATH_INFO"] = _environ_text(scope["path"])
    else:
        # Some servers leave the query in it.
        target = raw.partition(b"?")[0]
        environ["RAW_URI"] = target.decode("latin-1")
        environ["PATH_INFO"] = (unquote_to_bytes(target) if b"%" in target else target).decode("latin-1")
    environ["QUERY_STRING"] = scope.get("query_string", b"").decode("latin-1")
    if scope["type"] == "websocket":
        environ["REQUEST_METHOD"] = "GET"
        # Over HTTP/2 a WebSocket has no such headers, and it is one all the same.
        environ["HTTP_UPGRADE"], environ["HTTP_CONNECTION"] = "websocket", "upgrade"
    else:
        environ["REQUEST_METHOD"] = scope["method"]
    return environ


def check_path(scope: Scope, path: str) -> None:
    """Make sure that an app which reads `scope["path"]` sees the path that is judged.

    Raises:
        BadRequest: it would see another one.
    """
    if scope["path"] != path:
        raise BadRequest(PathFault.RAW_MISMATCH)


def whole_environ(scope: Scope, headers: Headers, body: bytes) -> dict[str, Any]:
    """A whole request as an environ, so that a WSGI application can answer. Spec: PEP 3333."""
    environ = _joined((_key_of(name), value) for name, value in headers)
    server = scope.get("server") or ("localhost", None)
    client = scope.get("client") or ("", 0)
    environ.update(head_environ(scope, headers))
    environ.update(
        {
            "SCRIPT_NAME": "",
            "SERVER_NAME": str(server[0]),
            "SERVER_PORT": str(server[1] or ""),
            "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
            "REMOTE_ADDR": str(client[0]),
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": scope.get("scheme", "http"),
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
    )
    return environ


def _key_of(name: bytes) -> str:
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


def _joined(pairs: Iterable[tuple[str, bytes]]) -> dict[str, Any]:
    """Fields by key, repeated ones joined at once: one by one takes the square of their number."""
    found: dict[str, list[bytes]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return {key: _JOINED_BY.get(key, b",").join(values).decode("latin-1") for key, values in found.items()}


async def read_body(receive: Receive, limit: int) -> bytes | None:
    """The body of a request.

    Args:
        limit: bytes.

    Returns:
        None when it is longer than `limit`, or when the client left before its end.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > limit:
            return None
        if not message.get("more_body", False):
            return bytes(body)


class Answered(NamedTuple):
    """An answer that is whole: small, and made by us."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def answered(response: Response, environ: Mapping[str, Any]) -> Answered:
    """What a werkzeug response says to this request."""
    app_iter, status, headers = response.get_wsgi_response(dict(environ))
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return Answered(int(status[:3]), pairs, b"".join(app_iter))


async def send_answer(answer: Answered, scope: Scope, send: Send, outcome: Outcome = Outcome.REFUSED) -> None:
    """Send an answer, to a WebSocket that is not accepted as well: as HTTP where the server can say it.

    Args:
        outcome: what the server is told became of the request.
    """
    prefix = "http"
    if scope["type"] == "websocket":
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            # All that plain ASGI has for it; the server makes a 403 of it.
            await send({"type": "websocket.close", "code": 1008})
            return
        prefix = "websocket.http"
    await send(
        {
            "type": f"{prefix}.response.start",
            "status": answer.status,
            "headers": answer.headers,
            BODY_FOLLOWS: True,
            OUTCOME: outcome,
        }
    )
    await send({"type": f"{prefix}.response.body", "body": answer.body, "more_body": False})


def _environ_text(path: str) -> str:
    return path if path.isascii() else path.encode("utf-8", "surrogateescape").decode("latin-1")

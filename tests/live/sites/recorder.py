"""An app that writes down every request it gets, as WSGI and as ASGI, by itself and behind a gate of its own.

`RECORD` names the file: one JSON line for each request, header names as WSGI spells them. `OIDCGATE_CONFIG`
names the configuration of the gated forms. Who starts which is :mod:`tests.live.generated_requests`.
"""

import base64
import json
import os
from collections.abc import Callable, Iterable
from typing import Any

from oidcgate.gate.asgi import AsyncGate
from oidcgate.gate.wsgi import Gate

_file = os.open(os.environ["RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def record(
    method: str, target: str, headers: dict[str, str], body: bytes, users: list[str | None], whole: bool
) -> None:
    line = {
        "method": method,
        "target": target,
        "headers": headers,
        "body": base64.b64encode(body).decode(),
        "users": users,
        "whole": whole,
    }
    # One write of the whole line: several workers write into one file.
    os.write(_file, json.dumps(line).encode() + b"\n")


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The app as WSGI."""
    headers = {
        key.removeprefix("HTTP_"): value
        for key, value in environ.items()
        if key.startswith("HTTP_") or key in ("CONTENT_TYPE", "CONTENT_LENGTH")
    }
    identity = environ.get("oidcgate.identity")
    body, whole = b"", False
    try:
        body = environ["wsgi.input"].read()
        whole = True
    finally:
        remote = environ.get("REMOTE_USER")
        users = [identity and identity.user_name, remote and remote.encode("latin-1").decode()]
        record(environ["REQUEST_METHOD"], environ["RAW_URI"], headers, body, users, whole)
    answer = b"seen " + headers.get("X_CASE", "").encode("latin-1")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer]


async def asgi(scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
    """The app as ASGI. A WebSocket is written down and refused."""
    if scope["type"] == "lifespan":
        for word in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{word}.complete"})
        return
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").upper().replace("-", "_"), value.decode("latin-1")
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    query = scope["query_string"]
    target = (scope["raw_path"] + (b"?" + query if query else b"")).decode("latin-1")
    identity = scope.get("oidcgate.identity")
    users = [identity and identity.user_name]
    body, whole = b"", scope["type"] == "websocket"
    while not whole:
        message = await receive()
        if message["type"] != "http.request":
            break
        body += message.get("body", b"")
        whole = not message.get("more_body", False)
    record(scope.get("method", "GET"), target, headers, body, users, whole)
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
        return
    answer = b"seen " + headers.get("X_CASE", "").encode("latin-1")
    pairs = [(b"content-type", b"text/plain"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": pairs})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer})


def gate() -> Gate:
    """The app behind a gate in its own process."""
    return Gate.from_config(application, os.environ["OIDCGATE_CONFIG"])


def async_gate() -> AsyncGate:
    """The same on an event loop."""
    return AsyncGate.from_config(asgi, os.environ["OIDCGATE_CONFIG"])

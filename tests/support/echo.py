"""The app behind every front of tests/contracts/front.py: records what reaches it, does what its path says.

One behaviour in two forms, WSGI and ASGI; an upstream is the second under a server. In what form a front
hands it a request is the front's own; what is recorded is the same for all.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from oidcgate.identity import Identity

DEADLINE_SECONDS = 20
FIRST, LAST = b"first part\n", b"last part\n"


@dataclass(frozen=True)
class Seen:
    """One request as the app got it.

    Attributes:
        path: decoded text.
        query: as sent.
        headers: names in lower case with hyphens, values by Latin-1, in order.
        user: whom the front named by an object of its own, not by a header; None: nobody.
        kind: `http` or `websocket`.
    """

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    user: Identity | None = None
    kind: str = "http"

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name.lower()]

    def one(self, name: str) -> str:
        (value,) = self.all(name)
        return value


@dataclass(frozen=True)
class _Reply:
    status: str
    headers: tuple[tuple[str, str], ...]
    parts: tuple[bytes, ...]
    held: bool = False


class Echo:
    """What is done with a request, and what was seen.

    `/status/N` answers with that status; `/cookies?set=…` sets each of these cookies; `/repeated` repeats a
    header; `/challenge?with=…` answers 401 with these challenges; `/stream` sends one part and waits for
    `release` before the next; `/boom` raises. Anything else is echoed: a body by itself, what came without
    one as JSON. Each also below `/public`.
    """

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.release = threading.Event()

    @property
    def last(self) -> Seen:
        return self.seen[-1]

    def clear(self) -> None:
        self.seen.clear()
        self.release.clear()

    def _reply(self, seen: Seen) -> _Reply:
        self.seen.append(seen)
        text = ("Content-Type", "text/plain")
        path = seen.path.removeprefix("/public")
        if path.startswith("/status/"):
            number = path.removeprefix("/status/")
            bodiless = number in ("204", "304")
            return _Reply(
                f"{number} As Told", () if bodiless else (text,), () if bodiless else (number.encode(),)
            )
        if path == "/cookies":
            cookies = [("Set-Cookie", value) for name, value in parse_qsl(seen.query) if name == "set"]
            return _Reply("200 OK", (text, *cookies), (b"cookies",))
        if path == "/challenge":
            asked = [("WWW-Authenticate", value) for name, value in parse_qsl(seen.query) if name == "with"]
            return _Reply("401 Unauthorized", (text, *asked, ("Cache-Control", "public")), (b"more",))
        if path == "/repeated":
            repeated = tuple(("X-Repeated", value) for value in "123")
            return _Reply("200 OK", (text, *repeated, ("Link", "</a>"), ("Link", "</b>")), (b"repeated",))
        if path == "/stream":
            return _Reply("200 OK", (text,), (FIRST, LAST), held=True)
        if path == "/boom":
            raise LookupError("the app's own fault")
        if seen.body:
            length = ("Content-Length", str(len(seen.body)))
            return _Reply("200 OK", (("Content-Type", "application/octet-stream"), length), (seen.body,))
        document = {"path": seen.path, "query": seen.query, "user": seen.user and seen.user.user_name}
        body = json.dumps(document).encode()
        length = ("Content-Length", str(len(body)))
        return _Reply("200 OK", (("Content-Type", "application/json"), length), (body,))

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The app as a WSGI app."""
        headers = [
            (key.removeprefix("HTTP_").replace("_", "-").lower(), value)
            for key, value in environ.items()
            if key.startswith("HTTP_") or key in ("CONTENT_TYPE", "CONTENT_LENGTH")
        ]
        path = environ["SCRIPT_NAME"] + environ["PATH_INFO"]
        reply = self._reply(
            Seen(
                environ["REQUEST_METHOD"],
                path.encode("latin-1").decode(),
                environ.get("QUERY_STRING", ""),
                tuple(headers),
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)),
                environ.get("oidcgate.identity"),
            )
        )
        start_response(reply.status, list(reply.headers))
        return self._parts(reply) if environ["REQUEST_METHOD"] != "HEAD" else []

    def _parts(self, reply: _Reply) -> Iterator[bytes]:
        for number, part in enumerate(reply.parts):
            if number and reply.held:
                assert self.release.wait(DEADLINE_SECONDS), "nobody let the rest go"
            yield part

    async def asgi(
        self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]
    ) -> None:
        """The app as an ASGI app. A WebSocket is accepted and told what it says."""
        if scope["type"] == "lifespan":
            for word in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{word}.complete"})
            return
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        about = (scope["path"], scope["query_string"].decode("latin-1"), headers)
        user = scope.get("oidcgate.identity")
        if scope["type"] == "websocket":
            self.seen.append(Seen("GET", *about, user=user, kind="websocket"))
            await self._talk(receive, send)
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        reply = self._reply(Seen(scope["method"], *about, body, user))
        pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in reply.headers]
        status = int(reply.status.partition(" ")[0])
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        for number, part in enumerate(reply.parts if scope["method"] != "HEAD" else ()):
            if number and reply.held:
                assert await asyncio.to_thread(self.release.wait, DEADLINE_SECONDS), "nobody let the rest go"
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _talk(self, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})

"""The parts of the tests of `AsyncGate`: a world with a clock to set, an app that counts, a shy store."""

import asyncio
import dataclasses
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from oidcgate.audit import Audit
from oidcgate.directory.port import KnownUser
from oidcgate.gate.asgi import AsyncGate
from oidcgate.gate.build import build
from oidcgate.gate.config import config_from_mapping
from oidcgate.gate.parts import GateParts
from oidcgate.gate.sessions import SealedSessions
from oidcgate.gate.stored_sessions import StoredSessions
from oidcgate.gate.watch import Watch
from oidcgate.web.sealing import KeyRing
from tests.oidcgate.gate.parts import ISSUER, PUBLIC_URL, SECRET, Clock, Directory, Store, cookie_of, record
from tests.support.asgi import Answer, Exchange, HeaderPairs, request, scope_of, websocket

RULES = [
    {"path": "/public/**", "allow": "anyone"},
    {"path": "/hello", "allow": "signed-in"},
    {"path": "/money", "allow": "known", "max_age_seconds": 300, "acr_values": ["gold"]},
]
BROWSER = [("Sec-Fetch-Mode", "navigate"), ("Accept", "text/html")]
PREFLIGHT = [("Origin", "https://x.example"), ("Access-Control-Request-Method", "PUT")]

Part = Callable[[dict[str, Any], Callable[..., Any], Callable[..., Any]], Awaitable[None]]


class App:
    """Counts its calls, keeps the scope of the last one, and answers as it is told.

    Attributes:
        headers: of its answers, of accepted WebSockets too.
        then: what it does instead of answering.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.scope: dict[str, Any] = {}
        self.headers: list[tuple[bytes, bytes]] = [(b"content-type", b"text/plain")]
        self.then: Part | None = None

    async def __call__(
        self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]
    ) -> None:
        self.calls += 1
        self.scope = scope
        if self.then is not None:
            await self.then(scope, receive, send)
        elif scope["type"] == "websocket":
            assert (await receive())["type"] == "websocket.connect"
            await send({"type": "websocket.accept", "headers": self.headers})
            await send({"type": "websocket.close", "code": 1000})
        else:
            await send({"type": "http.response.start", "status": 200, "headers": self.headers})
            await send({"type": "http.response.body", "body": b"hello"})

    def all(self, name: str) -> list[bytes]:
        """The values of a header of the last request."""
        return [value for key, value in self.scope["headers"] if key == name.lower().encode()]


class ShyStore(Store):
    """A store that is never to be called on the thread on which it was made."""

    def __init__(self) -> None:
        super().__init__()
        self._loops = threading.current_thread()
        self.let_go: threading.Event | None = None
        self.called = threading.Semaphore(0)

    def _call(self, name: str) -> None:
        if threading.current_thread() is self._loops:
            raise AssertionError(f"{name} was called on the loop")
        self.called.release()
        if self.let_go is not None:
            assert self.let_go.wait(20)
        super()._call(name)


class World:
    """A gate around a counting app, with a clock and a directory to change.

    Args:
        state: the state store, in place of one in memory that answers at once.
        sessions: where sessions are kept, in place of the cookie.
    """

    def __init__(self, *, state: Store | None = None, sessions: Store | None = None, **settings: Any) -> None:
        self.app = App()
        self.clock = Clock()
        self.directory = Directory(KnownUser("Alice", display_name="Alice Liddell"), KnownUser("Bob"))
        self.events: list[str] = []
        data: dict[str, Any] = {
            "public_url": PUBLIC_URL,
            "provider": {"issuer": ISSUER, "client_id": "app", "client_secret": "client-secret"},
            "session": {"secret": SECRET},
            "users": {"source": "any"},
            "rules": RULES,
            "state": {"store": "memory"},
            **settings,
        }
        parts = build(
            config_from_mapping(data),
            clock=self.clock,
            directory=self.directory,
            audit=Audit(self.events.append, self.clock),
        )
        if state is not None or sessions is not None:
            parts = self._with_stores(parts, state or Store(), sessions)
        self.gate = AsyncGate.from_parts(self.app, parts)
        self.sessions = parts.sessions

    def _with_stores(self, parts: GateParts, state: Store, sessions: Store | None) -> GateParts:
        about = (parts.names, KeyRing([SECRET]), "gate", state, parts.sessions.limits)
        made = SealedSessions(*about) if sessions is None else StoredSessions(*about, store=sessions)
        routes = dataclasses.replace(parts.routes, sessions=made, state=state)
        return dataclasses.replace(parts, state=state, sessions=made, routes=routes)

    def sign_in(self, session_id: str = "s1", user_name: str = "Alice", **more: Any) -> str:
        """The Cookie header of a browser that has signed in."""
        return cookie_of(self.sessions.create(record(session_id, user_name, **more), self.clock.now))

    def request(
        self, target: str = "/", method: str = "GET", cookie: str = "", headers: HeaderPairs = (), **more: Any
    ) -> Answer:
        return request(self.gate, target, method, headers=[*headers, *_cookie(cookie)], **more)

    def websocket(
        self, target: str = "/", cookie: str = "", headers: HeaderPairs = (), **more: Any
    ) -> Answer:
        return websocket(self.gate, target, headers=[*headers, *_cookie(cookie)], **more)

    def exchange(
        self,
        kind: str,
        target: str = "/",
        cookie: str = "",
        headers: HeaderPairs = (),
        *,
        body: bytes | None = b"",
        **more: Any,
    ) -> Exchange:
        """A connection that has begun; to be called on a loop."""
        scope = scope_of(kind, target, headers=[*headers, *_cookie(cookie)], **more)
        return Exchange(self.gate, scope, body).start()

    def look_often(self) -> None:
        """Judge long requests anew as soon as possible, and not every ten seconds."""
        self.gate._watch = Watch(self.gate._may_go_on, look_seconds=0.001)

    async def looked(self, times: int = 2) -> None:
        """Return when everything under way has been judged anew since."""
        may_go_on = self.gate._watch._may_go_on
        done = asyncio.Event()
        seen = 0

        async def counting(ongoing: Any) -> bool:
            nonlocal seen
            answer = await may_go_on(ongoing)
            seen += 1
            if seen > times * len(self.gate._watch._ongoing):
                done.set()
            return answer

        self.gate._watch._may_go_on = counting
        try:
            await done.wait()
        finally:
            self.gate._watch._may_go_on = may_go_on


def _cookie(cookie: str) -> HeaderPairs:
    return [("Cookie", cookie)] if cookie else []

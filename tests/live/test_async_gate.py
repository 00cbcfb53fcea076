"""`AsyncGate` around a FastAPI app under plain uvicorn, by its HTTP and WebSocket implementations.

What the gate decides is shown without sockets in tests/oidcgate/gate; here, that a server and a framework of
others do with it what they should. The sidecar's own server is the subject of `test_front_sidecar`.
"""

import asyncio
import http.client
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import Depends, FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from oidcgate.directory.port import KnownUser
from oidcgate.gate.asgi import AsyncGate
from oidcgate.gate.watch import Watch
from oidcgate.identity import Identity
from tests.oidcgate.gate.parts import ISSUER, SECRET, Directory, cookie_of, record
from tests.support.uvicorn_thread import served

pytestmark = pytest.mark.live

ORIGIN = "http://localhost:8000"  # where browsers would reach it: the port is not the server's own


def who(request: Request) -> Identity | None:
    identity: Identity | None = request.scope.get("oidcgate.identity")
    return identity


def make_app(seen: list[str]) -> FastAPI:
    """An app as somebody writes it who knows of the gate only where it finds the user."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        seen.append("startup")
        yield {"pool": "made at start"}
        seen.append("shutdown")

    app = FastAPI(lifespan=lifespan)
    user = Depends(who)

    @app.get("/who")
    @app.get("/public/who")
    def tell(request: Request, identity: Identity | None = user) -> dict[str, Any]:
        seen.append("who")
        return {
            "user": identity.user_name if identity else None,
            "headers": sorted(name for name, _ in request.headers.items()),
            "remote_user": request.headers.getlist("x-remote-user"),
            "cookies": request.cookies,
            "pool": request.state.pool,
        }

    @app.put("/upload")
    async def upload(request: Request) -> dict[str, int]:
        seen.append("upload")
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
        return {"size": size}

    @app.get("/events")
    async def events() -> StreamingResponse:
        async def stream() -> AsyncIterator[str]:
            yield "data: 1\n\n"
            await asyncio.Event().wait()

        return StreamingResponse(stream(), media_type="text/event-stream")

    @app.get("/slow")
    async def slow() -> None:
        seen.append("slow")
        await asyncio.Event().wait()

    @app.websocket("/echo")
    async def echo(websocket: WebSocket) -> None:
        seen.append("echo")
        await websocket.accept()
        identity: Identity = websocket.scope["oidcgate.identity"]
        await websocket.send_text(identity.user_name)
        async for text in websocket.iter_text():
            await websocket.send_text(text)

    return app


class Site:
    """The app behind the gate, under a server."""

    def __init__(self, port: int, gate: AsyncGate, seen: list[str]) -> None:
        self.port = port
        self.gate = gate
        self.seen = seen

    def sign_in(self, session_id: str = "s1") -> str:
        now = int(time.time())
        made = self.gate.parts.sessions.create(record(session_id, auth_time=now, known_at=now), now)
        return cookie_of(made)

    def sign_out(self, session_id: str = "s1") -> None:
        self.gate.parts.sessions.revoke(session_id, int(time.time()))

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def ask(
        self, target: str, method: str = "GET", **headers: str
    ) -> tuple[http.client.HTTPResponse, dict[str, Any]]:
        connection = self.connection()
        connection.request(method, target, headers=headers)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response, json.loads(body) if body else {}

    def websocket(self, **headers: str) -> ClientConnection:
        return connect(
            f"ws://127.0.0.1:{self.port}/echo",
            additional_headers=headers,
            proxy=None,
            open_timeout=20,
            close_timeout=5,
        )


SERVERS = [
    pytest.param({"http": "httptools", "ws": "websockets-sansio", "loop": "uvloop"}, id="httptools"),
    pytest.param({"http": "h11", "ws": "wsproto", "loop": "asyncio"}, id="h11"),
]


@pytest.fixture(params=SERVERS)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    seen: list[str] = []
    gate = AsyncGate(
        make_app(seen),
        issuer=ISSUER,
        client_id="app",
        client_secret="client-secret",
        public_url=ORIGIN,
        secret=SECRET,
        users=Directory(KnownUser("Alice")),
        state="memory",
        rules=[{"path": "/public/**", "allow": "anyone"}],
        forward={"user_headers": ["X-Remote-User"]},
    )
    gate._watch = Watch(gate._may_go_on, look_seconds=0.02)
    with served(gate, **request.param) as port:
        yield Site(port, gate, seen)
    assert seen[0] == "startup"
    assert seen[-1] == "shutdown"


@pytest.mark.row("T-01", "T-02", "F-07")
def test_the_app_learns_who_is_there_and_nobody_else_says_so(site: Site) -> None:
    forged = {"X-Remote-User": "mallory", "X_Remote_User": "mallory", "x-remote.user": "mallory"}
    for target in ("/who", "/docs", "/openapi.json"):
        response, document = site.ask(target, **forged)
        assert (response.status, document["error"]) == (401, "login_required")
    assert site.seen == ["startup"]

    response, document = site.ask("/who", Cookie=f"theme=dark; {site.sign_in()}", **forged)
    assert response.status == 200
    assert (document["user"], document["remote_user"]) == ("Alice", ["Alice"])
    assert document["cookies"] == {"theme": "dark"}
    assert document["pool"] == "made at start"
    assert document["headers"] == ["accept-encoding", "cookie", "host", "x-remote-user"]

    _, document = site.ask("/public/who", **forged)
    assert (document["user"], document["remote_user"]) == (None, [])


@pytest.mark.row("G-29")
def test_an_upload_without_a_session_is_answered_before_it_is_sent(site: Site) -> None:
    head = b"PUT /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", site.port), timeout=20) as client:
        client.sendall(head)
        assert client.recv(4096).startswith(b"HTTP/1.1 401 ")
    assert site.seen == ["startup"]


def test_an_upload_with_one_passes_in_chunks(site: Site) -> None:
    connection = site.connection()
    parts = [b"x" * 65_536] * 32
    connection.request("PUT", "/upload", body=iter(parts), headers={"Cookie": site.sign_in()})
    assert json.loads(connection.getresponse().read()) == {"size": 32 * 65_536}
    connection.close()


@pytest.mark.row("G-26")
def test_a_websocket_is_refused_with_a_status_and_accepted_as_somebody(site: Site) -> None:
    with pytest.raises(InvalidStatus) as refused:
        site.websocket()
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body or b"")["error"] == "login_required"
    cookie = site.sign_in()
    with pytest.raises(InvalidStatus) as refused:
        site.websocket(Cookie=cookie, Origin="https://evil.example")
    assert refused.value.response.status_code == 403
    assert "echo" not in site.seen
    with site.websocket(Cookie=cookie, Origin=ORIGIN) as websocket:
        assert websocket.recv(timeout=20) == "Alice"
        websocket.send("ž")
        assert websocket.recv(timeout=20) == "ž"


@pytest.mark.row("G-26", "T-03")
def test_signing_out_ends_what_lasts_and_nothing_of_others(site: Site) -> None:
    mine, others = site.sign_in(), site.sign_in("s2")
    with site.websocket(Cookie=mine) as websocket, site.websocket(Cookie=others) as other:
        stream, slow = site.connection(), site.connection()
        stream.request("GET", "/events", headers={"Cookie": mine})
        events = stream.getresponse()
        assert events.read(9) == b"data: 1\n\n"
        slow.request("GET", "/slow", headers={"Cookie": mine})
        deadline = time.monotonic() + 20
        while "slow" not in site.seen and time.monotonic() < deadline:
            time.sleep(0.01)  # another thread is to come so far
        assert websocket.recv(timeout=20) == other.recv(timeout=20) == "Alice"

        site.sign_out()

        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv(timeout=20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
        with pytest.raises(http.client.IncompleteRead):
            events.read()
        answer = slow.getresponse()
        assert (answer.status, json.loads(answer.read())) == (401, {"error": "login_required"})
        stream.close()
        slow.close()
        other.send("still here")
        assert other.recv(timeout=20) == "still here"
    assert site.ask("/who", Cookie=mine)[0].status == 401
    assert site.ask("/who", Cookie=others)[0].status == 200

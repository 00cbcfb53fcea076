"""What the live tests have a real worker serve: `gunicorn tests.oidcgate.serve.probe_app:sidecar()`."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from oidcgate.serve.access_log import AccessLog
from oidcgate.serve.exchange import Scope
from oidcgate.serve.service import ServerLimits
from oidcgate.serve.sidecar import Reports, Sidecar
from tests.oidcgate.serve.wire import Receive, Send, echo, hello


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """One path for each probe."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
    elif scope["type"] == "websocket":
        await _refuse(send)
    elif scope["path"] == "/echo":
        await echo(scope, receive, send)
    elif scope["path"] == "/never":
        await asyncio.Event().wait()
    elif scope["path"] == "/refuse":
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"no"})
    elif scope["path"] == "/events":
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream")],
            }
        )
        # The head has to be there long before this.
        while (await receive())["type"] != "http.disconnect":
            pass
    elif scope["path"] == "/held":
        # The folder says that the request is here, and when it may be answered.
        folder = Path(scope["query_string"].decode())
        (folder / "held").touch()
        while not (folder / "go").exists():
            await asyncio.sleep(0.02)
        await hello(scope, receive, send)
    elif scope["path"] == "/hang":
        time.sleep(1000)
    elif scope["path"] == "/pid":
        body = str(os.getpid()).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
    else:
        await hello(scope, receive, send)


async def _refuse(send: Send) -> None:
    await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
    await send({"type": "websocket.http.response.body", "body": b"no"})


async def _live(receive: Receive, send: Send) -> None:
    await receive()
    if os.environ.get("PROBE_START") == "fails":
        await send({"type": "lifespan.startup.failed", "message": "no certificates here"})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    print("the app has heard of its end", flush=True)
    await send({"type": "lifespan.shutdown.complete"})


def sidecar() -> Any:
    """The app with short patience."""
    limits = ServerLimits(head_seconds=1, keepalive_seconds=1, client_idle_seconds=3)
    graceful = float(os.environ.get("PROBE_GRACEFUL", "1"))
    return Sidecar(app=app, limits=limits, graceful_seconds=graceful, reports=Reports(access_log=AccessLog()))

"""An ASGI app under a real uvicorn in a thread of this process, so that a test reaches what it serves.

Without sockets the same apps are driven by :mod:`tests.support.asgi`; processes are started by
:mod:`tests.support.servers`.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from tests.support.servers import START_SECONDS


class _Server(uvicorn.Server):
    """Says when it is up; its signals stay the test run's."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


@contextmanager
def served(app: Any, **settings: Any) -> Iterator[int]:
    """Serve `app` on a port of its own until the block ends; gives the port.

    Args:
        app: ASGI 3.
        **settings: of uvicorn (`http`, `ws`, …).
    """
    listening = socket.create_server(("127.0.0.1", 0))
    port: int = listening.getsockname()[1]
    config = uvicorn.Config(
        app,
        **{
            "log_config": None,
            "interface": "asgi3",
            "proxy_headers": False,
            "timeout_graceful_shutdown": 2,
            **settings,
        },
    )
    server = _Server(config)
    failure: list[BaseException] = []

    def run() -> None:
        try:
            server.run(sockets=[listening])
        except BaseException as error:
            failure.append(error)
            server.is_up.set()

    thread = threading.Thread(target=run, name="uvicorn")
    thread.start()
    try:
        assert server.is_up.wait(START_SECONDS), "uvicorn does not start"
        assert not failure, failure
        yield port
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)
        listening.close()
    assert not thread.is_alive(), "uvicorn does not stop"
    assert not failure, failure

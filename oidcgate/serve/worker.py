"""gunicorn's worker for the sidecar: one event loop, one `Service`, and the signals of the arbiter.

Here lives `SidecarWorker`. It serves a `Sidecar`, which `prepared` makes in it after the fork; connections
are `protocol`'s. The engine `wsgi` has no need of it: there, gunicorn's own threads answer.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from asyncio import AbstractServer
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

import uvloop
from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]  # gunicorn has no types
from gunicorn.workers.base import Worker  # type: ignore[import-untyped]  # as above
from uvicorn.config import Config
from uvicorn.lifespan.on import LifespanOn

from oidcgate.serve.exchange import ASGIApp
from oidcgate.serve.listening import BACKLOG
from oidcgate.serve.protocol import protocol_factory
from oidcgate.serve.scraping import Scraped
from oidcgate.serve.service import ServerLimits, Service
from oidcgate.serve.sidecar import ENDINGS, Sidecar, worker_name

__all__ = ["SidecarWorker"]

_LAST_SCRAPE_SECONDS: Final = 1.0
_METRICS_LIMITS: Final = ServerLimits(connections=32, keepalive_seconds=120)


class SidecarWorker(Worker):  # type: ignore[misc]  # so its class is Any
    """Serves a `Sidecar` on uvloop.

    SIGTERM: what is under way may end within `Sidecar.graceful_seconds`; who was connected already is
    answered, and who comes when all workers were told is refused by the system. SIGQUIT and SIGINT: at once.
    SIGUSR1: log files are opened anew. SIGABRT: gunicorn's word for a worker that hangs.
    """

    def init_signals(self) -> None:
        """Leave signals to the loop, which is not there yet."""
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        # Not by the loop: it is for a loop that does not turn.
        signal.signal(signal.SIGABRT, self.handle_abort)
        # A signal that comes before the loop is there.
        for number in ENDINGS:
            signal.signal(number, _leave)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)

    def run(self) -> None:
        """Serve until told to end."""
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve(self.wsgi))

    async def _serve(self, sidecar: Sidecar) -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        recorder = sidecar.reports.recorder()
        service = Service(
            sidecar.limits,
            on_finished=None if recorder is None else recorder.finished,
            on_refused=None if recorder is None else recorder.refused,
        )

        def end(at_once: bool) -> None:
            service.hurried = service.hurried or at_once
            stop.set()

        loop.add_signal_handler(signal.SIGTERM, end, False)
        loop.add_signal_handler(signal.SIGINT, end, True)
        loop.add_signal_handler(signal.SIGQUIT, end, True)
        loop.add_signal_handler(signal.SIGUSR1, self.log.reopen_files)
        loop.add_signal_handler(signal.SIGWINCH, lambda: None)

        lifespan = _Lifespan(sidecar.app)
        if not await lifespan.begin():
            sys.exit(Arbiter.WORKER_BOOT_ERROR)

        def each_sweep() -> None:
            self.notify()
            self._report(sidecar, service)
            if service.total_requests >= self.max_requests and not stop.is_set():
                self.log.info("%d requests are answered: the worker is replaced", service.total_requests)
                end(False)
            if os.getppid() != self.ppid and not stop.is_set():
                self.log.info("the arbiter is gone")
                end(False)

        service.on_sweep = each_sweep
        # What is there now stays, and what requests make is freed without a search for circles. One through
        # ten thousand sessions holds everybody up for a tenth of a second.
        gc.freeze()
        gc.set_threshold(10_000, 50, 50)
        factory = protocol_factory(sidecar.app, service)
        servers = [await _listen(one, factory) for one in self.sockets]
        looks = [loop.create_task(service.sweep_for_ever())]
        metrics: Service | None = None
        metrics_server: AbstractServer | None = None
        if (scraped := sidecar.reports.scraped) is not None:
            metrics = Service(_METRICS_LIMITS)
            about = protocol_factory(_metrics_app(scraped), metrics)
            metrics_server = await _listen(scraped.listening, about)
            looks.append(loop.create_task(metrics.sweep_for_ever()))
        each_sweep()
        told = loop.create_task(stop.wait())
        await asyncio.wait([told, *looks], return_when=asyncio.FIRST_COMPLETED)
        for look in looks:
            if look.done():
                # Without it nothing here has an end any more: better another worker.
                look.result()

        for server in servers:
            server.close()
        for one in self.sockets:
            await _close(one, factory)
        # Who was accepted a moment ago is yet to be announced, and would be closed as a latecomer.
        await asyncio.sleep(0)
        await service.stop(sidecar.graceful_seconds)
        if metrics is not None and metrics_server is not None:
            # Until now: an end that takes its time is worth a look.
            metrics_server.close()
            # As above.
            await asyncio.sleep(0)
            await metrics.stop(_LAST_SCRAPE_SECONDS)
        for look in looks:
            look.cancel()
        await lifespan.end()
        each_sweep()

    def _report(self, sidecar: Sidecar, service: Service) -> None:
        counters = sidecar.reports.counters
        counters.set("accepted", service.accepted)
        counters.set("upgrades", service.upgraded)
        gauges = {
            "connections": len(service.connections),
            "tasks": len(service.tasks),
            "tunnels": service.tunnels,
            **sidecar.gauges(),
        }
        sidecar.reports.send(worker_name(self), gauges)


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


async def _listen(listening: Any, factory: Callable[[], asyncio.Protocol]) -> AbstractServer:
    """Accept on one of the arbiter's sockets, by a file descriptor of our own."""
    own = socket.socket(fileno=os.dup(listening.fileno()))
    loop = asyncio.get_running_loop()
    if own.family == socket.AF_UNIX:
        return await loop.create_unix_server(factory, sock=own, backlog=BACKLOG)
    # Inherited by what is accepted: a client that vanished without a word is noticed some day.
    own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return await loop.create_server(factory, sock=own, backlog=BACKLOG)


async def _close(listening: Any, factory: Callable[[], asyncio.Protocol]) -> None:
    """Give up one of the arbiter's sockets, so that with its last holder the address is nobody's.

    Whoever has connected and was not accepted yet would be reset by that, and so is accepted first.
    """
    loop = asyncio.get_running_loop()
    for _ in range(BACKLOG):
        try:
            connection, _ = listening.accept()
        except OSError:
            # Nobody is left: gunicorn has set it not to block.
            break
        connection.setblocking(False)
        with contextlib.suppress(OSError):
            await loop.connect_accepted_socket(factory, connection)
    listening.close()


class _Lifespan:
    """Start and end of the app, as uvicorn says them to it."""

    def __init__(self, app: ASGIApp) -> None:
        # What uvicorn has to say of it that is no error is of no interest here.
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        self._lifespan = LifespanOn(Config(app, interface="asgi3", lifespan="auto", log_config=None))

    async def begin(self) -> bool:
        """Whether the app can be served."""
        await self._lifespan.startup()
        return not self._lifespan.should_exit

    async def end(self) -> None:
        """Tell the app that it is over."""
        await self._lifespan.shutdown()


def _metrics_app(scraped: Scraped) -> ASGIApp:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        is_http = scope["type"] == "http"
        answer = scraped.answer(scope["path"] if is_http else "")
        headers = [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", b"%d" % len(answer.body)),
        ]
        prefix = "" if is_http else "websocket."
        await send({"type": f"{prefix}http.response.start", "status": answer.status, "headers": headers})
        await send({"type": f"{prefix}http.response.body", "body": answer.body})

    return app

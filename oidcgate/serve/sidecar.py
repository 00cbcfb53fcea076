"""What a worker serves: the app with its limits, its log and its numbers.

Here lives `Sidecar`, a value that `arbiter` makes in each worker after the fork and `worker` serves.
"""

import dataclasses
import signal
import socket
from collections.abc import Mapping
from typing import Any, Final

from oidcgate.serve.access_log import AccessLog
from oidcgate.serve.exchange import ASGIApp
from oidcgate.serve.metrics import Board, Counters, Gauges
from oidcgate.serve.service import ServerLimits
from oidcgate.web.forwarded import TrustedPeers

__all__ = ["ENDINGS", "Sidecar", "worker_name"]

#: By these a worker is told to end. The arbiter holds them back until the worker can hear them.
ENDINGS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def _no_gauges() -> Mapping[str, int]:
    return {}


@dataclasses.dataclass(frozen=True)
class Sidecar:
    """One worker's share of a sidecar.

    Attributes:
        app: what answers.
        limits: what a client may ask.
        graceful_seconds: how long a stop waits for what is under way.
        access_log: where requests are told; None: nowhere.
        trusted: peers whose word on a client's address is believed.
        counters: where they are counted.
        gauges: what is so at this moment besides the server's own numbers.
        board: where numbers are told to other workers; None: nowhere.
        metrics_socket: where Prometheus asks; listening, and shared by all workers.
    """

    app: ASGIApp
    limits: ServerLimits = dataclasses.field(default_factory=ServerLimits)
    graceful_seconds: float = 30
    access_log: AccessLog | None = None
    trusted: TrustedPeers = dataclasses.field(default_factory=TrustedPeers)
    counters: Counters = dataclasses.field(default_factory=Counters)
    gauges: Gauges = _no_gauges
    board: Board | None = None
    metrics_socket: socket.socket | None = None

    def __call__(self, *_: Any) -> None:
        """For gunicorn, which wants to see a callable.

        Raises:
            TypeError: always.
        """
        raise TypeError("a Sidecar is served by oidcgate.serve.worker.SidecarWorker")


def worker_name(worker: Any) -> str:
    """A name that no other worker of this arbiter ever has: process ids come again, ages do not."""
    return f"{worker.age}-{worker.pid}"

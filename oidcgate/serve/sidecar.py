"""What a worker serves: the app with its limits, and where the worker tells what it did.

Here live `Sidecar`, a value that `prepared` makes in each worker after the fork and `worker` serves, and
`Reports`, which the other engine's `ThreadedSidecar` has as well.
"""

import dataclasses
import logging
import signal
from collections.abc import Mapping
from typing import Any, Final

from oidcgate.serve.access_log import AccessLog
from oidcgate.serve.exchange import ASGIApp
from oidcgate.serve.metrics import Counters, Gauges
from oidcgate.serve.recording import Recorder
from oidcgate.serve.scraping import Scraped
from oidcgate.serve.service import ServerLimits
from oidcgate.web.forwarded import TrustedPeers

__all__ = ["ENDINGS", "Reports", "Sidecar", "worker_name"]

_log = logging.getLogger("oidcgate.serve")

#: By these a worker is told to end. The arbiter holds them back until the worker can hear them.
ENDINGS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def _no_gauges() -> Mapping[str, int]:
    return {}


@dataclasses.dataclass(frozen=True)
class Reports:
    """Where one worker tells what it did.

    Attributes:
        counters: where requests are counted.
        access_log: where they are told; None: nowhere.
        trusted: peers whose word on a client's address is believed.
        scraped: where metrics are asked for; None: nowhere.
    """

    counters: Counters = dataclasses.field(default_factory=Counters)
    access_log: AccessLog | None = None
    trusted: TrustedPeers = dataclasses.field(default_factory=TrustedPeers)
    scraped: Scraped | None = None

    @property
    def wanted(self) -> bool:
        """Whether anybody hears of a request."""
        return self.access_log is not None or self.scraped is not None

    def recorder(self) -> Recorder | None:
        """What is to be told of requests; None when nobody would hear of it."""
        return Recorder(self.counters, self.access_log, self.trusted) if self.wanted else None

    def send(self, worker: str, gauges: Mapping[str, int]) -> None:
        """Let go out what there is: to be called each second.

        Args:
            worker: its `worker_name`.
            gauges: what is so at this moment.
        """
        if self.access_log is not None:
            self.access_log.flush()
        if self.scraped is None:
            return
        try:
            self.scraped.board.write(worker, self.counters.numbers(gauges))
        except OSError as error:
            _log.warning("numbers for metrics cannot be written: %s", error)


@dataclasses.dataclass(frozen=True)
class Sidecar:
    """One worker's share of a sidecar.

    Attributes:
        app: what answers.
        limits: what a client may ask.
        graceful_seconds: how long a stop waits for what is under way.
        reports: where it is told.
        gauges: what is so at this moment besides the server's own numbers.
    """

    app: ASGIApp
    limits: ServerLimits = dataclasses.field(default_factory=ServerLimits)
    graceful_seconds: float = 30
    reports: Reports = dataclasses.field(default_factory=Reports)
    gauges: Gauges = _no_gauges

    def __call__(self, *_: Any) -> None:
        """For gunicorn, which wants to see a callable.

        Raises:
            TypeError: always.
        """
        raise TypeError("a Sidecar is served by oidcgate.serve.worker.SidecarWorker")


def worker_name(worker: Any) -> str:
    """A name that no other worker of this arbiter ever has: process ids come again, ages do not."""
    return f"{worker.age}-{worker.pid}"

"""What is counted, and how it becomes one page for Prometheus although several processes count.

Here live `Counters`, kept by each worker in plain numbers, `Board`, the folder through which workers tell
each other, and `page`. Each worker writes its numbers there once a second, and any of them answers a scrape
with the sum. What a worker counted that has ended is kept by the arbiter, so that no counter ever goes back.

prometheus-client writes the page. Its own multi-process mode is not used: it would take a lock and write to
shared memory several times for each request, and keep a file for every worker that ever was.
"""

import json
import os
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

__all__ = ["CONTENT_TYPE", "Board", "Counters", "Gauges", "page"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)

Numbers = dict[str, Any]
#: What is so at this moment, by name: open connections and the like.
Gauges = Callable[[], Mapping[str, int]]

#: name: help. Of those with a label, the label.
_COUNTERS: Final = {
    "requests": ("Requests answered, by outcome and class of status.", ("outcome", "status")),
    "refusals": ("Requests that the gate did not let through, by status.", ("status",)),
    "malformed": ("Heads and bodies that were no requests, by status.", ("status",)),
    "troubles": ("Exchanges with an upstream that failed, by kind.", ("kind",)),
    "sent_bytes": ("Bytes of answers' bodies.", ()),
    "accepted": ("Connections of clients.", ()),
    "upgrades": ("Connections that became WebSockets.", ()),
}
_GAUGES: Final = {
    "connections": "Connections of clients that are open.",
    "tasks": "Requests under way, WebSockets included.",
    "tunnels": "WebSockets that are open.",
    "upstream_connections": "Connections to upstreams, used and unused.",
    "upstream_idle": "Connections to upstreams that are unused.",
}


class Counters:
    """The numbers of one worker."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in _COUNTERS}
        self._buckets = [0] * (len(_BUCKETS) + 1)
        self._seconds = 0.0

    def request(self, outcome: str, status: int, seconds: float, sent: int) -> None:
        """One request is over."""
        with self._lock:
            self._counts["requests"][f"{outcome} {status // 100}xx"] += 1
            self._counts["sent_bytes"][""] += sent
            if outcome == "refused":
                self._counts["refusals"][str(status)] += 1
            self._buckets[bisect_left(_BUCKETS, seconds)] += 1
            self._seconds += seconds

    def count(self, name: str, label: str = "", by: int = 1) -> None:
        """Something else happened: `name` is one of the counters, `label` one of few words."""
        with self._lock:
            self._counts[name][label] += by

    def set(self, name: str, total: int) -> None:
        """A number that somebody else counts."""
        self._counts[name][""] = total

    def numbers(self, gauges: Mapping[str, int]) -> Numbers:
        """All of it as plain values."""
        with self._lock:
            counts = {name: dict(counter) for name, counter in self._counts.items()}
            return {
                "counts": counts,
                "buckets": list(self._buckets),
                "seconds": self._seconds,
                "gauges": dict(gauges),
            }


def _sum(listed: Iterable[Numbers]) -> Numbers:
    counts: dict[str, Counter[str]] = {name: Counter() for name in _COUNTERS}
    gauges: Counter[str] = Counter()
    buckets, seconds = [0] * (len(_BUCKETS) + 1), 0.0
    for numbers in listed:
        for name, values in numbers["counts"].items():
            counts[name].update(values)
        gauges.update(numbers["gauges"])
        buckets = [a + b for a, b in zip(buckets, numbers["buckets"], strict=True)]
        seconds += numbers["seconds"]
    return {"counts": counts, "buckets": buckets, "seconds": seconds, "gauges": gauges}


class Board:
    """A folder with a file for each worker, and one for all that have ended."""

    _ENDED: Final = "ended.json"

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which is there and belongs to this user alone."""
        self.folder = folder

    def write(self, worker: str, numbers: Numbers) -> None:
        """What a worker has counted so far. `worker` is a name that no other ever has."""
        self._replace(f"{worker}.json", numbers)

    def end(self, worker: str) -> None:
        """Keep what a worker counted that has ended. To be called by the arbiter alone."""
        name = f"{worker}.json"
        numbers = self._read(name)
        if numbers is None:
            return
        before = self._read(self._ENDED)
        kept = _sum([numbers] if before is None else [before["numbers"], numbers])
        kept["gauges"] = {}
        # Whoever has read the worker's file already learns here not to count it twice.
        last = [*([] if before is None else before["workers"]), name][-100:]
        self._replace(self._ENDED, {"workers": last, "numbers": kept})
        (self.folder / name).unlink(missing_ok=True)

    def total(self) -> Numbers:
        """The sum over all workers, those that have ended included."""
        # In this order: a worker that ends in between is then found in one of the two, or marked in both.
        running = {path.name: self._read(path.name) for path in self.folder.glob("*.json")}
        running.pop(self._ENDED, None)
        ended = self._read(self._ENDED) or {"workers": [], "numbers": None}
        listed = [numbers for name, numbers in running.items() if name not in ended["workers"]]
        return _sum(numbers for numbers in [*listed, ended["numbers"]] if numbers is not None)

    def _read(self, name: str) -> Any:
        try:
            return json.loads((self.folder / name).read_text())
        except FileNotFoundError:
            return None

    def _replace(self, name: str, content: Numbers) -> None:
        temporary = self.folder / f"{name}.{os.getpid()}.new"
        temporary.write_text(json.dumps(content))
        temporary.replace(self.folder / name)


class _Collector:
    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers

    def collect(self) -> "Iterator[Metric]":
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        numbers = self._numbers
        for name, (help_, labels) in _COUNTERS.items():
            family = CounterMetricFamily(f"oidcgate_{name}", help_, labels=labels)
            values = numbers["counts"][name] or ({} if labels else {"": 0})
            for label, value in sorted(values.items()):
                family.add_metric(label.split(" ") if labels else [], value)
            yield family
        for name, help_ in _GAUGES.items():
            if name in numbers["gauges"]:
                yield GaugeMetricFamily(f"oidcgate_{name}", help_, value=numbers["gauges"][name])
        rising, total = [], 0
        for edge, number in zip([*map(str, _BUCKETS), "+Inf"], numbers["buckets"], strict=True):
            total += number
            rising.append((edge, total))
        histogram = HistogramMetricFamily("oidcgate_request_seconds", "How long requests took.")
        histogram.add_metric([], rising, numbers["seconds"])
        yield histogram


def page(numbers: Numbers) -> bytes:
    """The page that Prometheus reads."""
    # At the first scrape: it takes a tenth of the time of a start, and most sidecars are never asked.
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(_Collector(numbers))
    return generate_latest(registry)

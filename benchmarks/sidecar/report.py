"""What a run prints and keeps: versions, figures, and ratios with the target beside each."""

import json
import platform
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.sidecar.rounds import Row, ratios
from benchmarks.sidecar.stack import ROOT, nginx_version

RESULTS = Path(__file__).with_name("results") / "latest.json"
PACKAGES = ("gunicorn", "uvicorn", "uvloop", "httptools", "werkzeug", "msgspec", "cryptography")


@dataclass(frozen=True)
class Target:
    """A ratio to reach. The rows are named; `target` is "" where none is set.

    Attributes:
        what: `rate`, requests a second of the one over those of the other; `p99`, the one's latency over the
            other's; `cpu`, the same for the CPU time of a request.
    """

    what: str
    one: str
    other: str
    target: str


@dataclass(frozen=True)
class Ratio:
    """What a target became: the median of the rounds and their range."""

    target: Target
    median: float
    lowest: float
    highest: float


def seen(target: Target, rows: Mapping[str, Row]) -> Ratio | None:
    """The ratio, or None when one of its rows was not measured."""
    if target.one not in rows or target.other not in rows:
        return None
    one, other = rows[target.one], rows[target.other]
    if target.what == "rate":
        each = ratios(one, other)
    elif target.what == "p99":
        each = [a.p99 / b.p99 for a, b in zip(one.rounds, other.rounds, strict=True)]
    else:
        each = [one.cpu / other.cpu]
    return Ratio(target, statistics.median(each), min(each), max(each))


def versions() -> dict[str, str]:
    """Of what runs in our processes and beside them; the peers' are added by who started them."""
    said = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout  # noqa: S607
    return {
        "python": platform.python_version(),
        "kernel": platform.release(),
        **{package: version(package) for package in PACKAGES},
        "nginx": nginx_version(),
        "wrk": said.split()[1],
    }


def print_rows(title: str, rows: Mapping[str, Row]) -> None:
    """The figures of each contender: medians of the rounds, range of the rate, lowest CPU time."""
    print(f"\n{title}")
    print(f"{'':38}{'req/s':>9}{'range':>17}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}{'broken':>8}")
    for row in rows.values():
        rates = [figures.per_second for figures in row.rounds]
        print(
            f"{row.name:38}{row.per_second:9,.0f}{f'{min(rates):,.0f}-{max(rates):,.0f}':>17}"
            f"{row.p50:9.2f}{row.p99:9.1f}{row.cpu:9.0f}{sum(figures.errors for figures in row.rounds):8}"
        )


def print_ratios(found: Sequence[Ratio]) -> None:
    """The ratios with their targets."""
    print(f"\n{'ratio, median of the rounds':72}{'':>7}{'range':>14}  target")
    for ratio in found:
        target = ratio.target
        name = f"{target.what}: {target.one} / {target.other}"
        print(f"{name:72}{ratio.median:7.2f}{f'{ratio.lowest:.2f}-{ratio.highest:.2f}':>14}  {target.target}")


def keep(
    tables: Mapping[str, Mapping[str, Row]],
    found: Sequence[Ratio],
    said: Mapping[str, str],
    left_out: Sequence[str],
    *,
    results: Path = RESULTS,
    sources: Sequence[str] = ("oidcgate", "benchmarks/sidecar/*.py"),
) -> None:
    """Write the raw figures of a run where git keeps them.

    Args:
        sources: what was measured: whether there is anything in it that is not committed is written down.
    """
    results.parent.mkdir(exist_ok=True)
    document = {
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted": bool(_git("status", "--porcelain", "--", *sources)),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": said,
        "left_out": left_out,
        "tables": {
            title: {row.name: [asdict(figures) for figures in row.rounds] for row in rows.values()}
            for title, rows in tables.items()
        },
        "ratios": [asdict(ratio) for ratio in found],
    }
    results.write_text(json.dumps(document, indent=1) + "\n")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603

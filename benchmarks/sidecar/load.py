"""One load: wrk on a URL for some seconds, and proof that each answer was the upstream's."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 32
THREADS = 2
SCRIPT = Path(__file__).with_name("load.lua")


class NotMeasured(Exception):
    """What was asked did not answer as it must, so there is no figure."""


@dataclass(frozen=True)
class Contender:
    """A server to ask.

    Attributes:
        groups: the process groups whose CPU time is its cost: not those of the upstream and of wrk.
        cookies: one to each request, in turns.
        counted: how many requests the upstream has answered so far, where it can tell.
    """

    name: str
    url: str
    groups: Sequence[int]
    cookies: Sequence[str] = ()
    counted: Callable[[], int] | None = None


@dataclass(frozen=True)
class Figures:
    """What wrk saw; times in milliseconds.

    Attributes:
        cpu: microseconds of CPU time that the contender's processes took for one request. It varies less than
            the rate when the machine does other work.
        errors: connections that broke and requests that got no answer in ten seconds. Not zero with Apache:
            its event MPM closes kept connections when it ends a process that it has too many of.
    """

    per_second: float
    p50: float
    p99: float
    cpu: float
    requests: int
    errors: int


def _wrk(contender: Contender, seconds: float, folder: Path, *, check: bool) -> dict[str, int]:
    cookies = folder / f"cookies-{re.sub('[^a-z0-9]+', '-', contender.name.lower())}"
    if not cookies.exists():
        cookies.write_text("".join(f"{cookie}\n" for cookie in contender.cookies))
    command = [
        "wrk", f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s",
        "-s", str(SCRIPT), contender.url, "--", str(cookies), "check" if check else "",
    ]  # fmt: skip
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own command)
    found = re.search(r"^FIGURES (\{.*\})$", answer.stdout, re.MULTILINE)
    if found is None:
        raise NotMeasured(f"{contender.name}: wrk said {answer.stdout}{answer.stderr}")
    figures: dict[str, int] = json.loads(found[1])
    return figures


def warm(contender: Contender, folder: Path, most_seconds: int = 10) -> None:
    """Load it, looking at the status of each answer, which costs wrk too much to do while measuring.

    It ends when, by and large, each process has seen each cookie, or when `most_seconds` are over.

    Raises:
        NotMeasured: an answer was not 200, or there was none.
    """
    asked = 0
    for _ in range(most_seconds):
        seen = _wrk(contender, 1, folder, check=True)
        if not seen["requests"] or seen["not_200"]:
            raise NotMeasured(f"{contender.name}: not all were answered with 200: {seen}")
        asked += seen["requests"]
        if asked >= 4 * len(contender.cookies):
            return


def measure(contender: Contender, seconds: float, folder: Path) -> Figures:
    """Load it for some seconds.

    Raises:
        NotMeasured: an answer was not the upstream's: one with a status of 400 or more, or (redirects to a
            sign-in) more answers than the upstream gave.
    """
    before = contender.counted() if contender.counted else 0
    cpu = cpu_seconds(contender.groups)
    seen = _wrk(contender, seconds, folder, check=False)
    cpu = cpu_seconds(contender.groups) - cpu
    if seen["status"]:
        raise NotMeasured(f"{contender.name}: {seen['status']} answers of 400 or more")
    if contender.counted and contender.counted() - before < seen["requests"]:
        raise NotMeasured(f"{contender.name}: {seen['requests']} answers, fewer from the upstream")
    return Figures(
        per_second=seen["requests"] * 1e6 / seen["microseconds"],
        p50=seen["p50"] / 1000,
        p99=seen["p99"] / 1000,
        cpu=cpu * 1e6 / max(seen["requests"], 1),
        requests=seen["requests"],
        errors=_broken(seen),
    )


def _broken(seen: dict[str, int]) -> int:
    return seen["connect"] + seen["read"] + seen["write"] + seen["timeout"]


def processes(groups: Sequence[int]) -> list[int]:
    """The processes of these groups."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getpgid(int(entry.name)) in groups:
                    found.append(int(entry.name))
            except ProcessLookupError:
                continue
    return found


def cpu_seconds(groups: Sequence[int]) -> float:
    """CPU time that the processes of these groups have taken so far."""
    ticks = 0
    for process in processes(groups):
        try:
            # Behind the name, which may hold anything. Spec: proc(5), utime and stime.
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")

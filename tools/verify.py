"""The stages behind `make check`, `make test-fast` and `make test`, and the one-line result.

Every stage runs even when an earlier one failed, so that one run shows everything there is to mend.
Next door: bootstrap made the environment, wheel builds and tests the distribution.
"""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tools import wheel
from tools.bootstrap import ROOT, say
from tools.memory import in_memory

BUILD = ROOT / "build"
FAST = "not slow and not live and not heavy"


def stage(name: str, command: Sequence[str | Path]) -> bool:
    """Runs one command on the terminal, says how long it took, and returns whether it succeeded."""
    say(f"== {name}")
    started = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    say(f"== {name}: {'ok' if code == 0 else 'FAILED'} in {time.monotonic() - started:.0f} s")
    return code == 0


def lint() -> list[str]:
    """Format, lint and types; the names of what failed."""
    python = sys.executable
    commands: dict[str, list[str | Path]] = {
        "format": [python, "-m", "ruff", "format", "--check", "--output-format=concise", "."],
        "lint": [python, "-m", "ruff", "check", "--output-format=concise", "."],
        "types": [python, "-m", "mypy", "--no-error-summary"],
    }
    return [name for name, command in commands.items() if not stage(name, command)]


def pytest(name: str, report: Path, *arguments: str) -> bool:
    report.unlink(missing_ok=True)
    junit = report.with_suffix(".xml")
    with in_memory() as options:
        return stage(
            name,
            [
                sys.executable,
                *wheel.PYTEST,
                *options,
                f"--rows-report={report}",
                f"--junitxml={junit}",
                *arguments,
            ],
        )


def whole_suite() -> bool:
    """Every test of the checkout, live ones included; leaves build/rows.json for `make trace`."""
    return pytest("tests", BUILD / "rows.json")


def totals(reports: Sequence[Path]) -> Counter[str]:
    """Outcomes summed over several runs; a run that left no report counts as one error."""
    counted: Counter[str] = Counter()
    for report in reports:
        if report.is_file():
            counted.update(json.loads(report.read_text())["totals"])
        else:
            counted["errors"] += 1
    return counted


def result_line(counted: Counter[str]) -> str:
    words = [f"{counted['passed']} passed", f"{counted['failed']} failed"]
    words += [f"{counted[name]} {name}" for name in ("errors", "skipped", "xfailed") if counted[name]]
    return ", ".join(words)


def check() -> list[str]:
    failed = lint()
    if not pytest("architecture and docs", BUILD / "check.json", "tests/architecture"):
        failed.append("architecture and docs")
    return failed


def main(arguments: Sequence[str]) -> int:
    BUILD.mkdir(exist_ok=True)
    failed: list[str] = []
    reports: list[Path] = []
    match list(arguments):
        case ["check"]:
            failed = check()
        case ["fast"]:
            reports = [BUILD / "fast.json"]
            if not pytest("fast tests", reports[0], "-m", FAST):
                failed.append("tests")
        case ["all"]:
            reports = [BUILD / "rows.json", BUILD / "wheel.json"]
            failed = lint()
            if not whole_suite():
                failed.append("tests")
            if not wheel.test(reports[1]):
                failed.append("wheel")
        case _:
            say("usage: python -m tools.verify check|fast|all")
            return 2
    if failed:
        say(f"failed: {', '.join(failed)}")
    if reports:
        print(result_line(totals(reports)), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

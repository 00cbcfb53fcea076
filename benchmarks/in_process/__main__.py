"""`python -m benchmarks.in_process [ROUNDS]`: ours and the peers, in turns, in one run. Figures only."""

import json
import platform
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.in_process import ours
from benchmarks.in_process.measure import Cost, over

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
ENVIRONMENT = ROOT / ".venv" / "peers"
PEERS = {"flask-oidc": "flask", "mozilla-django-oidc": "django"}


def peers_python() -> str:
    """The interpreter of the peers' environment, which is made when it is missing."""
    python = ENVIRONMENT / "bin" / "python"
    wanted = (HERE / "peers.txt").read_text()
    installed = ENVIRONMENT / "installed.txt"
    if not installed.is_file() or installed.read_text() != wanted:
        venv.create(ENVIRONMENT, clear=True, with_pip=False)
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
        subprocess.run([*pip, "--requirement", str(HERE / "peers.txt")], check=True)  # noqa: S603 (our own command)
        installed.write_text(wanted)
    return str(python)


def peer(python: str, app: str, sessions: int, rounds: int) -> Cost:
    """What a request costs in one of the peers' apps, in a process of its own."""
    command = [python, "-m", "benchmarks.in_process.peers", app, str(sessions), str(rounds)]
    answer = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603 (our own command)
    return Cost(*json.loads(answer.stdout))


def lowest(rounds: list[dict[str, Cost]]) -> dict[str, Cost]:
    """Of each case the round in which it was cheapest."""
    return {case: min(figures[case] for figures in rounds) for case in rounds[0]}


def main(rounds: int = 3) -> None:
    """Measure everything `rounds` times, in turns, and print a table."""
    python = peers_python()
    runs = []
    for _ in range(rounds):
        figures = ours.measured(rounds=2)
        for name, twin in PEERS.items():
            bare = peer(python, twin, 1, 2)
            for sessions in (1, ours.SESSIONS):
                noun = "session" if sessions == 1 else "sessions"
                figures[f"{name} over {twin}, {sessions:,} {noun}"] = over(
                    peer(python, name, sessions, 2), bare
                )
        runs.append(figures)
    print(f"CPU time added to one authenticated request, us; CPython {platform.python_version()}")
    print(f"{'':55}{'minimum':>10}{'median':>10}")
    for case, figure in lowest(runs).items():
        print(f"{case:55}{figure.minimum:10.1f}{figure.median:10.1f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

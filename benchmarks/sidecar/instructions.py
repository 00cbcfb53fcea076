"""`python -m benchmarks.sidecar.instructions`: what the gate adds to a request, in instructions of user code.

Counted by valgrind (which has to be there), so the figure is the same on a busy machine and on a quiet one;
it says nothing of caches and the system. The app behind does nothing; session and person are remembered.
"""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import MutableMapping
from dataclasses import replace
from shutil import which
from typing import Any

from benchmarks.in_process.ours import gate_with_users, sign_in
from benchmarks.sidecar.stack import ROOT
from oidcgate.directory.anyone import AnyoneDirectory
from oidcgate.gate.asgi import AsyncGate
from oidcgate.gate.known_users import KnownUsers

# So many that what a start takes, which varies, is little beside it.
FEW, MANY = 200, 10_200
_HEADERS = [
    (b"content-type", b"text/plain"),
    (b"content-length", b"5"),
    (b"server", b"nginx"),
    (b"date", b"Sat, 21 Nov 2026 00:00:00 GMT"),
    (b"etag", b'"5"'),
]


class Nothing:
    """Answers at once, and stands for a proxy: the gate leaves identity headers to it."""

    forwards_identity = True

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """The same short answer to everybody."""
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": b"hello"})


async def _ask(app: Any, cookie: bytes, times: int) -> None:
    async def receive() -> Any:
        raise AssertionError("nobody reads the body")

    async def send(message: Any) -> None:
        return

    for _ in range(times):
        # New bytes for each, as a server makes them: none has its hash yet.
        headers = [
            (b"host", b"app.example.com"),
            (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
            (b"accept", b"*/*"),
            (b"accept-encoding", b"gzip"),
            (b"sec-fetch-site", b"same-origin"),
            (b"sec-fetch-mode", b"cors"),
            (b"cookie", bytes(bytearray(cookie))),
        ]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "path": "/index.html",
            "raw_path": b"/index.html",
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "server": ("127.0.0.1", 8080),
            "client": ("127.0.0.1", 40000),
            "headers": headers,
        }
        await app(scope, receive, send)


def child(kind: str, times: int) -> None:
    """Answer `times` requests, with the gate or without."""
    with gate_with_users(10) as gate:
        # Under valgrind a second is a few requests, and each second a file of users would be looked at.
        parts = replace(gate.parts, known_users=KnownUsers(AnyoneDirectory()))
        app = AsyncGate.from_parts(Nothing(), parts) if kind == "gate" else Nothing()
        asyncio.run(_ask(app, sign_in(gate, 1, int(time.time())).encode(), times))


def _count(kind: str, times: int) -> int:
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    command += [sys.executable, "-m", "benchmarks.sidecar.instructions", kind, str(times)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)  # noqa: S603 (ours)
    found = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
    if found is None:
        sys.exit(f"valgrind does not say what it counted:\n{done.stderr}")
    return int(found[1].replace(",", ""))


def main() -> None:
    """Print the figures; what start and end take is taken out by asking few times and many."""
    if which("valgrind") is None:
        sys.exit("valgrind is not there. On Debian: apt-get install valgrind")
    each = {}
    for kind in ("bare", "gate"):
        each[kind] = (_count(kind, MANY) - _count(kind, FEW)) // (MANY - FEW)
        print(f"{kind:6}{each[kind]:10,} instructions a request", flush=True)
    print(f"{'added':6}{each['gate'] - each['bare']:10,}")


if __name__ == "__main__":
    child(sys.argv[1], int(sys.argv[2])) if len(sys.argv) == 3 else main()

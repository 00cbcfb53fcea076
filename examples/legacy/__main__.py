"""Runs the tool desk: `python -m examples.legacy --port 8081`, or `--socket PATH`."""

import argparse
import signal
from pathlib import Path
from types import FrameType

from examples.legacy.server import Server


def main() -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(prog="python -m examples.legacy", description="The tool desk.")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--port", type=int, default=8081, help="on 127.0.0.1 (8081)")
    where.add_argument("--socket", type=Path, help="a Unix socket instead of a port")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    address = ("127.0.0.1", options.port) if options.socket is None else str(options.socket)
    with Server(address) as server:
        at = f"http://127.0.0.1:{options.port}" if options.socket is None else address
        print(f"Tool desk on {at}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("Tool desk closed", flush=True)


def _end(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()

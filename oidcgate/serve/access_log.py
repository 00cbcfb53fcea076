"""The access log: one JSON line for each request, and what stands in it.

Here live `Entry` and `AccessLog`. Neither queries nor header values are written, nor
anything else that could be a secret; a path is, and who the person was. Counting is `metrics` next door.
"""

import os
import threading
import time
from collections.abc import Callable
from json.encoder import encode_basestring_ascii as quoted
from typing import Final, NamedTuple

from oidcgate.handover import Outcome

__all__ = ["AccessLog", "Entry", "to_standard_output"]

#: A write of whole lines up to this size is never mixed with another process's. Spec: POSIX PIPE_BUF.
_ATOMIC_BYTES: Final = 4096
_LONGEST_TEXT: Final = 1024


class Entry(NamedTuple):
    """What is told of one request.

    Attributes:
        client: its address: that of the connection's other end, or the one that a trusted proxy there vouches
            for; "" for a Unix socket.
        method, path: as sent, the path without its query; "" of a request that was not understood.
        status: 0 when the client left before there was one.
        sent: bytes of the answer's body; of a tunnel none are counted.
        seconds: from the end of the request's head to the end of its answer.
        user: the userName of whom the gate let through.
        outcome: what became of it.
    """

    client: str
    method: str
    path: str
    status: int
    sent: int
    seconds: float
    user: str
    outcome: Outcome


def to_standard_output(data: bytes) -> None:
    """Write whole lines. A reader that is gone is no reason to stop serving."""
    try:
        while data:
            data = data[os.write(1, data) :]
    except OSError:
        pass


class AccessLog:
    """Lines on their way out: collected, and written by `flush` or when there are many."""

    def __init__(
        self, write: Callable[[bytes], None] = to_standard_output, clock: Callable[[], float] = time.time
    ) -> None:
        """Nothing is written yet.

        Args:
            write: takes whole lines.
            clock: epoch seconds.
        """
        self._write = write
        self._clock = clock
        self._lines: list[str] = []
        self._size = 0
        self._second = -1
        self._prefix = ""
        # Under gunicorn's threads several requests end at once.
        self._lock = threading.Lock()

    def note(self, entry: Entry) -> None:
        """Add the line of one request."""
        now = self._clock()
        second = int(now)
        client, method, path, status, sent, seconds, user, outcome = entry
        with self._lock:
            if second != self._second:
                self._second = second
                self._prefix = time.strftime('{"at":"%Y-%m-%dT%H:%M:%S', time.gmtime(second))
            line = (
                f"{self._prefix}.{int((now - second) * 1000):03}Z"
                f'","client":{quoted(client)},"method":{quoted(method)},"path":{quoted(_cut(path))}'
                f',"status":{status},"bytes":{sent},"seconds":{seconds:.6f}'
                f',"user":{quoted(_cut(user))},"outcome":{quoted(outcome)}}}\n'
            )
            if self._size + len(line) > _ATOMIC_BYTES:
                self._flush()
            self._lines.append(line)
            self._size += len(line)

    def flush(self) -> None:
        """Write what is there."""
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        if self._lines:
            data = "".join(self._lines).encode("ascii")
            self._lines, self._size = [], 0
            self._write(data)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"

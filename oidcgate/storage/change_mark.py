"""How processes on one host learn that a SQLite database changed, without asking it: eight shared bytes.

The bytes are a file beside the database, mapped into each process. They hold a random number that every
writer replaces, so no two writers can cancel each other out and no lock is needed. Only `sql` uses it.
"""

import mmap
import os
import secrets
import struct
import time
from pathlib import Path
from typing import Final

_NUMBER: Final = struct.Struct("=Q")
# Set while a write is under way. A writer that is killed between its commit and `done()` leaves it set.
_IN_FLIGHT: Final = 1


class ChangeMark:
    """The mark of one database.

    Raises:
        OSError: when the file cannot be made or mapped.
    """

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size < _NUMBER.size:
                # Written, not only made longer: on a full disk that fails here, not at a later store to the
                # map.
                os.pwrite(descriptor, bytes(_NUMBER.size), 0)
            self._shared = mmap.mmap(descriptor, _NUMBER.size)
        finally:
            os.close(descriptor)

    def read(self) -> int:
        """A number that is another one once a write is done.

        While a write is under way, or was cut off by the death of its process, it also changes each second,
        so that a reader who looked too early looks again.
        """
        number: int = _NUMBER.unpack(self._shared)[0]
        return number + int(time.monotonic()) if number & _IN_FLIGHT else number

    def begin(self) -> None:
        """To be called inside the write transaction, before its commit."""
        _NUMBER.pack_into(self._shared, 0, secrets.randbits(62) | _IN_FLIGHT)

    def done(self) -> None:
        """To be called after the commit."""
        _NUMBER.pack_into(self._shared, 0, secrets.randbits(62) & ~_IN_FLIGHT)

"""A folder in memory for what tests write, where the system has one.

SQLite waits for the disk after each of the thousands of transactions that tests make. No test loses power, so
none shows what that waiting is for; what killed processes wrote stays with the system, in memory too.
Next door: verify and wheel, which run the tests.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder with a name that nobody knows beforehand is made in it
#: The tests leave about a tenth of it. Containers often have 64 MiB, which browsers need.
NEEDED_BYTES = 4 << 30


def usable(folder: Path) -> bool:
    """Whether it is there, is large enough, and programs that tests put into it can run."""
    if not os.access(folder, os.W_OK | os.X_OK):
        return False
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize >= NEEDED_BYTES and not found.f_flag & os.ST_NOEXEC


@contextmanager
def in_memory(folder: Path = SHARED_MEMORY) -> Iterator[list[str]]:
    """The options with which pytest keeps its folders in memory; none where there is no such place.

    They are gone at the end, in memory as they are.
    """
    if not usable(folder):
        yield []
        return
    made = Path(tempfile.mkdtemp(prefix="oidcgate-", dir=folder))
    try:
        yield [f"--basetemp={made / 't'}"]
    finally:
        shutil.rmtree(made, ignore_errors=True)

"""Known users in a file: TOML with `[[users]]`, JSON as SCIM lists users, or CSV; read again when it changes.

What a file's text says is in `file_format`; here is when it is read and what holds while it cannot be.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from oidcgate.directory.file_format import UnreadableFile, read_users
from oidcgate.directory.port import AmbiguousUser, DirectoryUnavailable, KnownUser, LookAlike, fold, same_name
from oidcgate.settings import Problem
from oidcgate.waiting import about_to_wait

_log = logging.getLogger("oidcgate.directory")

#: A file that was written within the last second may still be being written.
_SETTLING_SECONDS: Final = 1
_LOGGED_PROBLEMS: Final = 20
_FIX: Final = 'list the users in it, in TOML as [[users]] and userName = "alice", or name another'
_FIX_OF_TABLE: Final = "list the users in it, with the names of the columns in line 1, or name another"


class _Content(NamedTuple):
    """What was last read whole. A folded name that several users have is None."""

    users: Mapping[str, KnownUser | None]
    problems: tuple[Problem, ...]


class FileDirectory:
    """The users of one file. It is looked at no more than once a second.

    A file that cannot be read, or that says nothing (it may be half written), leaves the users of before in
    place for `max_stale_seconds`; from then on, or when there were none, nobody can be found and
    DirectoryUnavailable is raised. A user with a problem is left out, a name that several users have is
    refused for all of them.

    Args:
        path: ends in `.json` or `.csv`, or is TOML.
        clock: epoch seconds.
        max_stale_seconds: how long the users of before hold.
    """

    answers_from_memory: Final = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        clock: Callable[[], float] = time.time,
        *,
        max_stale_seconds: int = 3600,
    ) -> None:
        self._path = Path(path).absolute()
        self._clock = clock
        self._max_stale_seconds = max_stale_seconds
        self._reading = threading.Lock()
        self._content: _Content | None = None
        self._stamp: tuple[int, ...] | None = None
        self._failure: str | None = None
        self._failed_at = 0.0
        self._look_at = float("-inf")
        self._generation = 0

    def find(self, name: str, *, now: int) -> KnownUser | None:
        self._look(now)
        content = self._content
        if content is None or (self._failure is not None and now - self._failed_at > self._max_stale_seconds):
            raise DirectoryUnavailable(f"{self._path}: {self._failure}")
        folded = fold(name)
        user = content.users.get(folded)
        if user is None:
            if folded in content.users:
                raise AmbiguousUser(f"{self._path}: several users are named {name!r}")
            return None
        if not same_name(name, user.user_name):
            raise LookAlike(f"{self._path}: {name!r} looks like {user.user_name!r}")
        return user

    def generation(self) -> int:
        self._look(self._clock())
        return self._generation

    def problems(self) -> list[Problem]:
        self._look(self._clock())
        found = [] if self._content is None else list(self._content.problems)
        if self._failure is not None:
            fix = _FIX_OF_TABLE if self._path.suffix.lower() == ".csv" else _FIX
            found.append(Problem(str(self._path), None, self._failure, fix))
        return found

    def _look(self, now: float) -> None:
        """Read the file if it may have changed and nobody looked within this second."""
        # A clock that was set back must not leave the file unread until it has caught up.
        if self._look_at - 1 <= now < self._look_at:
            return
        about_to_wait()
        # While one thread reads, the others go on with what is there; only the very first must wait.
        if not self._reading.acquire(blocking=self._content is None):
            return
        try:
            if not self._look_at - 1 <= now < self._look_at:
                self._read(now)
                self._look_at = now + 1
        finally:
            self._reading.release()

    def _read(self, now: float) -> None:
        try:
            with self._path.open("rb") as file:
                stamp = _stamp(file.fileno())
                if stamp == self._stamp:
                    return
                settling = 0 <= now - os.fstat(file.fileno()).st_mtime < _SETTLING_SECONDS
                if settling and self._content is not None:
                    # Cut off between two users, a file would read well and lock out whoever comes behind.
                    return
                data = file.read()
                changed_meanwhile = _stamp(file.fileno()) != stamp
            content = _Content(*read_users(data, self._path))
        except OSError as error:
            self._fail(f"cannot be read: {error.strerror}", now)
        except UnreadableFile as error:
            self._fail(str(error), now)
            self._stamp = None if settling else stamp
        else:
            self._stamp = None if settling or changed_meanwhile else stamp
            self._adopt(content)

    def _adopt(self, content: _Content) -> None:
        if self._failure is not None and self._content is not None:
            _log.warning("%s: can be read again", self._path)
        self._failure = None
        if content == self._content:
            return
        for problem in content.problems[:_LOGGED_PROBLEMS]:
            _log.warning("%s", problem)
        if len(content.problems) > _LOGGED_PROBLEMS:
            _log.warning("%s: %d problems in all", self._path, len(content.problems))
        self._content = content
        self._generation += 1

    def _fail(self, why: str, now: float) -> None:
        self._stamp = None
        if self._failure is None:
            self._failed_at = now
        if self._failure != why:
            kept = (
                "" if self._content is None else f"; the users of before hold for {self._max_stale_seconds} s"
            )
            _log.warning("%s: %s%s", self._path, why, kept)
        self._failure = why


def _stamp(descriptor: int) -> tuple[int, ...]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

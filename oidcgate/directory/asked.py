"""A directory that is asked for one name at a time: what holds for all of them, wherever they are.

A source (`sql`, `scim`, …) fetches whoever may be meant by a name. Which of them is, that two who compare
equal are neither, and that nobody waits long for a source that is down, is said here once.
"""

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from oidcgate.directory.entries import user_of
from oidcgate.directory.port import (
    AmbiguousUser,
    DirectoryUnavailable,
    KnownUser,
    LookAlike,
    fold,
    same_name,
    user_name_problem,
)
from oidcgate.settings import Problem

__all__ = ["AskedDirectory", "UserSource", "sound_users"]

_log = logging.getLogger("oidcgate.directory")

#: After a failure nobody asks for so long; then one asks for all.
PAUSE_SECONDS: Final = 1


class UserSource(Protocol):
    """Where users are fetched from. Safe to share between threads; opens nothing before it is asked."""

    def users_like(self, name: str) -> Sequence[KnownUser]:
        """Whoever may be meant by `name`, others among them; of many who are, two are enough.

        Args:
            name: one that a user can have (`user_name_problem`).

        Raises:
            DirectoryUnavailable: it cannot be said, within the source's time limit.
        """

    def problems(self) -> list[Problem]:
        """What is wrong with the content, as far as the source can tell by asking.

        Raises:
            DirectoryUnavailable: it cannot be said.
        """


class AskedDirectory:
    """The users of a source.

    While the source is down it is asked by one thread at a time and with pauses; all others are told at once
    that it is, so that a source that hangs does not make everybody wait for its time limit.

    Args:
        source: is asked for each name.
        name: what the log calls it.
    """

    def __init__(self, source: UserSource, name: str) -> None:
        self._source = source
        self._name = name
        self._outage = _Outage(name)

    def find(self, name: str, *, now: int) -> KnownUser | None:
        if user_name_problem(name) is not None:
            # Nobody can have it, so nobody is asked: what is odd stays out of filters and statements.
            return None
        with self._outage.asking(now):
            users = self._source.users_like(name)
        folded = fold(name)
        alike = [user for user in users if fold(user.user_name) == folded]
        if len(alike) > 1:
            raise AmbiguousUser(f"{self._name}: several users are named {name!r}")
        if not alike:
            return None
        (user,) = alike
        if not same_name(name, user.user_name):
            raise LookAlike(f"{self._name}: {name!r} looks like {user.user_name!r}")
        return user

    def generation(self) -> int:
        return 0

    def problems(self) -> list[Problem]:
        return self._source.problems()


def sound_users(entries: Iterable[object], where: str) -> list[KnownUser]:
    """The users that `entries` describe (see `user_of`). Whoever has a problem is left out, and the log says
    so; `where` is where they come from.
    """
    users = []
    for entry in entries:
        user = user_of(entry, where)
        if isinstance(user, Problem):
            _log.warning("%s", user)
        else:
            users.append(user)
    return users


class _Outage:
    """Who may ask: everybody while the source works, one at a time and with pauses while it does not."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._failure: str | None = None
        self._failed_at = 0
        self._tried = False

    @contextmanager
    def asking(self, now: int) -> Iterator[None]:
        """Around a question to the source.

        Raises:
            DirectoryUnavailable: the source is down; it is not asked.
        """
        trying = self._enter(now)
        down = False
        try:
            yield
        except DirectoryUnavailable as error:
            # One that answers nonsense makes nobody wait.
            down = not error.answered
            if down:
                self._failed(str(error), now)
            raise
        finally:
            if not down:
                self._worked()
            if trying:
                self._tried = False

    def _enter(self, now: int) -> bool:
        if self._failure is None:
            return False
        with self._lock:
            if self._failure is None:
                return False
            # A clock that was set back must not leave it unasked until it has caught up.
            if self._tried or 0 <= now - self._failed_at < PAUSE_SECONDS:
                raise DirectoryUnavailable(self._failure)
            self._tried = True
            return True

    def _failed(self, why: str, now: int) -> None:
        with self._lock:
            if self._failure is None:
                _log.warning("%s: %s; asked again every %d s", self._name, why, PAUSE_SECONDS)
            self._failure, self._failed_at = why, now

    def _worked(self) -> None:
        if self._failure is None:
            return
        with self._lock:
            if self._failure is not None:
                _log.warning("%s: answers again", self._name)
            self._failure = None

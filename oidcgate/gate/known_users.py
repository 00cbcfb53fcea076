"""Whether the person of a session is still somebody the directory knows: asked when due, before the decision.

Here lives the memory of the directory's answers and how long an unreachable directory is borne. How a
directory is read is the subject of `oidcgate.directory`; what follows from the answer is decided in
`oidcgate.gate.decision`.
"""

import dataclasses
import threading
from typing import Final, NamedTuple

from cachetools import LRUCache

from oidcgate.directory.port import AmbiguousUser, DirectoryUnavailable, KnownUser, UserDirectory
from oidcgate.gate.session import Found, Person, Unavailable, UnavailableReason, person_of
from oidcgate.identity import environ_text

__all__ = ["KnownUsers"]

_RETRY_SECONDS: Final = 1
_UNAVAILABLE: Final = Unavailable(UnavailableReason.DIRECTORY)


class _Answer(NamedTuple):
    user: KnownUser | None
    answered_at: int
    generation: int


class KnownUsers:
    """The directory's answers, remembered for a while, and each session's person kept up to date with
    them."""

    def __init__(
        self,
        directory: UserDirectory,
        *,
        recheck_seconds: int = 60,
        max_stale_seconds: int = 3600,
        remembered: int = 10_000,
    ) -> None:
        """Nothing is asked yet.

        Args:
            directory: whom to ask.
            recheck_seconds: how old an answer may be. A directory that sees its own changes (a file) is asked
                again at once when its generation moves.
            max_stale_seconds: how long the last answer holds while the directory cannot be asked.
            remembered: how many users' answers are kept.
        """
        self._directory = directory
        self._recheck = recheck_seconds
        self._max_stale = max_stale_seconds
        self._answers: LRUCache[str, _Answer] = LRUCache(maxsize=remembered)
        self._lock = threading.Lock()

    def refresh(self, found: Found, now: int) -> Unavailable | None:
        """Bring `found.person` up to date if that is due.

        Returns:
            Unavailable when the directory cannot be asked and its last answer is too old to go on with.
        """
        person = found.person
        try:
            generation = self._directory.generation()
            if person.generation == generation and now < person.recheck_at:
                return None
            answer = self._answer(found.record.user_name, generation, now)
        except DirectoryUnavailable:
            if now - person.answered_at > self._max_stale:
                return _UNAVAILABLE
            # The pause is for a directory that answers slowly that it cannot answer.
            found.person = person._replace(recheck_at=now + _RETRY_SECONDS)
            return None
        found.person = _person(found, answer, now + self._recheck)
        return None

    def _answer(self, user_name: str, generation: int, now: int) -> _Answer:
        with self._lock:
            answer = self._answers.get(user_name)
        if (
            answer is not None
            and answer.generation == generation
            and now - answer.answered_at < self._recheck
        ):
            return answer
        try:
            user = self._directory.find(user_name, now=now)
        except AmbiguousUser:
            # Two users compare equal: nobody can say which one this is, so it is neither.
            user = None
        answer = _Answer(user if user is not None and user.active else None, now, generation)
        with self._lock:
            self._answers[user_name] = answer
        return answer


def _person(found: Found, answer: _Answer, recheck_at: int) -> Person:
    user = answer.user
    identity = person_of(found.record).identity
    if user is None:
        identity = dataclasses.replace(identity, known=False)
    else:
        identity = dataclasses.replace(
            identity,
            user_name=user.user_name,
            display_name=user.display_name or found.record.display_name,
            known=True,
        )
    return Person(
        identity,
        environ_text(identity.user_name),
        user is not None,
        answer.answered_at,
        answer.generation,
        recheck_at,
    )

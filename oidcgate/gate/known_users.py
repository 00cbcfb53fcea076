"""Whether the person of a session is still somebody the directory knows: asked when due, before the decision.

Here lives when a directory is asked again and how long an unreachable directory is borne. How a
directory is read is the subject of `oidcgate.directory`; what follows from the answer is decided in
`oidcgate.gate.decision`.
"""

import threading
from typing import Final, NamedTuple

from cachetools import LRUCache

from oidcgate.directory.port import (
    AmbiguousUser,
    DirectoryUnavailable,
    KnownUser,
    UserDirectory,
    answers_from_memory,
    spelling,
    user_name_problem,
)
from oidcgate.gate.session import (
    NOBODY,
    Found,
    Person,
    SessionRecord,
    Unavailable,
    UnavailableReason,
    identity_of,
)
from oidcgate.identity import environ_text
from oidcgate.waiting import about_to_wait

__all__ = ["KnownUsers"]

_RETRY_SECONDS: Final = 1
_UNAVAILABLE: Final = Unavailable(UnavailableReason.DIRECTORY)


class _Answer(NamedTuple):
    """What the directory said about a name: a user who may come in, or why nobody may.

    Attributes:
        barred: the name is there, and lets nobody in: the user is switched off, or there are several.
        generation: the directory's generation then.
    """

    user: KnownUser | None
    barred: bool
    answered_at: int
    generation: int


class KnownUsers:
    """Keeps the person of each session up to date with the directory.

    Each session holds its last answer. Of a directory that has to be asked the last answers are remembered by
    name too, with their age: all sessions of one person ask once, and while it is down a session that this
    worker has not seen before goes on with what another one heard.
    """

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
            remembered: of how many names the last answer is remembered.
        """
        self._directory = directory
        self._may_wait = not answers_from_memory(directory)
        self._recheck = recheck_seconds
        self._max_stale = max_stale_seconds
        self._lock = threading.Lock()
        # Not a TTLCache: an answer has two ages, one until it is asked for again and one until it is no use.
        self._answers: LRUCache[tuple[str, str], _Answer] = LRUCache(remembered)

    def find(self, name: str, *, now: int) -> KnownUser | None:
        """Ask the directory about somebody who signs in, whatever is remembered.

        What no user can be named (`user_name_problem`) is asked nobody, a directory of one's own included.

        Raises:
            DirectoryUnavailable, AmbiguousUser: as `UserDirectory.find` does.
        """
        if user_name_problem(name) is not None:
            return None
        generation = self._directory.generation()
        try:
            user = self._directory.find(name, now=now)
        except AmbiguousUser:
            self._remember(name, _Answer(None, True, now, generation))
            raise
        self._remember(name, _answer(user, now, generation))
        return user

    def refresh(self, found: Found, now: int) -> Unavailable | None:
        """Bring `found.person` up to date if that is due.

        Returns:
            Unavailable when the directory cannot be asked and its last answer is too old to go on with.
        """
        person = found.person
        generation = None
        try:
            generation = self._directory.generation()
            if person.generation == generation and now < person.recheck_at:
                return None
            if found.record.stranger:
                answer = _Answer(None, False, now, generation)
            else:
                answer = self._ask(found.record.user_name, now, generation)
        except DirectoryUnavailable:
            return self._go_on(found, now, generation)
        found.person = _person(found.record, answer, answer.answered_at + self._recheck)
        return None

    def _ask(self, user_name: str, now: int, generation: int) -> _Answer:
        """An answer that is no older than it may be."""
        if self._may_wait:
            remembered = self._remembered(user_name)
            if (
                remembered is not None
                and remembered.generation == generation
                and 0 <= now - remembered.answered_at < self._recheck
            ):
                return remembered
            about_to_wait()
        try:
            answer = _answer(self._directory.find(user_name, now=now), now, generation)
        except AmbiguousUser:
            # Two users compare equal: nobody can say which one this is, so it is neither.
            answer = _Answer(None, True, now, generation)
        self._remember(user_name, answer)
        return answer

    def _go_on(self, found: Found, now: int, generation: int | None) -> Unavailable | None:
        """The last answer, for a while; for a session new to this worker, the one it was sealed with."""
        person, record = found.person, found.record
        # The pause is for a directory that takes its time to say that it cannot answer.
        recheck_at = now + _RETRY_SECONDS
        answered_at = record.known_at if person is NOBODY else person.answered_at
        heard = None if record.stranger else self._remembered(record.user_name)
        if heard is not None and heard.answered_at >= answered_at:
            person = _person(record, heard, recheck_at)
            answered_at = heard.answered_at
        elif person is NOBODY:
            person = _person(record, _Answer(KnownUser(record.user_name), False, answered_at, 0), recheck_at)
        if now - answered_at > self._max_stale:
            return _UNAVAILABLE
        found.person = person._replace(generation=generation, recheck_at=recheck_at)
        return None

    def _remember(self, name: str, answer: _Answer) -> None:
        if not self._may_wait:
            return
        # Not by `fold`: what is heard about a look-alike is nothing about the user it looks like.
        key = spelling(name)
        with self._lock:
            # Questions overtake each other; what was asked later is news.
            known = self._answers.get(key)
            if known is None or known.answered_at <= answer.answered_at:
                self._answers[key] = answer

    def _remembered(self, name: str) -> _Answer | None:
        with self._lock:
            return self._answers.get(spelling(name))


def _answer(user: KnownUser | None, now: int, generation: int) -> _Answer:
    if user is None or not user.active:
        return _Answer(None, user is not None, now, generation)
    # Without what else the directory says: that may be much, and there are many of them.
    return _Answer(KnownUser(user.user_name, True, user.display_name), False, now, generation)


def _person(record: SessionRecord, answer: _Answer, recheck_at: int) -> Person:
    user = answer.user
    if user is None:
        identity = identity_of(record, record.user_name, None, known=False)
    else:
        identity = identity_of(record, user.user_name, user.display_name, known=True)
    return Person(
        identity,
        environ_text(identity.user_name),
        user is not None,
        answer.answered_at,
        answer.generation,
        recheck_at,
        answer.barred,
    )

"""Whether the person of a session is still somebody the directory knows: asked when due, before the decision.

Here lives when a directory is asked again and how long an unreachable directory is borne. How a
directory is read is the subject of `oidcgate.directory`; what follows from the answer is decided in
`oidcgate.gate.decision`.
"""

from typing import Final

from oidcgate.directory.port import (
    AmbiguousUser,
    DirectoryUnavailable,
    KnownUser,
    UserDirectory,
    answers_from_memory,
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


class KnownUsers:
    """Keeps the person of each session up to date with the directory.

    Each session holds its last answer; a directory that is slow to ask has a memory of its own.
    """

    def __init__(
        self, directory: UserDirectory, *, recheck_seconds: int = 60, max_stale_seconds: int = 3600
    ) -> None:
        """Nothing is asked yet.

        Args:
            directory: whom to ask.
            recheck_seconds: how old an answer may be. A directory that sees its own changes (a file) is asked
                again at once when its generation moves.
            max_stale_seconds: how long the last answer holds while the directory cannot be asked.
        """
        self._directory = directory
        self._may_wait = not answers_from_memory(directory)
        self._recheck = recheck_seconds
        self._max_stale = max_stale_seconds

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
            if found.record.stranger:
                user, barred = None, False
            else:
                user, barred = self._ask(found.record.user_name, now)
        except DirectoryUnavailable:
            return self._go_on(found, now)
        person = _person(found.record, user, now, generation, now + self._recheck)
        found.person = person._replace(barred=True) if barred else person
        return None

    def _ask(self, user_name: str, now: int) -> tuple[KnownUser | None, bool]:
        """The active user of that name, or None and whether the name is there all the same."""
        if self._may_wait:
            about_to_wait()
        try:
            user = self._directory.find(user_name, now=now)
        except AmbiguousUser:
            # Two users compare equal: nobody can say which one this is, so it is neither.
            return None, True
        return (user, False) if user is None or user.active else (None, True)

    def _go_on(self, found: Found, now: int) -> Unavailable | None:
        """The last answer, for a while; for a session new to this worker, the one it was sealed with."""
        person = found.person
        answered_at = found.record.known_at if person is NOBODY else person.answered_at
        if now - answered_at > self._max_stale:
            return _UNAVAILABLE
        # The pause is for a directory that takes its time to say that it cannot answer.
        recheck_at = now + _RETRY_SECONDS
        if person is NOBODY:
            user = KnownUser(found.record.user_name)
            found.person = _person(found.record, user, answered_at, None, recheck_at)
        else:
            found.person = person._replace(recheck_at=recheck_at)
        return None


def _person(
    record: SessionRecord, user: KnownUser | None, answered_at: int, generation: int | None, recheck_at: int
) -> Person:
    if user is None:
        identity = identity_of(record, record.user_name, None, known=False)
    else:
        identity = identity_of(record, user.user_name, user.display_name, known=True)
    remote_user = environ_text(identity.user_name)
    return Person(identity, remote_user, user is not None, answered_at, generation, recheck_at)

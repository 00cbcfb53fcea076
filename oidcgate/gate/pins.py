"""Whose a userName is: the (`iss`, `sub`) that first signed in under it, kept in the state store.

A name that a provider gives (`preferred_username`) is for people to read: it can be changed there, given to
somebody else after its owner has left, or be somebody else's at a second provider. `sub` cannot. So the first
sign-in under a known userName pins it, and from then on only that person comes in under it, until an operator
clears the pin (`oidcgate users clear-pins`). Who is known is `oidcgate.directory`; what becomes of somebody
else is said in `login` next door.
"""

import json
from collections.abc import Iterator
from typing import Final, NamedTuple

from oidcgate.directory.port import fold
from oidcgate.gate.users_settings import UsersSettings
from oidcgate.storage.records import Record, RecordStore, StoreFailure, StoreUnavailable

__all__ = ["Pin", "Pins", "unpinned_line"]

_PINS: Final = "pin"
_ALL: Final = "all"
_PAGE: Final = 1000
# The last second of the year 9999. A pin that went by itself would give its name to whoever comes next.
_NEVER: Final = 253_402_300_799
# Between "there is none" and writing one, somebody else can write or clear it; hardly so often in a row.
_TRIES: Final = 5


class Pin(NamedTuple):
    """The person that a userName belongs to.

    Attributes:
        user_name: as the directory wrote it at that first sign-in.
        iss, sub: who that was.
        pinned_at: when, in epoch seconds.
    """

    user_name: str
    iss: str
    sub: str
    pinned_at: int

    def is_of(self, iss: str, sub: str) -> bool:
        """Whether this is the person's name. Spec: OIDC Core 2 (`sub`) and 5.7: compared byte for byte."""
        return (self.iss, self.sub) == (iss, sub)


class Pins:
    """The pins of all who share the state store: gates of one directory, in front of the same providers."""

    def __init__(self, state: RecordStore) -> None:
        self._state = state

    def claim(self, user_name: str, iss: str, sub: str, now: int) -> Pin:
        """The pin of this userName, which is the caller's from now on if it was nobody's.

        Of any number that claim one name at once, exactly one gets it: a single conditional write decides.

        Args:
            user_name: the directory's own, not what the provider said.

        Raises:
            StoreUnavailable: it cannot be said whose the name is.
        """
        key = fold(user_name)
        mine = Pin(user_name, iss, sub, now)
        for _ in range(_TRIES):
            found = self._state.get(_PINS, key, now=now)
            if found is not None:
                return _read(found)
            value = json.dumps(mine).encode()
            if self._state.swap(
                _PINS, key, expected_version=None, value=value, expires_at=_NEVER, tags=(_ALL,), now=now
            ):
                return mine
        raise StoreUnavailable(
            StoreFailure.LOCKED, f"the pin of {user_name!r} changes all the time; try again"
        )

    def of(self, user_name: str, now: int) -> Pin | None:
        """The pin of this userName, if it has one.

        Raises:
            StoreUnavailable: it cannot be said.
        """
        found = self._state.get(_PINS, fold(user_name), now=now)
        return None if found is None else _read(found)

    def every(self, now: int) -> Iterator[Pin]:
        """All pins, by folded name.

        Raises:
            StoreUnavailable: they cannot be read to their end.
        """
        after = ""
        while page := self._state.find(_PINS, _ALL, now=now, limit=_PAGE, after=after):
            yield from (_read(record) for _, record in page)
            after = page[-1][0]

    def clear(self, user_name: str, now: int) -> Pin | None:
        """Give the name free to whoever signs in under it next; returns the pin that there was.

        Sessions go on: ending those is `Sessions.revoke_user`.

        Raises:
            StoreUnavailable: it may be in force as before.
        """
        taken = self._state.take(_PINS, fold(user_name), now=now)
        return None if taken is None else _read(taken)


def unpinned_line(users: UsersSettings, providers: int) -> str | None:
    """What an operator has to know where names are nobody's; None where they are somebody's (G-15).

    Args:
        providers: how many there are; a `sub` is one person's at one of them.

    Spec: OIDC Core 5.1 (`preferred_username` is not to be relied upon to be unique), 5.7.
    """
    if not users.insecure_unpinned or (users.match == "sub" and providers == 1):
        return None
    if users.match == "sub":
        return (
            "users.match = 'sub' names people by what several providers can each say of somebody else, "
            "and users.insecure_unpinned lets whoever has it in; take insecure_unpinned away"
        )
    return (
        f"users.match = {users.match!r} names people by what a provider can change or give to somebody else, "
        "and users.insecure_unpinned lets whoever has it in; match by 'sub', or take insecure_unpinned away"
    )


def _read(record: Record) -> Pin:
    return Pin(*json.loads(record.value))

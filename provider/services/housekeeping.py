"""Deleting what has ended: when, how long after its end, how much at a time.

Whoever serves does it, after an answer was sent: no thread and no process of its own, so it works under any
WSGI server, and a provider that nobody asks has nothing new to delete. The statements are
`provider.store.sweeping`.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Table

from provider.realm import Realm
from provider.services.unused_clients import UnusedClients
from provider.store.engine import Store, StoreUnavailable
from provider.store.schema import (
    access_tokens,
    assertions,
    browser_sessions,
    codes,
    device_codes,
    grants,
    initial_tokens,
    interactions,
    logout_notices,
    refresh_tokens,
    revoked_tokens,
    session_clients,
    throttle,
)
from provider.store.sweeping import Place, sweep

_log = logging.getLogger("provider")

#: How often each process looks.
INTERVAL_SECONDS: Final = 60
#: How many rows go in one transaction, which is how long a lock is held: some milliseconds.
BATCH: Final = 500
#: A code or grant that has ended is known for a day, so that a second use is still seen and told apart.
_KEPT_SECONDS: Final = 86_400
#: An operator has a month to see which clients were never told of a sign-out.
FAILED_NOTICES_SECONDS: Final = 30 * 86_400


@dataclass
class Housekeeping:
    """The sweeping of one process.

    Attributes:
        due_at: when to look next. Processes that started together look together, and leave each other's rows.
        places: where to go on, for each realm and table of which not everything was looked at.
    """

    store: Store
    realms: Sequence[Realm]
    unused: UnusedClients
    due_at: int
    batch: int = BATCH
    places: dict[tuple[str, str], Place] = field(default_factory=dict, repr=False)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def is_due(self, now: int) -> bool:
        """Whether it is time to sweep."""
        return now >= self.due_at

    def sweep(self, now: int) -> int:
        """Delete at most a batch of each kind of row, each in a transaction of its own; returns how many.

        Where a batch was full there is more: the next request goes on. A database in trouble is left alone
        until the next time, and requests say so themselves.
        """
        if not self.lock.acquire(blocking=False):
            return 0  # another thread is at it
        try:
            if not self.is_due(now):
                return 0
            self.due_at = now + INTERVAL_SECONDS
            return self._sweep(now)
        except StoreUnavailable as error:
            _log.info("ended rows were not deleted: %s", error.detail)
            return 0
        finally:
            self.lock.release()

    def _sweep(self, now: int) -> int:
        deleted = 0
        for realm in self.realms:
            # First: what says that a client is in use is among what is swept.
            removed = self.unused.sweep(realm, now, self.batch)
            deleted += removed
            if removed == self.batch:
                self.due_at = now
            for table, before in _ends(realm, now):
                after = self.places.pop((realm.id, table.name), None)
                with self.store.begin() as conn:
                    swept = sweep(conn, realm.id, table, before=before, limit=self.batch, after=after)
                deleted += swept.deleted
                if swept.place is not None:
                    self.places[realm.id, table.name] = swept.place
                if swept.more:
                    self.due_at = now
        return deleted


def _ends(realm: Realm, now: int) -> Iterator[tuple[Table, int]]:
    """Each kind of row, and the instant before which it must have ended."""
    skew_seconds = realm.settings.lifetimes.clock_skew_seconds
    yield interactions, now
    # Before the sessions, of which some still wait for what is written of their clients.
    yield session_clients, now
    yield browser_sessions, now
    yield logout_notices, now - FAILED_NOTICES_SECONDS
    yield throttle, now - realm.settings.throttle.forget_seconds
    yield codes, now - _KEPT_SECONDS
    yield device_codes, now - _KEPT_SECONDS
    # Good for so much longer at our own endpoints.
    yield access_tokens, now - skew_seconds
    yield revoked_tokens, now - skew_seconds
    yield assertions, now
    yield initial_tokens, now
    yield refresh_tokens, now
    yield grants, now - _KEPT_SECONDS

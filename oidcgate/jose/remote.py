"""Another party's key set: fetched when it is needed, remembered, and fetched again when it may have changed.

How it is fetched is a field, so that this room opens no connection. Which key fits a token is
`oidcgate.jose.keys`, which one tokens are encrypted to `oidcgate.jose.jwe`.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from oidcgate.jose.jwe import EncryptionKey, choose_encryption_key, import_encryption_keys
from oidcgate.jose.keys import VerificationKey, import_public_keys


class KeysUnavailable(Exception):
    """No key set was ever fetched, and now is not the time or did not work. The cause, if any, is chained."""


class TooManyWait(KeysUnavailable):
    """The asker would have had to wait, and was not to."""


#: What a thread is in while it may have to wait; says whether it may.
Turn = AbstractContextManager[bool]
_ANYBODY: Turn = nullcontext(True)


class _Snapshot(NamedTuple):
    keys: tuple[VerificationKey, ...]
    encryption_keys: tuple[EncryptionKey, ...]
    fetched_at: float

    def knows(self, kid: str | None) -> bool:
        return kid is None or any(key.kid == kid for key in self.keys)

    def reader(self, alg: str) -> EncryptionKey | None:
        return choose_encryption_key(self.encryption_keys, alg)


class RemoteKeySet:
    """A key set behind a fetch, for all threads of a process.

    One thread fetches at a time. A key set that grows old is renewed by the first who notices while the
    others use the old one; an unknown `kid`, or no key to encrypt to, makes the asker wait for a new one.
    Attempts, good or bad, are at least `cooldown_seconds` apart, so a flood of tokens with invented kids
    costs the issuer nothing. One exception: a set that was fetched for no such reason may have changed a
    moment later, so the first thing that is missing in it is looked for at once. When a fetch fails, the old
    keys stay. Whoever may have to wait, or to fetch, does so inside of a `turn` that the caller makes; where
    that says False the old keys serve, or nothing does.

    Args:
        fetch: Returns the key set document, or raises.
        clock: Epoch seconds.
        ttl_seconds: Age at which the set is renewed without a reason.
        cooldown_seconds: Least time between two attempts.
    """

    def __init__(
        self,
        fetch: Callable[[], Mapping[str, Any]],
        clock: Callable[[], float],
        ttl_seconds: float = 3600,
        cooldown_seconds: float = 30,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._ttl_seconds = ttl_seconds
        self._cooldown_seconds = cooldown_seconds
        self._fetching = threading.Lock()
        self._snapshot: _Snapshot | None = None
        self._attempted_at: float | None = None
        # The last attempt worked, and was not made because something was missing.
        self._unhurried = False

    def keys_for(self, kid: str | None, turn: Turn = _ANYBODY) -> tuple[VerificationKey, ...]:
        """Return all known keys, after fetching anew if none is called `kid` or they are old.

        The key may still be missing: then the caller's verification says so.

        Raises:
            KeysUnavailable: There are no keys at all.
            TooManyWait: It would have to be waited for, and `turn` says no.
        """
        return self._snapshot_that(lambda found: found.knows(kid), turn).keys

    def encryption_key(self, alg: str, turn: Turn = _ANYBODY) -> EncryptionKey | None:
        """Return the key to encrypt to with `alg`, after fetching anew if none fits or they are old.

        Raises:
            KeysUnavailable: There are no keys at all.
            TooManyWait: It would have to be waited for, and `turn` says no.
        """
        return self._snapshot_that(lambda found: found.reader(alg) is not None, turn).reader(alg)

    def known_encryption_key(self, alg: str) -> EncryptionKey | None:
        """Return the key to encrypt to with `alg` if one was fetched before; fetches nothing."""
        return None if self._snapshot is None else self._snapshot.reader(alg)

    def _snapshot_that(self, serves: Callable[[_Snapshot], bool], turn: Turn) -> _Snapshot:
        snapshot = self._snapshot
        usable = snapshot if snapshot is not None and serves(snapshot) else None
        if usable is not None and not self._old(usable):
            return usable
        with turn as free:
            if usable is None:
                if not free:
                    raise TooManyWait("enough threads wait already")
                self._fetching.acquire()
            elif not free or not self._fetching.acquire(blocking=False):
                return usable
            try:
                return self._renewed(serves)
            finally:
                self._fetching.release()

    def _old(self, snapshot: _Snapshot) -> bool:
        return self._clock() - snapshot.fetched_at >= self._ttl_seconds

    def _renewed(self, serves: Callable[[_Snapshot], bool]) -> _Snapshot:
        snapshot = self._snapshot
        if snapshot is not None and serves(snapshot) and not self._old(snapshot):
            # Another thread fetched it while this one waited.
            return snapshot
        failure: Exception | None = None
        now = self._clock()
        missing = snapshot is not None and not serves(snapshot)
        due = self._attempted_at is None or now - self._attempted_at >= self._cooldown_seconds
        if due or (missing and self._unhurried):
            self._attempted_at = now
            self._unhurried = False
            try:
                document = self._fetch()
                snapshot = _Snapshot(import_public_keys(document), import_encryption_keys(document), now)
                self._snapshot = snapshot
                self._unhurried = not missing
            except Exception as error:  # whatever the fetch raises, the old keys are better than none
                failure = error
        if snapshot is None:
            raise KeysUnavailable("the key set could not be fetched") from failure
        return snapshot

"""The password factor: argon2id with a bound on how many are computed at once.

Checking costs the same time and gives the same answer whether the name exists, has a password, or is active:
what does not exist is compared with a hash that nothing matches. How often one may try is
`provider.services.throttle`; where people and their hashes come from is `provider.services.users`; making a
hash is `provider.services.passwords`.
"""

import secrets
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from provider.services.passwords import LONGEST_PASSWORD_BYTES
from provider.store.users import User


class Busy(Exception):
    """All slots are taken and the queue is full, or no slot came free in time. Nothing was checked."""


@dataclass(frozen=True)
class PasswordVerdict:
    """The outcome of one check.

    Attributes:
        user: The person, when name and password were right and the person is active; else None.
        reason: For the log: "ok", "unknown_user", "no_password", "wrong_password", "inactive",
            "unusable_hash".
        new_hash: The password hashed anew, when the stored hash was made with other parameters than today's
            and can be replaced.
    """

    user: User | None
    reason: str
    new_hash: str | None = field(default=None, repr=False)


class PasswordFactor:
    """Checks passwords.

    Args:
        hasher: Today's parameters.
        slots: How many checks run at once. Each takes the hasher's memory (64 MB) and a core.
        queue: How many more may wait. Beyond that a request is refused at once: a queue that grows without
            bound answers everybody too late.
        patience_seconds: How long one waits for a slot.
    """

    def __init__(
        self, hasher: PasswordHasher, *, slots: int = 2, queue: int = 32, patience_seconds: float = 5.0
    ) -> None:
        self._hasher = hasher
        self._slots = threading.BoundedSemaphore(slots)
        self._places = threading.BoundedSemaphore(slots + queue)
        self._patience_seconds = patience_seconds
        self._nobody = _unmatched_hash(hasher)

    def check(self, user: User | None, password: str) -> PasswordVerdict:
        """Compare a password with that of a person, or with nothing at the same cost.

        Raises:
            Busy: no slot was free; the caller answers 503 and counts no failure.
        """
        stored = user.password_hash if user is not None else None
        encoded = password.encode("utf-8", "surrogatepass")
        usable = bool(encoded) and len(encoded) <= LONGEST_PASSWORD_BYTES
        with self._slot():
            matches, reason = self._compare(stored or self._nobody, encoded if usable else b"x")
            if user is None:
                return PasswordVerdict(None, "unknown_user")
            if stored is None:
                return PasswordVerdict(None, "no_password")
            if not (matches and usable):
                return PasswordVerdict(None, reason)
            if not user.active:
                return PasswordVerdict(None, "inactive")
            if user.read_only or not self._hasher.check_needs_rehash(stored):
                return PasswordVerdict(user, "ok")
            return PasswordVerdict(user, "ok", self._hasher.hash(encoded))

    def hash(self, password: str) -> str:
        """The hash of a new password, which takes a slot as a check does.

        Raises:
            Busy: no slot was free.
        """
        with self._slot():
            return self._hasher.hash(password.encode("utf-8", "surrogatepass"))

    def _compare(self, stored: str, encoded: bytes) -> tuple[bool, str]:
        try:
            return self._hasher.verify(stored, encoded), "ok"
        except VerifyMismatchError:
            return False, "wrong_password"
        except (InvalidHashError, VerificationError):
            return False, "unusable_hash"

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise Busy
        try:
            if not self._slots.acquire(timeout=self._patience_seconds):
                raise Busy
            try:
                yield
            finally:
                self._slots.release()
        finally:
            self._places.release()


def _unmatched_hash(hasher: PasswordHasher) -> str:
    """A hash with today's parameters which no password has, but for a chance of 2^-256."""

    def part(length: int) -> str:
        return b64encode(secrets.token_bytes(length)).decode().rstrip("=")

    return (
        f"$argon2id$v=19$m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
        f"${part(hasher.salt_len)}${part(hasher.hash_len)}"
    )

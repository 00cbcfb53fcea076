"""Since when each secret of the key ring seals: noted in the state store, for a secret does not say its age.

A secret is named by the hint that every value it sealed carries in the clear; nothing more of it is here.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Final, NamedTuple

from oidcgate.storage.records import RecordStore
from oidcgate.web.sealing import KeyRing

__all__ = ["KeyAge", "KeyAges"]

_KIND: Final = "sealing-key"
#: The last second of the year 9999: a secret may be used for as long as anybody likes.
_NEVER: Final = 253_402_300_799


class KeyAge(NamedTuple):
    """A secret of the ring.

    Attributes:
        name: six hexadecimal digits.
        seals: whether it is the first, under which everything new is sealed.
        sealing_since: when the first session was sealed under it; None: none was.
    """

    name: str
    seals: bool
    sealing_since: int | None


class KeyAges:
    """The secrets of one gate by age. Raises StoreUnavailable when the state store does not answer."""

    def __init__(self, state: RecordStore, ring: KeyRing, gate_id: str) -> None:
        """Compose; see `Sessions` for the arguments."""
        self._state = state
        self._first = ring.first()[0]
        self._hints = [self._first, *(hint for hint in reversed(ring.hints()) if hint != self._first)]
        self._gate = sha256(gate_id.encode()).hexdigest()[:16]
        self._noted = False

    def note(self, now: int) -> None:
        """Something is sealed under the first secret now. The store is asked once in a process."""
        if not self._noted:
            # Only if there is none: the first time is the one that counts.
            value = str(now).encode()
            key = self._key(self._first)
            self._state.swap(_KIND, key, expected_version=None, value=value, expires_at=_NEVER, now=now)
            self._noted = True

    def of_ring(self, now: int) -> Iterator[KeyAge]:
        """All of them, the sealing one first."""
        for hint in self._hints:
            record = self._state.get(_KIND, self._key(hint), now=now)
            yield KeyAge(hint.hex(), hint == self._first, None if record is None else int(record.value))

    def _key(self, hint: bytes) -> str:
        return f"{self._gate}:{hint.hex()}"

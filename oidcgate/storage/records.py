"""The port of the small stores: records with an expiry, found by kind and key or by tag.

The state store (revocations, replay, kept tokens, pins, forms and more) is written once over the verbs of
`RecordStore`, shared sessions over the few of `RecordCache`; what the records mean is not known here.
Implementations: `memory` (this process), `sql` (SQLite, PostgreSQL), `redis`; of a cache alone: `memcached`.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol


class Record(NamedTuple):
    """A stored value.

    Attributes:
        value: bytes, as they were put.
        version: another one after every write of the key, also if the record was gone in between.
        expires_at: epoch seconds; from this second on the record is absent.
        tags: further names it is found under.
    """

    value: bytes
    version: int
    expires_at: int
    tags: tuple[str, ...]


class StoreFailure(StrEnum):
    """Why a store could not answer."""

    LOCKED = "locked"
    FULL = "full"
    READ_ONLY = "read_only"
    CORRUPT = "corrupt"
    MISSING = "missing"
    UNREACHABLE = "unreachable"
    FAILED = "failed"


class StoreUnavailable(Exception):
    """The store cannot answer now. It says neither that a record is there nor that it is not.

    The message names the store, what is wrong and what to do, without passwords; it is for the log, not for
    a client.
    """

    def __init__(self, reason: StoreFailure, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class RecordCache(Protocol):
    """Four verbs, for records whose loss is borne. Each is atomic among threads and processes.

    A record may be gone before its time: a cache that is full or was restarted forgets. What must not be
    forgotten, or be given out once only, needs a `RecordStore`, and no cache can stand in for one.

    Every method raises StoreUnavailable when there is no answer, which is never taken for "absent"; a write
    that raised may or may not have happened. `kind` separates uses; a key is not empty. `now` is epoch
    seconds.
    """

    def put(self, kind: str, key: str, value: bytes, *, expires_at: int) -> None:
        """Write the record, whatever was there."""

    def get(self, kind: str, key: str, *, now: int) -> Record | None:
        """The record, or None when it is absent or expired."""

    def swap(
        self, kind: str, key: str, *, expected_version: int, value: bytes, expires_at: int, now: int
    ) -> bool:
        """Write only over the version that `get` gave; False: it is another one, or gone."""

    def delete(self, kind: str, key: str) -> None:
        """Remove the record, if there is one. A `swap` that is under way does not bring it back."""


class RecordStore(RecordCache, Protocol):
    """A cache that forgets nothing before its time, and five verbs more.

    Each is atomic among threads, and among processes where the store is shared. What RecordCache says of
    arguments and of StoreUnavailable holds here too.
    """

    def put(self, kind: str, key: str, value: bytes, *, expires_at: int, tags: Sequence[str] = ()) -> None:
        """Write the record, whatever was there."""

    def take(self, kind: str, key: str, *, now: int) -> Record | None:
        """Remove the record and return it: to exactly one caller, however many ask at once."""

    def swap(
        self,
        kind: str,
        key: str,
        *,
        expected_version: int | None,
        value: bytes,
        expires_at: int,
        tags: Sequence[str] = (),
        now: int,
    ) -> bool:
        """Write only if the record has `expected_version`; None: only if there is none, or it expired."""

    def delete_tagged(self, kind: str, tag: str) -> int:
        """Remove every record of `kind` with `tag`; returns how many."""

    def find(
        self, kind: str, tag: str, *, now: int, limit: int = 1000, after: str = ""
    ) -> list[tuple[str, Record]]:
        """Records with `tag`, by key, at most `limit`; of the next page, those behind the key `after`."""

    def sweep(self, now: int, limit: int) -> int:
        """Remove expired records, at most `limit`; returns how many. Fewer than `limit`: none is left."""

    def generation(self) -> int:
        """A mark that is another one after every write that changed a record; it costs below a microsecond.
        A store may be told which kinds of record this is about.

        Only equality means something. A process sees another process's write at the next call where the store
        is a SQLite file, and else after as many seconds as the store was made with (`lag_seconds`, at most).
        """

"""A record store in this process: for tests, and for one process that may forget at its end."""

import heapq
import threading
import time
from collections.abc import Callable, Sequence

from oidcgate.storage.records import Record, StoreFailure, StoreUnavailable

_Name = tuple[str, str]


class MemoryStore:
    """Bounded records under one lock. Nothing is shared with other processes, nothing outlives this one.

    Args:
        max_records: when so many are held and none has expired, writing another key raises StoreUnavailable:
            forgetting a revocation to make room would let its session in again.
        clock: epoch seconds; asked only when the store is full, to make room.
    """

    def __init__(self, *, max_records: int = 100_000, clock: Callable[[], float] = time.time) -> None:
        self._max_records = max_records
        self._clock = clock
        self._lock = threading.RLock()
        self._records: dict[_Name, Record] = {}
        # Names by (kind, tag); kept in step with `_records`, so bounded by it.
        self._tagged: dict[_Name, set[str]] = {}
        # Earliest expiry first; an entry whose record has since been replaced or removed is passed over.
        self._expiries: list[tuple[int, _Name]] = []
        self._writes = 0

    def put(self, kind: str, key: str, value: bytes, *, expires_at: int, tags: Sequence[str] = ()) -> None:
        with self._lock:
            name = (kind, key)
            if name not in self._records and len(self._records) >= self._max_records:
                self.sweep(int(self._clock()), self._max_records)
                if len(self._records) >= self._max_records:
                    raise StoreUnavailable(
                        StoreFailure.FULL,
                        f"memory store: {self._max_records} records are held and none has expired; "
                        "use a database as store, or raise its limit",
                    )
            self._remove(name)
            self._writes += 1
            self._records[name] = Record(value, self._writes, expires_at, tuple(dict.fromkeys(tags)))
            for tag in tags:
                self._tagged.setdefault((kind, tag), set()).add(key)
            self._remember_expiry(expires_at, name)

    def get(self, kind: str, key: str, *, now: int) -> Record | None:
        with self._lock:
            record = self._records.get((kind, key))
        return record if record is not None and now < record.expires_at else None

    def take(self, kind: str, key: str, *, now: int) -> Record | None:
        with self._lock:
            record = self._remove((kind, key))
            if record is None or now >= record.expires_at:
                return None
            self._writes += 1
            return record

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
        with self._lock:
            found = self.get(kind, key, now=now)
            if (None if found is None else found.version) != expected_version:
                return False
            self.put(kind, key, value, expires_at=expires_at, tags=tags)
            return True

    def delete(self, kind: str, key: str) -> None:
        with self._lock:
            self._writes += self._remove((kind, key)) is not None

    def delete_tagged(self, kind: str, tag: str) -> int:
        with self._lock:
            keys = tuple(self._tagged.get((kind, tag), ()))
            for key in keys:
                self._remove((kind, key))
            self._writes += bool(keys)
            return len(keys)

    def find(
        self, kind: str, tag: str, *, now: int, limit: int = 1000, after: str = ""
    ) -> list[tuple[str, Record]]:
        with self._lock:
            keys = sorted(key for key in self._tagged.get((kind, tag), ()) if key > after)
            found = ((key, self._records[kind, key]) for key in keys)
            return [(key, record) for key, record in found if now < record.expires_at][:limit]

    def sweep(self, now: int, limit: int) -> int:
        with self._lock:
            removed = 0
            while removed < limit and self._expiries and self._expiries[0][0] <= now:
                expires_at, name = heapq.heappop(self._expiries)
                record = self._records.get(name)
                if record is not None and record.expires_at == expires_at:
                    self._remove(name)
                    removed += 1
            return removed

    def generation(self) -> int:
        return self._writes

    def _remove(self, name: _Name) -> Record | None:
        record = self._records.pop(name, None)
        if record is not None:
            for tag in record.tags:
                keys = self._tagged[name[0], tag]
                keys.discard(name[1])
                if not keys:
                    del self._tagged[name[0], tag]
        return record

    def _remember_expiry(self, expires_at: int, name: _Name) -> None:
        heapq.heappush(self._expiries, (expires_at, name))
        if len(self._expiries) > 2 * len(self._records) + 64:
            self._expiries = [(record.expires_at, held) for held, record in self._records.items()]
            heapq.heapify(self._expiries)

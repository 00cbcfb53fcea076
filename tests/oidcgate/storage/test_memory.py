"""The store in this process."""

import pytest

from oidcgate.storage.memory import MemoryStore
from oidcgate.storage.records import RecordStore, StoreFailure, StoreUnavailable
from tests.contracts.record_store import NOW, RecordStoreContract


class TestMemoryStore(RecordStoreContract):
    @pytest.fixture
    def store(self) -> RecordStore:
        return MemoryStore()


def test_a_full_store_refuses_and_forgets_nothing() -> None:
    store = MemoryStore(max_records=2, clock=lambda: NOW)
    store.put("kind", "a", b"1", expires_at=NOW + 10)
    store.put("kind", "b", b"2", expires_at=NOW + 20)
    with pytest.raises(StoreUnavailable, match="2 records are held") as refused:
        store.put("kind", "c", b"3", expires_at=NOW + 30)
    assert refused.value.reason is StoreFailure.FULL
    store.put("kind", "a", b"4", expires_at=NOW + 10)
    assert [key for key in "abc" if store.get("kind", key, now=NOW)] == ["a", "b"]


def test_a_full_store_makes_room_by_what_expired() -> None:
    now = [NOW]
    store = MemoryStore(max_records=2, clock=lambda: now[0])
    store.put("kind", "a", b"1", expires_at=NOW + 10)
    store.put("kind", "b", b"2", expires_at=NOW + 20)
    now[0] = NOW + 10
    store.put("kind", "c", b"3", expires_at=NOW + 30)
    assert [key for key in "abc" if store.get("kind", key, now=NOW)] == ["b", "c"]


def test_writing_one_key_over_and_over_holds_memory_level() -> None:
    store = MemoryStore(max_records=10)
    for index in range(1000):
        store.put("kind", "key", b"v", expires_at=NOW + index)
    assert len(store._expiries) < 100
    assert store.sweep(NOW + 2000, 10) == 1

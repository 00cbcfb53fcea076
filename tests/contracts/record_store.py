"""What every record store must do. A test module subclasses it and gives the fixture `store`."""

from functools import partial

import pytest

from oidcgate.storage.records import RecordCache, RecordStore
from tests.contracts.record_cache import NOW, RecordCacheContract, together

__all__ = ["NOW", "RecordStoreContract", "together"]


class RecordStoreContract(RecordCacheContract):
    """The suite; every test gets a new, empty store. What a cache has to do, a store has to do."""

    @pytest.fixture
    def cache(self, store: RecordStore) -> RecordCache:
        return store

    def test_a_record_comes_back_as_it_was_put(self, store: RecordStore) -> None:
        store.put("kind", "key", b"\x00\xffvalue", expires_at=NOW + 10, tags=("b", "a"))
        record = store.get("kind", "key", now=NOW)
        assert record is not None
        assert (record.value, record.expires_at, set(record.tags)) == (b"\x00\xffvalue", NOW + 10, {"a", "b"})

    @pytest.mark.parametrize(
        "key",
        ["ä€𝄞", "'; DROP TABLE x; --", "%_", "a" * 4000],
        ids=["unicode", "sql", "like", "long"],
    )
    def test_any_text_is_a_key(self, store: RecordStore, key: str) -> None:
        store.put("kind", key, b"here", expires_at=NOW + 10, tags=(key,))
        store.put("kind", key + "x", b"other", expires_at=NOW + 10)
        record = store.get("kind", key, now=NOW)
        assert record is not None
        assert record.value == b"here"
        assert [name for name, _ in store.find("kind", key, now=NOW)] == [key]

    def test_keys_differ_by_case_and_kind(self, store: RecordStore) -> None:
        store.put("kind", "key", b"1", expires_at=NOW + 10)
        assert store.get("kind", "Key", now=NOW) is None
        assert store.get("other", "key", now=NOW) is None
        assert store.take("other", "key", now=NOW) is None

    @pytest.mark.parametrize(("now", "found"), [(NOW - 1, True), (NOW, False), (NOW + 1, False)])
    def test_a_record_is_absent_from_its_expiry_on(self, store: RecordStore, now: int, found: bool) -> None:
        store.put("kind", "key", b"v", expires_at=NOW, tags=("t",))
        assert (store.get("kind", "key", now=now) is not None) is found
        assert bool(store.find("kind", "t", now=now)) is found
        created = store.swap("kind", "key", expected_version=None, value=b"n", expires_at=NOW + 9, now=now)
        assert created is not found

    def test_an_expired_record_cannot_be_taken(self, store: RecordStore) -> None:
        store.put("kind", "key", b"v", expires_at=NOW)
        assert store.take("kind", "key", now=NOW) is None

    def test_put_replaces_value_expiry_and_tags(self, store: RecordStore) -> None:
        store.put("kind", "key", b"1", expires_at=NOW + 10, tags=("old", "both"))
        store.put("kind", "key", b"2", expires_at=NOW + 20, tags=("new", "both"))
        record = store.get("kind", "key", now=NOW + 15)
        assert record is not None
        assert (record.value, set(record.tags)) == (b"2", {"new", "both"})
        assert store.find("kind", "old", now=NOW) == []
        assert store.find("kind", "new", now=NOW) == [("key", record)]

    def test_take_removes_the_record_and_its_tags(self, store: RecordStore) -> None:
        store.put("kind", "key", b"v", expires_at=NOW + 10, tags=("t",))
        taken = store.take("kind", "key", now=NOW)
        assert taken is not None
        assert (taken.value, taken.tags) == (b"v", ("t",))
        assert store.take("kind", "key", now=NOW) is None
        assert store.get("kind", "key", now=NOW) is None
        assert store.find("kind", "t", now=NOW) == []

    def test_take_gives_a_record_to_one_thread(self, store: RecordStore) -> None:
        for turn in range(10):
            store.put("kind", f"key{turn}", b"v", expires_at=NOW + 10)
            taken = together(8, partial(self.take_one, store, f"key{turn}"))
            assert sorted(map(str, taken)) == ["b'v'", *["nothing"] * 7]

    @staticmethod
    def take_one(store: RecordStore, key: str, _: int) -> object:
        record = store.take("kind", key, now=NOW)
        return "nothing" if record is None else record.value

    def test_swap_writes_only_over_the_version_it_names(self, store: RecordStore) -> None:
        def swap(version: int | None, value: bytes) -> bool:
            return store.swap(
                "kind",
                "key",
                expected_version=version,
                value=value,
                expires_at=NOW + 10,
                tags=(str(value),),
                now=NOW,
            )

        assert swap(None, b"1")
        assert not swap(None, b"2")
        first = store.get("kind", "key", now=NOW)
        assert first is not None
        assert swap(first.version, b"3")
        assert not swap(first.version, b"4")
        second = store.get("kind", "key", now=NOW)
        assert second is not None
        assert (second.value, second.tags) == (b"3", (str(b"3"),))
        assert second.version != first.version
        assert store.find("kind", str(b"1"), now=NOW) == []

    def test_swap_with_a_version_writes_no_absent_or_expired_record(self, store: RecordStore) -> None:
        store.put("kind", "key", b"1", expires_at=NOW)
        old = store.get("kind", "key", now=NOW - 1)
        assert old is not None
        for now in (NOW, NOW + 1):
            assert not store.swap(
                "kind", "key", expected_version=old.version, value=b"2", expires_at=NOW + 10, now=now
            )
        assert not store.swap("kind", "no", expected_version=1, value=b"2", expires_at=NOW + 10, now=NOW)
        assert store.get("kind", "no", now=NOW) is None

    def test_a_version_does_not_come_back_when_a_key_is_written_anew(self, store: RecordStore) -> None:
        versions = set()
        for _ in range(5):
            store.put("kind", "key", b"v", expires_at=NOW + 10)
            record = store.take("kind", "key", now=NOW)
            assert record is not None
            versions.add(record.version)
        assert len(versions) == 5

    def test_swap_lets_one_thread_win_each_round(self, store: RecordStore) -> None:
        assert store.swap("kind", "n", expected_version=None, value=b"0", expires_at=NOW + 10, now=NOW)

        def add_one(_: int) -> None:
            while True:
                record = store.get("kind", "n", now=NOW)
                assert record is not None
                value = str(int(record.value) + 1).encode()
                if store.swap(
                    "kind", "n", expected_version=record.version, value=value, expires_at=NOW + 10, now=NOW
                ):
                    return

        assert together(6, add_one) == [None] * 6
        record = store.get("kind", "n", now=NOW)
        assert record is not None
        assert record.value == b"6"

    def test_swap_creates_once_among_threads(self, store: RecordStore) -> None:
        def create(index: int) -> bool:
            value = str(index).encode()
            return store.swap("kind", "new", expected_version=None, value=value, expires_at=NOW + 10, now=NOW)

        assert sorted(map(bool, together(8, create))) == [False] * 7 + [True]

    def test_delete_removes_the_record_and_its_tags(self, store: RecordStore) -> None:
        store.put("kind", "key", b"v", expires_at=NOW + 10, tags=("t",))
        store.delete("kind", "key")
        assert store.find("kind", "t", now=NOW) == []

    def test_delete_tagged_removes_what_has_the_tag_and_nothing_else(self, store: RecordStore) -> None:
        store.put("kind", "a", b"1", expires_at=NOW + 10, tags=("user:1", "x"))
        store.put("kind", "b", b"2", expires_at=NOW + 10, tags=("user:1",))
        store.put("kind", "c", b"3", expires_at=NOW + 10, tags=("user:2", "x"))
        store.put("other", "a", b"4", expires_at=NOW + 10, tags=("user:1",))
        assert store.delete_tagged("kind", "user:1") == 2
        assert store.delete_tagged("kind", "user:1") == 0
        assert [key for key, _ in store.find("kind", "x", now=NOW)] == ["c"]
        assert store.get("other", "a", now=NOW) is not None

    def test_find_is_in_pages_by_key(self, store: RecordStore) -> None:
        for index in (3, 1, 4, 0, 2):
            store.put("kind", f"k{index}", b"v", expires_at=NOW + 10, tags=("all",))
        store.put("kind", "k9", b"v", expires_at=NOW + 10, tags=("else",))
        first = store.find("kind", "all", now=NOW, limit=3)
        assert [key for key, _ in first] == ["k0", "k1", "k2"]
        rest = store.find("kind", "all", now=NOW, limit=3, after=first[-1][0])
        assert [key for key, _ in rest] == ["k3", "k4"]
        assert store.find("kind", "all", now=NOW, after="k4") == []

    def test_sweep_removes_expired_records_up_to_its_limit(self, store: RecordStore) -> None:
        for index in range(5):
            store.put("kind", f"old{index}", b"v", expires_at=NOW - index, tags=("t",))
        store.put("kind", "alive", b"v", expires_at=NOW + 1, tags=("t",))
        assert [store.sweep(NOW, 3), store.sweep(NOW, 3), store.sweep(NOW, 3)] == [3, 2, 0]
        assert [key for key, _ in store.find("kind", "t", now=NOW - 100)] == ["alive"]

    def test_sweep_spares_a_record_whose_life_was_extended(self, store: RecordStore) -> None:
        store.put("kind", "key", b"v", expires_at=NOW)
        store.put("kind", "key", b"v", expires_at=NOW + 10)
        assert store.sweep(NOW + 5, 10) == 0
        assert store.get("kind", "key", now=NOW + 5) is not None

    def test_the_generation_changes_with_every_change_and_with_nothing_else(self, store: RecordStore) -> None:
        marks = [store.generation()]

        def changed() -> bool:
            marks.append(store.generation())
            return marks[-1] != marks[-2]

        assert not changed()
        store.put("kind", "key", b"1", expires_at=NOW + 10, tags=("t",))
        assert changed()
        store.get("kind", "key", now=NOW)
        store.find("kind", "t", now=NOW)
        assert not store.swap("kind", "key", expected_version=None, value=b"2", expires_at=NOW, now=NOW)
        assert store.take("kind", "other", now=NOW) is None
        assert store.delete_tagged("kind", "other") == 0
        store.delete("kind", "other")
        assert not changed()
        record = store.get("kind", "key", now=NOW)
        assert record is not None
        assert store.swap(
            "kind",
            "key",
            expected_version=record.version,
            value=b"2",
            expires_at=NOW + 10,
            tags=("t",),
            now=NOW,
        )
        assert changed()
        assert store.delete_tagged("kind", "t") == 1
        assert changed()
        store.put("kind", "key", b"1", expires_at=NOW + 10)
        assert changed()
        assert store.take("kind", "key", now=NOW) is not None
        assert changed()
        store.put("kind", "key", b"1", expires_at=NOW + 10)
        assert changed()
        store.delete("kind", "key")
        assert changed()

"""What every record cache must do, and so every record store: subclass it and give the fixture `cache`."""

import threading
from collections.abc import Callable
from functools import partial

import pytest

from oidcgate.storage.records import RecordCache

NOW = 1_800_000_000


def together(number: int, act: Callable[[int], object]) -> list[object]:
    """Call `act` in so many threads that start at once; returns what each gave."""
    barrier = threading.Barrier(number)
    results: list[object] = [None] * number

    def run(index: int) -> None:
        barrier.wait(timeout=30)
        try:
            results[index] = act(index)
        except Exception as error:  # an exception is a result too: the caller compares
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return results


class RecordCacheContract:
    """The suite; every test gets a new, empty cache that has room."""

    @pytest.mark.parametrize(
        "value",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"\x00\xffvalue", id="any-bytes"),
            pytest.param(b"END\r\nVALUE x 0 1\r\n", id="words-of-a-protocol"),
            pytest.param(b"v" * 70_000, id="70-KB"),
        ],
    )
    def test_a_value_comes_back_as_it_was_put(self, cache: RecordCache, value: bytes) -> None:
        cache.put("kind", "key", value, expires_at=NOW + 10)
        record = cache.get("kind", "key", now=NOW)
        assert record is not None
        assert (record.value, record.expires_at) == (value, NOW + 10)

    @pytest.mark.parametrize(
        "key", ["ä€𝄞", "a b\r\nc", "%_", "a" * 4000], ids=["unicode", "control", "like", "long"]
    )
    def test_any_text_names_a_record_of_its_own(self, cache: RecordCache, key: str) -> None:
        cache.put("kind", key, b"here", expires_at=NOW + 10)
        cache.put("kind", key + "x", b"other", expires_at=NOW + 10)
        record = cache.get("kind", key, now=NOW)
        assert record is not None
        assert record.value == b"here"

    def test_a_key_names_nothing_in_another_case_or_kind(self, cache: RecordCache) -> None:
        cache.put("kind", "key", b"1", expires_at=NOW + 10)
        for kind, key in (("kind", "Key"), ("other", "key"), ("kin", "dkey"), ("kindk", "ey")):
            assert cache.get(kind, key, now=NOW) is None
            cache.delete(kind, key)
        assert cache.get("kind", "key", now=NOW) is not None

    @pytest.mark.parametrize(("now", "found"), [(NOW - 1, True), (NOW, False), (NOW + 1, False)])
    def test_what_expired_is_absent_from_that_second_on(
        self, cache: RecordCache, now: int, found: bool
    ) -> None:
        cache.put("kind", "key", b"v", expires_at=NOW)
        assert (cache.get("kind", "key", now=now) is not None) is found

    def test_put_replaces_value_and_expiry(self, cache: RecordCache) -> None:
        cache.put("kind", "key", b"1", expires_at=NOW + 10)
        cache.put("kind", "key", b"2", expires_at=NOW + 20)
        record = cache.get("kind", "key", now=NOW + 15)
        assert record is not None
        assert record.value == b"2"

    def test_swap_writes_over_the_version_it_names_and_no_other(self, cache: RecordCache) -> None:
        cache.put("kind", "key", b"1", expires_at=NOW + 10)
        first = cache.get("kind", "key", now=NOW)
        assert first is not None
        assert self.swapped(cache, first.version, b"2")
        assert not self.swapped(cache, first.version, b"3")
        second = cache.get("kind", "key", now=NOW)
        assert second is not None
        assert (second.value, second.expires_at) == (b"2", NOW + 30)
        assert second.version != first.version

    def test_what_was_deleted_is_absent_and_swap_does_not_bring_it_back(self, cache: RecordCache) -> None:
        cache.put("kind", "key", b"1", expires_at=NOW + 10)
        record = cache.get("kind", "key", now=NOW)
        assert record is not None
        cache.delete("kind", "key")
        cache.delete("kind", "key")
        assert not self.swapped(cache, record.version, b"2")
        assert cache.get("kind", "key", now=NOW) is None

    def test_a_version_does_not_come_back_when_a_key_is_written_anew(self, cache: RecordCache) -> None:
        cache.put("kind", "key", b"1", expires_at=NOW + 10)
        record = cache.get("kind", "key", now=NOW)
        assert record is not None
        cache.delete("kind", "key")
        cache.put("kind", "key", b"2", expires_at=NOW + 10)
        assert not self.swapped(cache, record.version, b"3")

    def test_of_threads_that_swap_one_version_one_wins(self, cache: RecordCache) -> None:
        for turn in range(10):
            cache.put("kind", f"key{turn}", b"1", expires_at=NOW + 10)
            record = cache.get("kind", f"key{turn}", now=NOW)
            assert record is not None
            won = together(8, partial(self.swap_by_index, cache, f"key{turn}", record.version))
            assert sorted(map(str, won)) == ["False"] * 7 + ["True"]
            after = cache.get("kind", f"key{turn}", now=NOW)
            assert after is not None
            assert after.value == b"%d" % won.index(True)

    def swap_by_index(self, cache: RecordCache, key: str, version: int, index: int) -> bool:
        return self.swapped(cache, version, b"%d" % index, key)

    @staticmethod
    def swapped(cache: RecordCache, version: int, value: bytes, key: str = "key") -> bool:
        return cache.swap("kind", key, expected_version=version, value=value, expires_at=NOW + 30, now=NOW)

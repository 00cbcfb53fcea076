"""The cache on memcached: real servers, also full, frozen, killed and started anew, and impostors."""

import json
import logging
import os
import re
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from oidcgate.storage.memcached import MemcachedCache
from oidcgate.storage.records import RecordCache, RecordStore, StoreFailure, StoreUnavailable
from oidcgate.storage.rendezvous import servers_of
from tests.contracts.record_cache import NOW, RecordCacheContract, together
from tests.support.impostor import answering
from tests.support.memcached import Memcached, memcached, memcached_socket, url_of

pytestmark = pytest.mark.live

MakeCache = Callable[..., MemcachedCache]

#: Else records are moved from one list to another in the background, and only one of them can be read.
ONE_LIST = ("-o", "no_modern")


@pytest.fixture(scope="module")
def shared() -> Iterator[Memcached]:
    with memcached() as server:
        yield server


@pytest.fixture(scope="module")
def on_a_socket() -> Iterator[Memcached]:
    with memcached_socket() as server:
        yield server


@pytest.fixture
def server(shared: Memcached) -> Memcached:
    """A server without records, for tests that leave it running."""
    shared.say("flush_all")
    return shared


@pytest.fixture
def cache_on() -> Iterator[MakeCache]:
    """Makes caches on servers, and closes them."""
    made: list[MemcachedCache] = []

    def make(*servers: Memcached, namespace: str = "gate", **options: object) -> MemcachedCache:
        made.append(MemcachedCache(servers_of(url_of(servers)), namespace, **options))
        return made[-1]

    yield make
    for cache in made:
        cache.close()


class TestOneServer(RecordCacheContract):
    @pytest.fixture
    def cache(self, server: Memcached, cache_on: MakeCache) -> RecordCache:
        return cache_on(server)


class TestUnixSocket(RecordCacheContract):
    @pytest.fixture
    def cache(self, on_a_socket: Memcached, cache_on: MakeCache) -> RecordCache:
        on_a_socket.say("flush_all")
        return cache_on(on_a_socket)


class TestTwoServers(RecordCacheContract):
    @pytest.fixture
    def cache(self, server: Memcached, on_a_socket: Memcached, cache_on: MakeCache) -> RecordCache:
        on_a_socket.say("flush_all")
        return cache_on(server, on_a_socket)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def keep(cache: RecordCache, key: str = "key", value: bytes = b"v") -> None:
    cache.put("kind", key, value, expires_at=NOW + 100)


def value_of(cache: RecordCache, key: str = "key") -> bytes | None:
    record = cache.get("kind", key, now=NOW)
    return None if record is None else record.value


def refusal(call: Callable[[], object]) -> StoreUnavailable:
    with pytest.raises(StoreUnavailable) as refused:
        call()
    return refused.value


# -- what lies in memcached


def test_a_cache_offers_nothing_that_a_store_promises() -> None:
    for verb in ("take", "delete_tagged", "find", "sweep", "generation"):
        assert callable(getattr(RecordStore, verb))
        assert not hasattr(MemcachedCache, verb)


@pytest.mark.slow
@pytest.mark.checkout
def test_the_type_checker_refuses_a_cache_where_a_store_is_needed(tmp_path: Path) -> None:
    from mypy import api

    program = tmp_path / "program.py"
    program.write_text("""\
from oidcgate.storage.memcached import MemcachedCache
from oidcgate.storage.memory import MemoryStore
from oidcgate.storage.records import RecordCache, RecordStore
good: RecordCache = MemcachedCache((), "gate")
fine: RecordCache = MemoryStore()
bad: RecordStore = MemcachedCache((), "gate")
""")
    # Nothing of the checkout's settings: they name the files to check.
    told, errors, status = api.run(["--config-file=", "--strict", f"--cache-dir={tmp_path}", str(program)])
    assert (status, errors) == (1, "")
    assert re.findall(r"program\.py:(\d+): error", told) == ["6"]


def test_neither_kind_nor_key_nor_gate_is_readable_in_memcached(cache_on: MakeCache) -> None:
    with memcached(*ONE_LIST) as server:
        cache = cache_on(server, namespace="https://app.example.com\0client")
        cache.put("session", "canary-id", b"v", expires_at=NOW + 100)
        (name,) = server.keys()
    assert re.fullmatch(r"oidcgate:[0-9a-f]{64}", name)


def test_two_gates_share_servers_and_no_record(server: Memcached, cache_on: MakeCache) -> None:
    here, there = cache_on(server, namespace="a"), cache_on(server, namespace="b")
    keep(here, value=b"here")
    assert value_of(there) is None
    there.delete("kind", "key")
    keep(there, value=b"there")
    assert (value_of(here), value_of(there)) == (b"here", b"there")
    # The same gate elsewhere.
    assert value_of(cache_on(server, namespace="a")) == b"here"


@pytest.mark.parametrize(
    ("expires_at", "there"),
    [
        # memcached takes numbers up to 30 days for spans, and would hold the first three for a long time.
        pytest.param(0, False, id="0-would-be-for-ever"),
        pytest.param(60, False, id="60-would-be-a-minute"),
        pytest.param(30 * 86_400, False, id="30-days"),
        pytest.param(-1, False, id="negative"),
        pytest.param(1_500_000_000, False, id="past"),
        pytest.param(int(time.time()) + 60, True, id="soon"),
        pytest.param(int(time.time()) + 365 * 86_400, True, id="in-a-year"),
        # It reads 32 bits.
        pytest.param(2**31 + 10, True, id="after-2038"),
        pytest.param(2**40, True, id="far"),
    ],
)
def test_an_expiry_is_a_moment_and_never_a_span(
    server: Memcached, cache_on: MakeCache, expires_at: int, there: bool
) -> None:
    cache = cache_on(server)
    cache.put("kind", "key", b"v", expires_at=expires_at)
    # At any age by our own clock: what is absent here memcached has dropped.
    assert (cache.get("kind", "key", now=-10) is not None) is there


def test_what_is_no_record_of_ours_is_absent(cache_on: MakeCache) -> None:
    with memcached(*ONE_LIST) as server:
        cache = cache_on(server)
        keep(cache)
        (name,) = server.keys()
        assert server.say(f"set {name} 0 0 3\r\nabc") == ["STORED"]
        assert value_of(cache) is None


# -- what memcached does not take


def test_a_full_server_that_evicts_nothing_is_unavailable_and_keeps_what_it_has(cache_on: MakeCache) -> None:
    with memcached("-m", "2", "-M") as server:
        cache = cache_on(server)
        keep(cache, "first")

        def fill() -> None:
            for number in range(1000):
                keep(cache, f"key{number}", b"x" * 60_000)

        full = refusal(fill)
        assert full.reason is StoreFailure.FULL
        assert "more memory" in str(full)
        # It answers, so it is asked on.
        assert value_of(cache, "first") == b"v"


def test_a_value_that_is_too_large_is_refused_by_name(server: Memcached, cache_on: MakeCache) -> None:
    cache = cache_on(server)
    keep(cache, "other")
    refused = refusal(lambda: keep(cache, "key", b"x" * 1_100_000))
    assert refused.reason is StoreFailure.FAILED
    assert "object too large for cache" in str(refused)
    assert value_of(cache, "other") == b"v"


# -- servers that do not answer


@pytest.mark.row("G-05")
def test_a_frozen_server_is_unavailable_in_time_and_then_at_once(
    cache_on: MakeCache, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    with memcached() as server, caplog.at_level(logging.INFO, logger="oidcgate.storage"):
        cache = cache_on(server, answer_seconds=0.5, clock=clock)
        keep(cache)
        server.freeze()
        begun = time.monotonic()
        frozen = refusal(lambda: value_of(cache))
        assert 0.4 < time.monotonic() - begun < 5
        assert frozen.reason is StoreFailure.UNREACHABLE
        assert str(frozen) == (
            f"memcached at {server.entry} cannot be reached; "
            "check that it runs and that the address is right (timed out)"
        )
        # Everybody else is told at once, whatever they want, until somebody may look again.
        for ask in (lambda: value_of(cache), lambda: keep(cache), lambda: cache.delete("kind", "key")):
            told_at_once = refusal(ask)
            assert told_at_once.reason is StoreFailure.UNREACHABLE
            assert "it did not answer a moment ago" in str(told_at_once)
        clock.now += 1
        refusals = together(8, lambda _: value_of(cache))
        assert all(isinstance(each, StoreUnavailable) for each in refusals)
        assert sum("timed out" in str(each) for each in refusals) == 1, "one looks, the others do not wait"
        server.thaw()
        assert isinstance(refusal(lambda: value_of(cache)), StoreUnavailable)
        clock.now += 1
        assert value_of(cache) == b"v", "the same record"
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        f"memcached at {server.entry} does not answer: TimeoutError('timed out')",
        f"memcached at {server.entry} answers again",
    ]


@pytest.mark.row("G-05")
@pytest.mark.parametrize("verb", ["put", "get", "swap", "delete"])
def test_a_server_that_was_killed_and_started_anew_is_asked_on_new_connections(
    cache_on: MakeCache, verb: str
) -> None:
    with memcached() as server:
        cache = cache_on(server)
        keep(cache)
        # Several connections, none of which can know.
        barrier = threading.Barrier(4)
        together(4, lambda _: (barrier.wait(30), value_of(cache)))
        server.kill()
        server.start()
        if verb == "put":
            keep(cache)
        elif verb == "swap":
            assert not cache.swap("kind", "key", expected_version=1, value=b"", expires_at=NOW + 9, now=NOW)
        elif verb == "delete":
            cache.delete("kind", "key")
        assert value_of(cache) == (b"v" if verb == "put" else None)
        assert together(4, lambda _: value_of(cache, "other")) == [None] * 4


@pytest.mark.row("G-05")
def test_a_server_that_is_gone_is_unavailable_until_it_is_back(cache_on: MakeCache) -> None:
    clock = Clock()
    with memcached() as server:
        cache = cache_on(server, clock=clock)
        keep(cache)
        server.kill()
        gone = refusal(lambda: value_of(cache))
        assert gone.reason is StoreFailure.UNREACHABLE
        assert "refused" in str(gone)
        server.start()
        clock.now += 1
        assert value_of(cache) is None


@pytest.mark.row("G-05")
def test_a_server_that_is_down_takes_only_its_own_records_with_it(cache_on: MakeCache) -> None:
    with memcached() as one, memcached() as other:
        cache, turned = cache_on(one, other), cache_on(other, one)
        keys = [f"key{number}" for number in range(200)]
        for key in keys:
            keep(cache, key, key.encode())
        assert [value_of(turned, key) for key in keys] == [key.encode() for key in keys]
        kept_by_other = other.stat("curr_items")
        assert 50 < kept_by_other < 150
        assert one.stat("curr_items") == 200 - kept_by_other
        one.freeze()
        unavailable = []

        def is_there(key: str) -> bool:
            try:
                return value_of(cache, key) == key.encode()
            except StoreUnavailable:
                unavailable.append(key)
                return False

        begun = time.monotonic()
        # None is absent, and none is looked for at the other server.
        assert sum(map(is_there, keys)) == kept_by_other
        assert len(unavailable) == 200 - kept_by_other
        assert time.monotonic() - begun < 10
        for key in unavailable[:3]:
            refusal(partial(keep, cache, key))
        assert other.stat("curr_items") == kept_by_other, "none is written there either"
        one.thaw()


@pytest.mark.row("G-05")
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="http"),
        pytest.param(b"-ERR unknown command\r\n", id="redis"),
        pytest.param(b"ERROR\r\n", id="error"),
        pytest.param(b"SERVER_ERROR busy\r\n", id="server-error"),
        pytest.param(b"VALUE other 0 1 1\r\nx\r\nEND\r\n", id="another-key"),
        pytest.param(b"VALUE a b c d\r\nx\r\nEND\r\n", id="no-numbers"),
        pytest.param(b"VALUE\r\nEND\r\n", id="value-of-nothing"),
        pytest.param(b"VALUE other 0 99 1\r\nx", id="cut"),
        pytest.param(b"NOT_STORED\r\n", id="not-stored"),
    ],
)
def test_an_answer_that_says_nothing_is_never_taken_for_absent(answer: bytes) -> None:
    with answering(answer) as address:
        cache = MemcachedCache(servers_of(f"memcached://{address}"), "gate", pause_seconds=0)
        refusal(lambda: value_of(cache))
        refusal(lambda: keep(cache))
        refusal(lambda: cache.delete("kind", "key"))
        cache.close()


def test_a_name_with_several_addresses_is_tried_at_each(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo

    def nowhere_first(host: str, *arguments: Any, **options: Any) -> list[Any]:
        return [*resolve("127.0.0.2", *arguments, **options), *resolve("127.0.0.1", *arguments, **options)]

    with memcached() as server:  # listens on 127.0.0.1 alone
        monkeypatch.setattr(socket, "getaddrinfo", nowhere_first)
        cache = MemcachedCache(servers_of(url_of([server]).replace("127.0.0.1", "cache.test")), "gate")
        keep(cache)
        assert value_of(cache) == b"v"
        cache.close()


# -- threads and processes


def test_threads_get_each_their_own_answers(server: Memcached, cache_on: MakeCache) -> None:
    cache = cache_on(server)

    def work(index: int) -> bool:
        for turn in range(100):
            keep(cache, f"key{index}", b"%d-%d" % (index, turn))
            assert value_of(cache, f"key{index}") == b"%d-%d" % (index, turn)
        return True

    assert together(8, work) == [True] * 8
    assert server.stat("curr_connections") < 20


def test_a_fork_makes_connections_of_its_own(server: Memcached, cache_on: MakeCache) -> None:
    cache = cache_on(server)
    for index in range(2):
        keep(cache, f"key{index}", b"%d" % index)
    assert value_of(cache, "key0") == b"0"

    def same_answers(index: int) -> bool:
        return all(value_of(cache, f"key{index}") == b"%d" % index for _ in range(500))

    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:  # pragma: no cover (another process)
        try:
            os.write(writer, json.dumps(same_answers(1)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    here = same_answers(0)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as said:
        assert json.loads(said.read()) is True
    assert here
    assert status == 0


def test_closing_leaves_no_connection_behind(server: Memcached, cache_on: MakeCache) -> None:
    before = server.stat("curr_connections")
    cache = cache_on(server)
    together(4, partial(lambda cache, _: keep(cache), cache))
    assert server.stat("curr_connections") > before
    cache.close()
    deadline = time.monotonic() + 10
    while server.stat("curr_connections") > before:
        assert time.monotonic() < deadline
    keep(cache)

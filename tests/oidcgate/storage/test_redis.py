"""The store on Redis: real servers, also full, frozen, killed and started anew, and impostors."""

import json
import logging
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from oidcgate.storage.records import RecordStore, StoreFailure, StoreUnavailable
from oidcgate.storage.redis import RedisStore
from oidcgate.storage.redis_address import redis_server_of
from tests.contracts.record_store import NOW, RecordStoreContract, together
from tests.support.impostor import answering
from tests.support.redis import Redis, redis_server
from tests.support.servers import free_port
from tests.support.tls import Authority

pytestmark = pytest.mark.live

MakeStore = Callable[..., RedisStore]


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def shared() -> Iterator[Redis]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="module")
def on_a_socket() -> Iterator[Redis]:
    with redis_server(socket=True) as server:
        yield server


@pytest.fixture
def server(shared: Redis) -> Redis:
    """A server without records, for tests that leave it running."""
    shared.say("FLUSHALL")
    return shared


@pytest.fixture
def store_on() -> Iterator[MakeStore]:
    """Makes stores on a server, and closes them."""
    made: list[RedisStore] = []

    def make(server: Redis, namespace: str = "gate", **options: object) -> RedisStore:
        # A clock that stands still: the generation changes with time as well.
        options = {"clock": Clock(), "wall_clock": lambda: NOW, **options}
        made.append(RedisStore(redis_server_of(server.url), namespace, **options))
        return made[-1]

    yield make
    for store in made:
        store.close()


def keep(store: RedisStore, key: str = "key", value: bytes = b"v", tags: tuple[str, ...] = ()) -> None:
    store.put("kind", key, value, expires_at=NOW + 100, tags=tags)


def value_of(store: RedisStore, key: str = "key") -> bytes | None:
    record = store.get("kind", key, now=NOW)
    return None if record is None else record.value


def refusal(call: Callable[[], object]) -> StoreUnavailable:
    with pytest.raises(StoreUnavailable) as refused:
        call()
    return refused.value


class TestRedis(RecordStoreContract):
    @pytest.fixture
    def store(self, server: Redis, store_on: MakeStore) -> RecordStore:
        return store_on(server)


class TestUnixSocket(RecordStoreContract):
    @pytest.fixture
    def store(self, on_a_socket: Redis, store_on: MakeStore) -> RecordStore:
        on_a_socket.say("FLUSHALL")
        return store_on(on_a_socket)


# -- what lies in Redis


def test_two_gates_share_a_server_and_no_record(server: Redis, store_on: MakeStore) -> None:
    one, other = store_on(server, "one"), store_on(server, "other")
    keep(one, tags=("t",))
    assert value_of(other) is None
    assert other.find("kind", "t", now=NOW) == []
    assert other.delete_tagged("kind", "t") == 0
    assert other.sweep(NOW + 1000, 10) == 0
    assert value_of(one) == b"v"


def test_no_name_on_the_server_shows_a_key_and_none_has_an_expiry_to_be_evicted_by(
    server: Redis, store_on: MakeStore
) -> None:
    store = store_on(server, "wiki")
    keep(store, "canary-key")
    keep(store, "other", tags=("tag",))
    names = server.say("KEYS", "*")
    assert len(names) == 4, "two records, a tag, and all by expiry"
    assert all(name.startswith(b"oidcgate:wiki:") and b"canary" not in name for name in names)
    assert b"canary" not in repr([server.say("HGETALL", name) for name in names if b":r:" in name]).encode()
    assert [server.say("TTL", name) for name in names] == [-1] * 4


def test_nothing_is_left_of_what_was_removed(server: Redis, store_on: MakeStore) -> None:
    store = store_on(server)
    for number in range(4):
        keep(store, f"key{number}", tags=("a", f"b{number}"))
    keep(store, "key0")
    store.take("kind", "key1", now=NOW)
    store.delete("kind", "key2")
    store.delete_tagged("kind", "b3")
    store.delete("kind", "key0")
    assert server.say("KEYS", "*") == []


def test_what_has_long_expired_goes_with_the_writes_of_others(server: Redis, store_on: MakeStore) -> None:
    late = store_on(server, wall_clock=lambda: NOW + 100 + 3600)
    for number in range(100):
        keep(late, f"old{number}", tags=("t",))
    late.put("kind", "young", b"v", expires_at=NOW + 101, tags=("t",))
    for _ in range(160):
        late.put("kind", "often", b"v", expires_at=NOW + 9000)
    assert int(server.say("ZCARD", late._expiries)) == 2
    assert [key for key, _ in late.find("kind", "t", now=NOW)] == ["young"]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(("SET", "x"), StoreFailure.FAILED, id="another-type"),
        pytest.param(("HSET", "n", "one"), StoreFailure.CORRUPT, id="no-number"),
        pytest.param(("HSET", "x", "18000000000000000000000.5"), StoreFailure.CORRUPT, id="no-moment"),
        pytest.param(("HSET", "t", "\xff\xff"), StoreFailure.CORRUPT, id="no-tags"),
        pytest.param(("HDEL", "v"), StoreFailure.CORRUPT, id="no-value"),
    ],
)
def test_what_somebody_else_wrote_there_is_never_taken_for_absent(
    server: Redis, store_on: MakeStore, spoil: tuple[str, ...], reason: StoreFailure
) -> None:
    store = store_on(server)
    keep(store, tags=("t",))
    (name,) = (name for name in server.say("KEYS", "*") if b":r:" in name)
    server.say(spoil[0], name, *spoil[1:])
    asks: list[Callable[[], object]] = [lambda: store.get("kind", "key", now=NOW)]
    if spoil[1] != "t":
        asks.append(lambda: store.find("kind", "t", now=NOW))
    for ask in asks:
        assert refusal(ask).reason is reason


def test_a_member_that_is_not_ours_is_no_key(server: Redis, store_on: MakeStore) -> None:
    store = store_on(server)
    keep(store, tags=("t",))
    (name,) = (name for name in server.say("KEYS", "*") if b":t:" in name)
    server.say("ZADD", name, "0", b"nonsense")
    assert [key for key, _ in store.find("kind", "t", now=NOW)] == ["key"]


@pytest.mark.row("T-03")
def test_a_write_of_another_process_is_seen_within_the_lag(server: Redis, store_on: MakeStore) -> None:
    clock = Clock()
    here, there = (store_on(server, clock=clock, lag_seconds=5, watched={"kind"}) for _ in range(2))
    before = here.generation()
    keep(there)
    there.put("other", "key", b"", expires_at=NOW + 9)
    clock.now += 5
    assert here.generation() == before + 1
    mine = here.generation()
    here.put("other", "key", b"", expires_at=NOW + 9)
    assert here.generation() == mine, "a kind that nobody waits for"
    keep(here)
    assert here.generation() != mine


# -- a server that refuses


def test_a_full_server_is_unavailable_and_keeps_what_it_has(store_on: MakeStore) -> None:
    with redis_server("--maxmemory", "3mb", "--maxmemory-policy", "noeviction") as server:
        store = store_on(server)
        keep(store, "first", tags=("t",))

        def fill() -> None:
            for number in range(200):
                keep(store, f"key{number}", b"x" * 60_000, tags=("t",))

        full = refusal(fill)
        assert full.reason is StoreFailure.FULL
        assert "more memory" in str(full)
        # It answers, so it is asked on.
        found = store.find("kind", "t", now=NOW)
        assert ("first", b"v") in [(key, record.value) for key, record in found]
        store.delete_tagged("kind", "t")
        keep(store, "again")


def test_a_replica_takes_no_writes(server: Redis, store_on: MakeStore) -> None:
    with redis_server("--replicaof", "127.0.0.1", str(server.port)) as replica:
        store = store_on(replica)
        refused = refusal(lambda: keep(store))
        assert refused.reason is StoreFailure.READ_ONLY
        assert "name the primary" in str(refused)
        assert any("is a replica" in doubt for doubt in store.doubts())


def test_a_password_is_asked_for_and_never_told(store_on: MakeStore) -> None:
    with redis_server(password="canary-right") as server:
        keep(store_on(server, password="canary-right"))
        for wrong in (None, "canary-wrong"):
            refused = refusal(lambda: value_of(store_on(server, password=wrong)))  # noqa: B023
            assert refused.reason is StoreFailure.FAILED
            assert "store_password_file" in str(refused)
            assert "canary" not in str(refused)
        assert "canary" not in repr(store_on(server, password="canary-right"))


def test_over_tls_the_certificate_is_checked(tmp_path: Path, store_on: MakeStore) -> None:
    authority = Authority.create(tmp_path / "authority")
    own, port = authority.issue("localhost"), free_port()
    tls = ["--tls-port", str(port), "--tls-cert-file", str(own.certificate), "--tls-key-file", str(own.key)]
    with redis_server(*tls, "--tls-auth-clients", "no", "--tls-ca-cert-file", str(authority.certificate)):
        believed = f"ca_file={authority.certificate}"
        store = RedisStore(redis_server_of(f"rediss://localhost:{port}?{believed}"), "gate")
        keep(store)
        assert value_of(store) == b"v"
        store.close()
        for url in (f"rediss://localhost:{port}", f"rediss://127.0.0.1:{port}?{believed}"):
            other = RedisStore(redis_server_of(url), "gate")
            refused = refusal(partial(value_of, other))
            assert refused.reason is StoreFailure.UNREACHABLE
            assert "certificate" in str(refused).lower()
            other.close()


@pytest.mark.parametrize(
    ("arguments", "doubts"),
    [
        pytest.param([], [], id="durable"),
        pytest.param(
            ["--maxmemory", "99mb", "--maxmemory-policy", "volatile-lru"], [], id="evicts-what-may-go"
        ),
        pytest.param(["--appendonly", "no"], ["set appendonly yes"], id="no-file"),
        pytest.param(
            ["--maxmemory", "99mb", "--maxmemory-policy", "allkeys-lru"], ["noeviction"], id="evicts"
        ),
        pytest.param(["--cluster-enabled", "yes"], ["not supported"], id="cluster"),
    ],
)
def test_a_server_that_may_forget_is_doubted(
    store_on: MakeStore, arguments: list[str], doubts: list[str]
) -> None:
    durable = [] if "--appendonly" in arguments else ["--appendonly", "yes"]
    with redis_server(*durable, *arguments) as server:
        told = list(store_on(server).doubts())
        assert len(told) == len(doubts)
        assert all(words in line for words, line in zip(doubts, told, strict=True))


@pytest.mark.row("T-03")
def test_a_durable_server_that_was_killed_has_all_it_was_given(store_on: MakeStore) -> None:
    with redis_server("--appendonly", "yes", "--appendfsync", "always") as server:
        store = store_on(server)
        keep(store, tags=("t",))
        server.kill()
        server.start()
        assert [key for key, _ in store.find("kind", "t", now=NOW)] == ["key"]


# -- a server that does not answer


@pytest.mark.row("G-05")
def test_a_frozen_server_is_unavailable_in_time_and_then_at_once(
    store_on: MakeStore, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    with redis_server() as server, caplog.at_level(logging.INFO, logger="oidcgate.storage"):
        store = store_on(server, answer_seconds=0.5, clock=clock)
        keep(store)
        server.freeze()
        begun = time.monotonic()
        frozen = refusal(lambda: value_of(store))
        assert 0.4 < time.monotonic() - begun < 5
        assert frozen.reason is StoreFailure.UNREACHABLE
        assert f"Redis at {server.shown} cannot be reached; check that it runs" in str(frozen)
        asks: list[Callable[[], object]] = [
            lambda: value_of(store),
            lambda: keep(store),
            lambda: store.delete("kind", "key"),
            lambda: store.find("kind", "t", now=NOW),
            lambda: store.sweep(NOW, 1),
            lambda: list(store.doubts()),
        ]
        for ask in asks:
            assert "it did not answer a moment ago" in str(refusal(ask))
        clock.now += 1
        refusals = together(8, lambda _: value_of(store))
        assert all(isinstance(each, StoreUnavailable) for each in refusals)
        assert sum("a moment ago" not in str(each) for each in refusals) == 1, (
            "one looks, the others do not wait"
        )
        server.thaw()
        clock.now += 1
        assert value_of(store) == b"v", "the same record"
        # What was asked of it while it was frozen is never the answer to what is asked now.
        assert [value_of(store, "other"), value_of(store)] == [None, b"v"]
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert told[0].startswith(f"Redis at {server.shown} does not answer")
    assert told[1] == f"Redis at {server.shown} answers again"


def test_a_slow_server_is_waited_for(store_on: MakeStore) -> None:
    with redis_server() as server:
        store = store_on(server, answer_seconds=20)
        keep(store)
        server.say("CLIENT", "PAUSE", "500", "ALL")
        begun = time.monotonic()
        assert value_of(store) == b"v"
        assert time.monotonic() - begun > 0.2


@pytest.mark.row("G-05")
@pytest.mark.parametrize("verb", ["put", "get", "take", "swap", "delete", "find"])
def test_a_server_that_was_killed_and_started_anew_is_asked_on_new_connections(
    store_on: MakeStore, verb: str
) -> None:
    with redis_server() as server:
        store = store_on(server)
        keep(store)
        # Several connections, none of which can know.
        barrier = threading.Barrier(4)
        together(4, lambda _: (barrier.wait(30), value_of(store)))
        server.kill()
        server.start()
        if verb == "put":
            keep(store)
        elif verb == "take":
            assert store.take("kind", "key", now=NOW) is None
        elif verb == "swap":
            assert not store.swap("kind", "key", expected_version=1, value=b"", expires_at=NOW + 9, now=NOW)
        elif verb == "delete":
            store.delete("kind", "key")
        elif verb == "find":
            assert store.find("kind", "t", now=NOW) == []
        assert value_of(store) == (b"v" if verb == "put" else None)
        assert together(4, lambda _: value_of(store, "other")) == [None] * 4


@pytest.mark.row("G-05")
def test_a_server_that_is_gone_is_unavailable_until_it_is_back(store_on: MakeStore) -> None:
    clock = Clock()
    with redis_server() as server:
        store = store_on(server, clock=clock)
        keep(store)
        server.kill()
        gone = refusal(lambda: value_of(store))
        assert gone.reason is StoreFailure.UNREACHABLE
        server.start()
        clock.now += 1
        assert value_of(store) is None


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="http"),
        pytest.param(b"ERROR\r\n", id="memcached"),
        pytest.param(b"-ERR unknown command\r\n" * 9, id="error"),
        pytest.param(b"-LOADING Redis is loading the dataset in memory\r\n" * 9, id="loading"),
        pytest.param(b"+OK\r\n" * 9, id="ok"),
        pytest.param(b"*4\r\n$1\r\nx\r\n:7\r\n" * 9, id="cut"),
        pytest.param(b"+OK\r\n+OK\r\n*4\r\n$1\r\nv\r\n$1\r\n1\r\n$1\r\nx\r\n$-1\r\n" * 3, id="no-number"),
        pytest.param(b"$-9\r\n" * 9, id="length"),
        pytest.param(b"*99999999999\r\n" * 9, id="endless"),
    ],
)
def test_an_answer_that_says_nothing_is_never_taken_for_absent(answer: bytes) -> None:
    with answering(answer) as address:
        server = redis_server_of(f"redis://{address}")
        store = RedisStore(server, "gate", pause_seconds=0, answer_seconds=0.3)
        refusal(lambda: value_of(store))
        refusal(lambda: keep(store))
        refusal(lambda: store.delete("kind", "key"))
        store.close()


# -- threads and processes


def test_threads_get_each_their_own_answers(server: Redis, store_on: MakeStore) -> None:
    store = store_on(server)

    def work(index: int) -> bool:
        for turn in range(50):
            keep(store, f"key{index}", b"%d-%d" % (index, turn))
            assert value_of(store, f"key{index}") == b"%d-%d" % (index, turn)
        return True

    assert together(8, work) == [True] * 8


def test_a_fork_makes_connections_of_its_own(server: Redis, store_on: MakeStore) -> None:
    store = store_on(server)
    for index in range(2):
        keep(store, f"key{index}", b"%d" % index)
    assert value_of(store, "key0") == b"0"

    def same_answers(index: int) -> bool:
        return all(value_of(store, f"key{index}") == b"%d" % index for _ in range(300))

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


def test_closing_leaves_no_connection_behind(server: Redis, store_on: MakeStore) -> None:
    def connected() -> int:
        return len(server.say("CLIENT", "LIST").splitlines()) - 1  # who asks

    before = connected()
    store = store_on(server)
    together(4, partial(lambda store, _: keep(store), store))
    assert connected() > before
    store.close()
    deadline = time.monotonic() + 10
    while connected() > before:
        assert time.monotonic() < deadline
    keep(store)

"""A record store on one Redis server, shared by every process and host that names it.

Each verb is one script that the server runs alone and to its end (`redis_scripts`, next door), so none needs
a lock or a second try. Nothing here has an expiry of the server's own: what has one may be evicted early, and
a revocation must not be. What has long expired is removed along with every so many writes.

That the server forgets nothing is its operator's to say (`appendonly yes`, `maxmemory-policy noeviction`);
`RedisStore.doubts` asks it. One server: no cluster, no sentinel.
"""

import os
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.retry import Retry

from oidcgate.storage.left_alone import LeftAlone
from oidcgate.storage.records import Record, StoreFailure, StoreUnavailable
from oidcgate.storage.redis_address import RedisServer
from oidcgate.storage.redis_scripts import DELETE, DELETE_TAGGED, FIND, GET, PUT, SWAP, SWEEP, TAKE

__all__ = ["RedisStore"]

T = TypeVar("T")

_WRITES_PER_SWEEP: Final = 256
_SWEPT_AT_ONCE: Final = 512
# Behind other hosts' clocks: a revocation must not go while a clock that is late still honours its session.
_SWEPT_AFTER_SECONDS: Final = 3600
_NO_TAGS: Final = b""


class RedisStore:
    """Records on a Redis server.

    Connections are made at the first use, and anew after a fork. A name on the server shows neither `kind`
    nor `key`; the key of a record with tags is there to be found.

    Args:
        server: which one.
        namespace: tells whose records they are from everybody else's in its database; without a colon.
        password: of its user.
        lag_seconds: how late a write of another process is seen; see `generation`.
        watched: the kinds whose writes make a new generation; None: all.
        connect_seconds: how long it may take to accept a connection.
        answer_seconds: how long it may be silent while it is waited for.
        pause_seconds: how long it is left alone when it did not answer.
        wall_clock: epoch seconds; tells what has long expired.
        clock: seconds, never set back.
    """

    def __init__(
        self,
        server: RedisServer,
        namespace: str,
        *,
        password: str | None = None,
        lag_seconds: float = 2,
        watched: Collection[str] | None = None,
        connect_seconds: float = 0.5,
        answer_seconds: float = 1.0,
        pause_seconds: float = 1.0,
        wall_clock: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._prefix = f"oidcgate:{namespace}:"
        self._expiries = f"{self._prefix}x"
        self._password = password
        self._lag_seconds = lag_seconds
        self._watched = watched
        self._connect_seconds = connect_seconds
        self._answer_seconds = answer_seconds
        self._left_alone = LeftAlone(f"Redis at {server.name}", pause_seconds, clock)
        self._wall_clock = wall_clock
        self._clock = clock
        self._writes = 0
        self._watched_writes = 0
        #: By process: a connection that crossed a fork would mix two processes' answers.
        self._links: dict[int, _Link] = {}

    def put(self, kind: str, key: str, value: bytes, *, expires_at: int, tags: Sequence[str] = ()) -> None:
        """See `RecordStore.put`."""
        self._run(PUT, kind, key, *self._new(kind, key, value, expires_at, tags))
        self._wrote(kind)
        if self._writes % _WRITES_PER_SWEEP == 0:
            self.sweep(int(self._wall_clock()) - _SWEPT_AFTER_SECONDS, _SWEPT_AT_ONCE)

    def get(self, kind: str, key: str, *, now: int) -> Record | None:
        """See `RecordStore.get`."""
        return self._run_for_record(GET, kind, key, now)

    def take(self, kind: str, key: str, *, now: int) -> Record | None:
        """See `RecordStore.take`."""
        record = self._run_for_record(TAKE, kind, key, now)
        if record is not None:
            self._wrote(kind)
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
        """See `RecordStore.swap`."""
        expected = b"" if expected_version is None else b"%d" % expected_version
        arguments = self._new(kind, key, value, expires_at, tags)
        swapped = bool(self._run(SWAP, kind, key, *arguments, now, expected) == 1)
        if swapped:
            self._wrote(kind)
        return swapped

    def delete(self, kind: str, key: str) -> None:
        """See `RecordStore.delete`."""
        if self._run(DELETE, kind, key) == 1:
            self._wrote(kind)

    def delete_tagged(self, kind: str, tag: str) -> int:
        """See `RecordStore.delete_tagged`."""
        deleted = int(self._ask(DELETE_TAGGED, [self._tag(kind, tag), self._expiries], [self._record("")]))
        if deleted:
            self._wrote(kind)
        return deleted

    def find(
        self, kind: str, tag: str, *, now: int, limit: int = 1000, after: str = ""
    ) -> list[tuple[str, Record]]:
        """See `RecordStore.find`."""
        # A member is a key, a NUL and the digest that names its record: behind all that begin so.
        start = b"(" + after.encode() + b"\0\xff" if after else b"-"
        found = self._ask(FIND, [self._tag(kind, tag)], [self._record(""), start, limit, now])
        return self._understood(lambda: [(_key_of(member), _read(fields)) for member, *fields in found])

    def sweep(self, now: int, limit: int) -> int:
        """See `RecordStore.sweep`."""
        return int(self._ask(SWEEP, [self._expiries], [now, limit]))

    def generation(self) -> int:
        """See `RecordStore.generation`."""
        # Other processes' writes are not announced, so each period counts as a change.
        return self._watched_writes + int(self._clock() / self._lag_seconds)

    def doubts(self) -> Iterator[str]:
        """Why this server might forget what it was given, each with what to do.

        Raises:
            StoreUnavailable: it does not answer.
        """
        about: dict[str, Any] = self._asked(lambda link: link.client.info("everything"))
        named = f"Redis at {self._server.name}"
        if about.get("role") not in (None, "master"):
            yield f"{named} is a replica and takes no writes; name its primary"
        if about.get("cluster_enabled"):
            yield f"{named} is one of a cluster, which is not supported; name a server of its own"
        if not about.get("aof_enabled"):
            yield f"{named} forgets the latest sign-outs when it ends; set appendonly yes"
        if about.get("maxmemory") and str(about.get("maxmemory_policy", "")).startswith("allkeys"):
            policy = about["maxmemory_policy"]
            yield f"{named} forgets what it likes when it is full ({policy}); set maxmemory-policy noeviction"

    def close(self) -> None:
        """Close every connection of this process. A later use makes new ones."""
        link = self._links.pop(os.getpid(), None)
        if link is not None:
            link.client.close()
            link.pool.disconnect()

    def _record(self, digest: str) -> str:
        return f"{self._prefix}r:{digest}"

    def _tag(self, kind: str, tag: str) -> str:
        return f"{self._prefix}t:{_digest(kind, tag)}"

    def _new(
        self, kind: str, key: str, value: bytes, expires_at: int, tags: Sequence[str]
    ) -> tuple[Any, ...]:
        # Random, not counted: a key that is removed and written again must not come back to an old version.
        about = (value, secrets.randbits(62), expires_at)
        if not tags:
            return (*about, _NO_TAGS, _NO_TAGS, _NO_TAGS)
        own = list(dict.fromkeys(tags))
        member = key.encode() + b"\0" + _digest(kind, key).encode()
        sets = [self._tag(kind, tag) for tag in own]
        return (*about, msgspec.msgpack.encode(own), member, msgspec.msgpack.encode(sets))

    def _run_for_record(self, script: str, kind: str, key: str, now: int) -> Record | None:
        fields = self._run(script, kind, key, now)
        return None if fields is None else self._understood(lambda: _read(fields))

    def _run(self, script: str, kind: str, key: str, *arguments: Any) -> Any:
        return self._ask(script, [self._record(_digest(kind, key)), self._expiries], arguments)

    def _ask(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        return self._asked(lambda link: link.scripts[script](keys=keys, args=arguments))

    def _asked(self, call: "Callable[[_Link], Any]") -> Any:
        if not self._left_alone.may_be_asked():
            raise self._unavailable(StoreFailure.UNREACHABLE, "it did not answer a moment ago")
        try:
            answer = call(self._link())
        except redis.exceptions.AuthenticationError as error:
            raise self._unavailable(StoreFailure.FAILED, _REFUSED) from error
        except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, OSError) as error:
            self._left_alone.did_not_answer(error)
            what = str(error) or type(error).__name__
            raise self._unavailable(StoreFailure.UNREACHABLE, what) from error
        except redis.exceptions.ResponseError as error:
            # From inside a script an older server tells the class of an error only in its text.
            said = str(error)
            for words, reason in _RESPONSES.items():
                if words in f"{type(error).__name__} {said}":
                    raise self._unavailable(reason, said) from error
            raise self._unavailable(StoreFailure.FAILED, said) from error
        except Exception as error:  # whatever an answer that is not Redis's makes of the client
            what = f"its answer is not Redis's ({type(error).__name__})"
            raise self._unavailable(StoreFailure.FAILED, what) from error
        self._left_alone.answered()
        return answer

    def _understood(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except Exception as error:  # somebody else wrote there, and what they did cannot be told
            raise self._unavailable(
                StoreFailure.CORRUPT, f"no record of ours ({type(error).__name__})"
            ) from error

    def _wrote(self, kind: str) -> None:
        self._writes += 1
        if self._watched is None or kind in self._watched:
            self._watched_writes += 1

    def _link(self) -> "_Link":
        pid = os.getpid()
        link = self._links.get(pid)
        if link is None:
            # No lock, which a fork could leave locked for ever: a link that lost the race has not connected.
            link = self._links.setdefault(pid, self._connected())
            for parent in set(self._links) - {pid}:
                # redis-py closes what a parent process has open without a word to the server.
                self._links.pop(parent, None)
        return link

    def _connected(self) -> "_Link":
        server = self._server
        options: dict[str, Any] = {
            "db": server.database,
            "username": server.user,
            "password": self._password,
            "socket_timeout": self._answer_seconds,
            # The pool looks whether a connection was cut before it gives it out; what breaks later may have
            # happened on the server, and is not done a second time.
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
        }
        if isinstance(server.address, str):
            pool = redis.ConnectionPool(
                connection_class=UnixDomainSocketConnection, path=server.address, **options
            )
        else:
            host, port = server.address
            options |= {"host": host, "port": port, "socket_connect_timeout": self._connect_seconds}
            if server.tls:
                options["ssl_ca_certs"] = server.ca_file
            pool = redis.ConnectionPool(
                connection_class=SSLConnection if server.tls else Connection, **options
            )
        client = redis.Redis(connection_pool=pool)
        scripts = (PUT, GET, TAKE, SWAP, DELETE, DELETE_TAGGED, FIND, SWEEP)
        return _Link(pool, client, {script: client.register_script(script) for script in scripts})

    def _unavailable(self, reason: StoreFailure, what: str) -> StoreUnavailable:
        return StoreUnavailable(reason, f"Redis at {self._server.name} {_ADVICE[reason]} ({what})")


class _Link(NamedTuple):
    """The server as this process sees it."""

    pool: Any
    client: Any
    scripts: dict[str, Any]


_REFUSED: Final = "it wants another user or password: see store_password_file"
_RESPONSES: Final = {
    "OutOfMemoryError": StoreFailure.FULL,
    "OOM": StoreFailure.FULL,
    "ReadOnlyError": StoreFailure.READ_ONLY,
    "READONLY": StoreFailure.READ_ONLY,
    "MISCONF": StoreFailure.READ_ONLY,
}
_ADVICE: Final = {
    StoreFailure.UNREACHABLE: "cannot be reached; check that it runs and that the address is right",
    StoreFailure.FULL: "is full; give it more memory (maxmemory), and let it evict nothing",
    StoreFailure.READ_ONLY: "takes no writes; name the primary, and let it write to its disk",
    StoreFailure.CORRUPT: "holds under one of our names what is not ours; give it to the gate alone",
    StoreFailure.FAILED: "failed",
}


def _digest(kind: str, name: str) -> str:
    # `kind` is a word of the code: what follows the NUL is the name, whatever it holds.
    return sha256(kind.encode() + b"\0" + name.encode()).hexdigest()


def _key_of(member: bytes) -> str:
    key, nul, _ = member.rpartition(b"\0")
    if not nul:
        raise ValueError("no member of ours")
    return key.decode()


def _read(fields: Sequence[bytes | None]) -> Record:
    value, version, expires_at, tags = fields
    if value is None or version is None or expires_at is None:
        raise ValueError("a field is missing")
    own = msgspec.msgpack.decode(tags, type=tuple[str, ...]) if tags else ()
    return Record(value, int(version), int(expires_at), own)

"""A record cache on memcached servers, shared by every process and host that names the same ones.

Lives here: how a record lies in memcached, and what counts as an answer. Each key has one server, chosen by
`rendezvous` next door: one that cannot be asked makes its own records unavailable, which is never "absent",
and no other server is asked in its place. Only the port of a cache is offered: memcached forgets when it is
full or starts anew.

pymemcache's HashClient is not used: it answers "absent" for a dead server, and then asks another.
"""

import os
import socket
import struct
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple, TypeVar

from pymemcache.client.base import Client, PooledClient  # type: ignore[import-untyped]  # it has no types
from pymemcache.exceptions import (  # type: ignore[import-untyped]  # as above
    MemcacheServerError,
    MemcacheUnexpectedCloseError,
)

from oidcgate.storage.left_alone import LeftAlone
from oidcgate.storage.records import Record, StoreFailure, StoreUnavailable
from oidcgate.storage.rendezvous import Server, server_of

__all__ = ["MemcachedCache"]

T = TypeVar("T")

#: A value's expiry stands in front of it: memcached does not tell it, and goes by a clock of its own.
_EXPIRY: Final = struct.Struct(">q")
# How long memcached holds on beyond the expiry that is compared here: its clock may be another host's.
_HELD_LONGER_SECONDS: Final = 3600
# Up to 30 days memcached takes a number for a span. Ours are always moments.
_FIRST_MOMENT: Final = 30 * 86_400 + 1
# It reads 32 bits with a sign, and forgets at once what lies behind them (2038).
_LAST_MOMENT: Final = 2**31 - 1
# Below what a firewall between hosts forgets an idle connection after.
_IDLE_SECONDS: Final = 60


class MemcachedCache:
    """Records on memcached servers, one server per key.

    Connections are made at the first use, and anew after a fork. A key shows neither `kind` nor `key`.

    Args:
        servers: all of them, in any order; every process has to name the same.
        namespace: tells whose records they are from everybody else's on these servers.
        connect_seconds: how long a server may take to accept a connection, per address.
        answer_seconds: how long it may be silent while it is waited for.
        pause_seconds: how long a server that did not answer is left alone: meanwhile its records are
            unavailable at once, so that requests do not queue up behind time-outs.
        clock: seconds, never set back.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        namespace: str,
        *,
        connect_seconds: float = 0.5,
        answer_seconds: float = 1.0,
        pause_seconds: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._servers = tuple(servers)
        self._namespace = sha256(namespace.encode()).digest()
        self._patience = _Patience(connect_seconds, answer_seconds, pause_seconds)
        self._clock = clock
        #: By process: a connection that crossed a fork would mix two processes' answers.
        self._links: dict[int, dict[Server, _Link]] = {}

    def put(self, kind: str, key: str, value: bytes, *, expires_at: int) -> None:
        """See `RecordCache.put`."""
        name = self._name(kind, key)
        data, expire = _EXPIRY.pack(expires_at) + value, _moment(expires_at)
        link = self._link(name)
        if link.ask(lambda client: client.set(name, data, expire=expire, noreply=False)) is not True:
            raise link.unavailable(StoreFailure.FAILED, "it did not store the record")

    def get(self, kind: str, key: str, *, now: int) -> Record | None:
        """See `RecordCache.get`."""
        name = self._name(kind, key)
        data, version = self._link(name).ask(lambda client: client.gets(name))
        if data is None or len(data) < _EXPIRY.size:
            return None
        (expires_at,) = _EXPIRY.unpack_from(data)
        if now >= expires_at:
            return None
        return Record(data[_EXPIRY.size :], int(version), expires_at, ())

    def swap(
        self, kind: str, key: str, *, expected_version: int, value: bytes, expires_at: int, now: int
    ) -> bool:
        """See `RecordCache.swap`."""
        name = self._name(kind, key)
        data, expire = _EXPIRY.pack(expires_at) + value, _moment(expires_at)
        # False: another version; None: no record.
        stored: bool | None = self._link(name).ask(
            lambda client: client.cas(name, data, expected_version, expire=expire, noreply=False)
        )
        return stored is True

    def delete(self, kind: str, key: str) -> None:
        """See `RecordCache.delete`."""
        name = self._name(kind, key)
        link = self._link(name)
        # pymemcache's own `delete` takes every answer but one for "not found".
        answer = link.ask(lambda client: client.raw_command(b"delete " + name))
        if answer not in (b"DELETED", b"NOT_FOUND"):
            raise link.unavailable(StoreFailure.FAILED, "its answer is not memcached's")

    def close(self) -> None:
        """Close every connection of this process that is not in use. A later use makes new ones."""
        for link in self._links.pop(os.getpid(), {}).values():
            link.close_idle()

    def _name(self, kind: str, key: str) -> bytes:
        # `kind` is a word of the code: what follows the NUL is the key, whatever it holds.
        digest = sha256(self._namespace + kind.encode() + b"\0" + key.encode())
        return b"oidcgate:" + digest.hexdigest().encode()

    def _link(self, name: bytes) -> "_Link":
        pid = os.getpid()
        links = self._links.get(pid)
        if links is None:
            # No lock, which a fork could leave locked for ever: a set of links that lost the race has not
            # connected yet.
            made = {server: _Link(server, self._patience, self._clock) for server in self._servers}
            links = self._links.setdefault(pid, made)
            for parent in set(self._links) - {pid}:
                for link in self._links.pop(parent, {}).values():
                    link.abandon()
        return links[server_of(self._servers, name)]


class _Patience(NamedTuple):
    """See the arguments of `MemcachedCache`."""

    connect_seconds: float
    answer_seconds: float
    pause_seconds: float


class _OneServer(Client):  # type: ignore[misc]  # so its class is Any
    """pymemcache's client, which would try the first address of a name alone.

    `localhost` is ::1 first, and memcached often listens on 127.0.0.1 only.
    """

    def _connect(self) -> None:
        if not isinstance(self.server, tuple):
            super()._connect()
            return
        self.close()
        connection = socket.create_connection(self.server, self.connect_timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(self.timeout)
        self.sock = connection


class _Pool(PooledClient):  # type: ignore[misc]  # as above
    client_class = _OneServer


class _Link:
    """One server as this process sees it: its connections, and whether it is worth asking now."""

    def __init__(self, server: Server, patience: _Patience, clock: Callable[[], float]) -> None:
        self._server = server
        self._left_alone = LeftAlone(f"memcached at {server.name}", patience.pause_seconds, clock)
        self._pool: Any = _Pool(
            server.address,
            connect_timeout=patience.connect_seconds,
            timeout=patience.answer_seconds,
            pool_idle_timeout=_IDLE_SECONDS,
            ignore_exc=False,
            default_noreply=False,
        )

    def ask(self, call: Callable[[Any], T]) -> T:
        """What the server answers to `call`.

        Raises:
            StoreUnavailable: it did not answer, refused, or said what nobody understands.
        """
        if not self._left_alone.may_be_asked():
            raise self.unavailable(StoreFailure.UNREACHABLE, "it did not answer a moment ago")
        try:
            answer = self._asked(call)
        except (OSError, MemcacheUnexpectedCloseError) as error:
            self._left_alone.did_not_answer(error)
            what = str(error) or type(error).__name__
            raise self.unavailable(StoreFailure.UNREACHABLE, what) from error
        except MemcacheServerError as error:
            reason = StoreFailure.FULL if b"out of memory" in error.args[0] else StoreFailure.FAILED
            raise self.unavailable(reason, error.args[0].decode("ascii", "replace")) from error
        except Exception as error:  # whatever an answer that is not memcached's makes of the client
            what = f"its answer is not memcached's ({type(error).__name__})"
            raise self.unavailable(StoreFailure.FAILED, what) from error
        self._left_alone.answered()
        return answer

    def unavailable(self, reason: StoreFailure, what: str) -> StoreUnavailable:
        return StoreUnavailable(reason, f"memcached at {self._server.name} {_ADVICE[reason]} ({what})")

    def close_idle(self) -> None:
        for _ in self._pool.client_pool.free:
            self._pool.client_pool.destroy(self._pool.client_pool.get())

    def abandon(self) -> None:
        """Close what a parent process had open, without its locks: nobody here would release them."""
        for client in (*self._pool.client_pool.free, *self._pool.client_pool.used):
            client.close()

    def _asked(self, call: Callable[[Any], T]) -> T:
        try:
            return call(self._pool)
        except (ConnectionError, MemcacheUnexpectedCloseError):
            # The connection was cut, not slow: the server may have started anew since it was made, and so
            # since all others were. Each verb may be repeated: a swap that had happened is only told as lost.
            self.close_idle()
            return call(self._pool)


_ADVICE: Final = {
    StoreFailure.UNREACHABLE: "cannot be reached; check that it runs and that the address is right",
    StoreFailure.FULL: "is full and evicts nothing; give it more memory (-m), or start it without -M",
    StoreFailure.FAILED: "failed",
}


def _moment(expires_at: int) -> int:
    """What memcached is told of an expiry: a moment, never a span."""
    return min(max(expires_at + _HELD_LONGER_SECONDS, _FIRST_MOMENT), _LAST_MOMENT)

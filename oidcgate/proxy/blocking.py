"""Connections to an upstream for threads that may wait: how one is made, read, written and kept.

Here live `Connection`, `connect`, and `Pool`, which keeps the connections of one process to one upstream.
What is asked over one is `blocking_exchange`'s next door; the event loop's counterpart is `upstream`. Sockets
never block by themselves: each wait is a poll with a limit, so that an answer is also noticed while the
request is still being sent.
"""

import os
import select
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final
from weakref import WeakSet

from oidcgate.proxy.dial import dialling, tls_context
from oidcgate.proxy.routes import Limits, Upstream
from oidcgate.proxy.troubles import Trouble, UpstreamTrouble

__all__ = ["Connection", "Pool", "connect"]

_READ_SIZE: Final = 64 * 1024


class Connection:
    """One connection, for one thread at a time. All waiting raises `TimeoutError`, all failure `OSError`."""

    __slots__ = ("_either", "_readable", "_socket", "_tls", "idle_since")

    def __init__(self, connected: socket.socket) -> None:
        """Take over a connected socket."""
        connected.setblocking(False)
        self._socket = connected
        self._tls = connected if isinstance(connected, ssl.SSLSocket) else None
        self._readable = select.poll()
        self._readable.register(connected, select.POLLIN)
        self._either = select.poll()
        self._either.register(connected, select.POLLIN | select.POLLOUT)
        self.idle_since = 0.0

    def receive(self, seconds: float) -> bytes:
        """What has come, at least a byte; empty when the other side has closed the connection in order."""
        deadline = monotonic() + seconds
        while True:
            if self._tls is None or not self._tls.pending():
                self._wait(self._readable, seconds)
            try:
                return self._socket.recv(_READ_SIZE)
            except (BlockingIOError, ssl.SSLWantReadError):
                # TLS has read something that was not for us.
                seconds = deadline - monotonic()

    def receive_if_any(self) -> bytes | None:
        """What has come so far, empty as above; None when there is nothing."""
        if (self._tls is None or not self._tls.pending()) and not self._readable.poll(0):
            return None
        try:
            return self._socket.recv(_READ_SIZE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None

    def send_some(self, data: memoryview) -> int:
        """Send what can be sent at once and say how much that was."""
        try:
            return self._socket.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0

    def wait_for_either(self, seconds: float) -> None:
        """Wait until something has come or something can be sent."""
        self._wait(self._either, seconds)

    @staticmethod
    def _wait(poll: select.poll, seconds: float) -> None:
        if not poll.poll(max(seconds, 0) * 1000):
            raise TimeoutError

    def is_stale(self) -> bool:
        """Whether an unused connection was closed by the other side, or spoke out of turn."""
        try:
            return self.receive_if_any() is not None
        except OSError:
            return True

    def close(self) -> None:
        """Close at once. What was under way is lost on purpose: nobody waits for it any more."""
        self._socket.close()


def connect(upstream: Upstream, seconds: float) -> Connection:
    """Open a connection, TLS handshake included.

    Args:
        upstream: where to.
        seconds: after which it is given up. Finding the address of a name has the system resolver's limits.

    Raises:
        UpstreamTrouble: nobody answered, in time, or not with a certificate that we accept.
    """
    deadline = monotonic() + seconds
    with dialling(seconds):
        if upstream.socket_path is not None:
            return Connection(_connected_unix(upstream.socket_path, seconds))
        context = tls_context(upstream)
        connected = _connected_tcp(upstream, deadline)
        if context is not None:
            connected = _over_tls(connected, context, upstream.host, deadline)
        return Connection(connected)


def _connected_tcp(upstream: Upstream, deadline: float) -> socket.socket:
    failure: OSError = OSError("the name has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(
        upstream.host, upstream.port, type=socket.SOCK_STREAM
    ):
        candidate = socket.socket(family, kind, protocol)
        try:
            candidate.settimeout(_left(deadline))
            candidate.connect(address)
            candidate.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            candidate.close()
            failure = error
        else:
            return candidate
    raise failure


def _over_tls(connected: socket.socket, context: ssl.SSLContext, host: str, deadline: float) -> ssl.SSLSocket:
    try:
        connected.settimeout(_left(deadline))
        # A close without TLS's goodbye is told apart: anybody on the way could have made it.
        return context.wrap_socket(connected, server_hostname=host, suppress_ragged_eofs=False)
    except BaseException:
        connected.close()
        raise


def _connected_unix(path: str, seconds: float) -> socket.socket:
    candidate = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The kernel lets a socket without blocking wait for no place in the listener's queue.
        whole = int(seconds)
        candidate.setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", whole, int((seconds - whole) * 1e6))
        )
        candidate.connect(path)
    except BlockingIOError:
        candidate.close()
        raise TimeoutError from None
    except OSError:
        candidate.close()
        raise
    return candidate


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class Pool:
    """The connections of this process to one upstream; the one used last is used next.

    Safe for threads. A process that is forked off begins with none: two processes on one connection would
    read each other's answers.
    """

    def __init__(self, upstream: Upstream, limits: Limits, clock: Callable[[], float] = monotonic) -> None:
        """Begin with no connection.

        Args:
            upstream: where to.
            limits: `connect_seconds`, `upstream_connections` and `pooled_seconds` are kept here, the others
                by an exchange.
            clock: the age of unused connections is measured with it.
        """
        self.upstream = upstream
        self.limits = limits
        self._clock = clock
        self._begin()
        _POOLS.add(self)

    def _begin(self) -> None:
        self._idle: deque[Connection] = deque()
        self._open = 0
        self._changed = threading.Condition(threading.Lock())

    def forget_inherited(self) -> None:
        """In a process just forked off: let go of what belongs to its parent."""
        for connection in self._idle:
            # Closes our copy of the descriptor only; nothing is said on the connection.
            connection.close()
        self._begin()

    def close(self) -> None:
        """Close what is not in use."""
        with self._changed:
            for connection in self._idle:
                connection.close()
            self._open -= len(self._idle)
            self._idle.clear()
            self._changed.notify_all()

    def take(self) -> tuple[Connection, bool]:
        """A connection, and whether it was used before. It has to be given back or dropped.

        Raises:
            UpstreamTrouble: none could be opened, or none became free in `connect_seconds`.
        """
        deadline = 0.0
        with self._changed:
            while True:
                while self._idle:
                    connection = self._idle.pop()
                    if not self._too_old(connection) and not connection.is_stale():
                        return connection, True
                    connection.close()
                    self._open -= 1
                if self._open < self.limits.upstream_connections:
                    self._open += 1
                    break
                deadline = deadline or monotonic() + self.limits.connect_seconds
                if not self._changed.wait(deadline - monotonic()):
                    raise UpstreamTrouble(Trouble.TOO_MANY, f"all {self._open} connections are in use")
        return self._opened(), False

    def renew(self, connection: Connection) -> Connection:
        """A new connection in the place of one that turned out to be dead.

        Raises:
            UpstreamTrouble: it could not be opened; the place is free again.
        """
        connection.close()
        return self._opened()

    def _opened(self) -> Connection:
        try:
            return connect(self.upstream, self.limits.connect_seconds)
        except BaseException:
            self._free_place()
            raise

    def give_back(self, connection: Connection) -> None:
        """Keep a connection on which nothing is under way."""
        connection.idle_since = self._clock()
        with self._changed:
            self._idle.append(connection)
            while self._idle and self._too_old(self._idle[0]):
                self._idle.popleft().close()
                self._open -= 1
            self._changed.notify()

    def drop(self, connection: Connection) -> None:
        """Close a connection that cannot carry another request."""
        connection.close()
        self._free_place()

    def _free_place(self) -> None:
        with self._changed:
            self._open -= 1
            self._changed.notify()

    def _too_old(self, connection: Connection) -> bool:
        return self._clock() - connection.idle_since > self.limits.pooled_seconds


_POOLS: WeakSet[Pool] = WeakSet()


def _after_fork() -> None:
    for pool in list(_POOLS):
        pool.forget_inherited()


os.register_at_fork(after_in_child=_after_fork)

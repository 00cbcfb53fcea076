"""Connections to an upstream for threads that may wait: how one is made, kept, and used for one exchange.

Here live `Pool`, which keeps the connections of one process to one upstream, and `Exchange`, one request and
its answer over one of them, with all time limits. What is sent is `rules`' business, what comes back is read
by `answer`; the event loop's counterpart is `upstream`. Sockets never block by themselves: each wait is a
poll with a limit, so that an answer is also noticed while the request is still being sent.
"""

import os
import select
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Final
from weakref import WeakSet

from oidcgate.proxy.answer import AnswerReader
from oidcgate.proxy.dial import tls_context
from oidcgate.proxy.routes import Limits, Upstream
from oidcgate.proxy.troubles import Trouble, UpstreamTrouble

__all__ = ["Connection", "Exchange", "Pool", "connect"]

_READ_SIZE: Final = 64 * 1024
# What asks for nothing but an answer can be asked twice. PUT and DELETE could too, but an app whose author
# did not know that is more likely than a connection that dies in just that moment.
_ASKED_AGAIN: Final = frozenset({"GET", "HEAD", "OPTIONS"})


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
    try:
        if upstream.socket_path is not None:
            return Connection(_connected_unix(upstream.socket_path, seconds))
        connected = _connected_tcp(upstream, deadline)
        return Connection(_over_tls(connected, upstream, deadline) if upstream.tls else connected)
    except (TimeoutError, BlockingIOError):
        raise UpstreamTrouble(Trouble.CONNECT_TIMEOUT, f"not connected within {seconds} s") from None
    except ssl.SSLError as error:
        raise UpstreamTrouble(Trouble.TLS, _reason(error)) from error
    except OSError as error:
        raise UpstreamTrouble(Trouble.UNREACHABLE, _reason(error)) from error


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


def _over_tls(connected: socket.socket, upstream: Upstream, deadline: float) -> ssl.SSLSocket:
    try:
        context = tls_context(upstream) or ssl.create_default_context()
        connected.settimeout(_left(deadline))
        # A close without TLS's goodbye is told apart: anybody on the way could have made it.
        return context.wrap_socket(connected, server_hostname=upstream.host, suppress_ragged_eofs=False)
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
    except OSError:
        candidate.close()
        raise
    return candidate


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _reason(error: OSError) -> str:
    return f"{type(error).__name__}: {error.strerror or error}"


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
                by `Exchange`.
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


class Exchange:
    """One request and its answer. Made when the head of the answer is there; `close` it in the end.

    Attributes:
        answer: what has been read so far.
    """

    __slots__ = ("_all_sent", "_connection", "_pool", "answer")

    def __init__(self, pool: Pool, method: str, head: bytes, body: Iterable[bytes] | None) -> None:
        """Send a request and wait for the head of its answer.

        An upstream may answer before it has the whole request: the rest is then not sent.

        Args:
            pool: where connections come from.
            method: of the request.
            head: its head, complete.
            body: its body, framed for the wire; None: none. What it raises passes through.

        Raises:
            UpstreamTrouble: there is no answer.
        """
        self._pool = pool
        blocks = None if body is None else iter(body)
        first = b"" if blocks is None else next(blocks, b"")
        self._connection: Connection | None
        self._connection, used_before = pool.take()
        again = used_before and blocks is None and method in _ASKED_AGAIN
        self._begin(method)
        try:
            try:
                self._ask(head + first, blocks)
            except UpstreamTrouble as trouble:
                if not again or trouble.kind is not Trouble.CLOSED or self.answer.begun:
                    raise
                # The upstream closed the connection as unused while we took it for usable.
                dead, self._connection = self._connection, None
                self._connection = pool.renew(dead)
                self._begin(method)
                self._ask(head, None)
            self._release_if_complete()
        except BaseException:
            self.close()
            raise

    def _begin(self, method: str) -> None:
        limits = self._pool.limits
        self._all_sent = False
        self.answer = AnswerReader(
            method,
            head_bytes=limits.response_head_bytes,
            fields=limits.response_fields,
            interim_answers=limits.interim_answers,
        )

    def _ask(self, data: bytes, blocks: Iterable[bytes] | None) -> None:
        self._all_sent = self._send(data, blocks or ())
        deadline = monotonic() + self._pool.limits.head_seconds
        while not self.answer.head_complete:
            self._read(deadline - monotonic(), Trouble.HEAD_TIMEOUT)

    def _send(self, data: bytes, blocks: Iterable[bytes]) -> bool:
        """Send all; False when the upstream does not want the rest."""
        if not self._send_block(data):
            return False
        for block in blocks:
            # Reading the block from the client may have taken its time.
            self._notice_answer()
            if self.answer.head_complete or not self._send_block(block):
                return False
        return True

    def _send_block(self, data: bytes) -> bool:
        connection = self._connected()
        left = memoryview(data)
        while True:
            try:
                sent = connection.send_some(left)
            except OSError:
                # Whoever closes on us may have said why: that is read next.
                return False
            left = left[sent:]
            if not left:
                return True
            if sent:
                continue
            try:
                connection.wait_for_either(self._pool.limits.idle_seconds)
            except TimeoutError:
                raise UpstreamTrouble(Trouble.HEAD_TIMEOUT, "took no more of the request") from None
            self._notice_answer()
            if self.answer.head_complete:
                return False

    def _notice_answer(self) -> None:
        """Read what the upstream says while it is being told."""
        try:
            data = self._connected().receive_if_any()
        except OSError as error:
            raise UpstreamTrouble(Trouble.CLOSED, _reason(error)) from error
        if data:
            self.answer.feed(data)
        elif data is not None:
            self.answer.end()

    def _read(self, seconds: float, if_late: Trouble) -> None:
        try:
            data = self._connected().receive(seconds)
        except TimeoutError:
            raise UpstreamTrouble(if_late, "nothing came in time") from None
        except OSError as error:
            kind = Trouble.TRUNCATED if self.answer.head_complete else Trouble.CLOSED
            raise UpstreamTrouble(kind, _reason(error)) from error
        if data:
            self.answer.feed(data)
        else:
            self.answer.end()

    def more(self) -> bytes:
        """More of the body; empty when that was all.

        Raises:
            UpstreamTrouble: the rest does not come. What came is then not the answer.
        """
        while not (data := self.answer.take()) and not self.answer.complete:
            self._read(self._pool.limits.idle_seconds, Trouble.IDLE)
            self._release_if_complete()
        return data

    def _release_if_complete(self) -> None:
        if self.answer.complete and self._connection is not None:
            connection, self._connection = self._connection, None
            if self.answer.reusable and self._all_sent:
                self._pool.give_back(connection)
            else:
                self._pool.drop(connection)

    def close(self) -> None:
        """Give up what is still under way. More than once is fine."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.drop(connection)

    def _connected(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("the exchange is over")
        return self._connection

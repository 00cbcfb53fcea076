"""One request and its answer, for a thread that may wait: sent, read, with all time limits.

Here lives `Exchange`, over the connections of `blocking`. What is sent is written by `request_head` next
door, what comes back is read by `answer`; the event loop's counterpart is `http`, with `exchanges` for the
time limits.
"""

from collections.abc import Iterable
from time import monotonic

from oidcgate.proxy.answer import AnswerReader
from oidcgate.proxy.blocking import Connection, Pool
from oidcgate.proxy.dial import error_text
from oidcgate.proxy.request_head import ASKED_AGAIN
from oidcgate.proxy.troubles import Trouble, UpstreamTrouble

__all__ = ["Exchange"]


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
        again = used_before and blocks is None and method in ASKED_AGAIN
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
        self._all_sent = False
        self.answer = AnswerReader(method, self._pool.limits)

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
            raise UpstreamTrouble(Trouble.CLOSED, error_text(error)) from error
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
            raise UpstreamTrouble(kind, error_text(error)) from error
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

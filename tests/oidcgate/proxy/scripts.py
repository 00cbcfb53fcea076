"""Scripts for upstreams that read whole requests; their sockets are `tests.oidcgate.net.peer`'s."""

import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple

from tests.oidcgate.net.peer import Conversation, Peer, Script

#: Longer than anything here takes; reached only by a fault.
DEADLINE_SECONDS = 10


class Request(NamedTuple):
    """One request as an upstream sees it."""

    head: bytes
    body: bytes

    @property
    def fields(self) -> dict[str, str]:
        """Names in lower case and values; repeated ones joined by ` | `."""
        fields: dict[str, str] = {}
        for line in self.head.decode("latin-1").split("\r\n")[1:-2]:
            name, _, value = line.partition(": ")
            name = name.lower()
            fields[name] = f"{fields[name]} | {value}" if name in fields else value
        return fields

    @property
    def line(self) -> str:
        """The request line."""
        return self.head.partition(b"\r\n")[0].decode("latin-1")


def read_request(conversation: Conversation, data: bytes = b"") -> Request:
    """Read one request with its body, which may be chunked; a chunked body is returned as on the wire.

    Args:
        conversation: where the rest comes from.
        data: what was read before.

    Raises:
        ConnectionError: the other side left before it was complete.
    """
    while b"\r\n\r\n" not in data:
        data += _some(conversation)
    head, _, body = data.partition(b"\r\n\r\n")
    request = Request(head + b"\r\n\r\n", body)
    fields = request.fields
    if "transfer-encoding" in fields:
        while not body.endswith(b"0\r\n\r\n"):
            body += _some(conversation)
    else:
        while len(body) < int(fields.get("content-length", "0")):
            body += _some(conversation)
    return Request(request.head, body)


def _some(conversation: Conversation) -> bytes:
    data = conversation.connection.recv(65_536)
    if not data:
        raise ConnectionError
    return data


class Heard(list[Request]):
    """Requests that came complete, and a script that answers each with the next of `answers`.

    The last answer is repeated. An empty one closes the connection without a word.
    """

    def __init__(self, *answers: bytes) -> None:
        super().__init__()
        self._answers = list(answers)
        self._lock = threading.Lock()

    def __call__(self, conversation: Conversation) -> None:
        while True:
            request = read_request(conversation)
            with self._lock:
                self.append(request)
                data = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            if not data:
                return
            conversation.send(data)
            if b"\r\nConnection: close" in data:
                return


def once(data: bytes) -> Script:
    """A script that reads one request, says `data` and closes."""

    def script(conversation: Conversation) -> None:
        read_request(conversation)
        conversation.send(data)

    return script


def dead_port() -> int:
    """A port on which nobody listens."""
    with Peer(lambda conversation: None) as peer:
        return peer.port


def in_threads(number: int, work: Callable[[int], None]) -> None:
    """Run `work(0)`, `work(1)`, … at the same time; the first exception is raised here."""
    failures: list[BaseException] = []

    def run(index: int) -> None:
        try:
            work(index)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    _each(threads, threading.Thread.start)
    _each(threads, lambda thread: thread.join(DEADLINE_SECONDS))
    assert not any(thread.is_alive() for thread in threads)
    if failures:
        raise failures[0]


def _each(threads: Iterable[threading.Thread], act: Callable[[threading.Thread], None]) -> None:
    for thread in threads:
        act(thread)

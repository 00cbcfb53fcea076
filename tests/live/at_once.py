"""Raw requests over as many connections, sent at one instant, and what came back on each."""

import json
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

_PATIENCE_SECONDS = 120


class Reply(NamedTuple):
    """One answer; of headers that came more than once the last counts."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def location(self) -> str:
        return self.headers.get("location", "")

    @property
    def document(self) -> dict[str, Any]:
        """The JSON of the body."""
        return dict(json.loads(self.text))

    @property
    def kind(self) -> str:
        """What it comes to, in a word or two."""
        if self.location:
            return "code" if "code=" in self.location else "led on"
        error = self.document.get("error") if self.text.startswith("{") else None
        return f"{self.status} {error}" if error else str(self.status)

    @property
    def error(self) -> tuple[int, str | None]:
        """Status and OAuth error code."""
        return self.status, self.document.get("error")


def get(target: str, *, cookies: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a GET."""
    return _head("GET", target, cookies or {}, {}) + b"\r\n"


def post(
    target: str,
    form: Mapping[str, str | list[str]],
    *,
    cookies: Mapping[str, str] | None = None,
    authorization: str | None = None,
) -> bytes:
    """The bytes of a form that is sent."""
    body = urlencode(form, doseq=True).encode()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Content-Length": str(len(body)),
        **({} if authorization is None else {"Authorization": authorization}),
    }
    return _head("POST", target, cookies or {}, headers) + b"\r\n" + body


def ask(port: int, request: bytes) -> Reply:
    """One request over a connection of its own."""
    (reply,) = send_at_once(port, [request])
    return reply


def send_at_once(
    port: int, requests: Sequence[bytes], beside: Callable[[], None] = lambda: None
) -> list[Reply]:
    """Each request over a connection of its own, all open before the first byte is sent; answers in order.

    Args:
        beside: Runs here meanwhile.
    """
    barrier = threading.Barrier(len(requests) + 1)
    replies: list[Reply | None] = [None] * len(requests)

    def send(position: int, request: bytes) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_SECONDS) as connection:
            barrier.wait(_PATIENCE_SECONDS)
            connection.sendall(request)
            replies[position] = _read(connection)

    threads = [threading.Thread(target=send, args=one) for one in enumerate(requests)]
    for thread in threads:
        thread.start()
    barrier.wait(_PATIENCE_SECONDS)
    beside()
    for thread in threads:
        thread.join(_PATIENCE_SECONDS)
    answered = [reply for reply in replies if reply is not None]
    assert len(answered) == len(requests), "a connection ended without an answer"
    return answered


def _head(method: str, target: str, cookies: Mapping[str, str], headers: Mapping[str, str]) -> bytes:
    sent = {"Host": "x", "Connection": "close", **headers}
    if cookies:
        sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items()), ""]
    return "\r\n".join(lines).encode()


def _read(connection: socket.socket) -> Reply:
    parts = []
    while part := connection.recv(65_536):
        parts.append(part)
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Reply(int(first.split(" ", 2)[1]), headers, body.decode())

"""Which upstream serves a host and path, and the limits of passing there. Values only; nothing connects here.

Here live the frozen dataclasses that a configuration becomes (`Upstream`, `Route`, `Public`, `Limits`) and
`RouteTable`, which finds the `Destination` of a request. Who reads a configuration is not here but on the
gate's side; how an upstream is reached stands in `dial` next door.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from oidcgate.proxy.rules import RESPONSE_FIELDS, RESPONSE_HEAD_BYTES
from oidcgate.web.canonical_path import BadPath, canonical_path

__all__ = ["Destination", "Limits", "Public", "Route", "RouteTable", "Upstream"]

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_UNIX: Final = "unix:"


@dataclass(frozen=True)
class Upstream:
    """A server behind the proxy.

    Attributes:
        url: `http://host:port`, `https://host:port` or `unix:/path/of/socket`; without a path, since what is
            judged is what is served.
        ca_file: certificates (PEM) that vouch for an https upstream, instead of the system's.
        client_cert_file: certificate (PEM) by which an https upstream knows us.
        client_key_file: its key; None: it is in the same file.
        tls: whether it is spoken to over TLS.
        host: where it listens; "" for a Unix socket.
        port: where it listens; 0 for a Unix socket.
        socket_path: of its Unix socket, or None.
    """

    url: str
    ca_file: Path | None = None
    client_cert_file: Path | None = None
    client_key_file: Path | None = None
    tls: bool = field(init=False)
    host: str = field(init=False)
    port: int = field(init=False)
    socket_path: str | None = field(init=False)

    def __post_init__(self) -> None:
        """Read the URL.

        Raises:
            ValueError: it is none of the three, or files are named that would never be used; the message says
                what to write.
        """
        tls, host, port, socket_path = False, "", 0, None
        if self.url.startswith(_UNIX):
            socket_path = self.url.removeprefix(_UNIX).removeprefix("//")
            if not socket_path.startswith("/"):
                raise ValueError(f"{self.url!r}: write unix: and the socket's absolute path")
        else:
            tls, host, port = _read_url(self.url)
        if not tls and (self.ca_file or self.client_cert_file or self.client_key_file):
            raise ValueError(
                f"{self.url!r}: certificates are for https only; write https:// or leave them out"
            )
        if self.client_key_file and not self.client_cert_file:
            raise ValueError(f"{self.url!r}: a client key needs its certificate beside it")
        for name, value in (("tls", tls), ("host", host), ("port", port), ("socket_path", socket_path)):
            object.__setattr__(self, name, value)

    def __hash__(self) -> int:
        # Looked up for every request; hashing every field would take longer than the rest of the look-up.
        return hash(self.url)


def _read_url(url: str) -> tuple[bool, str, int]:
    expected = "write http://host:port, https://host:port or unix:/path, without a path behind the port"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"{url!r} is no URL; {expected}") from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or port == 0:
        raise ValueError(f"{url!r} is no upstream; {expected}")
    if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        # Not echoed: what stands before an @ may be a password.
        raise ValueError(
            f"the upstream at {parts.hostname!r} has more than scheme, host and port; {expected}"
        )
    return parts.scheme == "https", parts.hostname, port or _DEFAULT_PORTS[parts.scheme]


@dataclass(frozen=True)
class Route:
    """What one upstream serves.

    Attributes:
        upstream: the server.
        host: the Host it serves, as in a Host field (`b.example.com`, with a port where it is not the
            scheme's own); None: any.
        path: what it serves of it: this path and everything below.
    """

    upstream: Upstream
    host: str | None = None
    path: str = "/"

    def __post_init__(self) -> None:
        """Check the path.

        Raises:
            ValueError: it could never match.
        """
        try:
            canonical_path(self.path.encode().decode("latin-1"))
        except BadPath as bad:
            raise ValueError(f"path {self.path!r} can never match ({bad.fault})") from None


@dataclass(frozen=True)
class Public:
    """Where clients reach us, by configuration and never by what they say.

    Attributes:
        proto: `https` or `http`.
        host: as browsers write it into Host: with the port where it is not the scheme's own.
    """

    proto: str
    host: str

    @classmethod
    def from_url(cls, url: str) -> "Public":
        """Read a public URL: scheme, host, port."""
        parts = urlsplit(url)
        return cls(parts.scheme, _without_default_port(parts.netloc.lower(), parts.scheme))


@dataclass(frozen=True)
class Limits:
    """How long and how much is waited for and held. Durations in seconds, sizes in bytes.

    There is no limit on a whole body or a whole exchange: a stream may last as long as both sides go on.

    Attributes:
        connect_seconds: for a connection to the upstream, TLS included, or a free place among them.
        head_seconds: for the head of the answer, once the request is with the upstream.
        idle_seconds: without a byte from the upstream, or taken by it, in the middle of a body.
        client_idle_seconds: without a byte from the client, or taken by it, in the middle of a body.
        upstream_connections: at most, to one upstream from one worker.
        pooled_seconds: how long an unused connection is kept.
        response_head_bytes: of an answer's head in all, with what came before it (1xx).
        response_fields: of an answer's head.
        interim_answers: how many 1xx answers may come before the answer.
        message_bytes: of one WebSocket message.
    """

    connect_seconds: float = 5
    head_seconds: float = 60
    idle_seconds: float = 60
    client_idle_seconds: float = 60
    upstream_connections: int = 1000
    pooled_seconds: float = 30
    response_head_bytes: int = RESPONSE_HEAD_BYTES
    response_fields: int = RESPONSE_FIELDS
    interim_answers: int = 20
    message_bytes: int = 16 * 1024 * 1024


class Destination(NamedTuple):
    """Where one request goes.

    Attributes:
        upstream: the server.
        host: of the Host field that it is sent, and of X-Forwarded-Host.
        proto: of X-Forwarded-Proto.
    """

    upstream: Upstream
    host: bytes
    proto: bytes


class RouteTable:
    """All routes, ready to be asked.

    A route that names the host comes before those that name none; among them the longest path wins.

    Attributes:
        upstreams: each once.
        only: the destination of everything, where there is but one route and it is for everything.
    """

    def __init__(self, routes: Iterable[Route], public: Public) -> None:
        """Order the routes.

        Raises:
            ValueError: there is none, or two for the same host and path.
        """
        self._proto = public.proto
        self._by_host: dict[str | None, list[tuple[str, Destination]]] = {}
        places: set[tuple[str | None, str]] = set()
        for route in routes:
            host = None if route.host is None else _without_default_port(route.host.lower(), public.proto)
            path = route.path.rstrip("/")
            if (host, path) in places:
                raise ValueError(f"two routes for host {route.host!r} and path {route.path!r}; take one out")
            places.add((host, path))
            destination = Destination(
                route.upstream, (host or public.host).encode("ascii"), public.proto.encode("ascii")
            )
            self._by_host.setdefault(host, []).append((path, destination))
        if not places:
            raise ValueError("no route: name an upstream")
        for listed in self._by_host.values():
            listed.sort(key=lambda entry: len(entry[0]), reverse=True)
        everything = self._by_host.get(None, [])
        self.only = everything[0][1] if places == {(None, "")} else None
        self.upstreams = tuple(
            dict.fromkeys(
                destination.upstream for listed in self._by_host.values() for _, destination in listed
            )
        )

    def find(self, host: bytes, path: str) -> Destination | None:
        """The destination of a request, or None where no route serves it.

        Args:
            host: the client's Host field; it chooses among what is configured and goes nowhere else.
            path: decoded, in the form that was judged.
        """
        name = _without_default_port(host.decode("latin-1").lower(), self._proto)
        for listed in (self._by_host.get(name), self._by_host.get(None)):
            for prefix, destination in listed or ():
                if not prefix or path == prefix or path.startswith(prefix + "/"):
                    return destination
        return None


def _without_default_port(host: str, proto: str) -> str:
    return host.removesuffix(f":{_DEFAULT_PORTS.get(proto, 0)}")

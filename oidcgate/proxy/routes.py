"""Which upstream serves a host and path, and the limits of passing there. Values only; nothing connects here.

Here live the frozen dataclasses that a configuration becomes (`Upstream`, `Route`, `Public`, `Limits`), what
can be wrong with them (`Unusable`), and `RouteTable`, which finds the `Destination` of a request. Who reads a
configuration is not here but on the gate's side, which asks the same rules; how an upstream is reached stands
in `dial` next door.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from oidcgate.web.canonical_path import BadPath, canonical_path

__all__ = [
    "Destination",
    "Limits",
    "Public",
    "Route",
    "RouteTable",
    "Unusable",
    "Upstream",
    "place_faults",
    "upstream_faults",
]

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_UNIX: Final = "unix:"
_EXAMPLE: Final = "write it like http://127.0.0.1:8081, https://app.internal:8443 or unix:/run/app.sock"
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE)


class Unusable(ValueError):
    """A value of an upstream or a route that can mean nothing.

    Attributes:
        field: which: the name of an attribute of `Upstream` or `Route`.
        what: continues the sentence that the name and the value begin. The value itself is not in it: an
            address may hold a password.
        fix: what to do about it.
    """

    def __init__(self, field: str, what: str, fix: str) -> None:
        self.field = field
        self.what = what
        self.fix = fix
        super().__init__(f"{field} {what}; {fix}")


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
            Unusable: it is none of the three, or files are named that would never be used.
        """
        for fault in upstream_faults(self.url, self.ca_file, self.client_cert_file, self.client_key_file):
            raise fault
        for name, value in _read_url(self.url)._asdict().items():
            object.__setattr__(self, name, value)

    def __hash__(self) -> int:
        # Looked up for every request; hashing every field would take longer than the rest of the look-up.
        return hash(self.url)


def upstream_faults(
    url: str, ca_file: Path | None, client_cert_file: Path | None, client_key_file: Path | None
) -> Iterator[Unusable]:
    """All that is wrong with what an `Upstream` is made of. Whether its files are there is not asked."""
    try:
        tls = _read_url(url).tls
    except Unusable as fault:
        yield fault
        return
    files = {"ca_file": ca_file, "client_cert_file": client_cert_file, "client_key_file": client_key_file}
    for name, file in files.items():
        if file is not None and not tls:
            yield Unusable(name, "is for an https upstream only", "leave it out, or use https://")
    if tls and client_key_file is not None and client_cert_file is None:
        yield Unusable("client_key_file", "has no certificate", "add client_cert_file")


class _Address(NamedTuple):
    tls: bool
    host: str
    port: int
    socket_path: str | None


def _read_url(url: str) -> _Address:
    if url.startswith(_UNIX):
        path = url.removeprefix(_UNIX).removeprefix("//")
        if not path.startswith("/") or len(path) < 2:
            raise Unusable("url", "names no socket by its absolute path", _EXAMPLE)
        return _Address(False, "", 0, path)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Unusable("url", "is no address of a server", _EXAMPLE) from None
    # urlsplit drops some control characters, as if nobody else would read them.
    unprintable = not url.isascii() or any(c <= " " or c in "\\\x7f" for c in url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or port == 0 or unprintable:
        raise Unusable("url", "is no address of a server", _EXAMPLE)
    if "@" in parts.netloc:
        raise Unusable("url", "holds a user name or password", _EXAMPLE)
    if parts.path or parts.query or parts.fragment:
        # The path that is judged is the path that is served: nothing is put in front of it.
        fix = "what is asked for is passed on as it is: leave it out, also a slash at the end"
        raise Unusable("url", "has a path", fix)
    return _Address(parts.scheme == "https", parts.hostname, port or _DEFAULT_PORTS[parts.scheme], None)


@dataclass(frozen=True)
class Route:
    """What one upstream serves.

    Attributes:
        upstream: the server.
        host: the Host it serves, as in a Host field (`b.example.com`, with a port where it is not the
            scheme's own); None: any.
        path: what it serves of it: this path and everything below.
        own_headers: which of the fields that whoever stands in front of the proxy adds go there, by name;
            None: all.
    """

    upstream: Upstream
    host: str | None = None
    path: str = "/"
    own_headers: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Check host and path.

        Raises:
            Unusable: they could never match.
        """
        for fault in place_faults(self.host, self.path):
            raise fault


def place_faults(host: str | None, path: str) -> Iterator[Unusable]:
    """All that is wrong with the host and path of a `Route`."""
    if host is not None and not _HOST.fullmatch(host):
        yield Unusable("host", "is no host", "write it like app.example.com, with a port if browsers do")
    if "%" in path or "?" in path:
        yield Unusable(
            "path", "has an escape or a query in it", "write it like /reports, as the app reads it"
        )
        return
    try:
        canonical_path(path.encode().decode("latin-1"))
    except BadPath as bad:
        yield Unusable("path", f"can never match ({bad.fault})", "write it like /reports")


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
        client_idle_seconds: without a byte from the client, or taken by it, in the middle of a body. None:
            the server around keeps this limit, and is the only one to say what came of it.
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
    client_idle_seconds: float | None = 60
    upstream_connections: int = 1000
    pooled_seconds: float = 30
    response_head_bytes: int = 64 * 1024
    response_fields: int = 200
    interim_answers: int = 20
    message_bytes: int = 16 * 1024 * 1024


class Destination(NamedTuple):
    """Where one request goes.

    Attributes:
        upstream: the server.
        host: of the Host field that it is sent, and of X-Forwarded-Host.
        proto: of X-Forwarded-Proto.
        own_headers: see `Route`; in lower case.
    """

    upstream: Upstream
    host: bytes
    proto: bytes
    own_headers: frozenset[bytes] | None = None

    def admitted(self, own: Sequence[tuple[bytes, bytes]]) -> Sequence[tuple[bytes, bytes]]:
        """What of the fields that are added for upstreams goes to this one; their names are in lower case."""
        if self.own_headers is None:
            return own
        return [pair for pair in own if pair[0] in self.own_headers]


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
            own = route.own_headers
            destination = Destination(
                route.upstream,
                (host or public.host).encode("ascii"),
                public.proto.encode("ascii"),
                None if own is None else frozenset(name.lower().encode("ascii") for name in own),
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

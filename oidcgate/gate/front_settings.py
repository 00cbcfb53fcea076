"""The settings of what stands in front of an app that is not changed: `[forward]`, `[proxy]`, `[serve]`.

Here live the names under which an app hears who the user is, the upstreams, and the server's own limits.
Who may pass is set in `oidcgate.gate.config`, which holds these tables; what they become is composed in
`oidcgate.gate.build` and `oidcgate.serve`.
"""

import dataclasses
import ipaddress
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from oidcgate.gate.forwarding import PRESET_OF_A_PROXY, PRESETS, Forwarding, names_of
from oidcgate.identity import normalise_name
from oidcgate.proxy.routes import Limits, Route, Unusable, Upstream, place_faults, upstream_faults
from oidcgate.settings import Problem, cross_check, setting

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
# Headers that mean something to HTTP, to a server or to the browser's rules: a user name there would change
# what the request is.
_TAKEN: Final = frozenset(
    {
        *("ACCEPT", "AUTHORIZATION", "CONNECTION", "COOKIE", "DATE", "EXPECT", "FORWARDED", "HOST", "ORIGIN"),
        *("KEEP_ALIVE", "PROXY_AUTHORIZATION", "PROXY_CONNECTION", "RANGE", "REFERER", "TE", "TRAILER"),
        *("TRANSFER_ENCODING", "UPGRADE", "USER_AGENT", "VIA", "X_FORWARDED_FOR", "X_FORWARDED_HOST"),
        *("X_FORWARDED_PORT", "X_FORWARDED_PROTO", "X_REAL_IP", "PATH_INFO", "SCRIPT_NAME", "REMOTE_ADDR"),
    }
)
_TAKEN_PREFIXES: Final = ("CONTENT_", "ACCEPT_", "IF_", "SEC_", "PROXY_")

#: Settings of an https upstream, and fields of `Upstream`.
_FILES: Final = ("ca_file", "client_cert_file", "client_key_file")


def _user_headers_problem(value: tuple[str, ...]) -> str | None:
    for name in value:
        if not _TOKEN.fullmatch(name):
            return f"has an entry that is no header name ({name!r}); write names such as X-Remote-User"
        normal = normalise_name(name)
        if normal in _TAKEN or normal.startswith(_TAKEN_PREFIXES):
            return f"has {name!r}, which means something else to HTTP; choose a name such as X-Remote-User"
    return None


def _told(faults: Iterable[Unusable]) -> str | None:
    """The proxy's own judgement of one value, as a rule of a setting says it."""
    return next((f"{fault.what}; {fault.fix}" for fault in faults), None)


def _address_problem(value: str) -> str | None:
    return _told(upstream_faults(value, None, None, None))


def _trusted_problem(value: tuple[str, ...]) -> str | None:
    for entry in value:
        if entry == "unix":
            continue
        try:
            network = ipaddress.ip_network(entry)
        except ValueError as error:
            return f'has an entry that is no network ({error}); write it like 10.0.0.0/8, or "unix"'
        if network.prefixlen == 0:
            return "has an entry that is everybody; name the proxies that stand in front of this one"
    return None


def _bind_problem(value: str) -> str | None:
    example = "write it like 127.0.0.1:8080, [::1]:8080 or unix:/run/oidcgate.sock"
    if value.startswith("unix:"):
        return None if value.startswith("unix:/") and len(value) > 6 else f"names no socket; {example}"
    try:
        parts = urlsplit(f"//{value}")
        usable = bool(parts.hostname) and parts.port is not None and parts.netloc == value
    except ValueError:
        usable = False
    return None if usable else f"is no address to listen on; {example}"


def _metrics_bind_problem(value: str) -> str | None:
    if not value:
        return None
    if value.startswith("unix:") or _bind_problem(value) is not None:
        return "is no address to listen on; write it like 127.0.0.1:9090, or leave it empty"
    return None


def overlap(bind: str, other: str) -> bool:
    """Whether nobody could listen on both of two addresses."""
    if bind.startswith("unix:"):
        return False
    first, second = urlsplit(f"//{bind}"), urlsplit(f"//{other}")
    if first.port != second.port or first.port == 0:
        return False
    hosts = {"127.0.0.1" if parts.hostname == "localhost" else parts.hostname for parts in (first, second)}
    return len(hosts) == 1 or not hosts.isdisjoint(("0.0.0.0", "::"))  # noqa: S104 (compared, not bound)


@dataclasses.dataclass(frozen=True)
class HeaderSettings:
    """One of `[[forward.headers]]`: a context attribute in a header."""

    name: str = setting(
        check=lambda name: _user_headers_problem((name,)),
        help="The header, such as X-Department; no client can send it.",
    )
    attribute: str = setting(
        help="The context attribute in it: a standard claim, groups, one of `[[context]]`; or sub, iss, idp, "
        "acr, amr, auth_time."
    )


@dataclasses.dataclass(frozen=True)
class ForwardSettings:
    """`[forward]`: the headers by which an app is told who the user is."""

    preset: str | None = setting(
        default=None,
        choices=PRESETS,
        help='Whose header names the app expects. Unset: "oauth2-proxy" for an app behind a proxy, which is '
        'the sidecar or `ReverseProxy`; "none" for one in the same process.',
    )
    user_headers: tuple[str, ...] = setting(
        default=(),
        check=_user_headers_problem,
        help="Further headers that carry the userName, such as X-Remote-User; no client can send them.",
    )
    headers: tuple[HeaderSettings, ...] = setting(
        default=(), help="Headers that carry context attributes; an attribute that nobody has is no header."
    )

    def forwarding(self, *, behind_a_proxy: bool) -> Forwarding:
        """What these settings mean for an app in the same process, or behind a proxy."""
        preset = self.preset or (PRESET_OF_A_PROXY if behind_a_proxy else "none")
        headers = ((entry.name, entry.attribute) for entry in self.headers)
        return Forwarding(preset, self.user_headers, headers)

    @cross_check
    def _one_value_for_each_header(self) -> Iterable[Problem]:
        # By the names as an app behind CGI reads them, for which X-A_B and X-A-B are one.
        taken = {
            normalise_name(name) for name in (*names_of(self.preset or PRESET_OF_A_PROXY), *self.user_headers)
        }
        for index, entry in enumerate(self.headers):
            name = normalise_name(entry.name)
            if name in taken:
                yield Problem(
                    f"headers[{index}].name", entry.name, "is set already", "choose another name, or preset"
                )
            taken.add(name)

    access_token: bool = setting(
        default=False,
        help="Hand the access token to the app, as X-Forwarded-Access-Token and, in process, as "
        '`environ["oidcgate.access_token"]`; needs session.keep_tokens.',
    )


@dataclasses.dataclass(frozen=True)
class _OneUpstream:
    """An upstream and the files that an https one needs."""

    upstream: str | None = setting(
        default=None,
        check=_address_problem,
        help="Where the app listens: http://…, https://… or unix:/PATH. Several: `[[proxy.upstreams]]`.",
    )
    ca_file: Path | None = setting(
        default=None, help="Certificates (PEM) that vouch for an https upstream, instead of the system's."
    )
    client_cert_file: Path | None = setting(
        default=None, help="Certificate (PEM) that the sidecar shows to an https upstream."
    )
    client_key_file: Path | None = setting(
        default=None, help="Key (PEM) of client_cert_file, unless it is in the same file."
    )

    @cross_check
    def _usable_files(self) -> Iterable[Problem]:
        files = {name: getattr(self, name) for name in _FILES}
        faults = [] if self.upstream is None else list(upstream_faults(self.upstream, **files))
        for fault in faults:
            yield Problem(fault.field, str(files[fault.field]), fault.what, fault.fix)
        for key, file in files.items():
            if file is None or faults:
                continue
            if self.upstream is None:
                yield Problem(key, str(file), "has no upstream beside it", "move it there")
            elif not file.is_file():
                yield Problem(key, str(file), "is not there", "name a file of PEM certificates or keys")


@dataclasses.dataclass(frozen=True)
class UpstreamSettings(_OneUpstream):
    """One of `[[proxy.upstreams]]`: what is served where."""

    upstream: str = setting(check=_address_problem, help="http://…, https://… or unix:/PATH, without a path.")
    host: str | None = setting(
        default=Route.host,
        check=lambda host: _told(place_faults(host, Route.path)),
        help="Only for this Host: as in public_urls, without the scheme, with its port if it has one.",
    )
    path: str = setting(
        default=Route.path,
        check=lambda path: _told(place_faults(None, path)),
        help="Only for this path and what lies below it; the longest that matches is taken.",
    )
    identity_headers: tuple[str, ...] | None = setting(
        default=Route.own_headers,
        help="Of the headers that say who somebody is only these go to this upstream; unset: all, []: none.",
    )

    @property
    def route(self) -> Route:
        """What the proxy makes of it.

        Raises:
            Unusable: the settings are wrong, and their problems say so.
        """
        upstream = Upstream(self.upstream, self.ca_file, self.client_cert_file, self.client_key_file)
        return Route(upstream, self.host, self.path, self.identity_headers)


@dataclasses.dataclass(frozen=True)
class ProxySettings(_OneUpstream):
    """`[proxy]`: the app behind the sidecar."""

    upstreams: tuple[UpstreamSettings, ...] = setting(
        default=(), help="Several upstreams, chosen by host and path."
    )
    engine: str = setting(
        default="async",
        choices=("async", "wsgi"),
        help="wsgi: threads around `Gate(ReverseProxy(…))`; no WebSockets, only behind a buffering proxy.",
    )
    insecure_encoded_slash: bool = setting(
        default=False,
        help="Pass on paths with %2F where both ways to read them fall under one rule; else refused.",
    )
    trusted_proxies: tuple[str, ...] = setting(
        default=(),
        check=_trusted_problem,
        help='Networks whose X-Forwarded-For is believed; "unix": peers on a Unix socket.',
    )
    connect_seconds: float = setting(
        default=Limits.connect_seconds,
        minimum=0.1,
        maximum=300,
        help="How long a connection to the app may take.",
    )
    head_seconds: float = setting(
        default=Limits.head_seconds,
        minimum=0.1,
        maximum=3600,
        help="How long the app may take to begin its answer.",
    )
    idle_seconds: float = setting(
        default=Limits.idle_seconds,
        minimum=0.1,
        maximum=86_400,
        help="How long a body may stand still, in either direction; how long it takes in all is not limited.",
    )
    max_connections: int = setting(
        default=Limits.upstream_connections,
        minimum=1,
        maximum=100_000,
        help="Connections to one upstream for requests, for each worker; open WebSockets come on top.",
    )
    response_head_bytes: int = setting(
        default=Limits.response_head_bytes,
        minimum=4096,
        maximum=1_048_576,
        help="The largest head of an answer of the app.",
    )
    message_bytes: int = setting(
        default=Limits.message_bytes, minimum=1024, help="The largest message on a WebSocket, as it travels."
    )

    @property
    def places(self) -> tuple[UpstreamSettings, ...]:
        """All upstreams, however they were written; empty when there is none."""
        if self.upstream is None:
            return self.upstreams
        files = {name: getattr(self, name) for name in _FILES}
        return (UpstreamSettings(upstream=self.upstream, **files),)

    @cross_check
    def _one_way_to_say_it(self) -> Iterable[Problem]:
        if self.upstream is not None and self.upstreams:
            yield Problem("upstreams", None, "is given beside upstream", "move all into [[proxy.upstreams]]")


@dataclasses.dataclass(frozen=True)
class ServeSettings:
    """`[serve]`: the sidecar's own server."""

    bind: str = setting(
        default="127.0.0.1:8080", check=_bind_problem, help="Where it listens: HOST:PORT, or unix:/PATH."
    )
    workers: int | None = setting(
        default=None, minimum=1, maximum=1024, help="Processes. Unless given: as many as there are cores."
    )
    threads: int = setting(
        default=8, minimum=1, maximum=256, help="Threads of each worker, with engine = wsgi."
    )
    worker_connections: int = setting(
        default=20_000, minimum=10, maximum=1_000_000, help="Connections of clients, for each worker."
    )
    head_seconds: float = setting(
        default=10, minimum=0.1, maximum=300, help="How long the head of a request may take (engine async)."
    )
    client_idle_seconds: float = setting(
        default=Limits.client_idle_seconds,
        minimum=0.1,
        maximum=86_400,
        help="How long a client may send or take nothing while a body is under way (engine async).",
    )
    keepalive_seconds: int = setting(
        default=75, minimum=1, maximum=3600, help="How long an idle connection stays open."
    )
    graceful_seconds: int = setting(
        default=30, minimum=0, maximum=86_400, help="How long a stop waits for what is under way."
    )
    access_log: bool = setting(default=True, help="One JSON line for each request, on standard output.")
    metrics_bind: str = setting(
        default="",
        check=_metrics_bind_problem,
        help="Where Prometheus reads metrics, HOST:PORT; empty: nowhere.",
    )

    @cross_check
    def _addresses_apart(self) -> Iterable[Problem]:
        if self.metrics_bind and overlap(self.bind, self.metrics_bind):
            yield Problem(
                "metrics_bind",
                self.metrics_bind,
                f"is taken by serve.bind ({self.bind})",
                "choose another port: metrics are never served where requests are",
            )

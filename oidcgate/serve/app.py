"""From settings to the app that the sidecar serves: the gate, and the proxy behind it.

Here the tables `[proxy]` and `[serve]` become a `Proxy` or `ReverseProxy` inside a gate, for either engine.
What is wrong with a configuration that is right for a gate but not for a sidecar is found in `checks`; the
gate's own parts are `oidcgate.gate.build`'s; who runs the app is `arbiter` and `worker` next door.
"""

import dataclasses
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from oidcgate.gate.asgi import AsyncGate
from oidcgate.gate.config import GateConfig
from oidcgate.gate.hosts import host_of
from oidcgate.gate.wsgi import Gate
from oidcgate.handover import EXCHANGE, OUTCOME, Outcome
from oidcgate.identity import IDENTITY_ENVIRON
from oidcgate.proxy.http import Proxy
from oidcgate.proxy.routes import Limits, Public, Route, Upstream
from oidcgate.proxy.troubles import OnError, Trouble, log_trouble
from oidcgate.proxy.wsgi import ReverseProxy
from oidcgate.serve.exchange import ASGIApp, Exchange, Message, Scope
from oidcgate.serve.metrics import Counters
from oidcgate.serve.service import ServerLimits
from oidcgate.web.forwarded import parse_trusted_peers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from oidcgate.gate.parts import GateParts

__all__ = ["asgi_app", "proxy_limits", "routes_at", "server_limits", "wsgi_app"]

# A member of an Enum takes longer to find than a field to write.
_PASSED: Final = Outcome.PASSED


def server_limits(config: GateConfig) -> ServerLimits:
    """What a client may ask of one worker."""
    serve = config.serve
    return ServerLimits(
        connections=serve.worker_connections,
        head_seconds=serve.head_seconds,
        keepalive_seconds=serve.keepalive_seconds,
        client_idle_seconds=serve.client_idle_seconds,
    )


def proxy_limits(config: GateConfig) -> Limits:
    """How long and how much is waited for on the way to the app and back; for clients see `server_limits`."""
    proxy = config.proxy
    return Limits(
        connect_seconds=proxy.connect_seconds,
        head_seconds=proxy.head_seconds,
        idle_seconds=proxy.idle_seconds,
        # The server's to keep: it sees each byte of a client's, and there has to be one answer to this.
        client_idle_seconds=None,
        upstream_connections=proxy.max_connections,
        response_head_bytes=proxy.response_head_bytes,
        message_bytes=proxy.message_bytes,
    )


def asgi_app(parts: "GateParts", counters: Counters) -> tuple[ASGIApp, Proxy]:
    """The gate around a streaming proxy, and that proxy."""
    config = parts.config
    proxy = Proxy(
        _routes(parts),
        public=Public.from_url(config.public_url),
        limits=proxy_limits(config),
        trusted=parse_trusted_peers(config.proxy.trusted_proxies),
        on_error=_teller(counters),
        pages_folder=config.pages.folder,
    )
    return AsyncGate.from_parts(_Passing(proxy), parts), proxy


def wsgi_app(parts: "GateParts", counters: Counters) -> "WSGIApplication":
    """The same for gunicorn's threads."""
    config = parts.config
    proxy = ReverseProxy(
        routes=_routes(parts),
        public_url=config.public_url,
        trusted_proxies=config.proxy.trusted_proxies,
        insecure_encoded_slash=config.proxy.insecure_encoded_slash,
        limits=proxy_limits(config),
        on_error=_teller(counters),
        pages_folder=config.pages.folder,
    )
    return Gate.from_parts(_PassingWSGI(proxy), parts)


def _routes(parts: "GateParts") -> list[Route]:
    routes = [place.route for place in parts.config.proxy.places]
    hosts = [host_of(there.config.public_url) for there in parts.at_each_host]
    return routes if len(hosts) == 1 else list(routes_at(hosts, routes))


def routes_at(hosts: Sequence[str], routes: Sequence[Route]) -> Iterator[Route]:
    """The same routes, each with a host: an upstream for any host is told which one was asked for.

    What a host has of its own comes before what is for any (`RouteTable`), so a route for any host is left
    out where one with the host is for all that it could serve.
    """
    for route in routes:
        if route.host is not None:
            yield route
            continue
        for host in hosts:
            own = [other for other in routes if other.host is not None and other.host.lower() == host]
            if not any(_is_below(route.path, other.path) for other in own):
                yield dataclasses.replace(route, host=host)


def _is_below(path: str, top: str) -> bool:
    return f"{path.rstrip('/')}/".startswith(f"{top.rstrip('/')}/")


def _teller(counters: Counters) -> OnError:
    def tell(kind: Trouble, upstream: Upstream | None, detail: str) -> None:
        counters.count("troubles", kind.value)
        log_trouble(kind, upstream, detail)

    return tell


class _Passing:
    """The proxy, as the gate sees it: whoever comes here was let through, and the access log is told so."""

    #: Tells the gate to leave it to the proxy to send identity headers.
    forwards_identity: Final = True

    def __init__(self, proxy: ASGIApp) -> None:
        self._proxy = proxy

    def __call__(
        self,
        scope: Scope,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> Awaitable[None]:
        exchange: Exchange | None = scope.get(EXCHANGE)
        if exchange is not None:
            exchange.outcome = _PASSED
            identity = scope.get(IDENTITY_ENVIRON)
            if identity is not None:
                exchange.user = identity.user_name
        return self._proxy(scope, receive, send)


class _PassingWSGI:
    """The same for a WSGI environ."""

    forwards_identity: Final = True

    def __init__(self, proxy: "WSGIApplication") -> None:
        self._proxy = proxy

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Any:
        environ[OUTCOME] = _PASSED
        return self._proxy(environ, start_response)

"""What settings become for the server and the proxy; the app as a whole is run in test_sidecar.py."""

import dataclasses
from typing import Any

import pytest

from oidcgate.gate.config import config_from_mapping
from oidcgate.proxy.routes import Limits, Public, Route, RouteTable, Upstream
from oidcgate.serve.app import proxy_limits, routes_at, server_limits
from oidcgate.serve.service import ServerLimits
from tests.oidcgate.gate.test_config import minimal

# An idle client is the server's affair: were it also the proxy's, either would be the first now and then.
PROXY = Limits(client_idle_seconds=None)


def test_what_is_not_set_is_what_server_and_proxy_do_by_themselves() -> None:
    config = config_from_mapping(minimal())

    assert server_limits(config) == ServerLimits()
    assert proxy_limits(config) == PROXY


@pytest.mark.parametrize(
    ("tables", "server", "proxy"),
    [
        pytest.param({"serve": {"worker_connections": 50}}, {"connections": 50}, {}, id="worker-connections"),
        pytest.param({"serve": {"head_seconds": 3}}, {"head_seconds": 3}, {}, id="head-of-a-request"),
        pytest.param({"serve": {"keepalive_seconds": 3}}, {"keepalive_seconds": 3}, {}, id="keepalive"),
        pytest.param({"serve": {"client_idle_seconds": 3}}, {"client_idle_seconds": 3}, {}, id="idle-client"),
        pytest.param({"proxy": {"connect_seconds": 3}}, {}, {"connect_seconds": 3}, id="connect"),
        pytest.param({"proxy": {"head_seconds": 3}}, {}, {"head_seconds": 3}, id="head-of-an-answer"),
        pytest.param({"proxy": {"idle_seconds": 3}}, {}, {"idle_seconds": 3}, id="idle"),
        pytest.param({"proxy": {"max_connections": 3}}, {}, {"upstream_connections": 3}, id="connections"),
        pytest.param(
            {"proxy": {"response_head_bytes": 5000}}, {}, {"response_head_bytes": 5000}, id="head-bytes"
        ),
        pytest.param({"proxy": {"message_bytes": 5000}}, {}, {"message_bytes": 5000}, id="message-bytes"),
    ],
)
def test_each_setting_reaches_the_one_it_is_meant_for(
    tables: dict[str, Any], server: dict[str, float], proxy: dict[str, float]
) -> None:
    config = config_from_mapping(minimal(**tables))

    assert server_limits(config) == dataclasses.replace(ServerLimits(), **server)
    assert proxy_limits(config) == dataclasses.replace(PROXY, **proxy)


ANY, WIKI, FILES = (Upstream(f"http://127.0.0.1:{port}") for port in (1, 2, 3))


@pytest.mark.parametrize(
    "routes",
    [
        pytest.param([Route(ANY)], id="one-for-all"),
        pytest.param([Route(ANY), Route(WIKI, host="Wiki.test")], id="one-host-has-its-own"),
        pytest.param([Route(ANY), Route(WIKI, host="wiki.test", path="/w")], id="its-own-below"),
        pytest.param([Route(ANY, path="/w/x"), Route(WIKI, host="wiki.test", path="/w")], id="its-own-above"),
        pytest.param([Route(ANY), Route(FILES, path="/w"), Route(WIKI, host="wiki.test")], id="hidden"),
        pytest.param([Route(ANY, path="/wx"), Route(WIKI, host="wiki.test", path="/w/")], id="beside"),
    ],
)
def test_with_several_hosts_each_gets_what_it_got_and_is_named(routes: list[Route]) -> None:
    """The same upstreams as one table for any host finds, and the host that was asked for."""
    public = Public("https", "app.test")
    before, after = (
        RouteTable(routes, public),
        RouteTable(routes_at(["app.test", "wiki.test"], routes), public),
    )
    for host in (b"app.test", b"wiki.test"):
        for path in ("/", "/w", "/w/x", "/w/x/y", "/wx", "/other"):
            wanted, found = before.find(host, path), after.find(host, path)
            assert (wanted and wanted.upstream) == (found and found.upstream), (host, path)
            assert found is None or found.host == host

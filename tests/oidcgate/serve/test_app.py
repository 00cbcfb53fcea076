"""What settings become for the server and the proxy; the app as a whole is run in test_sidecar.py."""

import dataclasses
from typing import Any

import pytest

from oidcgate.gate.config import config_from_mapping
from oidcgate.proxy.routes import Limits
from oidcgate.serve.app import proxy_limits, server_limits
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

"""`[forward]`, `[proxy]` and `[serve]`: what they may say, and what each mistake is told as."""

from pathlib import Path
from typing import Any

import pytest

from oidcgate.gate.config import config_from_mapping
from tests.oidcgate.gate.test_config import keys_of_problems, minimal


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:8081", "http://app.internal", "https://app.internal:8443", "unix:/run/app.sock"],
)
def test_addresses_of_an_upstream(address: str) -> None:
    places = config_from_mapping(minimal(proxy={"upstream": address})).proxy.places
    assert [(place.upstream, place.host, place.path) for place in places] == [(address, None, "/")]


@pytest.mark.parametrize(
    ("tables", "key"),
    [
        pytest.param({"proxy": {"upstream": "127.0.0.1:8081"}}, "proxy.upstream", id="no-scheme"),
        pytest.param({"proxy": {"upstream": "http://app/base"}}, "proxy.upstream", id="path"),
        *(
            pytest.param(
                {"serve": {"bind": bind, "metrics_bind": metrics}},
                "serve.metrics_bind",
                id=f"{bind}={metrics}",
            )
            for bind, metrics in (
                ("127.0.0.1:8080", "127.0.0.1:8080"),
                ("localhost:8080", "127.0.0.1:8080"),
                ("0.0.0.0:8080", "127.0.0.1:8080"),
                ("[::1]:8080", "[::]:8080"),
            )
        ),
        pytest.param({"proxy": {"upstream": "http://app/"}}, "proxy.upstream", id="slash"),
        pytest.param({"proxy": {"upstream": "http://u:p@app"}}, "proxy.upstream", id="password"),
        pytest.param({"proxy": {"upstream": "http://app:port"}}, "proxy.upstream", id="port"),
        pytest.param({"proxy": {"upstream": "http://a b"}}, "proxy.upstream", id="blank"),
        pytest.param({"proxy": {"upstream": "unix:app.sock"}}, "proxy.upstream", id="relative-socket"),
        pytest.param(
            {"proxy": {"upstream": "http://app", "ca_file": "ca.pem"}}, "proxy.ca_file", id="ca-for-http"
        ),
        pytest.param(
            {"proxy": {"upstream": "https://app", "ca_file": "/nowhere.pem"}},
            "proxy.ca_file",
            id="ca-missing",
        ),
        pytest.param({"proxy": {"ca_file": "ca.pem"}}, "proxy.ca_file", id="ca-alone"),
        pytest.param(
            {"proxy": {"upstream": "http://a", "upstreams": [{"upstream": "http://b"}]}},
            "proxy.upstreams",
            id="two-ways-to-say-it",
        ),
        pytest.param(
            {"proxy": {"upstreams": [{"upstream": "http://a", "path": "x"}]}},
            "proxy.upstreams[0].path",
            id="relative-path",
        ),
        pytest.param(
            {"proxy": {"upstreams": [{"upstream": "http://a", "host": "https://app"}]}},
            "proxy.upstreams[0].host",
            id="host-with-scheme",
        ),
        *(
            pytest.param(
                {
                    "proxy": {"upstreams": [{"upstream": "http://a", "identity_headers": [name]}]},
                    "forward": forward,
                },
                "proxy.upstreams[0].identity_headers",
                id=f"nobody-sends-{name}-{len(forward)}",
            )
            for name, forward in (
                ("X-Salary", {}),
                ("X-Forwarded-User", {"preset": "none"}),
                ("X-Forwarded-Userx", {"user_headers": ["X-Own"]}),
            )
        ),
        *(
            pytest.param(
                {"forward": {"headers": [{"name": name, "attribute": "email"}]}},
                "forward.headers[0].name",
                id=f"attribute-in-{name}",
            )
            for name in ("X Mail", "Cookie", "Content_Length", "X-Forwarded-User", "x_forwarded_email")
        ),
        pytest.param(
            {
                "forward": {
                    "headers": [{"name": "X-A", "attribute": "email"}, {"name": "x_a", "attribute": "name"}]
                }
            },
            "forward.headers[1].name",
            id="attributes-in-one-header",
        ),
        pytest.param(
            {"forward": {"user_headers": ["X-A"], "headers": [{"name": "X-A", "attribute": "email"}]}},
            "forward.headers[0].name",
            id="attribute-in-the-header-of-the-name",
        ),
        pytest.param(
            {"forward": {"headers": [{"name": "X-A", "attribute": "salary"}]}},
            "forward.headers[0].attribute",
            id="attribute-of-nobody",
        ),
        pytest.param({"proxy": {"trusted_proxies": ["0.0.0.0/0"]}}, "proxy.trusted_proxies", id="everybody"),
        pytest.param({"proxy": {"trusted_proxies": ["proxy"]}}, "proxy.trusted_proxies", id="no-network"),
        pytest.param({"proxy": {"engine": "threads"}}, "proxy.engine", id="engine"),
        pytest.param({"forward": {"preset": "oauth2proxy"}}, "forward.preset", id="preset"),
        pytest.param({"forward": {"user_headers": ["X User"]}}, "forward.user_headers", id="header-blank"),
        pytest.param({"forward": {"user_headers": ["Cookie"]}}, "forward.user_headers", id="header-cookie"),
        pytest.param(
            {"forward": {"user_headers": ["Content_Length"]}}, "forward.user_headers", id="header-length"
        ),
        pytest.param({"serve": {"bind": "8080"}}, "serve.bind", id="bind-port-only"),
        pytest.param({"serve": {"metrics_bind": "unix:/x"}}, "serve.metrics_bind", id="metrics-on-a-socket"),
        pytest.param({"serve": {"workers": 0}}, "serve.workers", id="no-workers"),
    ],
)
def test_one_thing_is_wrong(tables: dict[str, Any], key: str) -> None:
    assert keys_of_problems(minimal(**tables)) == {key}


def test_a_client_certificate_needs_no_second_file_but_a_key_needs_its_certificate(tmp_path: Path) -> None:
    pem = tmp_path / "client.pem"
    pem.write_text("")
    good = {"upstream": "https://app", "client_cert_file": str(pem)}
    assert config_from_mapping(minimal(proxy=good)).proxy.places[0].client_cert_file == pem
    alone = {"upstream": "https://app", "client_key_file": str(pem)}
    assert keys_of_problems(minimal(proxy=alone)) == {"proxy.client_key_file"}


@pytest.mark.parametrize(
    ("bind", "metrics"),
    [
        ("127.0.0.1:8080", "127.0.0.1:9090"),
        ("127.0.0.1:8080", "127.0.0.2:8080"),
        ("127.0.0.1:8080", "[::1]:8080"),
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("unix:/run/s", "127.0.0.1:8080"),
    ],
)
def test_addresses_that_do_not_meet(bind: str, metrics: str) -> None:
    assert config_from_mapping(minimal(serve={"bind": bind, "metrics_bind": metrics})).serve.bind == bind


@pytest.mark.row("A-25")
def test_an_upstream_is_told_what_its_settings_say() -> None:
    upstreams = [
        {"upstream": "http://a"},
        {"upstream": "http://b", "path": "/b", "identity_headers": ["x-forwarded-USER", "X-Mail"]},
        {"upstream": "http://c", "path": "/c", "identity_headers": []},
    ]
    forward = {"headers": [{"name": "X-Mail", "attribute": "email"}]}
    places = config_from_mapping(minimal(proxy={"upstreams": upstreams}, forward=forward)).proxy.places
    assert [place.route.own_headers for place in places] == [None, ("x-forwarded-USER", "X-Mail"), ()]

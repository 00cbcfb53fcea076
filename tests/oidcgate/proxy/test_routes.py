"""Which upstream serves what, and which configurations are no routes."""

from pathlib import Path

import pytest

from oidcgate.proxy.routes import Destination, Public, Route, RouteTable, Unusable, Upstream, upstream_faults

PUBLIC = Public.from_url("https://app.example.com")


@pytest.mark.parametrize(
    ("url", "tls", "host", "port", "socket_path"),
    [
        ("http://127.0.0.1:8081", False, "127.0.0.1", 8081, None),
        ("http://app.internal", False, "app.internal", 80, None),
        ("https://app.internal", True, "app.internal", 443, None),
        ("https://[::1]:8443", True, "::1", 8443, None),
        ("unix:/run/app.sock", False, "", 0, "/run/app.sock"),
        ("unix:///run/app.sock", False, "", 0, "/run/app.sock"),
    ],
)
def test_an_upstream(url: str, tls: bool, host: str, port: int, socket_path: str | None) -> None:
    upstream = Upstream(url)

    assert (upstream.tls, upstream.host, upstream.port, upstream.socket_path) == (
        tls,
        host,
        port,
        socket_path,
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8081",
        "ftp://host",
        "http://",
        "http://host:99999",
        "http://host:0",
        "http://host:x",
        "http://[::1",
        "http://host/base",
        "http://host/",
        "http://h\tost",
        "http://h ost",
        "http://höst",
        "http://host\\evil",
        "http://host?x",
        "http://user:secret@host",
        "unix:relative.sock",
        "unix:",
    ],
)
def test_no_upstream(url: str) -> None:
    with pytest.raises(Unusable, match=r"^url .*; ") as refusal:
        Upstream(url)
    assert "secret" not in str(refusal.value)


def test_certificates_that_would_not_be_used_are_refused() -> None:
    for url in ("http://host", "unix:/run/app.sock"):
        with pytest.raises(Unusable, match=r"^ca_file is for an https upstream only; "):
            Upstream(url, ca_file=Path("ca.pem"))
    with pytest.raises(Unusable, match=r"^client_key_file has no certificate; "):
        Upstream("https://host", client_key_file=Path("key.pem"))


def test_all_that_is_wrong_with_an_upstream_is_told_at_once() -> None:
    pem = Path("a.pem")

    assert [fault.field for fault in upstream_faults("http://host", pem, pem, pem)] == [
        "ca_file",
        "client_cert_file",
        "client_key_file",
    ]
    # Whether certificates belong there is not known before the address is.
    assert [fault.field for fault in upstream_faults("htps://host", pem, None, pem)] == ["url"]
    assert list(upstream_faults("https://host", pem, pem, pem)) == []


@pytest.mark.parametrize(
    ("url", "proto", "host"),
    [
        ("https://App.example.com", "https", "app.example.com"),
        ("https://app.example.com:443", "https", "app.example.com"),
        ("https://app.example.com:8443", "https", "app.example.com:8443"),
        ("http://localhost:8080", "http", "localhost:8080"),
    ],
)
def test_public(url: str, proto: str, host: str) -> None:
    assert Public.from_url(url) == Public(proto, host)


A, B, C, D = (Upstream(f"http://{name}.internal") for name in "abcd")
TABLE = RouteTable(
    [
        Route(A),
        Route(B, path="/api"),
        Route(C, path="/api/v2/"),
        Route(D, host="Other.example.com", path="/api"),
    ],
    PUBLIC,
)


@pytest.mark.parametrize(
    ("host", "path", "upstream"),
    [
        (b"app.example.com", "/", A),
        (b"app.example.com", "/apis", A),
        (b"app.example.com", "/api", B),
        (b"app.example.com", "/api/", B),
        (b"app.example.com", "/api/v1", B),
        (b"app.example.com", "/api/v2", C),
        (b"app.example.com", "/api/v2/x", C),
        (b"app.example.com", "/api/v22", B),
        (b"app.example.com", "/API", A),
        (b"other.example.com", "/api/v2/x", D),
        (b"OTHER.example.com:443", "/api", D),
        (b"other.example.com:444", "/api/v2", C),
        (b"other.example.com", "/", A),
        (b"", "/api", B),
        (b"\xff", "/api", B),
    ],
)
def test_the_longest_path_of_the_host_wins(host: bytes, path: str, upstream: Upstream) -> None:
    found = TABLE.find(host, path)

    assert found is not None
    assert found.upstream is upstream
    assert found.host == (b"other.example.com" if upstream is D else b"app.example.com")
    assert found.proto == b"https"


def test_what_nobody_serves() -> None:
    table = RouteTable([Route(A, host="a.example.com"), Route(B, host="b.example.com", path="/x")], PUBLIC)

    assert table.find(b"app.example.com", "/") is None
    assert table.find(b"b.example.com", "/y") is None
    assert table.upstreams == (A, B)


def test_a_single_upstream_serves_every_host() -> None:
    table = RouteTable([Route(A)], PUBLIC)

    assert table.find(b"anything", "/x") == Destination(A, b"app.example.com", b"https")


@pytest.mark.row("A-25")
@pytest.mark.parametrize(
    ("named", "admitted"),
    [
        pytest.param(None, [(b"x-user", b"alice"), (b"x-groups", b"staff")], id="all"),
        pytest.param(("X-User",), [(b"x-user", b"alice")], id="one"),
        pytest.param(("x-GROUPS", "X-Other"), [(b"x-groups", b"staff")], id="in any case"),
        pytest.param((), [], id="none"),
    ],
)
def test_a_route_says_which_of_our_own_fields_go_there(
    named: tuple[str, ...] | None, admitted: list[tuple[bytes, bytes]]
) -> None:
    found = RouteTable([Route(A, own_headers=named)], PUBLIC).find(b"anything", "/x")
    assert found is not None
    assert list(found.admitted([(b"x-user", b"alice"), (b"x-groups", b"staff")])) == admitted


def test_tables_that_mean_nothing() -> None:
    with pytest.raises(ValueError, match="no route"):
        RouteTable([], PUBLIC)
    with pytest.raises(ValueError, match="two routes"):
        RouteTable([Route(A, path="/x"), Route(B, path="/x/")], PUBLIC)
    for path in ("x", "/a//b", "/a/../b", "/a\\b", "", "/a%20b", "/a?b"):
        with pytest.raises(Unusable, match=r"^path "):
            Route(A, path=path)
    for host in ("", "https://app.example.com", "app.example.com/", "a b"):
        with pytest.raises(Unusable, match=r"^host is no host; "):
            Route(A, host=host)

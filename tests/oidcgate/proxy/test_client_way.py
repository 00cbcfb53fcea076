"""What an upstream is told about the way a request came, whatever the client says of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.proxy.client_way import forwarded
from oidcgate.web.forwarded import TrustedPeers, claimed_hops, parse_trusted_peers

NOBODY = TrustedPeers()
PROXIES = parse_trusted_peers(["10.0.0.0/8", "fd00::/8"])


def way(
    peer: str | None,
    claimed: bytes = b"",
    trusted: TrustedPeers = NOBODY,
    proto: bytes = b"https",
    host: bytes = b"app.example.com",
) -> dict[bytes, bytes]:
    pairs = forwarded(peer, claimed, trusted=trusted, proto=proto, host=host)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_of_a_direct_client() -> None:
    assert way("192.0.2.1") == {
        b"x-forwarded-for": b"192.0.2.1",
        b"x-real-ip": b"192.0.2.1",
        b"x-forwarded-proto": b"https",
        b"x-forwarded-host": b"app.example.com",
        b"x-forwarded-port": b"443",
        b"forwarded": b'for=192.0.2.1;host="app.example.com";proto=https',
    }


@pytest.mark.parametrize(
    ("proto", "host", "port"),
    [
        (b"https", b"app.example.com:8443", b"8443"),
        (b"http", b"localhost", b"80"),
        (b"http", b"[::1]:8080", b"8080"),
        (b"http", b"[::1]", b"80"),
    ],
)
def test_port(proto: bytes, host: bytes, port: bytes) -> None:
    assert way("192.0.2.1", proto=proto, host=host)[b"x-forwarded-port"] == port


@pytest.mark.row("G-18")
def test_a_stranger_s_claim_is_dropped() -> None:
    assert way("192.0.2.1", b"127.0.0.1", PROXIES)[b"x-forwarded-for"] == b"192.0.2.1"


def test_a_listed_proxy_is_believed_and_what_its_client_claims_is_not() -> None:
    found = way("10.0.0.1", b"127.0.0.1, 198.51.100.7, 10.0.0.2", PROXIES)

    assert found[b"x-forwarded-for"] == b"198.51.100.7, 10.0.0.2, 10.0.0.1"
    assert found[b"x-real-ip"] == b"198.51.100.7"
    assert found[b"forwarded"].startswith(b"for=198.51.100.7;")


def test_several_fields_are_one_chain() -> None:
    name = b"x-forwarded-for"
    headers = [(name, b"198.51.100.7"), (b"accept", b"*/*"), (name, b"10.0.0.2")]

    assert way("10.0.0.1", claimed_hops(headers), PROXIES)[name] == b"198.51.100.7, 10.0.0.2, 10.0.0.1"


def test_ipv6_stands_in_quotes() -> None:
    assert way("2001:db8::1")[b"forwarded"].startswith(b'for="[2001:db8::1]";')


@pytest.mark.parametrize(
    ("trusted", "client"),
    [
        pytest.param(NOBODY, None, id="unlisted"),
        pytest.param(PROXIES, None, id="networks-do-not-hold-it"),
        pytest.param(parse_trusted_peers(["unix"]), b"198.51.100.7", id="listed"),
    ],
)
def test_a_unix_socket_is_believed_only_when_listed(trusted: TrustedPeers, client: bytes | None) -> None:
    found = way(None, b"198.51.100.7", trusted)

    assert found.get(b"x-real-ip") == client
    assert found.get(b"x-forwarded-for") == client
    assert found[b"forwarded"].startswith(b"for=" + (client or b"unknown") + b";")


@given(st.binary())
def test_any_claim_is_survived_in_one_line(claimed: bytes) -> None:
    for value in way("10.0.0.1", claimed, PROXIES).values():
        assert value.isascii()
        assert b"\n" not in value
        assert b"\r" not in value

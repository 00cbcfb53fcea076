"""The network of a client: X-Forwarded-For is believed from listed proxies and from nobody else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from oidcgate.web.forwarded import client_network, parse_networks, parse_trusted_peers

PROXIES = parse_networks(["10.0.0.0/8", "fd00::/8", "127.0.0.1"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "network"),
    [
        pytest.param("203.0.113.9", None, "203.0.113.0/24", id="direct"),
        pytest.param("203.0.113.9", "198.51.100.1", "203.0.113.0/24", id="claim-of-a-stranger"),
        pytest.param("10.0.0.1", "198.51.100.1", "198.51.100.0/24", id="one-proxy"),
        pytest.param("10.0.0.1", None, "10.0.0.0/24", id="proxy-says-nothing"),
        pytest.param("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.0/24", id="client-lies-left"),
        pytest.param("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.0/24", id="two-proxies"),
        pytest.param("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.0/24", id="proxies-only"),
        pytest.param("10.0.0.1", "198.51.100.1, nonsense", "10.0.0.0/24", id="nonsense-stops"),
        pytest.param("10.0.0.1", "198.51.100.1,", "10.0.0.0/24", id="empty-entry-stops"),
        pytest.param("10.0.0.1", "198.51.100.1:4711", "198.51.100.0/24", id="port"),
        pytest.param("10.0.0.1", "[2001:db8:1:2:3::4]:4711", "2001:db8:1:2::/64", id="ipv6-port"),
        pytest.param("fd00::1", "2001:db8:1:2:3::4", "2001:db8:1:2::/64", id="ipv6"),
        pytest.param("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.0/24", id="mapped-peer"),
        pytest.param("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.0/24", id="mapped-client"),
        pytest.param("fe80::1%eth0", None, "fe80::/64", id="zone"),
        pytest.param("", "198.51.100.1", "unknown", id="unix-socket"),
        pytest.param(None, "198.51.100.1", "unknown", id="no-peer"),
        pytest.param("127.0.0.1", "9.9.9.9, " + "10.0.0.2, " * 500 + "10.0.0.2", "10.0.0.0/24", id="long"),
    ],
)
def test_client_network(peer: str | None, forwarded: str | None, network: str) -> None:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    assert client_network(peer, headers, PROXIES) == network
    assert client_network(peer, Headers(headers), PROXIES) == network


@pytest.mark.row("G-18")
def test_nobody_is_trusted_by_default() -> None:
    assert client_network("127.0.0.1", {"X-Forwarded-For": "198.51.100.1"}, ()) == "127.0.0.0/24"


@pytest.mark.row("G-18")
@pytest.mark.parametrize(
    ("peer", "forwarded", "network"),
    [
        pytest.param("", "198.51.100.1", "198.51.100.0/24", id="unix-socket"),
        pytest.param(None, "1.1.1.1, 198.51.100.1, 10.0.0.2", "198.51.100.0/24", id="proxy-before-it"),
        pytest.param("", None, "unknown", id="says-nothing"),
        pytest.param("", "nonsense", "unknown", id="nonsense"),
        pytest.param("203.0.113.9", "198.51.100.1", "203.0.113.0/24", id="stranger-with-an-address"),
    ],
)
def test_peers_on_a_socket_are_believed_where_they_are_listed(
    peer: str | None, forwarded: str | None, network: str
) -> None:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    assert client_network(peer, headers, PROXIES, unix=True) == network


@pytest.mark.row("G-18")
@given(st.text())
def test_a_stranger_cannot_choose_its_network(forwarded: str) -> None:
    assert client_network("203.0.113.9", {"X-Forwarded-For": forwarded}, PROXIES) == "203.0.113.0/24"


@given(st.text())
def test_any_header_is_survived(forwarded: str) -> None:
    assert client_network("10.0.0.1", {"X-Forwarded-For": forwarded}, PROXIES)


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.1/8", "proxy.example", ""])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"network|host bits"):
        parse_networks([text])


@pytest.mark.parametrize(
    ("listed", "somebody"),
    [
        pytest.param([], False, id="nobody"),
        pytest.param(["10.0.0.0/8"], True, id="a-network"),
        pytest.param(["unix"], True, id="a-socket"),
    ],
)
def test_whose_word_counts_is_known_before_anybody_speaks(listed: list[str], somebody: bool) -> None:
    assert parse_trusted_peers(listed).believes_somebody == somebody

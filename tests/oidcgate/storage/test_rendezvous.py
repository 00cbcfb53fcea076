"""How servers are named and which one keeps a key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.storage.rendezvous import Server, server_of, servers_of

KEYS = [b"key-%d" % number for number in range(3000)]


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        pytest.param("memcached://h1", [("h1", 11211)], id="default-port"),
        pytest.param("memcached://h1:11212,h2", [("h1", 11212), ("h2", 11211)], id="two"),
        pytest.param("memcached://H1.Example, h_2", [("h1.example", 11211), ("h_2", 11211)], id="spelling"),
        pytest.param("memcached://192.0.2.7:1", [("192.0.2.7", 1)], id="v4"),
        pytest.param("memcached://[2001:DB8::7]:65535", [("2001:db8::7", 65535)], id="v6"),
        pytest.param("memcached://[::1]", [("::1", 11211)], id="v6-default-port"),
        pytest.param("memcached:///run/memcached.sock", ["/run/memcached.sock"], id="socket"),
        pytest.param("memcached:///a.sock,/b.sock,h3", ["/a.sock", "/b.sock", ("h3", 11211)], id="mixed"),
    ],
)  # fmt: skip
def test_servers_are_named(url: str, addresses: list[object]) -> None:
    assert [server.address for server in servers_of(url)] == addresses


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("memcached://", id="none"),
        pytest.param("memcached:h1", id="no-slashes"),
        pytest.param("memcached://h1,", id="comma-at-the-end"),
        pytest.param("memcached://h1:", id="empty-port"),
        pytest.param("memcached://h1:0", id="port-0"),
        pytest.param("memcached://h1:65536", id="port-too-high"),
        pytest.param("memcached://h1:+80", id="signed-port"),
        pytest.param("memcached://h1:٣", id="foreign-digits"),
        pytest.param("memcached://h1:1:2", id="two-ports"),
        pytest.param("memcached://::1", id="v6-without-brackets"),
        pytest.param("memcached://[::1", id="v6-open"),
        pytest.param("memcached://[h1]", id="name-in-brackets"),
        pytest.param("memcached://[::1]11211", id="v6-port-without-colon"),
        pytest.param("memcached://[fe80::1%eth0]", id="v6-zone"),
        pytest.param("memcached://user:canary@h1", id="password"),
        pytest.param("memcached://h1/0", id="path"),
        pytest.param("memcached://h1?x=1", id="query"),
        pytest.param("memcached://h 1", id="blank"),
        pytest.param("memcached://h1,H1:11211", id="twice"),
        pytest.param("memcached://[::1],[0:0:0:0:0:0:0:1]:11211", id="twice-in-two-spellings"),
        pytest.param("memcached://run/memcached.sock", id="socket-with-two-slashes"),
    ],
)
def test_what_names_no_server_is_refused_with_a_way_out(url: str) -> None:
    with pytest.raises(ValueError, match="; ") as refused:
        servers_of(url)
    assert "canary" not in str(refused.value)


@given(st.permutations([f"h{number}" for number in range(7)]), st.binary(max_size=40))
def test_the_order_of_the_list_does_not_matter(names: list[str], key: bytes) -> None:
    in_order = servers_of("memcached://" + ",".join(sorted(names)))
    assert server_of(servers_of("memcached://" + ",".join(names)), key) == server_of(in_order, key)


def test_keys_are_spread_evenly() -> None:
    servers = servers_of("memcached://h1,h2,h3")
    kept = [server_of(servers, key).name for key in KEYS]
    assert all(800 < kept.count(server.name) < 1200 for server in servers)


@pytest.mark.parametrize("gone", range(4))
def test_a_server_that_leaves_the_list_moves_only_its_own_keys(gone: int) -> None:
    servers = servers_of("memcached://h0,h1,h2,h3")
    left = [server for number, server in enumerate(servers) if number != gone]
    for key in KEYS:
        before = server_of(servers, key)
        assert server_of(left, key) == before or before == servers[gone]


def test_a_spelling_of_a_server_is_the_same_server() -> None:
    assert servers_of("memcached://H1") == servers_of("memcached://h1:11211")
    assert servers_of("memcached://h1")[0] == Server("h1:11211", ("h1", 11211))

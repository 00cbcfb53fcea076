"""Which URLs and addresses an outbound call may use."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.loopback import is_loopback_host
from oidcgate.net.addresses import AddressRules

DEFAULT = AddressRules()
LOOPBACK = AddressRules(insecure_allow_http_loopback=True)
INSIDE = AddressRules(allow_private=("10.1.0.0/16", "fd00:1::/32"))


def allowed(rules: AddressRules, *addresses: str, host: str = "id.example.com") -> bool:
    return rules.refused(host, [ipaddress.ip_address(address) for address in addresses]) is None


@pytest.mark.row("P-09")
@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert allowed(DEFAULT, address)


@pytest.mark.row("P-09")
@pytest.mark.parametrize(
    "address",
    [
        pytest.param("127.0.0.1", id="loopback"),
        pytest.param("0.0.0.0", id="this-host"),  # noqa: S104
        pytest.param("10.0.0.1", id="private-10"),
        pytest.param("172.16.0.1", id="private-172"),
        pytest.param("192.168.0.1", id="private-192"),
        pytest.param("100.64.0.1", id="carrier-nat"),
        pytest.param("169.254.169.254", id="cloud-metadata"),
        pytest.param("192.0.2.1", id="documentation"),
        pytest.param("198.18.0.1", id="benchmark"),
        pytest.param("224.0.0.1", id="multicast"),
        pytest.param("239.255.255.250", id="multicast-site"),
        pytest.param("233.252.0.1", id="multicast-global"),
        pytest.param("240.0.0.1", id="reserved"),
        pytest.param("255.255.255.255", id="broadcast"),
        pytest.param("::", id="v6-unspecified"),
        pytest.param("::1", id="v6-loopback"),
        pytest.param("fe80::1", id="v6-link-local"),
        pytest.param("fec0::1", id="v6-site-local"),
        pytest.param("fd00:ec2::254", id="v6-unique-local-metadata"),
        pytest.param("ff02::1", id="v6-multicast"),
        pytest.param("ff0e::1", id="v6-multicast-global"),
        pytest.param("2001:db8::1", id="v6-documentation"),
        pytest.param("::ffff:127.0.0.1", id="v4-mapped-loopback"),
        pytest.param("::ffff:169.254.169.254", id="v4-mapped-metadata"),
        pytest.param("2002:7f00:1::", id="6to4-loopback"),
        pytest.param("2002:a00:1::1", id="6to4-private"),
        pytest.param("64:ff9b::7f00:1", id="nat64-loopback"),
        pytest.param("64:ff9b::a9fe:a9fe", id="nat64-metadata"),
        pytest.param("64:ff9b:1::a00:1", id="nat64-local"),
        pytest.param("2001:0:7f00:1:0:ffff:80ff:fffe", id="teredo"),
    ],
)
def test_special_addresses_are_refused(address: str) -> None:
    assert not allowed(DEFAULT, address)
    assert not allowed(DEFAULT, "93.184.215.14", address), "one bad address refuses the host"


def test_named_networks_are_opened_and_no_others() -> None:
    assert allowed(INSIDE, "10.1.2.3", "fd00:1::5", "93.184.215.14", "::ffff:10.1.2.3")
    assert not allowed(INSIDE, "10.2.0.1")
    assert not allowed(INSIDE, "fd00:2::1")
    assert not allowed(INSIDE, "127.0.0.1")


def test_the_host_an_operator_typed_may_be_anywhere_and_no_other() -> None:
    typed = AddressRules(trusted_hosts=frozenset({"id.corp.example"}), insecure_allow_http_loopback=True)
    assert allowed(typed, "10.9.9.9", host="ID.corp.example")
    assert not allowed(typed, "10.9.9.9", host="keys.corp.example")
    assert not allowed(typed, "10.9.9.9", host="x.id.corp.example")


def test_localhost_has_to_be_this_machine_even_when_it_was_typed() -> None:
    typed = AddressRules(trusted_hosts=frozenset({"localhost"}), insecure_allow_http_loopback=True)
    assert allowed(typed, "127.0.0.1", "::1", host="localhost")
    assert not allowed(typed, "93.184.215.14", host="localhost")
    assert not allowed(LOOPBACK, "127.0.0.1", "93.184.215.14", host="localhost")


def test_another_name_for_this_machine_is_not_opened_by_the_switch() -> None:
    assert not allowed(LOOPBACK, "127.0.0.1", host="id.example.com")


def test_a_network_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/8"):
        AddressRules(allow_private=("10.0.0.1/8",))


@pytest.mark.row("P-09")
@pytest.mark.parametrize(
    ("url", "problem"),
    [
        pytest.param("https://id.example.com/x", None, id="https"),
        pytest.param("https://127.0.0.1/x", None, id="address-is-judged-later"),
        pytest.param("http://id.example.com/", "http is never used", id="http"),
        pytest.param("http://localhost.evil.example/", "http is never used", id="localhost-as-prefix"),
        pytest.param("http://127.1/", "http is never used", id="abbreviated-loopback"),
        pytest.param("http://localhost:9000/", "switch", id="http-loopback"),
        pytest.param("file:///etc/passwd", "names no host", id="file"),
        pytest.param("ftp://id.example.com/", "not https", id="ftp"),
        pytest.param("https://user@id.example.com/", "user info", id="user"),
        pytest.param("https://:@id.example.com/", "user info", id="empty-user"),
        pytest.param("https://", "names no host", id="no-host"),
        pytest.param("https://id.example.com:x/", "cannot be read", id="port-not-a-number"),
        pytest.param("https://[::1/", "cannot be read", id="bracket"),
        pytest.param("", "names no host", id="empty"),
    ],
)
def test_urls(url: str, problem: str | None) -> None:
    told = DEFAULT.url_problem(url)
    assert told is None if problem is None else problem in (told or "")


@pytest.mark.parametrize("url", ["http://localhost:9000/", "http://127.8.8.8/", "http://[::1]:9000/"])
def test_the_switch_opens_http_on_loopback(url: str) -> None:
    assert LOOPBACK.url_problem(url) is None
    assert LOOPBACK.url_problem("http://id.example.com/") is not None


@given(st.text(max_size=40) | st.text(max_size=20).map("http://{}/".format))
def test_any_url_is_judged(url: str) -> None:
    assert LOOPBACK.url_problem(url) is None or LOOPBACK.url_problem(url)


@given(st.ip_addresses())
def test_no_address_of_this_machine_or_network_passes(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if DEFAULT.refused("id.example.com", [address]) is None:
        assert address.is_global
        special = (address.is_loopback, address.is_link_local, address.is_multicast, address.is_unspecified)
        assert not any(special)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LocalHost", True),
        ("127.0.0.1", True),
        ("[::1]", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("localhost.", False),
    ],
)
def test_names_of_this_machine(host: str, loopback: bool) -> None:
    assert is_loopback_host(host) is loopback

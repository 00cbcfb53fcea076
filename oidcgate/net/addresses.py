"""Which URLs and which network addresses an outbound call may use (pure).

The resolver and the sockets are next door in `oidcgate.net.dial`; the deadline and the caps in
`oidcgate.net.fetch`.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import urlsplit

from oidcgate.loopback import is_loopback_host

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# RFC 6052: behind such a gateway these 96 bits lead to the IPv4 address in the last 32.
_NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class AddressRules:
    """What an outbound call may reach. By default: https, and addresses of the public internet only.

    Attributes:
        allow_private: Networks (`"10.1.0.0/16"`, `"127.0.0.0/8"`) allowed besides the public internet, for an
            identity provider that is reached inside a company.
        trusted_hosts: Hosts, in lower case, that may be at any address: those an operator typed, never those
            that a document named.
        insecure_allow_http_loopback: Also allow loopback addresses for the hosts `localhost`, `127.…`
            and `[::1]`, and plain http to those hosts. For demos and tests.

    Raises:
        ValueError: One of the networks is none; the message names it.
    """

    allow_private: tuple[str, ...] = ()
    trusted_hosts: frozenset[str] = frozenset()
    insecure_allow_http_loopback: bool = False
    _networks: tuple[Network, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "_networks", tuple(ipaddress.ip_network(text) for text in self.allow_private)
        )

    def url_problem(self, url: str) -> str | None:
        """Return why `url` may not be called at all, or None. Addresses are judged when they are known."""
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            return "the URL cannot be read"
        if not host:
            return "the URL names no host"
        if parts.username is not None or parts.password is not None:
            return "the URL carries user info"
        if parts.scheme == "https":
            return None
        if parts.scheme != "http":
            return "the scheme is not https"
        if not is_loopback_host(host):
            return "http is never used for a host other than loopback; use https"
        if not self.insecure_allow_http_loopback:
            return "http needs the switch insecure_allow_http_loopback; use https"
        return None

    def refused(self, host: str, addresses: Iterable[Address]) -> Address | None:
        """Return the first of the addresses of `host` that may not be connected to, or None.

        One refused address refuses the host: a name that points inside and outside at once is an attack or a
        mistake.
        """
        loopback = self.insecure_allow_http_loopback and is_loopback_host(host)
        if host.lower() in self.trusted_hosts and not loopback:
            return None
        return next((address for address in addresses if not self._allowed(address, loopback)), None)

    def _allowed(self, address: Address, loopback: bool) -> bool:
        if loopback:
            # `localhost` has to be this machine, whatever the resolver says.
            return address.is_loopback
        return all(
            _is_public(reached) or any(reached in network for network in self._networks)
            for reached in _reached_by(address)
        )


def network_problem(text: str) -> tuple[str, str] | None:
    """What keeps `text` from being a network, and what to do about it; None when it is one."""
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        return f"is no network: {error}", f"write it as {_meant_by(text)}"
    return None


def _meant_by(text: str) -> str:
    """The network that an address with a length stands in; an example where there is none."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return "10.0.0.0/8"


def _reached_by(address: Address) -> list[Address]:
    """The address and every IPv4 address a gateway would take out of it."""
    reached: list[Address] = [address]
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return [address.ipv4_mapped]
        if address.sixtofour is not None:
            reached.append(address.sixtofour)
        if address.teredo is not None:
            reached.extend(address.teredo)
        if address in _NAT64:
            reached.append(IPv4Address(int(address) & 0xFFFF_FFFF))
    return reached


def _is_public(address: Address) -> bool:
    # is_global alone says yes to multicast, and to site-local on some versions.
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not (isinstance(address, IPv6Address) and address.is_site_local)
    )

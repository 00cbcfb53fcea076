"""Which network a request came from, for slowing down guesses.

Lives here: reading X-Forwarded-For from proxies that are listed, and nothing from anybody else. Not here:
scheme and host, which come from the configured public URL and never from a header.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Protocol

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

UNKNOWN_NETWORK = "unknown"

# Nobody has more proxies of their own than this in a row; a longer header is a client's doing.
_MAX_HOPS = 20


class HeaderLookup(Protocol):
    """A mapping of header names to values; werkzeug's headers and a plain dict are two."""

    def get(self, name: str, default: str, /) -> str: ...


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Read configured networks (`10.0.0.0/8`, `::1`).

    Raises:
        ValueError: one is no network; the message names it.
    """
    return tuple(ip_network(text, strict=True) for text in texts)


def client_network(peer: str | None, headers: HeaderLookup, trusted_networks: Sequence[Network]) -> str:
    """Name the network of the client, within which one person can change address: /24 in IPv4, /64 in IPv6.

    X-Forwarded-For is walked from the right, each entry believed only while the hop that wrote it is in
    `trusted_networks`. The first address that is not ours is the client; what stands left of it is anybody's
    claim.

    Returns:
        A network such as `203.0.113.0/24`, or `unknown` when the peer has no IP address (a Unix socket).
    """
    address = _address(peer or "")
    if address is None:
        return UNKNOWN_NETWORK
    claimed = headers.get("X-Forwarded-For", "").split(",")
    for entry in reversed(claimed[-_MAX_HOPS:]):
        if not any(address in network for network in trusted_networks):
            break
        hop = _address(entry)
        if hop is None:
            break
        address = hop
    return str(ip_network((address, 24 if isinstance(address, IPv4Address) else 64), strict=False))


def _address(text: str) -> Address | None:
    """Read an address as proxies write it: bare, `1.2.3.4:5678`, `[::1]`, `[::1]:5678`."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # A dual-stack socket names an IPv4 client in IPv6 form; it is the same client.
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address

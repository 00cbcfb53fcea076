"""Where a request came from: its client's address, and the network for slowing down guesses.

Lives here: reading X-Forwarded-For from proxies that are listed, and nothing from anybody else. Not here:
scheme and host, which come from the configured public URL and never from a header, and the fields that tell
an upstream about it (`oidcgate.proxy.client_way`).
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple, Protocol

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

UNKNOWN_NETWORK = "unknown"

# How a configuration lists the peers that connect over a Unix socket and so have no address.
_UNIX: Final = "unix"

# Nobody has more proxies of their own than this in a row; a longer header is a client's doing.
_MAX_HOPS = 20


class HeaderLookup(Protocol):
    """A mapping of header names to values; werkzeug's headers and a plain dict are two."""

    def get(self, name: str, default: str, /) -> str: ...


class TrustedPeers(NamedTuple):
    """Whose word on a request's origin is believed. By default nobody's."""

    networks: tuple[Network, ...] = ()
    unix: bool = False

    @property
    def believes_somebody(self) -> bool:
        """Whether there is anybody whose word counts, so that it is worth reading."""
        return self.unix or bool(self.networks)

    def holds(self, address: Address) -> bool:
        """Whether a peer or hop with this address is believed."""
        return any(address in network for network in self.networks)


def parse_trusted_peers(texts: Iterable[str]) -> TrustedPeers:
    """Read configured proxies: networks, and `unix` for those that connect over a Unix socket.

    Raises:
        ValueError: one is neither; the message names it.
    """
    listed = list(texts)
    return TrustedPeers(parse_networks(text for text in listed if text != _UNIX), _UNIX in listed)


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Read configured networks (`10.0.0.0/8`, `::1`).

    Raises:
        ValueError: one is no network; the message names it.
    """
    return tuple(ip_network(text, strict=True) for text in texts)


def client_network(
    peer: str | None, headers: HeaderLookup, trusted_networks: Sequence[Network], *, unix: bool = False
) -> str:
    """Name the network of the client, within which one person can change address: /24 in IPv4, /64 in IPv6.

    X-Forwarded-For is walked from the right, each entry believed only while the hop that wrote it is in
    `trusted_networks`. The first address that is not ours is the client; what stands left of it is anybody's
    claim.

    Args:
        peer: address of the connection's other end; None or "" for a Unix socket.
        headers: those of the request.
        trusted_networks: of the proxies whose word is believed.
        unix: whether a peer without an address is believed too.

    Returns:
        A network such as `203.0.113.0/24`, or `unknown` when the peer has no IP address (a Unix socket) and
        is not believed, or says nothing.
    """
    trusted = TrustedPeers(tuple(trusted_networks), unix)
    hops = _walk(_address(peer or ""), headers.get("X-Forwarded-For", ""), trusted)
    if not hops:
        return UNKNOWN_NETWORK
    address = hops[0]
    return str(ip_network((address, 24 if isinstance(address, IPv4Address) else 64), strict=False))


def claimed_hops(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """What a request says of its way: its X-Forwarded-For, several fields as the one list that they are.

    Args:
        headers: names in lower case.
    """
    return b",".join([value for name, value in headers if name == b"x-forwarded-for"])


def believed_hops(peer: str | None, claimed: str, trusted: TrustedPeers) -> list[str]:
    """The addresses a request came through, client first and peer last, as far as they are to be believed.

    Walked like `client_network`; what stands left of the first hop that is not trusted is left out.

    Args:
        peer: address of the connection's other end; None or "" for a Unix socket.
        claimed: as from `claimed_hops`, read as latin-1.
        trusted: who is believed.

    Returns:
        Addresses without port or zone; empty when the peer has none and is not trusted, or says nothing.
    """
    return [str(address) for address in _walk(_address(peer or ""), claimed, trusted)]


def _walk(peer: Address | None, claimed: str, trusted: TrustedPeers) -> list[Address]:
    hops = [] if peer is None else [peer]
    believed = trusted.unix if peer is None else trusted.holds(peer)
    if not believed or not claimed:
        return hops
    for entry in reversed(claimed.split(",")[-_MAX_HOPS:]):
        hop = _address(entry)
        if hop is None:
            break
        hops.insert(0, hop)
        if not trusted.holds(hop):
            break
    return hops


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

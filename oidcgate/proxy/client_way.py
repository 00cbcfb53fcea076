"""What an upstream is told about the way a request came: X-Forwarded-*, Forwarded, X-Real-IP. Pure.

Here lives `forwarded`. That the client's own fields of these names go no further is `request_head`'s next
door; whom of a chain of proxies to believe is `oidcgate.web.forwarded`.
"""

from oidcgate.proxy.fields import HeaderPair
from oidcgate.web.forwarded import TrustedPeers, believed_hops

__all__ = ["forwarded"]


def forwarded(
    peer: str | None,
    claimed: bytes,
    *,
    trusted: TrustedPeers,
    proto: bytes,
    host: bytes,
) -> list[HeaderPair]:
    """Our own fields about the way a request came, in place of whatever the client said of it.

    Scheme, host and port are those of the public URL. The addresses are the peer's and, while hop after hop
    is trusted, those it names: what a stranger wrote into X-Forwarded-For is not passed on, not even in
    front.

    Args:
        peer: address of the connection's other end; None for a Unix socket.
        claimed: what the client says of it, as from `oidcgate.web.forwarded.claimed_hops`.
        trusted: who is believed.
        proto: `https` or `http`.
        host: as in a Host field: with a port where it is not the scheme's own.

    Spec: RFC 7239 for Forwarded.
    """
    hops = believed_hops(peer, claimed.decode("latin-1"), trusted)
    _, colon, port = host.rpartition(b":")
    if not colon or not port.isdigit():
        port = b"443" if proto == b"https" else b"80"
    way = [
        (b"x-forwarded-proto", proto),
        (b"x-forwarded-host", host),
        (b"x-forwarded-port", port),
    ]
    client = hops[0] if hops else "unknown"
    # An IPv6 address has colons in it, which a parameter has only in quotes.
    node = f'"[{client}]"' if ":" in client else client
    way.append((b"forwarded", b'for=%b;host="%b";proto=%b' % (node.encode("ascii"), host, proto)))
    if hops:
        way.append((b"x-forwarded-for", ", ".join(hops).encode("ascii")))
        way.append((b"x-real-ip", client.encode("ascii")))
    return way

"""The servers of a shared cache: how a setting names them, and which one of them keeps a key. Pure.

Each key has one server, by highest random weight: every process finds the same one whatever the order of the
list, and a server more or less moves only that server's share of the keys. That a server is down moves
nothing. Next door: `memcached` speaks to the server that was chosen.
"""

import ipaddress
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple

__all__ = ["MEMCACHED", "Server", "server_of", "servers_of"]

MEMCACHED: Final = "memcached://"
_PORT: Final = 11211
_NAME: Final = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9])?", re.ASCII)


class Server(NamedTuple):
    """One server.

    Attributes:
        name: the one spelling of it; by this it is chosen.
        address: host and port, or the path of a unix socket.
    """

    name: str
    address: tuple[str, int] | str


def servers_of(url: str) -> tuple[Server, ...]:
    """The servers that `memcached://h1:11211,h2,[::1]` names; `memcached:///run/memcached.sock` is a socket.

    Raises:
        ValueError: `what is wrong; what to do`.
    """
    if not url.startswith(MEMCACHED):
        raise ValueError(f"is no list of servers; write it like {MEMCACHED}h1:11211,h2")
    if "@" in url:
        raise ValueError(
            "has a user or a password, which is not supported; name the servers alone and let only the "
            "gate reach them"
        )
    servers = tuple(_server(entry.strip()) for entry in url.removeprefix(MEMCACHED).split(","))
    if len(set(servers)) != len(servers):
        raise ValueError("names a server twice; name each once")
    return servers


def server_of(servers: Sequence[Server], key: bytes) -> Server:
    """The one of `servers` that keeps `key`."""
    if len(servers) == 1:
        return servers[0]
    return max(servers, key=lambda server: sha256(server.name.encode() + b"\0" + key).digest())


def _server(entry: str) -> Server:
    if entry.startswith("/"):
        return Server(f"unix:{entry}", entry)
    host, port = entry, ""
    if entry.startswith("["):
        host, closed, rest = entry[1:].partition("]")
        port = rest.removeprefix(":")
        usable = closed == "]" and (not rest or rest.startswith(":")) and _is_ipv6(host)
        host = str(ipaddress.IPv6Address(host)) if usable else host
    else:
        host, colon, port = entry.partition(":")
        host = host.lower()
        usable = _NAME.fullmatch(host) is not None and bool(port) == bool(colon)
    if usable and not port:
        port = str(_PORT)
    if not usable or not re.fullmatch(r"[1-9][0-9]{0,4}", port, re.ASCII) or int(port) > 65535:
        raise ValueError(
            f"has an entry that is no server ({entry!r}); write h1:11211, 192.0.2.7, [2001:db8::7]:11211 "
            "or the path of a unix socket"
        )
    return Server(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", (host, int(port)))


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    # A zone would name an interface of one host.
    return "%" not in text

"""How a setting names a Redis server. Pure.

`redis://[USER@]HOST[:PORT][/DB]`, over TLS `rediss://…` and `?ca_file=FILE` where the server's certificate is
of a house of its own, on a socket `redis:///run/redis.sock`. No password: that has a setting of its own.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = ["REDIS_SCHEMES", "RedisServer", "redis_server_of"]

REDIS_SCHEMES: Final = ("redis://", "rediss://")
_PORT: Final = 6379
_WANTED: Final = "write redis://HOST:6379/0, rediss://HOST:6380 or redis:///run/redis.sock"
_HOST: Final = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9])?|[0-9a-f:.]+", re.ASCII)
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,4}", re.ASCII)


class RedisServer(NamedTuple):
    """One server.

    Attributes:
        name: the one spelling of it, for people.
        address: host and port, or the path of a unix socket.
        database: its number.
        user: None: the default user.
        tls: whether to speak TLS.
        ca_file: the certificates that are believed; None: those that the system believes.
    """

    name: str
    address: tuple[str, int] | str
    database: int = 0
    user: str | None = None
    tls: bool = False
    ca_file: str | None = None


def redis_server_of(url: str) -> RedisServer:
    """The server that `url` names.

    Raises:
        ValueError: `what is wrong; what to do`, without what `url` holds.
    """
    if not url.startswith(REDIS_SCHEMES):
        raise ValueError(f"is no Redis server; {_WANTED}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ValueError(f"cannot be read as an address; {_WANTED}") from None
    if parts.password is not None:
        raise ValueError("has a password in it; put it into a file and name that as store_password_file")
    if parts.fragment or any(name != "ca_file" or not value for name, value in query) or len(query) > 1:
        raise ValueError("has more to it than an address; of parameters there is ca_file=FILE alone")
    tls = url.startswith("rediss://")
    ca_file = query[0][1] if query else None
    if ca_file is not None and not tls:
        raise ValueError("names a ca_file and speaks no TLS; write rediss://")
    user = unquote(parts.username) if parts.username else None
    if host is None:
        if tls or not parts.path.strip("/"):
            raise ValueError(f"names no host; {_WANTED}")
        path = unquote(parts.path)
        return RedisServer(f"unix:{path}", path, 0, user)
    if not _HOST.fullmatch(host):
        raise ValueError(f"names no host, or more than one; {_WANTED}")
    number = parts.path.removeprefix("/") or "0"
    if not _NUMBER.fullmatch(number):
        raise ValueError("has a database that is no number; write redis://HOST:6379/0")
    address = host, port if port else _PORT
    shown = f"[{host}]" if ":" in host else host
    return RedisServer(f"{shown}:{address[1]}/{number}", address, int(number), user, tls, ca_file)

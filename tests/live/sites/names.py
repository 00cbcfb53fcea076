"""Names that lead to this machine, for the server processes of the two sites.

The browser has a switch for this; a process that calls another site needs its resolver told.
"""

import socket
from typing import Any

SITES = ("app.test", "id.example", "foreign.example")

_resolve = socket.getaddrinfo


def _resolve_here(host: Any, *arguments: Any, **options: Any) -> Any:
    return _resolve("127.0.0.1" if host in SITES else host, *arguments, **options)


def lead_here() -> None:
    """From now on the names of the sites lead to 127.0.0.1 in this process."""
    socket.getaddrinfo = _resolve_here

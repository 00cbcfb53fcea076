"""The site `id.example` for modules that judge it: they set its clock ahead, and it finds them by a name.

PROVIDER_CLOCK_AHEAD is a file that says by how many seconds. PROVIDER_NEIGHBOUR is a host that is on this
machine, as a line of /etc/hosts would say.
"""

import os
import socket
import time
from pathlib import Path
from typing import Any

from provider import Provider

_AHEAD = Path(os.environ["PROVIDER_CLOCK_AHEAD"])
_NEIGHBOUR = os.environ["PROVIDER_NEIGHBOUR"]
_resolve = socket.getaddrinfo


def _clock() -> float:
    return time.time() + float(_AHEAD.read_text() or 0)


def _resolve_neighbour(host: Any, *arguments: Any, **options: Any) -> Any:
    return _resolve("127.0.0.1" if host == _NEIGHBOUR else host, *arguments, **options)


socket.getaddrinfo = _resolve_neighbour
application = Provider.from_config(os.environ["PROVIDER_CONFIG"], clock=_clock)

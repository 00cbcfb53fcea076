"""The addresses of a sidecar: whether they are to be had, said before anybody else says it less clearly.

Here live `taken`, which looks at an address without keeping it, and `metrics_socket`, which keeps one. The
socket that requests come in by is opened by gunicorn, which would try five times over and then speak of a
connection; one that listens on a Unix socket it would take away from whoever has it.
"""

import errno
import socket
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from oidcgate.settings import Problem, SettingsError

__all__ = ["BACKLOG", "Address", "metrics_socket", "taken"]

#: Host and port, or the path of a Unix socket.
Address = tuple[str, int] | str

#: Connections that the system keeps for us until they are accepted.
BACKLOG: Final = 2048

_FIRST_FREE_PORT: Final = 1024
_LOOK_SECONDS: Final = 1.0


def taken(key: str, addresses: Iterable[Address]) -> Iterator[Problem]:
    """Why nobody can listen at some of these addresses.

    Args:
        key: the setting that names them.
        addresses: where somebody wants to listen.
    """
    for address in addresses:
        if isinstance(address, str):
            yield from _taken_path(key, address)
            continue
        try:
            _bound(address).close()
        except OSError as error:
            yield _problem(key, address, error)


def metrics_socket(bind: str) -> socket.socket | None:
    """The socket at which Prometheus asks, listening; None when `serve.metrics_bind` is empty.

    Raises:
        SettingsError: it cannot be had.
    """
    if not bind:
        return None
    parts = urlsplit(f"//{bind}")
    address = (parts.hostname or "", parts.port or 0)
    listening = None
    try:
        listening = _bound(address)
        listening.listen(64)
        listening.setblocking(False)
    except OSError as error:
        if listening is not None:
            listening.close()
        raise SettingsError([_problem("serve.metrics_bind", address, error)]) from None
    return listening


def _bound(address: tuple[str, int]) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    try:
        # As gunicorn does: what is left of the last run's connections is nobody's.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


def _problem(key: str, address: tuple[str, int], error: OSError) -> Problem:
    host, port = address
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if isinstance(error, socket.gaierror):
        return Problem(key, shown, "names no host that is known here", "write an address, such as 127.0.0.1")
    match error.errno:
        case errno.EADDRINUSE:
            what = "is in use by another program"
            fix = f"end that one (`ss -ltnp 'sport = :{port}'` names it), or choose another port"
        case errno.EADDRNOTAVAIL:
            what = "is no address of this machine"
            fix = "use 127.0.0.1, or one of those that `ip addr` shows"
        case errno.EACCES if port < _FIRST_FREE_PORT:
            what = f"may not be used: ports below {_FIRST_FREE_PORT} are for root"
            fix = "choose a higher one with a proxy in front, or grant CAP_NET_BIND_SERVICE"
        case _:
            what, fix = f"cannot be used: {error.strerror}", "choose another address"
    return Problem(key, shown, what, fix)


def _taken_path(key: str, path: str) -> Iterator[Problem]:
    shown = f"unix:{path}"
    try:
        status = Path(path).stat()
    except FileNotFoundError:
        yield from _unmade(key, shown, path)
        return
    except OSError as error:
        yield Problem(key, shown, f"cannot be used: {error.strerror}", "choose another path")
        return
    if not stat.S_ISSOCK(status.st_mode):
        yield Problem(key, shown, "is a file that is no socket", "choose another path")
        return
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_LOOK_SECONDS)
        try:
            client.connect(path)
        except ConnectionRefusedError:
            # Left behind by a run that has ended; gunicorn takes it away.
            return
        except OSError:
            pass
    yield Problem(key, shown, "is in use by another program", "end that one, or choose another path")


def _unmade(key: str, shown: str, path: str) -> Iterator[Problem]:
    """What is in the way of a socket that is not there yet."""
    folder = Path(path).parent
    if not folder.is_dir():
        yield Problem(key, shown, f"is in {folder}, which is no folder", "make it, for this user alone")
        return
    with socket.socket(socket.AF_UNIX) as listening:
        try:
            listening.bind(path)
        except OSError as error:
            what = error.strerror or str(error)
            yield Problem(key, shown, f"cannot be made: {what}", "choose a path that this user may write")
        else:
            Path(path).unlink()

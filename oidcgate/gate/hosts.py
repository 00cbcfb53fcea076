"""Which of a gate's hosts a request is for. Pure.

Here lives `Hosts`, which finds what belongs to the Host of a request. What can be wrong with public URLs is
`oidcgate.gate.host_settings`; every host has parts of its own (`oidcgate.gate.build`), and who asks for them
is `oidcgate.gate.front`.

Only the Host field chooses, and only among what is configured. X-Forwarded-Host is read from nobody: a proxy
in front passes Host on as it came.
"""

from collections.abc import Mapping
from typing import Final, Generic, TypeVar
from urllib.parse import urlsplit

__all__ = ["DEFAULT_PORTS", "Hosts", "host_of"]

T = TypeVar("T")

DEFAULT_PORTS: Final = {"https": 443, "http": 80}


class Hosts(Generic[T]):
    """What belongs to each of several hosts, found by what clients write into Host."""

    def __init__(self, by_public_url: Mapping[str, T]) -> None:
        """List what is at each public URL; no two have the same host."""
        self._known: dict[str, T] = {}
        for url, what in by_public_url.items():
            parts = urlsplit(url)
            self._known[parts.netloc] = what
            if parts.port is None:
                # Browsers leave it out, some other clients do not. Spec: RFC 9110 4.2.3.
                self._known[f"{parts.netloc}:{DEFAULT_PORTS[parts.scheme]}"] = what

    def find(self, host: str) -> T | None:
        """What belongs to a Host field as it was sent; None: it names none of the hosts.

        Letters count in either case and the scheme's own port may be there, and nothing else is forgiven: a
        dot at the end makes another host to browsers, which would keep other cookies for it.

        Spec: RFC 9110 4.2.3, 7.2.
        """
        found = self._known.get(host)
        return self._known.get(host.lower()) if found is None else found


def host_of(public_url: str) -> str:
    """The host of a public URL as browsers write it into Host: with a port that is not the scheme's own."""
    return urlsplit(public_url).netloc

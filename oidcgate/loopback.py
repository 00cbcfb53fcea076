"""Which hosts are this machine: the one place where plain http may be, under a switch that says so.

Who may use http there is decided by those who ask: `oidcgate.net` for calls, `oidcgate.protocol.urls` for
what is configured and registered.
"""

import ipaddress


def is_loopback_host(host: str) -> bool:
    """Whether the host of a URL names this machine: `localhost`, `127.0.0.0/8` or `::1`, spelled out."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False

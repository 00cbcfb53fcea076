"""What can be wrong with public URLs, and with settings that name hosts. Pure.

The settings themselves are in `oidcgate.gate.config`; which host a request is for is `oidcgate.gate.hosts`.
"""

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from oidcgate.gate.hosts import DEFAULT_PORTS
from oidcgate.gate.issuer_settings import issuer_problem
from oidcgate.settings import Problem

__all__ = ["hosts_problem", "public_url_problem", "public_urls_problem", "unknown_hosts"]


def public_url_problem(value: str) -> str | None:
    """What is wrong with one public URL, and what to do; None when nothing is."""
    if (wrong := issuer_problem(value)) is not None:
        return wrong.replace("https://id.example.com", "https://app.example.com")
    parts = urlsplit(value)
    if parts.path:
        return "has a path; write scheme, host and port only, without a slash at the end"
    if value != value.lower() or parts.port == DEFAULT_PORTS[parts.scheme]:
        # Compared with what browsers send as Origin and registered byte for byte at the IdP.
        return "is not in its normal form; write it in lower case and without the default port"
    return None


def public_urls_problem(values: tuple[str, ...]) -> str | None:
    """What is wrong with several public URLs together, each of which is right; None when nothing is."""
    names: set[str | None] = set()
    schemes: set[str] = set()
    for value in values:
        parts = urlsplit(value)
        if parts.hostname in names:
            # Cookies know no ports: each would be sent those of the other, and hand them to another app.
            return f"has {parts.hostname!r} twice; give each a host name of its own, for ports share cookies"
        names.add(parts.hostname)
        schemes.add(parts.scheme)
    return "mixes https and http; write one scheme for all" if len(schemes) > 1 else None


def hosts_problem(values: tuple[str, ...]) -> str | None:
    """What is wrong with a list of hosts that was written; None when nothing is."""
    # Left out it means all. An empty one can mean none as well, and whoever wrote it would be misunderstood.
    return (
        None if values else "is empty, which could mean all hosts or none; leave it out for all, or name some"
    )


def unknown_hosts(key: str, named: Iterable[str], known: Iterable[str]) -> Iterator[Problem]:
    """A problem for each of `named` that is none of `known`.

    Args:
        key: the setting that names them.
    """
    listed = tuple(known)
    for host in named:
        if host not in listed:
            yield Problem(
                key,
                host,
                f"is no host of this gate; there is {', '.join(map(repr, listed))}",
                "write it as the public URL has it, without the scheme",
            )

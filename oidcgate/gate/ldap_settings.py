"""`[users.ldap]`: where an LDAP directory is, and what of it is a user.

Part of `oidcgate.gate.users_settings`; what is asked and how is `oidcgate.directory.ldap`.
"""

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from oidcgate.gate.bundles import bundle_problems
from oidcgate.loopback import is_loopback_host
from oidcgate.settings import Problem, Secret, cross_check, setting

__all__ = ["LdapSettings"]

_ATTRIBUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*|[0-9]+(\.[0-9]+)+")
_PORTS: Final = {"ldap": 389, "ldaps": 636}


def _url_problem(value: str) -> str | None:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return "is no URL; write ldaps://ldap.example.com"
    if parts.scheme not in _PORTS or not parts.hostname or port == 0:
        return "names no directory server; write ldaps://ldap.example.com, or ldap://… with start_tls"
    if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        return "is more than scheme, host and port; put base, filter and bind_dn into settings of their own"
    return None


def _attribute_problem(value: str) -> str | None:
    if _ATTRIBUTE.fullmatch(value):
        return None
    return "is no name of an attribute; write one such as uid or sAMAccountName"


def _attributes_problem(values: tuple[str, ...]) -> str | None:
    return next((wrong for value in values if (wrong := _attribute_problem(value)) is not None), None)


def _filter_problem(value: str) -> str | None:
    """Whether it can stand beside another one; what else is wrong the server says when it is asked."""
    depth = 0
    for at, character in enumerate(value):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 1 and at < len(value) - 1:
            break
    else:
        if depth == 0 and value:
            return None
    return "is not one filter in parentheses; write (objectClass=person), or (&(…)(…)) for several"


@dataclasses.dataclass(frozen=True)
class LdapSettings:
    """`[users.ldap]`."""

    url: str = setting(
        check=_url_problem,
        help="ldaps://HOST, or ldap://HOST with start_tls; with :PORT where it is another one.",
    )
    start_tls: bool = setting(default=False, help="Begin TLS on a connection of ldap://.")
    ca_file: Path | None = setting(
        default=None,
        help="A PEM bundle to check the server's certificate against, instead of the public ones.",
    )
    insecure_plaintext: bool = setting(
        default=False,
        help="Ask without TLS, so that whoever is in between reads the password and says who is known. "
        "Never needed on this machine.",
    )
    bind_dn: str | None = setting(default=None, help="Who asks, as DN. Unset: anonymously.")
    bind_password: Secret | None = setting(default=None, help="The password of bind_dn.")
    base: str = setting(help="The entry below which users are, as DN.")
    filter: str = setting(
        default="(objectClass=person)",
        check=_filter_problem,
        help="What is true of each user, and of nothing else; the name that is looked for is added to it.",
    )
    user_name: str = setting(
        default="uid",
        check=_attribute_problem,
        help="The attribute with the userName; sAMAccountName, mail …",
    )
    display_name: str = setting(
        default="displayName",
        check=_attribute_problem,
        help="The attribute with the name for people to read.",
    )
    attributes: tuple[str, ...] = setting(
        default=(), check=_attributes_problem, help="Further attributes to know of each user."
    )

    @property
    def host(self) -> str:
        """The server's name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The server's port."""
        parts = urlsplit(self.url)
        return parts.port or _PORTS[parts.scheme]

    @property
    def tls_from_the_start(self) -> bool:
        """Whether it is asked over ldaps."""
        return urlsplit(self.url).scheme == "ldaps"

    @cross_check
    def _kept_from_others(self) -> Iterable[Problem]:
        if self.tls_from_the_start:
            for name in ("start_tls", "insecure_plaintext"):
                if getattr(self, name):
                    yield Problem(name, True, "says nothing beside an ldaps: URL", "take it away")
        elif self.start_tls and self.insecure_plaintext:
            yield Problem("insecure_plaintext", True, "contradicts start_tls", "take one of them away")
        elif not self.start_tls and not self.insecure_plaintext and not is_loopback_host(self.host):
            yield Problem(
                "url",
                self.url,
                "is asked without TLS",
                "write ldaps://, or set start_tls (insecure_plaintext where the way there is nobody else's)",
            )

    @cross_check
    def _who_asks(self) -> Iterable[Problem]:
        # A DN without a password would be let in as nobody in particular (RFC 4513 5.1.2).
        if self.bind_dn is not None and self.bind_password is None:
            yield Problem("bind_password", None, "is missing", "set bind_password or bind_password_file")
        if self.bind_password is not None and self.bind_dn is None:
            yield Problem("bind_dn", None, "is missing", "say whose password bind_password is")
        if self.bind_dn == "" or (self.bind_password is not None and not self.bind_password.reveal()):
            yield Problem("bind_password", None, "or bind_dn is empty", "fill in both, or leave both out")

    @cross_check
    def _bundle_readable(self) -> Iterable[Problem]:
        yield from bundle_problems(self.ca_file)

"""From `[users]` to a directory: which one it is, and what can be said about it before anybody signs in.

What is configured is `oidcgate.gate.users_settings`, what a directory does `oidcgate.directory`.
"""

import os
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

from oidcgate.directory.anyone import AnyoneDirectory
from oidcgate.directory.asked import AskedDirectory
from oidcgate.directory.file import FileDirectory
from oidcgate.directory.port import UserDirectory, answers_from_memory
from oidcgate.gate.config import GateConfig
from oidcgate.gate.ldap_settings import LdapSettings
from oidcgate.gate.users_settings import UsersSettings, anchored_users
from oidcgate.settings import Check, Problem

__all__ = ["directory_of", "directory_uninstalled", "known_users_check"]


def directory_of(users: UsersSettings, clock: Callable[[], float] = time.time) -> UserDirectory:
    """The directory that `users.source` names; nothing is read or asked yet."""
    if users.source == "any":
        return AnyoneDirectory()
    if users.ldap is not None:
        return _ldap(users.ldap)
    return FileDirectory(users.source.removeprefix("file:"), clock, max_stale_seconds=users.max_stale_seconds)


def _ldap(settings: LdapSettings) -> UserDirectory:
    # Here, so that only those who ask one need ldap3.
    from oidcgate.directory.ldap import LdapSource
    from oidcgate.directory.ldap_connection import LdapConnections, LdapServer, Protection

    protection = (
        Protection.LDAPS
        if settings.tls_from_the_start
        else Protection.START_TLS
        if settings.start_tls
        else Protection.NONE
    )
    password = settings.bind_password
    server = LdapServer(
        settings.host,
        settings.port,
        protection,
        ca_file=settings.ca_file,
        bind_dn=settings.bind_dn,
        bind_password=None if password is None else password.reveal(),
        timeout_seconds=settings.timeout_seconds,
    )
    source = LdapSource(
        LdapConnections(server),
        settings.base,
        settings.filter,
        user_name=settings.user_name,
        display_name=settings.display_name,
        attributes=settings.attributes,
    )
    return AskedDirectory(source, "users.ldap")


def directory_uninstalled(users: UsersSettings) -> Iterator[Problem]:
    """What the directory needs and is not installed."""
    if users.source == "ldap" and find_spec("ldap3") is None:
        yield Problem("users.source", None, "needs ldap3", "pip install 'oidcgate[ldap]'")


def known_users_check(path: str | os.PathLike[str]) -> Check:
    """A rule for whoever reads the configuration at `path`: its known users can be read.

    A directory that would have to be asked is not: where it is down, the gate starts without it.
    """
    folder = Path(path).absolute().parent

    def check(config: GateConfig) -> Iterator[Problem]:
        directory = directory_of(anchored_users(config.users, folder))
        if answers_from_memory(directory):
            yield from directory.problems()

    return check

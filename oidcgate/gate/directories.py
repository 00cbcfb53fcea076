"""From `[users]` to a directory: which one it is, and what can be said about it before anybody signs in.

What is configured is `oidcgate.gate.users_settings`, what a directory does `oidcgate.directory`.
"""

import os
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from oidcgate.directory.anyone import AnyoneDirectory
from oidcgate.directory.asked import AskedDirectory, UserSource
from oidcgate.directory.file import FileDirectory
from oidcgate.directory.own_function import FunctionUsers
from oidcgate.directory.port import UserDirectory, answers_from_memory
from oidcgate.directory.scim import ScimUsers
from oidcgate.directory.sql import SqlUsers
from oidcgate.gate.config import GateConfig
from oidcgate.gate.ldap_settings import LdapSettings
from oidcgate.gate.users_settings import FILE, FUNCTION, UsersSettings, anchored_users
from oidcgate.net.fetch import AddressRules, Fetcher
from oidcgate.own_code import OwnCodeFailed, named
from oidcgate.settings import Check, Problem, SettingsError, contradictions

__all__ = ["directory_of", "directory_uninstalled", "known_users_check"]


def directory_of(users: UsersSettings, clock: Callable[[], float] = time.time) -> UserDirectory:
    """The directory that `users.source` names; nothing is read or asked yet.

    Raises:
        SettingsError: it names a function that is not there, or a table that is missing.
    """
    if users.source == "any":
        return AnyoneDirectory()
    if users.source.startswith(FILE):
        path = users.source.removeprefix(FILE)
        return FileDirectory(path, clock, max_stale_seconds=users.max_stale_seconds)
    return AskedDirectory(_source_of(users), f"users.source {users.source!r}")


def _source_of(users: UsersSettings) -> UserSource:
    seconds = users.timeout_seconds
    if users.source.startswith(FUNCTION):
        name = users.source.removeprefix(FUNCTION)
        try:
            return FunctionUsers(named(name), name, timeout_seconds=seconds)
        except OwnCodeFailed as error:
            fix = "install it where the gate runs, or let PYTHONPATH lead to it"
            raise SettingsError([Problem("users.source", users.source, str(error), fix)]) from error
    if users.sql is not None:
        return SqlUsers(users.sql.url.reveal(), users.sql.query, timeout_seconds=seconds)
    if users.scim is not None:
        base_url = users.scim.base_url
        rules = AddressRules(
            # The operator typed this host; where it is, is theirs to say.
            trusted_hosts=frozenset({urlsplit(base_url).hostname or ""}),
            insecure_allow_http_loopback=base_url.startswith("http:"),
        )
        fetcher = Fetcher(rules, total_seconds=seconds, ca_file=users.scim.ca_file)
        return ScimUsers(base_url, users.scim.bearer_token, fetcher)
    if users.ldap is not None:
        return _ldap(users.ldap, seconds)
    raise SettingsError(contradictions(users))


def _ldap(settings: LdapSettings, timeout_seconds: float) -> UserSource:
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
        timeout_seconds=timeout_seconds,
    )
    return LdapSource(
        LdapConnections(server),
        settings.base,
        settings.filter,
        user_name=settings.user_name,
        display_name=settings.display_name,
        attributes=settings.attributes,
    )


def directory_uninstalled(users: UsersSettings) -> Iterator[Problem]:
    """What the directory needs and is not installed."""
    if users.source == "ldap" and find_spec("ldap3") is None:
        yield Problem("users.source", None, "needs ldap3", "pip install 'oidcgate[ldap]'")
    if users.sql is not None and users.sql.needs_psycopg and find_spec("psycopg") is None:
        yield Problem("users.sql.url", None, "needs psycopg", "pip install 'oidcgate[sql]'")


def known_users_check(path: str | os.PathLike[str]) -> Check:
    """A rule for whoever reads the configuration at `path`: its known users can be read.

    A directory that would have to be asked is not: where it is down, the gate starts without it.
    """
    folder = Path(path).absolute().parent

    def check(config: GateConfig) -> Iterator[Problem]:
        try:
            directory = directory_of(anchored_users(config.users, folder))
        except SettingsError as error:
            # That a table is missing is told where [users] is judged.
            told = list(contradictions(config.users))
            yield from (problem for problem in error.problems if problem not in told)
            return
        if answers_from_memory(directory):
            yield from directory.problems()

    return check

"""`[users]`: who is known, by which claim, and where the directory is.

Part of `oidcgate.gate.config`; what becomes of these settings is `oidcgate.gate.directories`.
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from oidcgate import own_code
from oidcgate.directory.sql import query_problem, url_problem
from oidcgate.gate.bundles import bundle_problems
from oidcgate.gate.ldap_settings import LdapSettings
from oidcgate.protocol import urls
from oidcgate.settings import Problem, Secret, cross_check, setting

__all__ = [
    "FILE",
    "FUNCTION",
    "ScimUsersSettings",
    "SqlUsersSettings",
    "UsersSettings",
    "anchored_users",
]


#: The sources that have a table of their own.
_TABLES: Final = ("sql", "scim", "ldap")
_SQLITE: Final = "sqlite:///"
FILE: Final = "file:"
FUNCTION: Final = "python:"


def _source_problem(value: str) -> str | None:
    if value in ("any", *_TABLES) or (value.startswith(FILE) and value != FILE):
        return None
    if value.startswith(FUNCTION):
        return own_code.name_problem(value.removeprefix(FUNCTION))
    return (
        'is no known source of users; write "file:users.toml", "sql", "scim", "ldap", '
        '"python:module:function", or "any" to let every signed-in person in'
    )


def _base_url_problem(value: str) -> str | None:
    wrong = urls.endpoint_problem(value, insecure_allow_http_loopback=True)
    if wrong is None and "?" in value:
        wrong = "has a query"
    return None if wrong is None else f"{wrong}; write it like https://people.example.com/scim/v2"


@dataclasses.dataclass(frozen=True)
class SqlUsersSettings:
    """`[users.sql]`: users in a database."""

    url: Secret = setting(
        help='The database: "postgresql+psycopg://USER:PASSWORD@HOST/NAME" or "sqlite:///FILE".',
    )
    query: str = setting(
        check=query_problem,
        help="The SELECT that lists all users, with the columns user_name and, where there are such, active "
        "and display_name. Nothing in it asks for a name: that condition is added.",
    )

    @property
    def needs_psycopg(self) -> bool:
        """Whether the database is a PostgreSQL."""
        return self.url.reveal().startswith("postgresql")

    @cross_check
    def _a_database(self) -> Iterable[Problem]:
        if (wrong := url_problem(self.url.reveal())) is not None:
            message, _, fix = wrong.partition("; ")
            yield Problem("url", None, message, fix)


@dataclasses.dataclass(frozen=True)
class ScimUsersSettings:
    """`[users.scim]`: users of a SCIM 2.0 server."""

    base_url: str = setting(
        check=_base_url_problem, help="What stands before /Users, as in https://people.example.com/scim/v2."
    )
    bearer_token: Secret = setting(help="What the server knows the gate by; it may read users.")
    ca_file: Path | None = setting(
        default=None,
        help="A PEM bundle to check the server's certificate against, instead of the public ones.",
    )

    @cross_check
    def _bundle_readable(self) -> Iterable[Problem]:
        yield from bundle_problems(self.ca_file)


@dataclasses.dataclass(frozen=True)
class UsersSettings:
    """`[users]`: who is known, and by which claim."""

    source: str = setting(
        check=_source_problem,
        help='Where known users are: "file:users.toml" (or .json, .csv), "sql", "scim", "ldap", '
        '"python:module:function"; "any" lets every signed-in person in.',
    )
    match: str = setting(default="preferred_username", help="The claim that names the directory's userName.")
    recheck_seconds: int = setting(
        default=60, minimum=1, maximum=86_400, help="How old the directory's answer about a session may be."
    )
    max_stale_seconds: int = setting(
        default=3600, minimum=0, help="How long its last answers hold when the directory cannot be read."
    )
    insecure_unpinned: bool = setting(
        default=False,
        help="Let whoever presents a known name in, also another person than the one who first signed in "
        "under it.",
    )
    timeout_seconds: float = setting(
        default=5.0,
        minimum=0.1,
        maximum=60,
        help="How long one question to a directory that is not a file may take, connecting included.",
    )
    sql: SqlUsersSettings | None = setting(default=None, help='The database of `source = "sql"`.')
    scim: ScimUsersSettings | None = setting(default=None, help='The server of `source = "scim"`.')

    ldap: LdapSettings | None = setting(default=None, help='The directory of `source = "ldap"`.')

    @cross_check
    def _one_directory(self) -> Iterable[Problem]:
        for name in _TABLES:
            table = getattr(self, name)
            if self.source == name and table is None:
                yield Problem(name, None, "is missing", f"add [users.{name}]")
            if self.source != name and table is not None:
                fix = f'write source = "{name}", or remove the table'
                yield Problem(name, None, f"is not asked while source is {self.source!r}", fix)


def anchored_users(users: UsersSettings, folder: Path) -> UsersSettings:
    """`[users]` with the names of files taken from `folder`."""
    if users.source.startswith(FILE):
        users = dataclasses.replace(users, source=f"{FILE}{folder / users.source.removeprefix(FILE)}")
    if users.sql is not None and (file := users.sql.url.reveal()).startswith(_SQLITE):
        url = Secret(f"{_SQLITE}{folder / file.removeprefix(_SQLITE)}")
        users = dataclasses.replace(users, sql=dataclasses.replace(users.sql, url=url))
    return users

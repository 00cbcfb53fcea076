"""`[users]`: who is known, by which claim, and where the directory is.

Part of `oidcgate.gate.config`; what becomes of these settings is `oidcgate.gate.directories`.
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from oidcgate.gate.ldap_settings import LdapSettings
from oidcgate.settings import Problem, cross_check, setting

__all__ = ["UsersSettings", "anchored_users"]


def _source_problem(value: str) -> str | None:
    if value in ("any", "ldap") or (value.startswith("file:") and value != "file:"):
        return None
    return (
        'is no known source of users; write "file:users.toml" or "ldap", or "any" to let every signed-in '
        "person in"
    )


@dataclasses.dataclass(frozen=True)
class UsersSettings:
    """`[users]`: who is known, and by which claim."""

    source: str = setting(
        check=_source_problem,
        help='Where known users are: "file:users.toml" (or .json), "ldap"; "any" lets every signed-in person '
        "in.",
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
    ldap: LdapSettings | None = setting(default=None, help="The LDAP directory.")

    @cross_check
    def _source_described(self) -> Iterable[Problem]:
        if self.source == "ldap" and self.ldap is None:
            yield Problem("ldap", None, "is missing", "add [users.ldap] with url and base")
        if self.source != "ldap" and self.ldap is not None:
            yield Problem("ldap", None, "has no effect", 'set users.source = "ldap", or take it away')


def anchored_users(users: UsersSettings, folder: Path) -> UsersSettings:
    """`[users]` with a file's name taken from `folder`."""
    if not users.source.startswith("file:"):
        return users
    return dataclasses.replace(users, source=f"file:{folder / users.source.removeprefix('file:')}")

"""`[break_glass]`: users with a password of the gate's own, for when no identity provider answers.

Part of `oidcgate.gate.config`; what they are is `local_users`, their page `break_glass`, next door.
"""

import dataclasses
from collections.abc import Iterable

from oidcgate.gate.local_users import entries_of
from oidcgate.settings import Problem, Secret, cross_check, setting

__all__ = ["BreakGlassSettings"]


@dataclasses.dataclass(frozen=True)
class BreakGlassSettings:
    """`[break_glass]`."""

    users: Secret = setting(
        help="NAME:HASH a line, from `oidcgate secret --password NAME`. Each has to be a known user too.",
        made_by="run (umask 077; oidcgate secret --password NAME >> {file})",
    )
    session_minutes: float = setting(
        default=60, minimum=1, maximum=480, help="A session of theirs ends so long after the sign-in."
    )

    @cross_check
    def _lines(self) -> Iterable[Problem]:
        entries, problems = entries_of(self.users.reveal())
        yield from problems
        if not entries and not problems:
            yield Problem("users", None, "holds nobody", "add a line with `oidcgate secret --password NAME`")

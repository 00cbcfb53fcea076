"""The directory of `users.source = "any"`: it holds nobody and knows everybody who signed in."""

from typing import Final

from oidcgate.directory.port import KnownUser, user_name_problem
from oidcgate.settings import Problem


class AnyoneDirectory:
    """Every name that can be a userName is a user of that name."""

    answers_from_memory: Final = True

    def find(self, name: str, *, now: int) -> KnownUser | None:
        return None if user_name_problem(name) else KnownUser(name)

    def generation(self) -> int:
        return 0

    def problems(self) -> list[Problem]:
        return []

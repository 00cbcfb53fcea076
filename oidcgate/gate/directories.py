"""From `[users]` to a directory: which one it is, and what can be said about it before anybody signs in.

What is configured is `oidcgate.gate.users_settings`, what a directory does `oidcgate.directory`.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from oidcgate.directory.anyone import AnyoneDirectory
from oidcgate.directory.file import FileDirectory
from oidcgate.directory.port import UserDirectory, answers_from_memory
from oidcgate.gate.config import GateConfig
from oidcgate.gate.users_settings import UsersSettings, anchored_users
from oidcgate.settings import Check, Problem

__all__ = ["directory_of", "known_users_check"]


def directory_of(users: UsersSettings, clock: Callable[[], float] = time.time) -> UserDirectory:
    """The directory that `users.source` names; nothing is read or asked yet."""
    if users.source == "any":
        return AnyoneDirectory()
    return FileDirectory(users.source.removeprefix("file:"), clock, max_stale_seconds=users.max_stale_seconds)


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

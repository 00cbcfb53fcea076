"""Users that an operator's own function knows: it gets a name and gives a user, or None."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oidcgate.directory.asked import sound_users
from oidcgate.directory.port import AmbiguousUser, DirectoryUnavailable, KnownUser
from oidcgate.own_code import Limited, OwnCodeFailed
from oidcgate.settings import Problem

__all__ = ["FunctionUsers"]


class FunctionUsers:
    """The users that `function` knows.

    It is called with a name, in a thread, and gives a `KnownUser`, a mapping by the names of SCIM
    (`userName`, `active`, `displayName`), or None. It raises `AmbiguousUser` when several have the name;
    every other exception means that it cannot say.

    Args:
        function: the function.
        name: how the configuration names it.
        timeout_seconds: how long it may take.
    """

    def __init__(self, function: Callable[..., Any], name: str, *, timeout_seconds: float) -> None:
        self._call = Limited(function, seconds=timeout_seconds)
        self._name = name

    def users_like(self, name: str) -> Sequence[KnownUser]:
        try:
            answer = self._call(name)
        except OwnCodeFailed as error:
            if isinstance(error.__cause__, AmbiguousUser):
                raise error.__cause__ from None
            raise DirectoryUnavailable(f"{self._name}: {error}") from error
        if answer is None:
            return ()
        if isinstance(answer, KnownUser):
            # Read like any other: what is typed is not what every function gives.
            answer = {
                **answer.attributes,
                "userName": answer.user_name,
                "active": answer.active,
                "displayName": answer.display_name,
            }
        if not isinstance(answer, Mapping):
            if hasattr(answer, "close"):
                # A coroutine that nobody awaits complains when it goes.
                answer.close()
            given = f"it gave a {type(answer).__name__}, and neither a user, a mapping nor None"
            raise DirectoryUnavailable(f"{self._name}: {given}", answered=True)
        return sound_users([answer], self._name)

    def problems(self) -> list[Problem]:
        self.users_like("oidcgate-check")
        return []

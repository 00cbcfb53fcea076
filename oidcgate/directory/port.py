"""The port of known users: who may come in, and what the directory alone knows about them.

Also here: what a userName may look like and when two of them are the same one, for every directory.
Implementations: `file`; `asked`, over places that are asked for one name at a time; and `anyone`, which knows
no users and lets every signed-in person in.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Protocol

from oidcgate.settings import Problem

LONGEST_USER_NAME: Final = 150

# Control and format characters, halves of surrogate pairs, line and paragraph separators: a name that holds
# one looks like another name, or breaks the line that it is logged or forwarded in.
_REFUSED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class KnownUser:
    """A user of the directory.

    Attributes:
        user_name: as the directory writes it.
        active: an inactive user is known, and is not to be let in; that is the caller's to refuse.
        display_name: for people to read.
        attributes: whatever else the directory says; read-only.
    """

    user_name: str
    active: bool = True
    display_name: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


class DirectoryUnavailable(Exception):
    """The directory cannot say now who is known. The message is for the log.

    Attributes:
        answered: it was reached, and what it answered is of no use: most often a setting is wrong.
    """

    def __init__(self, message: str, *, answered: bool = False) -> None:
        super().__init__(message)
        self.answered = answered


class AmbiguousUser(Exception):
    """Several users of the directory have this name, so it means none of them."""


class LookAlike(AmbiguousUser):
    """The name is nobody's and looks like a user's: equal by `fold`, and not by `same_name`.

    Not for an app's eyes either, where a rule lets in whom the directory does not know.
    """


class UserDirectory(Protocol):
    """Known users by name.

    One that answers `find` from memory, and calls `oidcgate.waiting.about_to_wait` before it does otherwise,
    says so by a class attribute `answers_from_memory = True`: it is then asked on an event loop as well. Any
    other is asked in a thread.
    """

    def find(self, name: str, *, now: int) -> KnownUser | None:
        """The user that `name` means (see `same_name`), or None. `now` is epoch seconds.

        Raises:
            DirectoryUnavailable: it cannot be said.
            AmbiguousUser: two users or more have this name.
            LookAlike: it only looks like a user's name. A directory that cannot tell, since whom it asks
                compares by case alone, answers None.
        """

    def generation(self) -> int:
        """Another number once an answer may have changed; cheap enough for every request."""

    def problems(self) -> list[Problem]:
        """What is wrong with the directory's content; whoever has a problem is refused.

        One that does not answer from memory asks for it, so it is called by commands only.

        Raises:
            DirectoryUnavailable: it cannot be said; never by one that answers from memory.
        """


def answers_from_memory(directory: UserDirectory) -> bool:
    """Whether it may be asked on an event loop, and at start; see `UserDirectory`."""
    return getattr(directory, "answers_from_memory", False)


def fold(name: str) -> str:
    """The form in which no two users of a directory may be equal: case and compatible spellings do not count.

    Spec: RFC 7643 4.1.1 (userName is case-insensitive and unique); Unicode D146 (compatibility caseless
    match).
    """
    if name.isascii():
        # The same, and most names: this runs in the first request of each session.
        return name.lower()
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFD", name).casefold()).casefold()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", folded))


def same_name(presented: str, user_name: str) -> bool:
    """Whether a name that an identity provider gives means this user: equal but for case.

    Narrower than `fold`, and on purpose. A provider that tells a full-width or a Kelvin `K` from `k`, or
    `ß` from `ss`, lets somebody register the look-alike of another person's name; the look-alike is nobody
    here.
    """
    return spelling(presented) == spelling(user_name)


def spelling(name: str) -> tuple[str, str]:
    """What a name is remembered by: the same for those that `same_name` takes for one, and for no others."""
    if name.isascii():
        return "ascii", name.lower()
    if any(map(_is_a_duplicate, name)):
        return "as it is", name
    return "composed", unicodedata.normalize("NFC", name).lower()


def _is_a_duplicate(character: str) -> bool:
    """Whether Unicode has it a second time, which NFC puts in its place (`K` for the Kelvin sign)."""
    kept = unicodedata.normalize("NFC", character)
    return kept != character and len(kept) == 1


def user_name_problem(name: object) -> tuple[str, str] | None:
    """What keeps `name` from being a userName, and what to do; None when it is one."""
    if not isinstance(name, str):
        return "is not a string", "write it in quotes"
    if not name:
        return "is empty", "give the user a name"
    if len(name) > LONGEST_USER_NAME:
        return f"is longer than {LONGEST_USER_NAME} characters", "shorten it"
    if name != name.strip():
        return "has spaces around it", "remove them"
    if any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in name):
        return "holds a control or an invisible character", "remove it"
    return None

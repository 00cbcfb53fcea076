"""People with a password of the gate's own, for the day on which no identity provider answers.

Here is the form of their list, `NAME:HASH` a line with argon2id, making such a line, and comparing a password
at the same cost whether the name is there or not. Who may then come in is decided in `break_glass`; how often
one may try in `guesses`, both next door.
"""

import re
import threading
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from oidcgate.directory.port import fold, same_name, user_name_problem
from oidcgate.settings import Problem

if TYPE_CHECKING:
    from argon2 import PasswordHasher

__all__ = ["AT_ONCE", "FEWEST_CHARACTERS", "Busy", "LocalUsers", "entries_of", "line_for"]

#: A password that is all there is to a sign-in. Spec: NIST SP 800-63B-4 3.1.1.2.
FEWEST_CHARACTERS: Final = 15
#: Longer ones are not compared: hashing must not be made dearer by whoever sends the form.
_LONGEST_BYTES: Final = 1024
#: As much at once as a busy machine can bear: each takes 64 MB and a core for a moment.
AT_ONCE: Final = 2

_HASH: Final = re.compile(
    r"\$argon2id\$v=19\$m=(?P<memory>[0-9]{1,8}),t=(?P<time>[0-9]{1,3}),p=[0-9]{1,3}"
    r"\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{22,}"
)
# In KiB. Spec: RFC 9106 4 (the second choice has 64 MiB); above, one try would take the machine.
_LEAST_MEMORY: Final = 19_456
_MOST_MEMORY: Final = 1_048_576


class Busy(Exception):
    """As many as may be are being compared. Nothing was compared."""


def entries_of(text: str) -> tuple[Mapping[str, tuple[str, str]], tuple[Problem, ...]]:
    """Name and hash by folded name, and what is wrong; an entry with a problem is left out.

    Empty lines and those that begin with `#` say nothing. No problem shows a hash.
    """
    entries: dict[str, tuple[str, str]] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, hashed = line.rstrip().rpartition(":")
        wrong = _line_problem(name, hashed)
        if wrong is None and fold(name) in entries:
            wrong = f"{name!r} is there twice", "take one of them away"
        if wrong is None:
            entries[fold(name)] = name, hashed
        else:
            problems.append(Problem(f"users (line {number})", None, *wrong))
    return MappingProxyType(entries), tuple(problems)


def _line_problem(name: str, hashed: str) -> tuple[str, str] | None:
    made_by = "make it with `oidcgate secret --password NAME`"
    if not name or (wrong := user_name_problem(name)) is not None:
        return "names nobody", made_by if not name else ", ".join(wrong or ())
    found = _HASH.fullmatch(hashed)
    if found is None:
        return f"the hash of {name!r} is no argon2id", made_by
    if not _LEAST_MEMORY <= int(found["memory"]) <= _MOST_MEMORY or not 1 <= int(found["time"]) <= 100:
        return f"the cost of the hash of {name!r} is too low or too high", made_by
    return None


def line_for(name: str, password: str) -> str:
    """The line that lets `name` in with this password.

    Raises:
        ValueError: name or password will not do; the message says why, and never shows the password.
    """
    wrong = user_name_problem(name)
    if wrong is not None:
        raise ValueError("{}; {}".format(*wrong))
    if len(password) < FEWEST_CHARACTERS:
        raise ValueError(f"the password is too short; take {FEWEST_CHARACTERS} characters or more")
    if len(_encoded(password)) > _LONGEST_BYTES:
        raise ValueError(f"the password is longer than {_LONGEST_BYTES} bytes; shorten it")
    return f"{name}:{_hasher().hash(_encoded(password))}"


class LocalUsers:
    """Those of one list. Safe to share between threads.

    Args:
        entries: what `entries_of` gave; never empty.
    """

    def __init__(self, entries: Mapping[str, tuple[str, str]]) -> None:
        self._entries = entries
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    def __repr__(self) -> str:
        return f"LocalUsers({len(self._entries)} users)"

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._entries.values())

    def named(self, name: str) -> str | None:
        """The name as the list has it, if it is there."""
        found = self._entries.get(fold(name))
        return found[0] if found is not None and same_name(name, found[0]) else None

    def admits(self, name: str, password: str) -> bool:
        """Whether name and password belong together.

        Of a name that is not there, the password is compared with another one's hash: it takes as long, and
        does not count.

        Raises:
            Busy: nobody can say now.
        """
        from argon2.exceptions import VerifyMismatchError

        known = self.named(name)
        anybody = next(iter(self._entries))
        _, hashed = self._entries[anybody if known is None else fold(known)]
        encoded = _encoded(password)
        usable = 0 < len(encoded) <= _LONGEST_BYTES
        # Nobody waits for a turn: the thread is one that people who are signed in may need.
        if not self._turns.acquire(blocking=False):
            raise Busy
        try:
            _hasher().verify(hashed, encoded if usable else b"x")
        except VerifyMismatchError:
            return False
        finally:
            self._turns.release()
        return usable and known is not None


def _encoded(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


def _hasher() -> "PasswordHasher":
    # Here, so that only those who have such users need argon2.
    from argon2 import PasswordHasher

    return PasswordHasher()

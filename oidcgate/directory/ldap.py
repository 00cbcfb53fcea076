"""Known users in an LDAP directory: OpenLDAP, 389 Directory Server, Active Directory and their like.

Here is what is asked and what an entry says; connections are `ldap_connection` next door. A name goes into
the filter with every byte escaped that could mean anything there, and whoever comes back is compared once
more (`asked`): the server's idea of equal names is wider than ours.

Spec: RFC 4511 4.5; RFC 4515; RFC 4519 2.39 (`uid`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from oidcgate.directory.ldap_connection import LdapConnections
from oidcgate.directory.port import DirectoryUnavailable, KnownUser, fold, same_name, user_name_problem
from oidcgate.settings import Problem

__all__ = ["LdapSource", "escaped"]

#: Two of a name are enough to know that it is ambiguous. But a server takes names for equal that are not, and
#: the one that is meant must not be cut off behind those.
_MOST: Final = 10
_NO_ATTRIBUTE: Final = "1.1"  # RFC 4511 4.5.1.8
_PLAIN: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_@")

# What servers say of accounts that an administrator switched off. Each is asked for by name, for some are
# operational attributes; a server that has none of them gives none.
_ACTIVE_DIRECTORY: Final = "userAccountControl"
_ACCOUNT_DISABLE: Final = 0x2  # [MS-ADTS] 2.2.16, D in the table of flags
_389: Final = "nsAccountLock"
_EDIRECTORY: Final = "loginDisabled"
_LOCKED: Final = "pwdAccountLockedTime"
# Any other time is the end of too many wrong passwords: anybody can cause that, and it passes.
_LOCKED_FOR_GOOD: Final = b"000001010000Z"
_OF_STATE: Final = (_ACTIVE_DIRECTORY, _389, _EDIRECTORY, _LOCKED)


@dataclass(frozen=True)
class LdapSource:
    """The users below one entry.

    Attributes:
        base: the entry, as DN.
        filter: what is true of every user and of nothing else.
        user_name: the attribute that holds the userName.
        display_name: the attribute that holds the name for people to read.
        attributes: further ones to know of each user.
    """

    connections: LdapConnections
    base: str
    filter: str
    user_name: str
    display_name: str
    attributes: tuple[str, ...] = field(default=())

    def users_like(self, name: str) -> Sequence[KnownUser]:
        query = f"(&{self.filter}({self.user_name}={escaped(name)}))"
        wanted = dict.fromkeys((self.user_name, self.display_name, *_OF_STATE, *self.attributes))
        entries = self.connections.search(self.base, query, tuple(wanted), most=_MOST)
        users = [self._user(entry, name) for entry in entries.found]
        alike = [user for user in users if user is not None]
        if entries.more and sum(fold(user.user_name) == fold(name) for user in alike) < 2:
            raise DirectoryUnavailable(
                f"more than {_MOST} entries answer to {name!r}; narrow users.ldap.filter", answered=True
            )
        return alike

    def problems(self) -> list[Problem]:
        # Names that compare equal are seen when they are asked for: nobody wants to read a whole directory.
        if self.connections.search(self.base, self.filter, (_NO_ATTRIBUTE,), most=1).found:
            return []
        return [
            Problem(
                "users.ldap.filter",
                self.filter,
                f"is true of nothing below {self.base!r} that users.ldap.bind_dn may see",
                "correct it or users.ldap.base, or let bind_dn read there",
            )
        ]

    def close(self) -> None:
        """Close the connections that wait for the next question."""
        self.connections.close()

    def _user(self, entry: Mapping[str, tuple[bytes, ...]], name: str) -> KnownUser | None:
        """The user that an entry describes; None when it is none of that name that anybody could be."""
        names = [text for text in _texts(entry, self.user_name) if user_name_problem(text) is None]
        if not names:
            return None
        # Of several values the one that was asked for; of a look-alike's any, it is compared again.
        user_name = next((one for one in names if same_name(name, one)), names[0])
        shown = next(iter(_texts(entry, self.display_name)), None)
        attributes = {one: _texts(entry, one) for one in self.attributes}
        return KnownUser(
            user_name,
            not _switched_off(entry),
            shown,
            MappingProxyType({one: values for one, values in attributes.items() if values}),
        )


def escaped(value: str) -> str:
    """`value` as an assertion value: every byte that is not plain becomes `\\xx`. Spec: RFC 4515 3."""
    return "".join(chr(byte) if byte in _PLAIN else f"\\{byte:02x}" for byte in value.encode())


def _switched_off(entry: Mapping[str, tuple[bytes, ...]]) -> bool:
    flags = entry.get(_ACTIVE_DIRECTORY.lower(), ())
    # What is no number is no word for "active" either.
    if any(not _digits(value) or int(value) & _ACCOUNT_DISABLE for value in flags):
        return True
    words = (*entry.get(_389.lower(), ()), *entry.get(_EDIRECTORY.lower(), ()))
    if any(value.lower() != b"false" for value in words):
        return True
    return _LOCKED_FOR_GOOD in entry.get(_LOCKED.lower(), ())


def _digits(value: bytes) -> bool:
    return value.lstrip(b"-").isdigit() and len(value) <= 11


def _texts(entry: Mapping[str, tuple[bytes, ...]], name: str) -> tuple[str, ...]:
    """The values of an attribute that are text."""
    found = []
    for value in entry.get(name.lower(), ()):
        try:
            found.append(value.decode())
        except UnicodeDecodeError:
            continue
    return tuple(found)

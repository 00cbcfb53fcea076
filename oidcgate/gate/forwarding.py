"""How an app that runs elsewhere is told who the user is: headers, by the names of a preset. Pure.

Here lives what each preset sends, and what cannot be sent in a header at all. Which names are taken away from
clients is the subject of `oidcgate.identity`; the headers are computed when a session's person is looked at
anew, not for each request.

Values travel as UTF-8. A list is joined with commas, and an entry writes `%`, a comma, control characters
and blanks at its ends as `%25`, `%2C` and so on, so that no entry can pretend to be two, or another. A user
name is sent as it is or not at all: one that a header would change (control characters, blanks at its ends)
or that a reader could take for two (a comma) is refused, because the app would see somebody else. An e-mail
address of that kind is left out.

A context attribute in a header of its own (`[[forward.headers]]`) is written as an entry of a list is, also
when it is a single text: reading one and reading many is the same. Numbers and booleans are written as JSON
has them, and so are objects, escaped like any other entry. What is not there, or empty, is no header.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

from oidcgate.identity import Identity

__all__ = ["PRESETS", "PRESET_OF_A_PROXY", "USER_NAME", "Forwarding", "NotForwardable", "names_of"]

HeaderPairs = tuple[tuple[bytes, bytes], ...]

# C0, DEL, C1, and the line separators that some readers break at.
_CONTROL: Final = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_NO_NAME = re.compile(rf"[{_CONTROL},]|\A\s|\s\Z|\A\Z")
_NO_ENTRY = re.compile(rf"[{_CONTROL},%]|\A\s+|\s+\Z")


class NotForwardable(ValueError):
    """The user's name cannot be said in a header without becoming another's."""


def _name(identity: Identity) -> bytes:
    if _NO_NAME.search(identity.user_name):
        raise NotForwardable
    return identity.user_name.encode()


def _email(identity: Identity) -> bytes | None:
    value = identity.claims.get("email")
    if not isinstance(value, str) or _NO_NAME.search(value):
        # Left out: an app that needs one asks for it; a changed one could be another person's.
        return None
    return value.encode()


def _groups(identity: Identity) -> bytes | None:
    value = identity.claims.get("groups")
    if isinstance(value, str):
        value = (value,)
    if not isinstance(value, tuple | list):
        return None
    return _joined(entry for entry in value if isinstance(entry, str))


def _joined(entries: Iterable[str]) -> bytes | None:
    escaped = (_NO_ENTRY.sub(_escaped, entry) for entry in entries)
    return ",".join(filter(None, escaped)).encode() or None


def _escaped(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode())


# What a session says of itself, beside its claims.
_FACTS: Final[Mapping[str, Callable[[Identity], Any]]] = {
    "sub": lambda identity: identity.sub,
    "iss": lambda identity: identity.issuer,
    "idp": lambda identity: identity.idp,
    "acr": lambda identity: identity.acr,
    "amr": lambda identity: identity.amr,
    "auth_time": lambda identity: identity.auth_time,
}


def _attribute(name: str, identity: Identity) -> bytes | None:
    fact = _FACTS.get(name)
    value = identity.claims.get(name) if fact is None else fact(identity)
    entries = value if isinstance(value, tuple | list) else (value,)
    return _joined(_text(entry) for entry in entries if entry is not None)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    # An identity's mappings are read-only, which JSON does not know.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=dict)


Source = Callable[[Identity], bytes | None]

#: What a header carries that names the person: the directory's `userName`, which is no attribute.
USER_NAME: Final = "userName"

_SOURCES: Final[dict[str, tuple[tuple[str, str, Source], ...]]] = {
    "none": (),
    # Spec: oauth2-proxy, "pass_user_headers" and "set_xauthrequest".
    "oauth2-proxy": (
        ("X-Forwarded-User", USER_NAME, _name),
        ("X-Forwarded-Preferred-Username", USER_NAME, _name),
        ("X-Forwarded-Email", "email", _email),
        ("X-Forwarded-Groups", "groups", _groups),
    ),
}
#: Whose header names a gate can send.
PRESETS: Final = tuple(_SOURCES)
#: What an app behind a proxy expects that is told nothing else.
PRESET_OF_A_PROXY: Final = "oauth2-proxy"


def names_of(preset: str) -> tuple[str, ...]:
    """The header names of a preset."""
    return tuple(name for name, _, _ in _SOURCES[preset])


class Forwarding:
    """What one gate sends.

    Attributes:
        names: every header name that this gate may set.
        carried: what each of them carries: a context attribute, a fact of the session, or `USER_NAME`.
    """

    def __init__(
        self,
        preset: str = "none",
        user_headers: Iterable[str] = (),
        attributes: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Compose.

        Args:
            preset: whose names: one of `PRESETS`.
            user_headers: further names that carry the user name.
            attributes: further names, each with the context attribute that it carries.
        """
        sources: tuple[tuple[str, str, Source], ...] = (
            *_SOURCES[preset],
            *((name, USER_NAME, _name) for name in user_headers),
            *((name, attribute, partial(_attribute, attribute)) for name, attribute in attributes),
        )
        self.names = tuple(name for name, _, _ in sources)
        self.carried = tuple((name, carried) for name, carried, _ in sources)
        self._sources = tuple((name.lower().encode(), source) for name, _, source in sources)

    def headers(self, identity: Identity) -> HeaderPairs:
        """The headers for a person, names in lower case.

        Raises:
            NotForwardable: the name cannot be sent.
        """
        if not self._sources:
            return ()
        pairs = ((name, source(identity)) for name, source in self._sources)
        return tuple((name, value) for name, value in pairs if value is not None)

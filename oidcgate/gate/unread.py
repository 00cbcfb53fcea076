"""Settings that nobody reads: one file may serve several ways to run a gate, and each reads its part of it.

Here lives `READERS`, who reads which of the settings in front of an app, and `unread`, which finds those that
are set and have no effect. Whether that is an error or a warning is said by whoever starts: a front, or the
commands.
"""

import dataclasses
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from oidcgate.gate.config import GateConfig

__all__ = ["READERS", "Reader", "Unread", "Use", "unread", "unread_line"]


class Use(StrEnum):
    """A way to run a gate. Those of the sidecar are named as `proxy.engine` names them."""

    ASYNC = "async"
    WSGI = "wsgi"
    AROUND_A_PROXY = "proxy"  # one that was made by hand
    AROUND_AN_APP = "app"


class Reader(NamedTuple):
    """Who reads a setting, or a table."""

    key: str
    uses: frozenset[Use]
    name: str


class Unread(NamedTuple):
    """A setting that has no effect, and who would read it."""

    key: str
    reader: str


_SIDECAR: Final = "`oidcgate serve`"
_ASYNC: Final = f'{_SIDECAR} with proxy.engine = "async"'
_WSGI: Final = f'{_SIDECAR} with proxy.engine = "wsgi"'
_PROXIES: Final = frozenset({Use.ASYNC, Use.WSGI, Use.AROUND_A_PROXY})

#: The first that fits a setting holds. What is in no table of these is read by every gate.
READERS: Final = (
    # Says how a path may be read, and so how it is judged.
    Reader("proxy.insecure_encoded_slash", _PROXIES, f"{_SIDECAR}, and a gate around a ReverseProxy"),
    Reader("proxy.message_bytes", frozenset({Use.ASYNC}), _ASYNC),
    Reader("serve.head_seconds", frozenset({Use.ASYNC}), _ASYNC),
    Reader("serve.client_idle_seconds", frozenset({Use.ASYNC}), _ASYNC),
    Reader("serve.threads", frozenset({Use.WSGI}), _WSGI),
    Reader("proxy", frozenset({Use.ASYNC, Use.WSGI}), _SIDECAR),
    Reader("serve", frozenset({Use.ASYNC, Use.WSGI}), _SIDECAR),
)


def unread(config: "GateConfig", use: Use) -> Iterator[Unread]:
    """What is set to another value than its default, and not read in this use."""
    for table in ("proxy", "serve"):
        settings = getattr(config, table)
        for field in dataclasses.fields(settings):
            key = f"{table}.{field.name}"
            reader = next(reader for reader in READERS if reader.key in (key, table))
            if use not in reader.uses and getattr(settings, field.name) != field.default:
                yield Unread(key, reader.name)


def unread_line(config: "GateConfig", use: Use) -> str | None:
    """All of it as one line for people; None when everything is read."""
    keys: dict[str, list[str]] = {}
    for found in unread(config, use):
        keys.setdefault(found.reader, []).append(found.key)
    told = [f"{', '.join(listed)} (for {reader})" for reader, listed in keys.items()]
    return f"settings that have no effect here: {'; '.join(told)}" if told else None

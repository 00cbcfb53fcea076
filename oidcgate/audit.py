"""The audit log's mechanism: one JSON line per event.

Which events there are is declared by each side (`oidcgate.gate.events`, `provider.events`) as frozen
dataclasses below `Event`. No event may hold a secret, code, token or cookie: nothing here looks for them.
"""

import dataclasses
import json
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

#: Longer strings are cut: what a client sent must not be able to fill the disk by one line.
MAX_TEXT: Final = 500
_MAX_ENTRIES = 50

_write_log = logging.getLogger("oidcgate.audit").info


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that happened and that an operator may have to prove. Subclasses add fields and a name."""

    name: ClassVar[str]


class Audit:
    """Writes events; the default writer is the logger `oidcgate.audit` at level INFO.

    Args:
        write: gets one line without its line end; None for the logger.
        clock: epoch seconds.
    """

    def __init__(
        self, write: Callable[[str], None] | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._write = write or _to_log
        self._clock = clock

    def emit(self, event: Event) -> None:
        """Write `event` as {"event": name, "at": UTC time with milliseconds, ...its fields}."""
        at = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds")
        fields = {field.name: _plain(getattr(event, field.name)) for field in dataclasses.fields(event)}
        line = {"event": event.name, "at": at.replace("+00:00", "Z"), **fields}
        # ASCII only: JSON escapes control characters, and U+2028 and its like must not split a line either.
        self._write(json.dumps(line, ensure_ascii=True, separators=(",", ":")))


def _to_log(line: str) -> None:
    # As an argument: a percent sign in the line is no format.
    _write_log("%s", line)


def _plain(value: Any) -> Any:
    """`value` as JSON has it; whatever is no JSON by its text, so that a secret holder shows its mask."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, Mapping):
        entries = list(value.items())[:_MAX_ENTRIES]
        return {_cut(str(name)): _plain(entry) for name, entry in entries}
    if isinstance(value, list | tuple | set | frozenset):
        ordered = sorted(value, key=str) if isinstance(value, set | frozenset) else list(value)
        return [_plain(entry) for entry in ordered[:_MAX_ENTRIES]]
    return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"

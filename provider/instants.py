"""How an instant is written for people: in commands, problems, warnings and pages."""

from datetime import UTC, datetime
from typing import NamedTuple


def shown(at: int) -> str:
    """Epoch seconds as date and time in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


class Moment(NamedTuple):
    """An instant as pages say it.

    Attributes:
        text: In UTC, since a server does not know where its reader lives, and without seconds.
        machine: For the `datetime` of an HTML `time`.
    """

    text: str
    machine: str


def moment(at: int) -> Moment:
    """Epoch seconds as pages say them."""
    said = datetime.fromtimestamp(at, UTC)
    return Moment(said.strftime("%Y-%m-%d %H:%M UTC"), said.strftime("%Y-%m-%dT%H:%M:%SZ"))

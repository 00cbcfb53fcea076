"""What the tool desk knows: tools, who has them, drawings that people left, and the last movements.

All of it is in memory and gone with the process. No HTTP here; `server` asks, `pages` shows.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

DRAWINGS = 12
MOVEMENTS = 8


@dataclass(frozen=True)
class Tool:
    """One tool on the wall; its number is painted on the handle."""

    number: str
    name: str
    shelf: str


@dataclass(frozen=True)
class Card:
    """A borrower's card, by the name the company knows the person by."""

    number: str
    bench: str


@dataclass(frozen=True)
class Drawing:
    """A file that somebody left at the desk."""

    number: int
    name: str
    owner: str
    content: bytes


@dataclass(frozen=True)
class Movement:
    """A tool that went out or came back."""

    serial: int
    time: str
    text: str


TOOLS = (
    Tool("H-014", "Bending iron", "A1"),
    Tool("H-022", "Peg shaper, 1:30", "A1"),
    Tool("H-023", "Reamer, 1:30", "A1"),
    Tool("H-031", "Purfling cutter", "A2"),
    Tool("H-040", "Finger plane, 12 mm", "A2"),
    Tool("H-041", "Finger plane, 18 mm", "A2"),
    Tool("M-003", "Thickness caliper", "B1"),
    Tool("M-007", "Sound post setter", "B1"),
    Tool("M-011", "Microphone, measuring", "B2"),
    Tool("P-002", "Glue pot, electric", "C1"),
)
CARDS: Mapping[str, Card] = {
    "Alice": Card("0417", "Bench 3"),
    "bob": Card("0422", "Bench 7"),
    "dmitri.v": Card("0388", "String room"),
    "elif": Card("0451", "Bench 8"),
    "haruto": Card("0431", "Acoustics"),
}
LENT = {"H-014": "Alice", "M-007": "Alice", "H-040": "bob", "M-011": "haruto"}


class NotPossible(Exception):
    """The desk says no; the text is for the borrower."""


@dataclass
class Desk:
    """The desk of one day. Safe to use from several threads."""

    clock: Callable[[], str] = lambda: time.strftime("%H:%M:%S")
    lent: dict[str, str] = field(default_factory=lambda: dict(LENT))
    drawings: deque[Drawing] = field(default_factory=lambda: deque(maxlen=DRAWINGS))
    movements: deque[Movement] = field(default_factory=lambda: deque(maxlen=MOVEMENTS))
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _drawings_so_far: int = 0
    _movements_so_far: int = 0

    def held_by(self, name: str) -> list[Tool]:
        """The tools that somebody has."""
        return [tool for tool in TOOLS if self.lent.get(tool.number) == name]

    def borrow(self, number: str, name: str) -> None:
        """Hand out a tool.

        Raises:
            NotPossible: there is no such tool, or somebody has it.
        """
        with self._changed:
            tool = _tool(number)
            if number in self.lent:
                raise NotPossible(f"{tool.name} is with {self.lent[number]}.")
            self.lent[number] = name
            self._move(f"{name} took {tool.name} ({number})")

    def bring_back(self, number: str, name: str) -> None:
        """Take a tool back.

        Raises:
            NotPossible: it is not with this person.
        """
        with self._changed:
            tool = _tool(number)
            if self.lent.get(number) != name:
                raise NotPossible(f"{tool.name} is not with you.")
            del self.lent[number]
            self._move(f"{name} brought back {tool.name} ({number})")

    def leave(self, name: str, content: bytes, owner: str) -> Drawing:
        """Keep a drawing; the oldest makes room."""
        with self._changed:
            self._drawings_so_far += 1
            drawing = Drawing(self._drawings_so_far, name, owner, content)
            self.drawings.append(drawing)
            self._move(f"{owner} left a drawing, {name}")
        return drawing

    def drawing(self, number: int) -> Drawing | None:
        """A drawing that is still kept."""
        return next((drawing for drawing in list(self.drawings) if drawing.number == number), None)

    def wait(self, after: int, seconds: float) -> list[Movement]:
        """The movements after that serial, as soon as there are any; none when none came in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._movements_so_far > after, seconds)
            return [movement for movement in self.movements if movement.serial > after]

    def _move(self, text: str) -> None:
        self._movements_so_far += 1
        self.movements.append(Movement(self._movements_so_far, self.clock(), text))
        self._changed.notify_all()


def _tool(number: str) -> Tool:
    for tool in TOOLS:
        if tool.number == number:
            return tool
    raise NotPossible("There is no such tool.")

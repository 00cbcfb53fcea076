"""Metrics that somebody asks for: where, and what is answered there, whichever engine answers.

Here lives `Scraped`, which the arbiter makes and every worker gets. What is counted and how the page looks is
`metrics` next door; how an address is had is `listening`'s.
"""

import dataclasses
import socket
from typing import Final

from oidcgate.serve.metrics import CONTENT_TYPE, Board, page

__all__ = ["Answer", "Scraped"]

_PATHS: Final = ("/", "/metrics")


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """To a scrape."""

    status: int
    body: bytes
    content_type: str = CONTENT_TYPE


@dataclasses.dataclass(frozen=True)
class Scraped:
    """One has no use without the other: without a reader nothing is written.

    Attributes:
        board: where workers tell each other their numbers.
        listening: where Prometheus asks; shared by all workers.
    """

    board: Board
    listening: socket.socket

    def answer(self, path: str) -> Answer:
        """What is said at `path`, which has no query."""
        if path in _PATHS:
            return Answer(200, page(self.board.total()))
        return Answer(404, b"see /metrics\n")

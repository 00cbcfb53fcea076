"""What a route is: a path inside a realm, its methods, its endpoint, and what its errors look like.

The table of routes is made by `provider.build`, served by `provider.app`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from werkzeug import Request, Response

from provider.realm import Realm

Endpoint = Callable[[Realm, Request], Response]


class Face(Enum):
    """Who reads the answer, so what an error is."""

    JSON = auto()
    PAGE = auto()


@dataclass(frozen=True, eq=False)
class Route:
    """One path of a realm.

    Attributes:
        any_origin: scripts of any site may read the answer. Only where no cookie counts: whoever sends the
            same from a server is answered the same, so the person's browser adds no right of its own. An
            endpoint can keep single answers from them (`answers.keep_from_scripts`).
        bearer: every error carries the challenge of RFC 6750; elsewhere those of a token alone do.
        health: answered also while the provider is switched off.
        only: in which realms there is such a path; None for all.
    """

    path: str
    methods: tuple[str, ...]
    endpoint: Endpoint
    face: Face
    any_origin: bool = False
    bearer: bool = False
    health: bool = False
    only: Callable[[Realm], bool] | None = None

    @property
    def allowed(self) -> tuple[str, ...]:
        """The methods that it answers: whoever may GET may ask for the head alone (RFC 9110 9.3.2)."""
        return (*self.methods, "HEAD") if "GET" in self.methods else self.methods

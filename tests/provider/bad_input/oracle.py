"""What is due when one parameter of a good request is spoiled: pure, by the clause and not by the code.

- RFC 6749 3.1, 3.2: a parameter without a value counts as left out; a repeated one is `invalid_request`.
- RFC 6749 4.1.2.1: a client or an address that is missing, wrong or doubtful is told to the person alone;
  every other fault goes back to the client by redirect.
- RFC 6749 5.2: status 400 and a code; 401 `invalid_client` where the client does not prove itself.
- What cannot be decoded is nobody's request: it names neither a client nor an address that could be trusted.

A door says which code its parameters have; what differs for one mutation stands beside the parameter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.provider.bad_input.mutations import Kind, Mutation


@dataclass(frozen=True)
class Told:
    """JSON for the client. Spec: RFC 6749 5.2."""

    status: int
    error: str


@dataclass(frozen=True)
class Shown:
    """A page of ours for the person."""

    status: int
    main_id: str


@dataclass(frozen=True)
class Sent:
    """An error for the client by way of the browser, to the address that is registered."""

    error: str


@dataclass(frozen=True)
class Fine:
    """The request is as good as it was; the door knows what that looks like."""


Outcome = Told | Shown | Sent | Fine

FINE = Fine()
INVALID_REQUEST = Told(400, "invalid_request")
INVALID_CLIENT = Told(401, "invalid_client")
INVALID_GRANT = Told(400, "invalid_grant")
INVALID_SCOPE = Told(400, "invalid_scope")
INVALID_TARGET = Told(400, "invalid_target")
ERROR_PAGE = Shown(400, "page-error")
TOO_LARGE = Told(413, "invalid_request")


@dataclass(frozen=True, eq=False)
class Parameter:
    """One parameter of a door.

    Attributes:
        sample: A true value where the good request does not carry it.
        absent: What is due when it is left out.
        other: When it is well formed and not the right one; FINE where anything is right.
        stranger: When it is somebody else's; None: as any other.
        malformed: When it is repeated, too long or with control characters; None: as the door says.
        repeated: When it is repeated; None: as `malformed`.
        control: When it holds control characters; None: as `malformed`.
        long: When it is longer than what is no token may be; None: as `malformed`.
        but: What differs, by the mutation's id.
    """

    name: str
    sample: str = "x"
    absent: Outcome = FINE
    other: Outcome = FINE
    stranger: Outcome | None = None
    malformed: Outcome | None = None
    repeated: Outcome | None = None
    control: Outcome | None = None
    long: Outcome | None = None
    but: Mapping[str, Outcome] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Door:
    """One way in: an endpoint, a method, and what a good request there carries.

    Attributes:
        malformed: What is due when a parameter is repeated, too long, or with control characters.
        unreadable: When query or form cannot be decoded.
    """

    id: str
    method: str
    path: str
    parameters: tuple[Parameter, ...]
    malformed: Outcome
    unreadable: Outcome


def due(door: Door, parameter: Parameter, mutation: Mutation) -> Outcome:
    """What the answer has to be."""
    if mutation.id in parameter.but:
        return parameter.but[mutation.id]
    malformed = parameter.malformed or door.malformed
    match mutation.kind:
        case Kind.ABSENT:
            return parameter.absent
        case Kind.REPEATED:
            return parameter.repeated or malformed
        case Kind.CONTROL:
            return parameter.control or malformed
        case Kind.LONG:
            return parameter.long or malformed
        case Kind.STRANGER:
            return parameter.stranger or parameter.other
        case Kind.OTHER:
            return parameter.other
        case Kind.UNREADABLE:
            # A form of that size is not even read, whosever it is.
            unread = mutation.id == "70000-characters" and door.method == "POST"
            return TOO_LARGE if unread and door.unreadable != FINE else door.unreadable

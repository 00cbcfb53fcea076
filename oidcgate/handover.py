"""What server, gate and proxy hand each other beside what ASGI and WSGI have a place for: every key, once.

Each of the three can be used without the others; this is what they agree upon. A proxy says by a class
attribute `forwards_identity = True` that it sends the fields of `FORWARD` to an upstream itself; to any other
app the gate gives them as headers. What an app may read, its `Identity`, is `oidcgate.identity`'s.
"""

import asyncio
from abc import abstractmethod
from enum import StrEnum
from typing import Final, Protocol

__all__ = [
    "BODY_FOLLOWS",
    "DROP_COOKIE",
    "EXCHANGE",
    "FORWARD",
    "OUTCOME",
    "PUBLIC_URL",
    "TUNNEL_HEADERS",
    "UPGRADE",
    "AnswerCut",
    "Outcome",
    "TunnelEnd",
    "Upgrade",
]

# From a gate to a proxy

#: In scope and environ: the fields that tell an upstream who the user is, as pairs of bytes.
FORWARD: Final = "oidcgate.forward"
#: In the environ: where browsers reach the app.
PUBLIC_URL: Final = "oidcgate.public_url"
#: In the scope of a WebSocket: fields to add to the head that opens a tunnel. Other answers are changed on
#: their way out; that one is written by the proxy.
TUNNEL_HEADERS: Final = "oidcgate.tunnel_headers"
#: In the scope of a WebSocket: says of a Set-Cookie value of that head whether it must not pass.
DROP_COOKIE: Final = "oidcgate.drop_cookie"

# From whoever answers to a server

#: In a message `http.response.start`: the body is there, so head and body may go out in one piece. Without it
#: the head goes out at once, as an event stream needs.
BODY_FOLLOWS: Final = "oidcgate.body_follows"
#: In such a message, and in the environ: the `Outcome`, where it is not what the server would take it for.
OUTCOME: Final = "oidcgate.outcome"


class Outcome(StrEnum):
    """What became of a request, for the access log."""

    PASSED = "passed"  # on to the app, which answered
    FAILED = "failed"  # on to the app, which could not be asked or did not answer
    GATE = "gate"  # answered by the gate itself: sign-in, sign-out and the like
    REFUSED = "refused"  # not let through by the gate, or not any more
    MALFORMED = "malformed"  # no request, or no body of one
    LEFT = "left"  # the client went before there was an answer


class AnswerCut(Exception):
    """An answer that has begun cannot be completed: the server must cut the connection, not end the answer.

    Raised out of an app so that no client takes the part it has for the whole. It has been reported already;
    a server need not log it again.
    """


# From a server to whoever is in front of the app

#: In the scope: the server's exchange, for who has something to say to the access log.
EXCHANGE: Final = "oidcgate.exchange"
#: In `scope["extensions"]`: an `Upgrade`, by which a proxy takes over the connection of a WebSocket.
UPGRADE: Final = "oidcgate.upgrade"


class TunnelEnd(asyncio.Protocol):
    """What a connection is handed over to."""

    __slots__ = ()

    @abstractmethod
    def shutdown(self) -> None:
        """The server stops: come to an end soon."""


class Upgrade(Protocol):
    """What a server offers to whoever wants to take over the client's connection."""

    @property
    def taken(self) -> bool:
        """Whether somebody has."""

    def accept(self, head: bytes, tunnel: TunnelEnd) -> tuple[asyncio.Transport, bytes]:
        """Write `head`, a complete 101, to the client, and make `tunnel` the protocol of its transport.

        `connection_made` is not called: the transport is returned instead.

        Returns:
            The transport, being read, and what the client has already sent behind its request.

        Raises:
            OSError: the client is gone.
        """

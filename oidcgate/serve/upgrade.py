"""A request to become a WebSocket, until it is refused or handed over.

Here live `Handshake`, the exchange that answers it, and `Upgrade`, by which a proxy takes the connection
itself. Frames are not read or written here, so `websocket.accept` is not supported: a server of this kind
would have to speak WebSocket to both sides, and the sidecar only carries what two others say
(`oidcgate.proxy.websocket`).
"""

import asyncio

from uvicorn.protocols.utils import ClientDisconnected

from oidcgate.handover import BODY_FOLLOWS, UPGRADE, TunnelEnd
from oidcgate.serve.exchange import Exchange, Link, Message, Scope

__all__ = ["Handshake", "Upgrade"]


class Upgrade:
    """The connection of one handshake, for whoever takes it over."""

    __slots__ = ("_handshake",)

    def __init__(self, handshake: "Handshake") -> None:
        self._handshake = handshake

    @property
    def taken(self) -> bool:
        """Whether the connection was handed over."""
        return self._handshake.tunnel is not None

    def accept(self, head: bytes, tunnel: TunnelEnd) -> tuple[asyncio.Transport, bytes]:
        """Write `head` to the client and hand the connection over.

        Args:
            head: a complete response head with status 101.
            tunnel: gets what the client sends from here on, and `shutdown()` when the server stops.
                `connection_made` is not called: the transport is returned instead.

        Returns:
            The transport, being read, and the bytes that the client sent behind its request.

        Raises:
            ClientDisconnected: the client is gone.
            RuntimeError: it was answered already.
        """
        return self._handshake.accept(head, tunnel)


class Handshake(Exchange):
    """The exchange behind a scope of type `websocket`."""

    __slots__ = ("_connect_told", "held", "tunnel")

    def __init__(self, connection: Link, scope: Scope) -> None:
        # Whatever the answer: what follows on this connection is no HTTP that was understood as such.
        super().__init__(connection, scope, keep_alive=False, expects_continue=False)
        self._connect_told = False
        self.held = bytearray()
        self.tunnel: TunnelEnd | None = None

    def accept(self, head: bytes, tunnel: TunnelEnd) -> tuple[asyncio.Transport, bytes]:
        """See `Upgrade.accept`."""
        connection = self.connection
        if self.gone or connection.transport.is_closing():
            raise ClientDisconnected
        if self.status:
            raise RuntimeError("the handshake was answered already")
        self.status = 101
        self.written = True
        self.tunnel = tunnel
        held, self.held = bytes(self.held), bytearray()
        connection.hand_over(head, tunnel)
        return connection.transport, held

    def over(self) -> None:
        """The app has said all it will say; with a tunnel, the tunnel has ended."""
        if self.tunnel is not None:
            self.complete = True
            self.connection.tunnel_ended()
        else:
            super().over()

    async def receive(self) -> Message:
        """`websocket.connect`, then the end of the connection. Spec: ASGI WebSocket 2.5."""
        if not self._connect_told:
            self._connect_told = True
            return {"type": "websocket.connect"}
        while not self.gone and not self.complete:
            await self._arrival()
        return {"type": "websocket.disconnect", "code": 1006}

    async def send(self, message: Message) -> None:
        """Refuse, or answer with any status. Spec: ASGI WebSocket Denial Response.

        Raises:
            RuntimeError: also for `websocket.accept`, which needs a server that speaks WebSocket itself.
        """
        kind: str = message["type"]
        if kind in ("websocket.http.response.start", "websocket.http.response.body"):
            await super().send({**message, "type": kind.removeprefix("websocket.")})
        elif kind == "websocket.close" and not self.status:
            headers = [(b"content-length", b"0")]
            await super().send(
                {"type": "http.response.start", "status": 403, "headers": headers, BODY_FOLLOWS: True}
            )
            await super().send({"type": "http.response.body"})
        elif kind == "websocket.accept":
            raise RuntimeError(
                "this server does not speak WebSocket itself: it hands connections over by "
                f"scope['extensions'][{UPGRADE!r}]"
            )
        else:
            raise RuntimeError(f"the app sends {kind!r} where it cannot come")

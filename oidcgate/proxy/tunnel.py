"""An open WebSocket: two ends that carry what they say to each other, and how they come to an end together.

Here live `Tunnel` and its two `End`s.
Frames are followed (`frames` next door) but not opened: pings and the closing handshake are those of client
and upstream. How a tunnel comes to be is `websocket`'s; who may have one, and for how long, is decided
elsewhere and told by cancelling the task in `Tunnel.last`.

An open tunnel is two protocol objects on two transports: no task but the server's own, no timer, no buffer.
"""

import asyncio
import os
import socket
from contextlib import suppress
from typing import Final

from oidcgate.handover import TunnelEnd, Upgrade
from oidcgate.proxy.frames import CLOSE_GOING_AWAY, CLOSE_POLICY, Frames, close_frame
from oidcgate.proxy.routes import Destination
from oidcgate.proxy.troubles import OnError, Trouble
from oidcgate.proxy.upstream import Connection

__all__ = ["End", "Tunnel"]

#: How long an end may take to say goodbye; where nobody ended the tunnel on purpose, without taking any of
#: what is left for it.
LINGER_SECONDS: Final = 5.0

# A peer that went without a word is noticed after two minutes; nothing else ends a tunnel that is silent.
_KEEPALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)


class End(TunnelEnd):
    """One end of a tunnel: what arrives from it goes to `peer`.

    Attributes:
        transport: its connection.
        peer: the other end.
        frames: those that arrive from it.
        lost: its connection is gone.
    """

    __slots__ = ("_tunnel", "frames", "lost", "peer", "transport")

    transport: asyncio.Transport
    peer: "End"

    def __init__(self, tunnel: "Tunnel", frames: Frames) -> None:
        self._tunnel = tunnel
        self.frames = frames
        self.lost = False

    def data_received(self, data: bytes) -> None:
        """Bytes of this end, which go to the other as they are."""
        frames = self.frames
        passed = frames.feed(data)
        tunnel = self._tunnel
        if tunnel.ending:
            # Read only so that its last words, and the end of the connection, can be heard.
            if frames.closed:
                self.transport.close()
            return
        if passed:
            self.peer.transport.write(passed)
        if frames.fault is not None:
            tunnel.refuse(self)

    def pause_writing(self) -> None:
        """This end takes less than the other sends: no more is read there."""
        transport = self.peer.transport
        if not self._tunnel.ending and not transport.is_closing():
            transport.pause_reading()

    def resume_writing(self) -> None:
        """This end has taken what was waiting."""
        transport = self.peer.transport
        if not self._tunnel.ending and not transport.is_closing():
            transport.resume_reading()

    def eof_received(self) -> None:
        """This end says nothing any more. As servers do, this is taken for its leaving."""
        self._tunnel.end_leaves(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """This end is gone, and with it the tunnel."""
        self._tunnel.end_is_gone(self)

    def shutdown(self) -> None:
        """The server stops."""
        self._tunnel.close(CLOSE_GOING_AWAY)


class Tunnel:
    """Two ends, and how they come to an end together.

    Attributes:
        ending: nothing passes any more.
    """

    __slots__ = ("_left_over", "_on_error", "_over", "_route", "_timer", "client", "ending", "upstream")

    def __init__(
        self, route: Destination, message_bytes: int, on_error: OnError, *, extensions: bool
    ) -> None:
        self._route = route
        self._on_error = on_error
        self._over: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._left_over: int | None = None
        self.ending = False
        self.client = End(self, Frames(from_client=True, extensions=extensions, message_bytes=message_bytes))
        self.upstream = End(
            self, Frames(from_client=False, extensions=extensions, message_bytes=message_bytes)
        )
        self.client.peer = self.upstream
        self.upstream.peer = self.client

    def begin(self, connection: Connection, upgrade: Upgrade, head: bytes) -> None:
        """Take both connections over.

        Raises:
            OSError: the client is gone; the upstream's connection is closed.
        """
        upstream, client = self.upstream, self.client
        upstream.transport, greeting = connection.hand_over(upstream)
        try:
            client.transport, early = upgrade.accept(head, client)
        except BaseException:
            # Nobody is there to hear of its end.
            self.ending = client.lost = True
            upstream.transport.abort()
            raise
        for end in (client, upstream):
            _notice_silent_death(end.transport)
        if greeting:
            upstream.data_received(greeting)
        if early:
            client.data_received(early)

    async def last(self) -> None:
        """Return when both ends are gone. When cancelled, end the tunnel first."""
        try:
            await self._gone()
        except asyncio.CancelledError:
            self.close(CLOSE_POLICY)
            try:
                await self._gone()
            except asyncio.CancelledError:
                self._abort()
            raise

    async def _gone(self) -> None:
        if not (self.client.lost and self.upstream.lost):
            self._over = asyncio.get_running_loop().create_future()
            await self._over

    def refuse(self, end: End) -> None:
        """`end` has sent what is no frame, or too much."""
        fault = end.frames.fault
        assert fault is not None  # noqa: S101 - the reason for the call
        kind = Trouble.CLIENT_FRAMES if end is self.client else Trouble.UPSTREAM_FRAMES
        self._on_error(kind, self._route.upstream, fault)
        self.close(fault.close_code)

    def close(self, code: int) -> None:
        """End the tunnel from here: a last frame to either end, where it fits, and then nothing any more."""
        if self.ending:
            return
        self.ending = True
        for end in (self.client, self.upstream):
            if not end.transport.is_closing():
                fits = end.peer.frames.between_frames
                if fits:
                    mask = b"" if end is self.client else os.urandom(4)
                    end.transport.write(close_frame(code, mask=mask))
                self._let_go(end, answers=fits)
        self._timer = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._abort)

    def end_leaves(self, end: End) -> None:
        """Nothing more will come from `end`; what it had still said is on its way to the other."""
        if self.ending:
            return
        self.ending = True
        if not end.peer.transport.is_closing():
            self._let_go(end.peer, answers=end.frames.closed)
        self._give_time()

    def end_is_gone(self, end: End) -> None:
        """The connection of `end` is closed."""
        end.lost = True
        self.end_leaves(end)
        if not end.peer.lost:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    def _let_go(self, end: End, *, answers: bool) -> None:
        """Nothing more will be written to `end`. What it still sends is dropped until it has heard so.

        Closing at once would do for the end itself. But where bytes of it are still on their way, its system
        would hear that they are not wanted, and throw away the last frame that it has not read yet.

        Args:
            end: whose connection is still open.
            answers: it was sent a Close frame, and so may say one too.
        """
        transport = end.transport
        transport.resume_reading()
        if end.frames.closed:
            transport.close()
        elif transport.can_write_eof():
            transport.write_eof()
        elif not answers:
            transport.close()

    def _give_time(self) -> None:
        """Wait for whoever is still there, as long as it goes on taking what was sent to it."""
        left = sum(
            [end.transport.get_write_buffer_size() for end in (self.client, self.upstream) if not end.lost]
        )
        if self._left_over is None or 0 < left < self._left_over:
            self._left_over = left
            self._timer = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._give_time)
        else:
            self._abort()

    def _abort(self) -> None:
        for end in (self.client, self.upstream):
            if not end.lost:
                end.transport.abort()


def _notice_silent_death(transport: asyncio.Transport) -> None:
    """Have the system ask a silent peer whether it is still there. A Unix socket needs no asking."""
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family != socket.AF_UNIX:
        with suppress(OSError):  # already gone, which is noticed anyway
            for option in _KEEPALIVE:
                connection.setsockopt(*option)

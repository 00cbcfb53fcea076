"""The body of one request on its way to the upstream.

Here lives the reading from the server, the framing, and the waiting for whoever is slower. When a request has
a body at all is decided in `framing`; what becomes of the answer in the meantime is `http`'s next door.
"""

from oidcgate.proxy.exchanges import Exchange, Exchanges, Waits
from oidcgate.proxy.framing import Framing
from oidcgate.proxy.troubles import Trouble, UpstreamTrouble
from oidcgate.proxy.upstream import Connection
from oidcgate.web.asgi import Message

__all__ = ["Upload"]


class Upload:
    """Reads a body from the server and frames it for the upstream as the client framed it.

    Attributes:
        done: all of it has been read.
    """

    __slots__ = ("_exchange", "_exchanges", "_left", "done")

    def __init__(self, exchanges: Exchanges, exchange: Exchange, framing: Framing) -> None:
        self._exchanges = exchanges
        self._exchange = exchange
        self._left = framing.length
        self.done = False

    async def first(self) -> bytes:
        """What can be sent together with the head: often all of it.

        Raises:
            UpstreamTrouble: the client is gone, or its body is not as long as it said.
        """
        self._exchange.upload = Waits.CLIENT
        first = b"".join(self._framed(await self._exchange.receive()))
        # What follows waits for a connection; nobody else may read from the client now.
        self._exchange.upload = Waits.NOBODY if self.done else Waits.UPSTREAM
        return first

    async def rest(self, connection: Connection) -> None:
        """Send what follows, no faster than the upstream takes it; then listen whether the client leaves.

        To be run in a task of its own, because an upstream may answer before it has read everything. It never
        raises: whatever happens to the client happens to `connection`, where somebody waits.
        """
        exchange = self._exchange
        try:
            while not self.done:
                if connection.writing_paused:
                    exchange.upload = Waits.UPSTREAM
                    await connection.drained()
                if connection.closing:
                    return
                exchange.upload = Waits.CLIENT
                connection.write(*self._framed(await exchange.receive()))
                exchange.moved_at = self._exchanges.now
            exchange.upload = Waits.NOBODY
            await exchange.until_the_client_leaves()
            exchange.fail(Trouble.CLIENT_GONE)
        except UpstreamTrouble as trouble:
            exchange.fail(trouble.kind)
        except OSError:
            exchange.fail(Trouble.CLIENT_GONE)

    def _framed(self, message: Message) -> tuple[bytes, ...]:
        if message["type"] != "http.request":
            raise UpstreamTrouble(Trouble.CLIENT_GONE)
        body: bytes = message.get("body", b"")
        self.done = not message.get("more_body", False)
        left = self._left
        if left is None:
            chunk = (b"%x\r\n" % len(body), body, b"\r\n") if body else ()
            return (*chunk, b"0\r\n\r\n") if self.done else chunk
        # Servers make sure of it; but a byte more would be read as the next request.
        self._left = left = left - len(body)
        if left < 0 or (self.done and left):
            raise UpstreamTrouble(Trouble.BODY_MALFORMED)
        return (body,) if body else ()

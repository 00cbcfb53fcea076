"""The end of many applications at once: takes logout tokens and counts them by `jti`, in its own process.

`python -m tests.live.logout_receiver PORT REFUSING`: what is posted to `/out/N` is answered 200, or 400 if N
is below REFUSING; `GET /counted` says what came. Nothing is verified here, so that it is not in the way.
"""

import asyncio
import base64
import json
import sys
from collections import Counter
from contextlib import suppress
from urllib.parse import parse_qs


class Receiver:
    """Counts."""

    def __init__(self, refusing: int) -> None:
        self.refusing = refusing
        self.by_jti: Counter[str] = Counter()
        self.notices: set[tuple[str, str]] = set()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, for as long as it is used."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = next(
                    (int(line[15:]) for line in head.split("\r\n") if line[:15] == "content-length:"), 0
                )
                status, answer = self.answer(head.split(" ", 2)[1], await reader.readexactly(length))
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(answer)) + answer)
                await writer.drain()
                if "connection: close" in head:
                    break
        writer.close()

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body for a request."""
        if path == "/counted":
            twice = sum(1 for count in self.by_jti.values() if count == 2)
            more = sum(1 for count in self.by_jti.values() if count > 2)
            counted = {
                "received": self.by_jti.total(), "jtis": len(self.by_jti), "notices": len(self.notices),
                "twice": twice, "more": more,
            }  # fmt: skip
            return 200, json.dumps(counted).encode()
        if int(path.rpartition("/")[2]) < self.refusing:
            return 400, b""
        payload = parse_qs(body.decode())["logout_token"][0].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        self.by_jti[claims["jti"]] += 1
        self.notices.add((claims["aud"], claims["sid"]))
        return 200, b""


async def main(port: int, refusing: int) -> None:
    """Serve until the process ends."""
    server = await asyncio.start_server(Receiver(refusing).talk, "127.0.0.1", port, backlog=500)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))

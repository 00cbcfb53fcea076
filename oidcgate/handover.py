"""What server, gate and proxy hand each other beside what ASGI and WSGI have a place for: every key, once.

The three know nothing of each other, so that each can be used without the others; this is what they agree
upon. What an app may read, its `Identity`, is `oidcgate.identity`'s.
"""

from typing import Final

__all__ = [
    "BODY_FOLLOWS",
    "DROP_COOKIE",
    "EXCHANGE",
    "FAILED",
    "FORWARD",
    "OUTCOME",
    "PUBLIC_URL",
    "TUNNEL_HEADERS",
    "UPGRADE",
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

# From a proxy to a server

#: In a message `http.response.start`: the body is there, so head and body may go out in one piece. Without it
#: the head goes out at once, as an event stream needs.
BODY_FOLLOWS: Final = "oidcgate.body_follows"
#: In such a message and in the environ: the proxy answers in the place of an app that could not.
FAILED: Final = "oidcgate.failed"

# From a server to whoever is in front of the app

#: In `scope["extensions"]`: by it a proxy takes over the connection of a WebSocket.
UPGRADE: Final = "oidcgate.upgrade"
#: In the scope: the server's `Exchange`, for who has something to say to the access log.
EXCHANGE: Final = "oidcgate.exchange"
#: In the environ: the same for WSGI, the outcome alone.
OUTCOME: Final = "oidcgate.outcome"

"""The reverse proxy: what of a request reaches the app behind, and how. It knows no gate and no identity.

What all parts agree on: `rules` (heads), `routes` (which upstream serves what, limits), `troubles` (what can
go wrong, and what a client is told), `answer` (an answer, read from bytes), `dial` (reaching an upstream).
On an event loop `http` carries requests, with `upload` for their bodies, over the connections of `upstream`,
and `exchanges` gives up what waits too long; `websocket` carries tunnels, whose bytes `frames` follows.
`wsgi` is the same for threads, over the connections of `blocking`.
"""

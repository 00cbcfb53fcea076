"""The reverse proxy: what of a request reaches the app behind, and how. It knows no gate and no identity.

Pure, and agreed upon by all: `fields` and `framing` (what a head may say), `request_head`, `response_head`
and `client_way` (what of it passes, and what is said in its stead), `answer` (an answer, read from bytes),
`routes` (which upstream serves what, limits). What goes wrong has a name in `troubles` and is told to the
client by `short_answers`; `dial` reaches an upstream.

On an event loop `http` carries requests, with `upload` for their bodies, over the connections of `upstream`,
and `exchanges` gives up what waits too long; `websocket` opens tunnels, `tunnel` carries what passes through,
`frames` follows it. For threads `wsgi` is the same: it reads requests by `environ` and has them answered by
`blocking_exchange` over the connections of `blocking`.
"""

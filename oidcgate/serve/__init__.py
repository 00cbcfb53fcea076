"""The sidecar's server: gunicorn's arbiter, workers of our own, and HTTP/1.1 as uvicorn's protocol reads it.

From the bytes up: `request_head` (which heads are refused), `reading` (bytes into requests), `exchange` (one
request and its answer), `upgrade` (a WebSocket until it is a tunnel), `protocol` (one connection), `service`
(what the connections of a worker share). The gate and the proxy behind it are `oidcgate.gate` and
`oidcgate.proxy`.
"""

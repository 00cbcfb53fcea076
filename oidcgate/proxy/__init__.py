"""The reverse proxy: what of a request reaches the app behind, and how. It knows no gate and no identity.

`rules` is what all parts agree on about heads, `routes` which upstream serves what. `http` carries requests
over the connections of `upstream`, `websocket` carries tunnels, `wsgi` is the same over blocking sockets.
"""

"""Requests a second and latency of whole servers before the same upstream: the sidecar beside its peers.

`python -m benchmarks.sidecar` loads ours, Apache with mod_auth_openidc and oauth2-proxy in turns, in one run.
The peers are signed in at our own provider, by a user agent. What is asked of them is in `load`, the servers
are in `ours` and `peers`, the provider and the upstream in `stack`. `python -m benchmarks.sidecar.streams`
measures what is no request rate.
"""

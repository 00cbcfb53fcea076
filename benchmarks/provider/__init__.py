"""What the provider does in a second of one core, beside npm's certified `oidc-provider`.

`python -m benchmarks.provider` loads both in turns, in one run: tokens for a client that acts for itself,
signed with RSA and with an elliptic curve, and whole code flows of a browser that has a session. What is
asked is in `load`, the servers are in `servers`.
"""

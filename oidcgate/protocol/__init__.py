"""The messages of OpenID Connect and OAuth 2.0, both directions of each; no I/O, no clock."""

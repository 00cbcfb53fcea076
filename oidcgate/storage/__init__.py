"""Where the gate keeps what a cookie cannot know: one port, `records`, and its implementations.

Values are bytes to this room: what they mean, and their seal, is `oidcgate.gate`. Next door to it, the
provider has a store of its own (`provider.store`), since its rows must be changed together.
"""

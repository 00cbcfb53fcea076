"""Who is known: the port, and the places that users are read from.

Lives here: `port` (what the gate asks), `file` (TOML or JSON, reread when it changes), `anyone`. Not how
a name is taken out of a login: that is `oidcgate.gate`. May import `oidcgate.net`, nothing else of ours.
"""

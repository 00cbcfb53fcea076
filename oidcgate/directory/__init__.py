"""Who is known: the port, and the places that users are read from.

Lives here: `port` (what the gate asks), `file` (TOML, JSON or CSV, reread when it changes), `asked` (what all
have in common that are asked for one name at a time), `anyone`. Not how a name is taken out of a login: that
is `oidcgate.gate`. May import `oidcgate.net`, nothing else of ours.
"""

"""Bad input at every endpoint of the provider: a table of doors, one of mutations, one rule of what is due.

`mutations` says how a parameter is spoiled, `oracle` what the specifications demand then, `watching` what has
to hold for every answer whatever was sent. The doors themselves stand in the tests.
"""

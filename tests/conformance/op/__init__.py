"""The certification's modules for an OpenID Provider, written anew from the specifications.

Nothing here imports anything of ours, and the JOSE library is not the one our provider uses: a provider is
judged by what it answers over HTTPS. `plans` says which modules there are, `target` what has to be known of a
provider, `runner` runs one.
"""

"""How a person shows who they are, one file per factor.

When to ask for one is `provider.services.interaction`.
"""

"""What can be exchanged at the token endpoint: `base`, and one file per grant.

Client authentication and the shape of the answer happen once, in `provider.endpoints.token`.
"""

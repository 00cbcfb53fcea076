"""What endpoints, pages and commands share: clients, users, keys, claims, tokens, interactions.

No HTTP in or out but `responses`, the one writer of answers to a client's redirect URI. Rows are
read and written by `provider.store`.
"""

"""One file per endpoint: a frozen dataclass that turns a realm and a request into a response.

What an endpoint decides is `provider.services` and `provider.grants`; the table of routes is made by
`provider.build` and the errors are turned into answers by `provider.app`.
"""

"""The command `oidcgate-provider`, one file per subcommand.

They do what a page or an endpoint would do, through the same services (`provider.services`).
"""

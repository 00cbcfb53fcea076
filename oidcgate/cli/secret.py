"""`oidcgate secret`: a new key for sessions."""

import click

from oidcgate.web.sealing import new_secret


@click.command()
def secret() -> None:
    """Print a new session secret.

    Put it on the first line of the secret file to rotate: the first line seals, all lines open.
    """
    click.echo(new_secret())

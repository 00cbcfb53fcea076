"""`oidcgate secret`: a new key for sessions, or the line of somebody who has a password of the gate's own."""

import click

from oidcgate.gate.local_users import FEWEST_CHARACTERS, line_for
from oidcgate.web.sealing import new_secret


@click.command()
@click.option(
    "--password",
    "user",
    metavar="NAME",
    default=None,
    help="Instead: ask for a password of this user, and print the line for break_glass.users_file.",
)
def secret(user: str | None) -> None:
    """Print a new session secret.

    Put it on the first line of the secret file to rotate: the first line seals, all lines open.
    """
    click.echo(new_secret() if user is None else _line(user))


def _line(user: str) -> str:
    # Standard output is the file's.
    password = click.prompt(
        f"Password, {FEWEST_CHARACTERS} characters or more",
        hide_input=True,
        confirmation_prompt=True,
        err=True,
    )
    try:
        return line_for(user, password)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    except ModuleNotFoundError:
        raise click.ClickException("this needs argon2-cffi: pip install 'oidcgate[break-glass]'") from None

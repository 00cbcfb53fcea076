"""The commands' common root: `--config` and the table of commands.

Each command has a module of its own next to this one.
"""

from pathlib import Path

import click

from provider.cli.check import check
from provider.cli.client import client
from provider.cli.consents import consents
from provider.cli.init import init
from provider.cli.keys import keys
from provider.cli.realm import realm
from provider.cli.serve import serve
from provider.cli.sessions import sessions_
from provider.cli.user import user
from provider.config import CONFIG_VARIABLE


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "-c",
    type=click.Path(path_type=Path),
    default=Path("provider.toml"),
    envvar=CONFIG_VARIABLE,
    show_default=True,
    show_envvar=True,
    help="The configuration file.",
)
@click.version_option(package_name="oidcgate")
@click.pass_context
def main(context: click.Context, config: Path) -> None:
    """An OpenID Provider: serve it, and manage its clients, people, consents and keys."""
    context.obj = config


for command in (serve, check, init, client, user, consents, sessions_, keys, realm):
    main.add_command(command)

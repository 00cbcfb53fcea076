"""`oidcgate-provider init`: writes a first `provider.toml` and the secret beside it. Never overwrites."""

import json
import os
from pathlib import Path

import click

from oidcgate.web.sealing import new_secret
from provider.cli.opening import explained
from provider.config import load_settings

_TEMPLATE = """\
# What there is to set: docs/reference.md. Objects written here are read-only; commands write the database.
issuer = {issuer}
database = "sqlite:///provider.db"
secret_file = {secret_file}
{insecure}
[lifetimes]
access_token_hours = 1.0
refresh_token_hours = 720.0

[consent]
auto_accept = false
"""
_INSECURE = """\
# Plain http on this machine only, for trying out: never set this on a server.
insecure_allow_http_loopback = true
"""


@click.command()
@click.option(
    "--issuer", default="http://localhost:9000", show_default=True, help="The URL that names the provider."
)
@click.pass_obj
def init(config: Path, issuer: str) -> None:
    """Write a configuration to begin with, and a secret."""
    secret_file = config.with_suffix(".secret")
    insecure = _INSECURE if issuer.startswith("http://") else ""
    _write(secret_file, new_secret() + "\n", 0o600)
    try:
        text = _TEMPLATE.format(
            issuer=json.dumps(issuer), secret_file=json.dumps(secret_file.name), insecure=insecure
        )
        _write(config, text, 0o644)
        try:
            with explained():
                load_settings(config, {})
        except click.ClickException:
            config.unlink()
            raise
    except click.ClickException:
        secret_file.unlink()
        raise
    click.echo(f"Wrote {config} and {secret_file}. Keep the latter secret, with a copy: it opens the keys.")
    click.echo("Next: oidcgate-provider user add NAME")
    click.echo("      oidcgate-provider client add --redirect-uri URI --post-logout-redirect-uri URI")
    click.echo("      oidcgate-provider serve")
    click.echo("`oidcgate check` prints both URIs of a gate.")


def _write(path: Path, text: str, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise click.ClickException(f"{path} exists already; remove it first if it is of no use") from None
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)

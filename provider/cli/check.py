"""`oidcgate-provider check`: is the configuration right, and does it fit the database? Changes nothing."""

import os
from pathlib import Path

import click
from sqlalchemy import make_url

from oidcgate.settings import SettingsError
from provider.build import Parts, build, certificate_problems, database_problems
from provider.cli.opening import explained
from provider.config import load_settings
from provider.store.migrations import is_current


@click.command()
@click.pass_obj
def check(config: Path) -> None:
    """Check the configuration and the database; list every problem at once."""
    with explained():
        parts = build(load_settings(config, os.environ))
        wrong = list(certificate_problems(parts.realms, int(parts.clock())))
        if wrong:
            raise SettingsError(wrong)
        state = _database_state(parts)
    for realm in parts.realms:
        click.echo(
            f"{realm.issuer}: {len(realm.settings.clients)} client(s) and {len(realm.settings.users)} "
            f"person(s) in {config}"
        )
    for said in parts.clients.deprecations():
        click.echo(f"warning: {said}")
    click.echo(f"database: {state}")
    click.echo("The configuration is right.")


def _database_state(parts: Parts) -> str:
    url = make_url(parts.settings.database)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        # Opening it would make it.
        return "not there yet; `serve` makes it"
    try:
        if not is_current(parts.store):
            return "of another version; `serve` brings it up to date"
        problems = list(database_problems(parts))
    finally:
        parts.store.dispose()
    if problems:
        raise SettingsError(problems)
    return "up to date"

"""`oidcgate-provider check`: is the configuration right, and does it fit the database? Changes nothing."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
from sqlalchemy import make_url

from oidcgate.audit import Audit
from oidcgate.settings import SettingsError
from provider.build import Parts, build
from provider.cli.opening import explained, to_standard_error
from provider.config import load_settings
from provider.prepare import certificate_problems, database_file_problems, database_problems
from provider.services.key_care import EndingCertificate, ending_certificates
from provider.store.keys import list_keys
from provider.store.migrations import is_current

_UP_TO_DATE: Final = "up to date"


@click.command()
@click.pass_obj
def check(config: Path) -> None:
    """Check the configuration and the database; list every problem at once."""
    with explained():
        parts = build(load_settings(config, os.environ), audit=Audit(to_standard_error))
        wrong = [*certificate_problems(parts.realms, int(parts.clock())), *database_file_problems(parts)]
        if wrong:
            raise SettingsError(wrong)
        state = _database_state(parts)
        ending = list(_ending(parts, int(parts.clock()))) if state == _UP_TO_DATE else []
    for realm in parts.realms:
        click.echo(
            f"{realm.issuer}: {len(realm.settings.clients)} client(s) and {len(realm.settings.users)} "
            f"person(s) in {config}"
        )
    for said in parts.clients.deprecations():
        click.echo(f"warning: {said}")
    click.echo(f"database: {state}")
    for certificate in ending:
        click.echo(f"warning: {certificate}")
        parts.audit.emit(certificate.event())
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
    return _UP_TO_DATE


def _ending(parts: Parts, now: int) -> Iterator[EndingCertificate]:
    try:
        for realm in parts.realms:
            with parts.store.read() as conn:
                rows = list_keys(conn, realm.id)
            yield from ending_certificates(realm, rows, now)
    finally:
        parts.store.dispose()

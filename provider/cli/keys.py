"""`oidcgate-provider keys …`: the signing keys. What their states mean is `provider.services.keyring`."""

from datetime import UTC, datetime
from pathlib import Path

import click

from provider.cli.opening import opened, realm_option
from provider.services.keyring import PUBLISH_AHEAD_SECONDS
from provider.store.keys import KeyRow, list_keys


@click.group()
def keys() -> None:
    """Keys that sign tokens."""


@keys.command("list")
@realm_option
@click.pass_obj
def list_(config: Path, realm_id: str) -> None:
    """List the keys, the oldest first."""
    with opened(config, realm_id) as (parts, realm):
        parts.keys.settle(parts.store, realm, int(parts.clock()))
        with parts.store.read() as conn:
            rows = list_keys(conn, realm.id)
    for row in rows:
        click.echo("\t".join((row.kid, row.alg, row.state, _when(row))))


@keys.command()
@click.option(
    "--now", "at_once", is_flag=True, help="Sign with it at once; verifiers have to fetch the keys again."
)
@realm_option
@click.pass_obj
def rotate(config: Path, at_once: bool, realm_id: str) -> None:
    """Publish a new key, which signs from tomorrow on."""
    with opened(config, realm_id) as (parts, realm):
        now = int(parts.clock())
        row = parts.keys.rotate(parts.store, realm, now, at_once=at_once)
    if at_once:
        click.echo(
            f"{row.kid} signs from now on; the key before it stays published until its tokens have ended"
        )
    else:
        hours = PUBLISH_AHEAD_SECONDS // 3600
        click.echo(f"{row.kid} is published and signs in {hours} hours, at {_time(row.not_before)}")


def _when(row: KeyRow) -> str:
    if row.state == "retired":
        return f"published until {_time(row.published_until or 0)}"
    return f"{'signs from' if row.state == 'next' else 'since'} {_time(row.not_before)}"


def _time(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")

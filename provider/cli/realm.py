"""`oidcgate-provider realm …`: the realms of the configuration. What each may hold is `provider.config`."""

from pathlib import Path

import click

from provider.cli.opening import opened


@click.group()
def realm() -> None:
    """Issuers that are served side by side."""


@realm.command("list")
@click.pass_obj
def list_(config: Path) -> None:
    """List the realms, one a line: name, issuer, clients, people, algorithms."""
    with opened(config) as (parts, _):
        for one in parts.realms:
            with parts.store.read() as conn:
                clients, people = parts.clients.count(conn, one), parts.users.count(conn, one)
            algorithms = " ".join(one.settings.offered_algorithms)
            click.echo(
                "\t".join((one.id, one.issuer, f"{clients} client(s)", f"{people} person(s)", algorithms))
            )

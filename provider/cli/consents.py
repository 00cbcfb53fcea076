"""`oidcgate-provider consents …`: what people agreed to, and how much room it takes."""

import math
import time
from pathlib import Path

import click

from provider.cli.opening import opened, realm_option
from provider.instants import shown
from provider.services.consent_record import capacity as capacity_of
from provider.services.consents import measure as measured

#: What SecureAuth says of its own encoding, which this one has to stay below.
_FIRST, _STEP = 277, 60
_SIZE = 32_768


@click.group()
def consents() -> None:
    """What people allowed applications."""


_by_sub = click.option(
    "--sub", "by_sub", is_flag=True, help="USER is a `sub`: for people who are in a store of your own."
)


@consents.command("list")
@click.argument("user")
@_by_sub
@realm_option
@click.pass_obj
def list_(config: Path, user: str, by_sub: bool, realm_id: str) -> None:
    """List what a person agreed to: application, scopes, since when."""
    with opened(config, realm_id) as (parts, realm), parts.store.read() as conn:
        user_id = user if by_sub else parts.users.known(conn, realm, user).user_id
        kept = parts.consents.of(conn, realm, user_id)
    for entry in kept.consents:
        click.echo("\t".join((entry.client_id, " ".join(entry.scopes), shown(entry.since))))
    room = f"of {kept.max_bytes} bytes" if kept.max_bytes else "bytes, without a limit"
    click.echo(f"uses {kept.size_bytes} {room}")


@consents.command()
@click.argument("user")
@click.argument("client", required=False)
@click.option("--all", "everything", is_flag=True, help="From every application, in place of CLIENT.")
@_by_sub
@realm_option
@click.pass_obj
def withdraw(
    config: Path, user: str, client: str | None, everything: bool, by_sub: bool, realm_id: str
) -> None:
    """Forget what a person agreed to for an application; its tokens for them end at once.

    Also for one that was never agreed to. `user applications` lists what there is.
    """
    if everything is (client is not None):
        raise click.UsageError("name the application, or ask for --all")
    with opened(config, realm_id) as (parts, realm):
        with parts.store.begin() as conn:
            user_id = user if by_sub else parts.users.known(conn, realm, user).user_id
            now = int(parts.clock())
            if client is None:
                events = parts.applications.revoke_all(conn, realm, user_id, now, by="operator")
            else:
                event = parts.applications.revoke(conn, realm, user_id, client, now, by="operator")
                events = () if event is None else (event,)
        for one in events:
            parts.audit.emit(one)
    if not events:
        raise click.ClickException(f"{user} has allowed nothing to {client or 'any application'}")
    for one in events:
        click.echo(f"{one.client_id} has to ask {user} again; grants that ended: {one.grants}")


@consents.command()
@click.option(
    "--count", type=click.IntRange(2, 10_000), default=542, show_default=True, help="How many consents."
)
def measure(count: int) -> None:
    """Measure how much room consents take, each of five scopes."""
    found = measured(count, int(time.time()))
    click.echo(f"first: {found.first} bytes")
    click.echo(f"each further: {found.further:.1f} bytes on average, up to {count} consents")
    holds = capacity_of(_SIZE, found.first, math.ceil(found.further))
    click.echo(f"{_SIZE} bytes hold: {holds} consents of this size")


@consents.command()
@click.option(
    "--bytes", "size", type=click.IntRange(0), default=_SIZE, show_default=True, help="Room there is."
)
@click.option(
    "--first", type=click.IntRange(1), default=_FIRST, show_default=True, help="Bytes of the first consent."
)
@click.option(
    "--step", type=click.IntRange(1), default=_STEP, show_default=True, help="Bytes of each further one."
)
def capacity(size: int, first: int, step: int) -> None:
    """Say how many consents an attribute holds."""
    click.echo(capacity_of(size, first, step))

"""`oidcgate-provider client registration-token …`: with which applications register themselves.

What such a token lets them is `[registration]` of the realm; using one is `provider.services.registration`.
"""

from pathlib import Path

import click

from provider.cli.opening import opened, realm_option
from provider.events import InitialTokenChanged
from provider.instants import shown
from provider.services.initial_tokens import make_initial_token, revoke_initial_token
from provider.store.initial_tokens import InitialToken, list_initial_tokens


@click.group("registration-token")
def registration_token() -> None:
    """Tokens with which applications register themselves."""


@registration_token.command()
@click.option(
    "--uses",
    type=click.IntRange(1, 1_000_000),
    default=1,
    show_default=True,
    help="How many applications may register with it.",
)
@click.option(
    "--hours",
    type=click.FloatRange(0.01, 24 * 366),
    default=24,
    show_default=True,
    help="How long it is good.",
)
@click.option("--note", default="", help="Whom it is for; shown in the list.")
@realm_option
@click.pass_obj
def add(config: Path, uses: int, hours: float, note: str, realm_id: str) -> None:
    """Make a token, and show it this once."""
    if not note.isprintable() or len(note) > 200:
        raise click.UsageError("A note is one line of at most 200 characters.")
    with opened(config, realm_id) as (parts, realm):
        with parts.store.begin() as conn:
            made = make_initial_token(
                conn, realm, uses=uses, life_seconds=round(hours * 3600), note=note, now=int(parts.clock())
            )
        parts.audit.emit(InitialTokenChanged(realm.id, made.row.token_id, "made"))
        if not realm.settings.registration.enabled:
            click.echo(
                f"registration.enabled is false in realm {realm_id}: it is good for nothing.", err=True
            )
    click.echo(f"id: {made.row.token_id}")
    click.echo(f"token: {made.token.reveal()}")
    click.echo("The token cannot be shown again.", err=True)


@registration_token.command("list")
@realm_option
@click.pass_obj
def list_(config: Path, realm_id: str) -> None:
    """List the tokens, one a line: id, uses left, until when, note."""
    with opened(config, realm_id) as (parts, realm), parts.store.read() as conn:
        for row in list_initial_tokens(conn, realm.id):
            click.echo(
                "\t".join((row.token_id, _left(row, int(parts.clock())), shown(row.expires_at), row.note))
            )


@registration_token.command()
@click.argument("token_id")
@realm_option
@click.pass_obj
def revoke(config: Path, token_id: str, realm_id: str) -> None:
    """Take a token away; applications that registered with it stay."""
    with opened(config, realm_id) as (parts, realm):
        with parts.store.begin() as conn:
            revoke_initial_token(conn, realm, token_id)
        parts.audit.emit(InitialTokenChanged(realm.id, token_id, "revoked"))
    click.echo(f"{token_id} is revoked")


def _left(row: InitialToken, now: int) -> str:
    if row.expires_at <= now:
        return "expired"
    return f"{row.uses_left} left" if row.uses_left else "used up"

"""`oidcgate-provider client …`: applications in the database.

What they may be is `provider.services.clients`.
"""

from pathlib import Path

import click

from oidcgate.settings import SettingsError
from provider.catalogue_settings import DEFAULT_SCOPES
from provider.cli.client_fields import lines, origin, said_by
from provider.cli.opening import opened, realm_option
from provider.cli.registration_token import registration_token
from provider.client_crypto import AUTH_METHODS
from provider.client_settings import ACR_PROFILES, APPLICATION_TYPES, FLOWS
from provider.events import ClientChanged
from provider.realm_settings import SECOND_FACTOR_MODES
from provider.services.clients import NewClient, deprecation, people_are_others


@click.group()
def client() -> None:
    """Applications that sign people in here."""


client.add_command(registration_token)


@client.command()
@click.option("--id", "client_id", default="", help="Its client_id.  [default: made up]")
@click.option("--name", default="", help="Shown to people.  [default: the client_id]")
@click.option("--redirect-uri", "redirect_uris", multiple=True, help="Where answers may go; may be repeated.")
@click.option(
    "--post-logout-redirect-uri",
    "post_logout_redirect_uris",
    multiple=True,
    help="Where a sign-out may end; may be repeated.",
)
@click.option("--auth-method", type=click.Choice(AUTH_METHODS), default=AUTH_METHODS[0], show_default=True)
@click.option(
    "--flow", "flows", type=click.Choice(FLOWS), multiple=True, default=FLOWS[:1], show_default=True
)
@click.option(
    "--application-type",
    type=click.Choice(APPLICATION_TYPES),
    default=APPLICATION_TYPES[0],
    show_default=True,
    help="native: on a device of its user; answers may go to a loopback address or a scheme of its own.",
)
@click.option("--require-pkce", is_flag=True, help="Requests without code_challenge are refused.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    default=DEFAULT_SCOPES,
    show_default=True,
    help="It may ask for; may be repeated.",
)
@click.option("--trusted", is_flag=True, help="People are not asked for consent.")
@click.option(
    "--second-factor",
    type=click.Choice(("realm", *SECOND_FACTOR_MODES)),
    default="realm",
    show_default=True,
    help="When a code is asked for beside the password.",
)
@click.option(
    "--acr-profile",
    type=click.Choice(ACR_PROFILES),
    default=ACR_PROFILES[0],
    show_default=True,
    help="The names of acr and amr in its requests and tokens.",
)
@click.option(
    "--set",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="Any other setting of [[clients]], as in the file; may be repeated.",
)
@realm_option
@click.pass_obj
def add(
    config: Path,
    client_id: str,
    name: str,
    redirect_uris: tuple[str, ...],
    post_logout_redirect_uris: tuple[str, ...],
    auth_method: str,
    flows: tuple[str, ...],
    application_type: str,
    require_pkce: bool,
    scopes: tuple[str, ...],
    trusted: bool,
    second_factor: str,
    acr_profile: str,
    pairs: tuple[str, ...],
    realm_id: str,
) -> None:
    """Add an application. Its secret is made here and shown this once."""
    wanted = {
        "client_id": client_id,
        "name": name,
        "auth_method": auth_method,
        "redirect_uris": redirect_uris,
        "post_logout_redirect_uris": post_logout_redirect_uris,
        "flows": flows,
        "application_type": application_type,
        "require_pkce": require_pkce,
        "scopes": scopes,
        "trusted": trusted,
        "second_factor": second_factor,
        "acr_profile": acr_profile,
        **said_by(pairs),
    }
    with opened(config, realm_id) as (parts, realm):
        parts.sectors.check(wanted)
        with parts.store.begin() as conn:
            made = parts.clients.add(conn, realm, wanted, int(parts.clock()))
        parts.audit.emit(ClientChanged(realm.id, made.client.client_id, "added"))
    click.echo(f"client_id: {made.client.client_id}")
    _show_once(made)
    said = deprecation(made.client)
    if said is not None:
        click.echo(f"warning: {said}", err=True)
    if made.client.redirect_uris and not made.client.post_logout_redirect_uris:
        click.echo("No --post-logout-redirect-uri: a sign-out ends here, not at the application.", err=True)


@client.command("list")
@realm_option
@click.pass_obj
def list_(config: Path, realm_id: str) -> None:
    """List the applications, one a line."""
    with opened(config, realm_id) as (parts, realm), parts.store.read() as conn:
        for one in parts.clients.list(conn, realm):
            click.echo(
                "\t".join((one.client_id, "enabled" if one.enabled else "disabled", origin(one), one.name))
            )


@client.command()
@click.argument("client_id")
@realm_option
@click.pass_obj
def show(config: Path, client_id: str, realm_id: str) -> None:
    """Show one application with every setting. Its secret is not shown, only how it is kept."""
    with opened(config, realm_id) as (parts, realm), parts.store.read() as conn:
        one = parts.clients.find(conn, realm, client_id)
        now = int(parts.clock())
    if one is None:
        raise click.ClickException(f"there is no client {client_id} in realm {realm_id}")
    for key, value in lines(one, now):
        click.echo(f"{key}: {value}")


@client.command("set")
@click.argument("client_id")
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--new-secret", is_flag=True, help="Make a secret in the same step; the one before ends.")
@realm_option
@click.pass_obj
def set_(config: Path, client_id: str, pairs: tuple[str, ...], new_secret: bool, realm_id: str) -> None:
    """Change settings of an application, as [[clients]] would say them."""
    changes = said_by(pairs)
    if not changes and not new_secret:
        raise click.UsageError(f"Name a KEY=VALUE; `client show {client_id}` lists them.")
    with opened(config, realm_id) as (parts, realm):
        now = int(parts.clock())
        with parts.store.read() as conn:
            before = parts.clients.find(conn, realm, client_id)
        if before is not None and not before.read_only:
            parts.sectors.check(changes, before)
        with parts.store.begin() as conn:
            changed = parts.clients.change(conn, realm, client_id, changes, now, new_secret=new_secret)
        parts.audit.emit(ClientChanged(realm.id, client_id, "changed"))
        if changed.secret is not None:
            parts.audit.emit(ClientChanged(realm.id, client_id, "secret_renewed"))
    _show_once(changed)
    click.echo(f"{client_id} is changed", err=True)
    if before is not None and people_are_others(before, changed.client):
        click.echo(
            "Its people have another sub from now on, and what it was given before is not good any more.",
            err=True,
        )


@client.command()
@click.argument("client_ids", nargs=-1, metavar="[CLIENT_ID]...")
@realm_option
@click.pass_obj
def check(config: Path, client_ids: tuple[str, ...], realm_id: str) -> None:
    """Ask the sector_identifier_uri of these applications, or of all, whether it lists their redirect URIs.

    Those of the database were asked about when they were added and changed, those of the file were not.
    """
    with opened(config, realm_id) as (parts, realm):
        with parts.store.read() as conn:
            asked = [one for one in parts.clients.list(conn, realm) if one.sector_identifier_uri]
        known = {one.client_id: one for one in asked}
        wrong = 0
        for client_id in client_ids or known:
            if client_id not in known:
                raise click.ClickException(f"there is no client {client_id} with a sector_identifier_uri")
            try:
                parts.sectors.confirm(known[client_id])
            except SettingsError as error:
                wrong += 1
                click.echo(f"{client_id}\t{error}")
            else:
                click.echo(f"{client_id}\tok")
    if wrong:
        raise click.ClickException(f"{wrong} of {len(client_ids or known)} are wrong")


@client.command()
@click.argument("client_id")
@click.option(
    "--overlap-hours",
    type=click.FloatRange(0, 24 * 90),
    default=0,
    show_default=True,
    help="How long the secret before is good beside the new one.",
)
@realm_option
@click.pass_obj
def secret(config: Path, client_id: str, overlap_hours: float, realm_id: str) -> None:
    """Make a new secret for an application, and show it this once."""
    with opened(config, realm_id) as (parts, realm):
        overlap_seconds = round(overlap_hours * 3600)
        with parts.store.begin() as conn:
            renewed = parts.clients.renew_secret(
                conn, realm, client_id, int(parts.clock()), overlap_seconds=overlap_seconds
            )
        parts.audit.emit(ClientChanged(realm.id, client_id, "secret_renewed"))
    _show_once(renewed)


@client.command()
@click.argument("client_id")
@realm_option
@click.pass_obj
def disable(config: Path, client_id: str, realm_id: str) -> None:
    """Refuse an application everywhere; its tokens stop, and stay stopped when it is enabled again."""
    _set_enabled(config, client_id, realm_id, False)


@client.command()
@click.argument("client_id")
@realm_option
@click.pass_obj
def enable(config: Path, client_id: str, realm_id: str) -> None:
    """Accept a disabled application again."""
    _set_enabled(config, client_id, realm_id, True)


@client.command()
@click.argument("client_id")
@realm_option
@click.pass_obj
def remove(config: Path, client_id: str, realm_id: str) -> None:
    """Remove an application, and end everything it was given for good."""
    with opened(config, realm_id) as (parts, realm):
        with parts.store.begin() as conn:
            parts.clients.remove(conn, realm, client_id, int(parts.clock()))
        parts.audit.emit(ClientChanged(realm.id, client_id, "removed"))
    click.echo(f"{client_id} is removed")


def _set_enabled(config: Path, client_id: str, realm_id: str, enabled: bool) -> None:
    with opened(config, realm_id) as (parts, realm):
        with parts.store.begin() as conn:
            parts.clients.set_enabled(conn, realm, client_id, enabled, int(parts.clock()))
        parts.audit.emit(ClientChanged(realm.id, client_id, "enabled" if enabled else "disabled"))
    click.echo(f"{client_id} is {'enabled' if enabled else 'disabled'}")


def _show_once(written: NewClient) -> None:
    if written.secret is not None:
        click.echo(f"client_secret: {written.secret.reveal()}")
        click.echo("The secret cannot be shown again.", err=True)

"""`oidcgate-provider client …`: applications in the database.

What they may be is `provider.services.clients`.
"""

from pathlib import Path

import click

from provider.catalogue_settings import DEFAULT_SCOPES
from provider.cli.opening import opened, realm_option
from provider.client_crypto import AUTH_METHODS
from provider.client_settings import ACR_PROFILES, APPLICATION_TYPES, FLOWS, ClientSettings
from provider.events import ClientChanged
from provider.realm_settings import SECOND_FACTOR_MODES
from provider.services.clients import UnknownObject, deprecation
from provider.store.clients import Client


@click.group()
def client() -> None:
    """Applications that sign people in here."""


@client.command()
@click.option("--id", "client_id", default="", help="Its client_id.  [default: made up]")
@click.option("--name", default="", help="Shown to people.  [default: the client_id]")
@click.option("--redirect-uri", "redirect_uris", multiple=True, help="Where answers may go; may be repeated.")
@click.option(
    "--post-logout-redirect-uri", "post_logout_redirect_uris", multiple=True, help="Where a sign-out may end."
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
@click.option("--scope", "scopes", multiple=True, default=DEFAULT_SCOPES)
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
    realm_id: str,
) -> None:
    """Add an application. Its secret is made here and shown this once."""
    wanted = ClientSettings(
        client_id=client_id,
        name=name,
        auth_method=auth_method,
        redirect_uris=redirect_uris,
        post_logout_redirect_uris=post_logout_redirect_uris,
        flows=flows,
        application_type=application_type,
        require_pkce=require_pkce,
        scopes=scopes,
        trusted=trusted,
        second_factor=second_factor,
        acr_profile=acr_profile,
    )
    with opened(config, realm_id) as (parts, realm):
        with parts.store.begin() as conn:
            made = parts.clients.add(conn, realm, wanted, int(parts.clock()))
        parts.audit.emit(ClientChanged(realm.id, made.client.client_id, "added"))
    click.echo(f"client_id: {made.client.client_id}")
    if made.secret is not None:
        click.echo(f"client_secret: {made.secret.reveal()}")
        click.echo("The secret is not kept and cannot be shown again.", err=True)
    said = deprecation(made.client)
    if said is not None:
        click.echo(f"warning: {said}", err=True)
    if redirect_uris and not post_logout_redirect_uris:
        click.echo("No --post-logout-redirect-uri: a sign-out ends here, not at the application.", err=True)


@client.command("list")
@realm_option
@click.pass_obj
def list_(config: Path, realm_id: str) -> None:
    """List the applications, one a line."""
    with opened(config, realm_id) as (parts, realm), parts.store.read() as conn:
        for one in parts.clients.list(conn, realm):
            click.echo(
                "\t".join((one.client_id, "enabled" if one.enabled else "disabled", _origin(one), one.name))
            )


@client.command()
@click.argument("client_id")
@realm_option
@click.pass_obj
def show(config: Path, client_id: str, realm_id: str) -> None:
    """Show one application. Its secret is not kept, so it is not shown."""
    with opened(config, realm_id) as (parts, realm), parts.store.read() as conn:
        one = parts.clients.find(conn, realm, client_id)
        if one is None:
            raise UnknownObject(f"there is no client {client_id} in realm {realm.id}")
    lines = {
        "client_id": one.client_id,
        "name": one.name,
        "enabled": "yes" if one.enabled else "no",
        "kept in": _origin(one),
        "application_type": one.application_type,
        "auth_method": one.auth_method,
        "redirect_uris": " ".join(one.redirect_uris),
        "post_logout_redirect_uris": " ".join(one.post_logout_redirect_uris),
        "flows": " ".join(one.flows),
        "require_pkce": "yes" if one.require_pkce else "no",
        "scopes": " ".join(one.scopes),
        "trusted": "yes" if one.trusted else "no",
        "second_factor": one.second_factor,
        "acr_profile": one.acr_profile,
    }
    for key, value in lines.items():
        click.echo(f"{key}: {value}")


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


def _set_enabled(config: Path, client_id: str, realm_id: str, enabled: bool) -> None:
    with opened(config, realm_id) as (parts, realm):
        with parts.store.begin() as conn:
            parts.clients.set_enabled(conn, realm, client_id, enabled, int(parts.clock()))
        parts.audit.emit(ClientChanged(realm.id, client_id, "enabled" if enabled else "disabled"))
    click.echo(f"{client_id} is {'enabled' if enabled else 'disabled'}")


def _origin(one: Client) -> str:
    return "file" if one.read_only else "database"

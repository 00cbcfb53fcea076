"""`oidcgate init`: a configuration to start from, with a secret of its own.

Never touches a file that exists.
"""

import os
from pathlib import Path
from typing import Final

import click
from click.core import ParameterSource

from oidcgate.web.sealing import new_secret

SECRET_FILE_NAME: Final = "oidcgate.secret"  # noqa: S105 (a file's name)

TEMPLATE: Final = """\
# The gate's configuration. `oidcgate check` lists everything that is wrong with it, and the URLs to register.
# Single keys can also be set by environment variables: OIDCGATE_PUBLIC_URL, OIDCGATE_PROVIDER__CLIENT_ID, ...

# Where browsers reach the app: scheme, host and port, nothing else. http only on this machine.
public_url = {public_url}

[provider]
# Shown to people, and the issuer byte for byte as its discovery document says it.
name = "Example"
issuer = {issuer}
client_id = {client_id}
# A file that only this user can read; or client_secret, or OIDCGATE_PROVIDER__CLIENT_SECRET.
client_secret_file = "client.secret"
# scopes = ["openid", "profile", "email"]
# get_user_info = false                 # true: add the userinfo endpoint's claims at each sign-in
# fetch_groups = false                  # true: take the claim groups, and hand it on
# logout_url = "https://intranet.example.com/bye"

[users]
# Who is known: a TOML, JSON or CSV file of users; "sql", "scim", "ldap" or "python:module:function", each as
# docs/how-to/known-users.md says; "any" lets every signed-in person in.
source = "file:users.toml"
# The claim that names the directory's userName.
# match = "preferred_username"

[session]
# One key a line: the first seals, all open. A new one: `oidcgate secret`.
secret_file = "{secret_name}"
# idle_minutes = 480
# absolute_minutes = 720

[state]
# Revocations. One file for all processes of this host; "memory" for a single process.
# store = "sqlite:///oidcgate-state.db"

# First match wins; what no rule matches is for known users only.
# [[rules]]
# path = "/public/**"                   # also matches /public
# allow = "anyone"                      # or "signed-in", "known"

# For the sidecar, `oidcgate serve`, in front of an app that is not changed:
# [proxy]
# upstream = "http://127.0.0.1:8081"    # the app, where nobody else gets to it; several: [[proxy.upstreams]]
# trusted_proxies = ["127.0.0.1/32"]    # who stands in front of the sidecar: its X-Forwarded-For is believed

# [serve]
# bind = "127.0.0.1:8080"               # where browsers, or the proxy with TLS, get to the sidecar
# metrics_bind = "127.0.0.1:9090"       # where Prometheus asks
# graceful_seconds = 30                 # how long a stop waits for what is under way
"""


@click.command()
@click.option(
    "--public-url", default="https://app.example.com", show_default=True, help="Where browsers reach the app."
)
@click.option("--issuer", default="https://id.example.com", show_default=True, help="The IdP's issuer.")
@click.option("--client-id", default="app", show_default=True, help="The client id that the IdP gave.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
def init(folder: Path, public_url: str, issuer: str, client_id: str) -> None:
    """Write oidcgate.toml and a secret file into FOLDER; nothing that exists is overwritten."""
    config, secret = folder / "oidcgate.toml", folder / SECRET_FILE_NAME
    existing = [str(path) for path in (config, secret) if os.path.lexists(path)]
    if existing:
        verb = "exists" if len(existing) == 1 else "exist"
        raise click.ClickException(f"{' and '.join(existing)} {verb} already; nothing was written")
    folder.mkdir(parents=True, exist_ok=True)
    text = TEMPLATE.format(
        public_url=_quoted(public_url),
        issuer=_quoted(issuer),
        client_id=_quoted(client_id),
        secret_name=SECRET_FILE_NAME,
    )
    _write_new(secret, new_secret() + "\n", 0o600)
    _write_new(config, text, 0o644)
    click.echo(f"wrote {config} and {secret}")
    click.echo("next:")
    context = click.get_current_context()
    unset = [
        name
        for name in ("public_url", "issuer", "client_id")
        if context.get_parameter_source(name) is ParameterSource.DEFAULT
    ]
    if unset:
        click.echo(f"  set {', '.join(unset[:-1])}{' and ' if unset[:-1] else ''}{unset[-1]} in {config}")
    click.echo(f"  put the client secret of the IdP into {folder / 'client.secret'} (chmod 600)")
    click.echo(
        f'  list who may come in in {folder / "users.toml"}: [[users]] and userName = "Alice", for each'
    )
    click.echo(f"  oidcgate check --config {config}")
    click.echo(f"  around a Python app:  Gate.from_config(app, {str(config)!r})")
    click.echo(f"  in front of any app:  name it in [proxy], then  oidcgate serve --config {config}")


def _quoted(value: str) -> str:
    """`value` as a TOML string."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    if not escaped.isprintable():
        raise click.BadParameter(f"{value!r} has characters that cannot be written")
    return f'"{escaped}"'


def _write_new(path: Path, text: str, mode: int) -> None:
    # Exclusive: a file that appeared in between, or a link that waits for us, is not written to.
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)

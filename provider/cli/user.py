"""`oidcgate-provider user …`: people in the database.

Passwords come from a prompt or standard input, never from the command line.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from oidcgate.settings import Problem, SettingsError, parse
from provider.cli.opening import opened, realm_option
from provider.events import FactorRemoved, UserChanged
from provider.instants import shown
from provider.property_settings import NAMED_ATTRIBUTES, PropertySettings, by_attribute
from provider.realm import Realm
from provider.realm_settings import AccountSettings
from provider.services.passwords import LONGEST_PASSWORD_BYTES, Passwords, Weakness, weakness_of
from provider.user_settings import UserSettings


@click.group()
def user() -> None:
    """People who sign in here."""


_from_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input, one line."
)


_by_sub = click.option(
    "--sub", "by_sub", is_flag=True, help="NAME is a `sub`: for people who are in a store of your own."
)


@user.command()
@click.argument("name")
@click.option(
    "--attribute",
    "attributes",
    multiple=True,
    metavar="KEY=VALUE",
    help=f"May be repeated: {', '.join(NAMED_ATTRIBUTES)}, and what [[properties]] declares.",
)
@click.option("--no-password", is_flag=True, help="No password works until one is set.")
@_from_stdin
@realm_option
@click.pass_obj
def add(
    config: Path,
    name: str,
    attributes: tuple[str, ...],
    no_password: bool,
    password_stdin: bool,
    realm_id: str,
) -> None:
    """Add a person."""
    with opened(config, realm_id) as (parts, realm):
        values = _attributes(realm, name, attributes)
        password_hash = None
        if not no_password:
            fewest = realm.settings.account.password_characters
            password_hash = parts.passwords.hash(_password(password_stdin, fewest, name))
        with parts.store.begin() as conn:
            made = parts.users.add(conn, realm, name, password_hash, values, int(parts.clock()))
        parts.audit.emit(UserChanged(realm.id, made.user_id, "added"))
    click.echo(f"{made.user_name} is added; sub: {made.user_id}")


@user.command("list")
@realm_option
@click.pass_obj
def list_(config: Path, realm_id: str) -> None:
    """List the people, one a line."""
    with opened(config, realm_id) as (parts, realm), parts.store.read() as conn:
        for one in parts.users.list(conn, realm):
            origin = "file" if one.read_only else "database"
            click.echo(
                "\t".join((one.user_name, "active" if one.active else "disabled", origin, one.user_id))
            )


@user.command()
@click.argument("name")
@realm_option
@click.pass_obj
def disable(config: Path, name: str, realm_id: str) -> None:
    """Keep a person from signing in; sessions and tokens end for good."""
    _set_active(config, name, realm_id, False)


@user.command()
@click.argument("name")
@realm_option
@click.pass_obj
def enable(config: Path, name: str, realm_id: str) -> None:
    """Let a disabled person sign in again."""
    _set_active(config, name, realm_id, True)


@user.command()
@click.argument("name", required=False)
@click.option("--print-hash", is_flag=True, help="Print the hash for `provider.toml` instead of storing it.")
@_from_stdin
@realm_option
@click.pass_obj
def password(config: Path, name: str | None, print_hash: bool, password_stdin: bool, realm_id: str) -> None:
    """Set a person's password; sessions and tokens end."""
    if print_hash:
        fewest = AccountSettings().password_characters
        click.echo(Passwords().hash(_password(password_stdin, fewest, name or "")))
        return
    if name is None:
        raise click.UsageError("name the person, or ask for --print-hash")
    with opened(config, realm_id) as (parts, realm):
        fewest = realm.settings.account.password_characters
        password_hash = parts.passwords.hash(_password(password_stdin, fewest, name))
        with parts.store.begin() as conn:
            changed = parts.users.set_password_hash(conn, realm, name, password_hash, int(parts.clock()))
        parts.audit.emit(UserChanged(realm.id, changed.user_id, "password"))
    click.echo(f"{changed.user_name} has a new password")


@user.command()
@click.argument("name")
@_by_sub
@realm_option
@click.pass_obj
def applications(config: Path, name: str, by_sub: bool, realm_id: str) -> None:
    """List the applications that have access to a person's account.

    Application, its name, scopes, since when, tokens that are good now, when the last of them was given.
    Access is taken away by `consents withdraw`.
    """
    with opened(config, realm_id) as (parts, realm), parts.store.read() as conn:
        user_id = name if by_sub else parts.users.known(conn, realm, name).user_id
        found = parts.applications.of(conn, realm, user_id, int(parts.clock()))
    for one in found:
        last = "-" if one.last_given_at is None else shown(one.last_given_at)
        click.echo(
            "\t".join(
                (one.client_id, one.name, " ".join(one.scopes), shown(one.since), str(one.tokens), last)
            )
        )


@user.command("remove-totp")
@click.argument("name")
@_by_sub
@realm_option
@click.pass_obj
def remove_totp(config: Path, name: str, by_sub: bool, realm_id: str) -> None:
    """Remove a person's authenticator, lost or stolen; sessions and tokens end.

    Where `second_factor.enrol_at_sign_in` is on they set up another one when a code is asked for next.
    """
    with opened(config, realm_id) as (parts, realm):
        with parts.store.begin() as conn:
            user_id = name if by_sub else parts.users.known(conn, realm, name).user_id
            removed = parts.users.remove_second_factor(conn, realm, user_id, int(parts.clock()))
        if removed:
            parts.audit.emit(FactorRemoved(realm.id, user_id, "totp", "operator"))
    if not removed:
        raise click.ClickException(f"{name} has no authenticator")
    click.echo(f"{name} has no authenticator any more")


def _set_active(config: Path, name: str, realm_id: str, active: bool) -> None:
    with opened(config, realm_id) as (parts, realm):
        with parts.store.begin() as conn:
            changed = parts.users.set_active(conn, realm, name, active, int(parts.clock()))
        parts.audit.emit(UserChanged(realm.id, changed.user_id, "enabled" if active else "disabled"))
    click.echo(f"{changed.user_name} is {'active' if active else 'disabled'}")


def _password(from_stdin: bool, fewest: int, user_name: str) -> str:
    if from_stdin:
        given = sys.stdin.readline().rstrip("\r\n")
    else:
        given = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    weakness = weakness_of(given, fewest=fewest, user_name=user_name)
    if weakness is not None:
        said = {
            Weakness.SHORT: f"a password has at least {fewest} characters",
            Weakness.LONG: f"a password has at most {LONGEST_PASSWORD_BYTES} bytes",
            Weakness.GUESSABLE: "that password is among the first that are guessed; choose another",
        }
        raise click.ClickException(said[weakness])
    return str(given)


def _attributes(realm: Realm, name: str, pairs: Iterable[str]) -> dict[str, Any]:
    """KEY=VALUE pairs as the attributes that the same keys in `provider.toml` would give."""
    declared = by_attribute(realm.settings.all_properties)
    standard: dict[str, Any] = {}
    further: dict[str, Any] = {}
    split = [pair.partition("=") for pair in pairs]
    fix = f"use one of {', '.join(declared)}, or declare it under [[properties]]"
    wrong = [
        Problem("--attribute", key, "is no attribute" if equals else "is not KEY=VALUE", fix)
        for key, equals, _ in split
        if not equals or key not in declared
    ]
    if wrong:
        raise SettingsError(wrong)
    for key, _, text in split:
        (standard if key in NAMED_ATTRIBUTES else further)[key] = _value(declared[key], text)
    return parse(UserSettings, {"user_name": name, **standard, "attributes": further}).all_attributes()


def _value(declared: PropertySettings, text: str) -> Any:
    if declared.type == "string":
        return [word for word in text.split(",") if word] if declared.multi_valued else text
    try:
        return json.loads(text)
    except ValueError:
        fix = "write a number, true, false, an object, or a list of these"
        raise SettingsError([Problem(declared.field, text, "is not JSON", fix)]) from None

"""What every command does first: read the configuration, open the parts, and say what is wrong in words."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from oidcgate.audit import Audit
from oidcgate.settings import SettingsError
from provider.build import Parts, build
from provider.config import load_settings
from provider.prepare import prepare
from provider.realm import DEFAULT_REALM, Realm
from provider.services.clients import ReadOnlyObject, UnknownObject
from provider.services.keyring import RotationRefused
from provider.store.engine import StoreUnavailable

F = TypeVar("F", bound=Callable[..., Any])


def realm_option(command: F) -> F:
    """`--realm`, for commands that work inside one."""
    return click.option("--realm", "realm_id", default=DEFAULT_REALM, show_default=True, help="Which realm.")(
        command
    )


@contextmanager
def opened(config: Path, realm_id: str = DEFAULT_REALM) -> Iterator[tuple[Parts, Realm]]:
    """The parts, with a database that is up to date, and one of their realms.

    Audit events go to standard error, so that standard output is the command's own.

    Raises:
        click.ClickException: for everything an operator can do something about.
    """
    with explained():
        parts = build(load_settings(config, os.environ), audit=Audit(to_standard_error))
        realm = parts.realm(realm_id)
        if realm is None:
            known = ", ".join(realm.id for realm in parts.realms)
            raise click.ClickException(f"there is no realm {realm_id!r}; use one of {known}")
        prepare(parts, int(parts.clock()))
        try:
            yield parts, realm
        finally:
            parts.store.dispose()


@contextmanager
def explained() -> Iterator[None]:
    """Turn what an operator can do something about into a message and exit code 1."""
    try:
        yield
    except SettingsError as error:
        raise click.ClickException(f"{len(error.problems)} problem(s)\n{error}") from None
    except StoreUnavailable as error:
        raise click.ClickException(f"the database cannot be used: {error.detail}") from None
    except (ReadOnlyObject, UnknownObject, RotationRefused) as error:
        raise click.ClickException(str(error)) from None


def to_standard_error(line: str) -> None:
    """Where audit events of a command go: standard output is the command's own."""
    click.echo(line, err=True)

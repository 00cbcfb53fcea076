"""`oidcgate users …`: whose each userName is, and giving one free for its next owner."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from oidcgate.cli.opening import config_option, opened
from oidcgate.cli.problems import end_with
from oidcgate.gate.pins import Pin


@click.group()
def users() -> None:
    """Known users: which person of which provider each userName belongs to."""


@users.command()
@config_option
@click.option("--user", default=None, help="Only this userName.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def pins(path: Path, user: str | None, as_json: bool) -> None:
    """List whose each userName is: name, since when, issuer, sub.

    A name belongs to the person who first signed in under it. Somebody else who comes under it is refused,
    which the audit log says as `login.pin_refused`.
    """
    with opened(path) as (parts, now):
        if user is None:
            found: Iterator[Pin] = parts.pins.every(now)
        else:
            one = parts.pins.of(user, now)
            found = iter(() if one is None else (one,))
        for pin in found:
            click.echo(json.dumps(pin._asdict()) if as_json else _line(pin))


@users.command("clear-pins")
@config_option
@click.option("--issuer", default=None, help="Every name that belongs to a person of this provider.")
@click.argument("names", nargs=-1, metavar="[USER]...")
def clear_pins(path: Path, issuer: str | None, names: tuple[str, ...]) -> None:
    """Give userNames free: each belongs to whoever signs in under it next.

    For a name that has a new owner, and for a provider that was replaced (--issuer). Sessions go on.
    """
    if bool(names) == (issuer is not None):
        raise click.UsageError("name users, or --issuer")
    with opened(path) as (parts, now):
        if issuer is not None:
            names = tuple(pin.user_name for pin in parts.pins.every(now) if pin.iss == issuer)
        cleared = 0
        free: list[str] = []
        for name in names:
            pin = parts.pins.clear(name, now)
            if pin is None:
                free.append(name)
            else:
                cleared += 1
                click.echo(_line(pin))
        click.echo(f"{cleared} pin{'' if cleared == 1 else 's'} cleared.")
        end_with(f"{name}: nobody has signed in under that name; see `oidcgate users pins`" for name in free)


def _line(pin: Pin) -> str:
    since = datetime.fromtimestamp(pin.pinned_at, UTC).isoformat().replace("+00:00", "Z")
    return "\t".join((pin.user_name, since, pin.iss, pin.sub))

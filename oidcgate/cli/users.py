"""`oidcgate users …`: whose each userName is, and giving one free for its next owner."""

import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from oidcgate.cli.problems import end_with, told
from oidcgate.gate.build import build
from oidcgate.gate.config import load_config
from oidcgate.gate.pins import Pin, Pins
from oidcgate.storage.records import StoreUnavailable

_config = click.option(
    "--config",
    "path",
    type=click.Path(readable=False, path_type=Path),
    envvar="OIDCGATE_CONFIG",
    default="oidcgate.toml",
    show_default=True,
    help="The configuration file.",
)


@click.group()
def users() -> None:
    """Known users: which person of which provider each userName belongs to."""


@users.command()
@_config
@click.option("--user", default=None, help="Only this userName.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def pins(path: Path, user: str | None, as_json: bool) -> None:
    """List whose each userName is: name, since when, issuer, sub.

    A name belongs to the person who first signed in under it. Somebody else who comes under it is refused,
    which the audit log says as `login.pin_refused`.
    """
    with _opened(path) as (pins_, now):
        if user is None:
            found: Iterator[Pin] = pins_.every(now)
        else:
            one = pins_.of(user, now)
            found = iter(() if one is None else (one,))
        for pin in found:
            click.echo(json.dumps(pin._asdict()) if as_json else _line(pin))


@users.command("clear-pins")
@_config
@click.option("--issuer", default=None, help="Every name that belongs to a person of this provider.")
@click.argument("names", nargs=-1, metavar="[USER]...")
def clear_pins(path: Path, issuer: str | None, names: tuple[str, ...]) -> None:
    """Give userNames free: each belongs to whoever signs in under it next.

    For a name that has a new owner, and for a provider that was replaced (--issuer). Sessions go on.
    """
    if bool(names) == (issuer is not None):
        raise click.UsageError("name users, or --issuer")
    with _opened(path) as (pins_, now):
        if issuer is not None:
            names = tuple(pin.user_name for pin in pins_.every(now) if pin.iss == issuer)
        cleared = 0
        free: list[str] = []
        for name in names:
            pin = pins_.clear(name, now)
            if pin is None:
                free.append(name)
            else:
                cleared += 1
                click.echo(_line(pin))
        click.echo(f"{cleared} pin{'' if cleared == 1 else 's'} cleared.")
        end_with(f"{name}: nobody has signed in under that name; see `oidcgate users pins`" for name in free)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Pins, int]]:
    """The pins of the gate that `path` configures, and the time; what is wrong ends the command with 1."""
    # What is wrong with the directory is not asked here.
    logging.getLogger("oidcgate").addHandler(logging.NullHandler())
    with told():
        config = load_config(path, os.environ)
        if config.state.store == "memory":
            end_with(
                ["state.store: 'memory' is the server's own, and ends with it; start the server anew instead"]
            )
        parts = build(config)
    file = config.state.store.removeprefix("sqlite:///")
    if file != config.state.store and not Path(file).exists():
        # Opening would make it, as a file of whoever runs this command.
        end_with([f"state.store: {file} is not there; nobody has signed in yet"])
    try:
        yield Pins(parts.routes.state), int(time.time())
    except StoreUnavailable as error:
        end_with([f"state.store: {error}"])


def _line(pin: Pin) -> str:
    since = datetime.fromtimestamp(pin.pinned_at, UTC).isoformat().replace("+00:00", "Z")
    return "\t".join((pin.user_name, since, pin.iss, pin.sub))

"""How a command gets at what the gate of a configuration keeps: its stores, opened, and the time."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from oidcgate.audit import Audit
from oidcgate.cli.problems import end_with, told
from oidcgate.gate.build import build
from oidcgate.gate.config import load_config
from oidcgate.gate.parts import GateParts
from oidcgate.gate.stores import absent_file
from oidcgate.storage.records import StoreUnavailable

__all__ = ["config_option", "opened"]

config_option = click.option(
    "--config",
    "path",
    type=click.Path(readable=False, path_type=Path),
    envvar="OIDCGATE_CONFIG",
    default="oidcgate.toml",
    show_default=True,
    help="The configuration file.",
)


@contextmanager
def opened(path: Path) -> Iterator[tuple[GateParts, int]]:
    """The gate that `path` configures, and the time; what is wrong ends the command with status 1.

    Events of the audit log are written to standard error: the server's own log is not at hand.
    """
    # What is wrong with the directory is not asked here.
    logging.getLogger("oidcgate").addHandler(logging.NullHandler())
    with told():
        config = load_config(path, os.environ)
        if config.state.store == "memory":
            end_with(
                ["state.store: 'memory' is the server's own, and ends with it; start the server anew instead"]
            )
        parts = build(config, audit=Audit(lambda line: click.echo(line, err=True)))
    for key, store in (("state.store", config.state.store), ("session.store", config.session.store)):
        if (file := absent_file(store)) is not None:
            end_with([f"{key}: {file} is not there; nobody has signed in yet"])
    try:
        yield parts, int(time.time())
    except StoreUnavailable as error:
        end_with([f"state.store: {error}"])

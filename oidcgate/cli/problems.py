"""How every command of `oidcgate` says what is wrong with a configuration, and with which status it ends.

0: all is right. 1: something is wrong, and standard error says what. 2: the command was not called as its
help says, which is click's. gunicorn has its own two beside them: 3 and 4, when a worker cannot start.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import click

from oidcgate.gate.config import GateConfig
from oidcgate.gate.unread import Use, unread_line
from oidcgate.settings import SettingsError

__all__ = ["end_with", "told", "warn_of_unread"]


@contextmanager
def told() -> Iterator[None]:
    """Turn a wrong configuration into a line for each problem, and status 1."""
    try:
        yield
    except SettingsError as error:
        end_with(error.problems)


def end_with(problems: Iterable[object]) -> None:
    """Say these problems, a line each, and end with status 1; nothing happens where there are none."""
    lines = list(map(str, problems))
    for line in lines:
        click.echo(line, err=True)
    if lines:
        raise SystemExit(1)


def warn_of_unread(config: GateConfig, use: Use) -> None:
    """Say in one line which settings have no effect in this use; nothing where all have."""
    if (line := unread_line(config, use)) is not None:
        click.echo(f"warning: {line}", err=True)

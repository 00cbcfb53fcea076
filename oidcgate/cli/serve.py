"""`oidcgate serve`: the sidecar. How it runs is `oidcgate.serve.arbiter`."""

import logging
import os
from pathlib import Path

import click

from oidcgate.settings import SettingsError

_EXTRA = ("gunicorn", "httptools", "prometheus_client", "uvicorn", "uvloop")


@click.command()
@click.option(
    "--config",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="OIDCGATE_CONFIG",
    default="oidcgate.toml",
    show_default=True,
    help="The configuration file.",
)
@click.option(
    "--check", is_flag=True, help="Only say what is wrong with the configuration, or what is in force."
)
def serve(path: Path, check: bool) -> None:
    """Serve the sidecar: a gate in front of an app that is not changed at all.

    Exit status 2 when something is wrong with the configuration. SIGHUP reads it again; SIGTERM lets end what
    is under way.
    """
    # Here, so that the other commands work where none of it is installed.
    try:
        from oidcgate.gate.build import build
        from oidcgate.serve.arbiter import SidecarServer, announcement, log_to_standard_error
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRA:
            raise
        raise click.ClickException(f"serve needs {missing}: pip install 'oidcgate[serve]'") from None

    if check:
        # What is told below needs no second telling by the log.
        logging.getLogger("oidcgate").addHandler(logging.NullHandler())
    else:
        log_to_standard_error()
    try:
        server = SidecarServer(path, os.environ)
        if not check:
            server.run()
        # A sidecar starts without its directory, which may come back; who asks is told.
        elif problems := list(build(server.prepared.config).users.problems()):
            raise SettingsError(problems)
    except SettingsError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        raise SystemExit(2) from None
    for line in announcement(server.prepared.config):
        click.echo(line)
    click.echo("The configuration is right.")

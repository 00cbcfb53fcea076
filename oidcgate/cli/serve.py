"""`oidcgate serve`: the sidecar. How it runs is `oidcgate.serve.arbiter`."""

import logging
import os
from pathlib import Path

import click

from oidcgate.cli.opening import config_option
from oidcgate.cli.problems import told, warn_of_unread

_EXTRA = ("gunicorn", "httptools", "prometheus_client", "uvicorn", "uvloop")


@click.command()
@config_option
@click.option(
    "--check", is_flag=True, help="Only say what is wrong with the configuration, or what is in force."
)
def serve(path: Path, check: bool) -> None:
    """Serve the sidecar: a gate in front of an app that is not changed at all.

    Exit status 1 when something is wrong with the configuration, or an address is in use. SIGHUP reads it
    again; SIGTERM lets end what is under way.
    """
    # Here, so that the other commands work where none of it is installed.
    try:
        from oidcgate.gate.directories import known_users_check
        from oidcgate.gate.unread import Use
        from oidcgate.serve.announcing import announcement, log_to_standard_error
        from oidcgate.serve.arbiter import SidecarServer
        from oidcgate.serve.prepared import checked
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRA:
            raise
        raise click.ClickException(f"serve needs {missing}: pip install 'oidcgate[serve]'") from None

    if not check:
        log_to_standard_error()
        with told():
            SidecarServer(path, os.environ).run()
        return
    # What is told below needs no second telling by the log.
    logging.getLogger("oidcgate").addHandler(logging.NullHandler())
    with told():
        # A sidecar starts without its directory, which may come back; who asks is told.
        config = checked(path, os.environ, [known_users_check(path)])
    warn_of_unread(config, Use(config.proxy.engine))
    for line in announcement(config):
        click.echo(line)
    click.echo("The configuration is right.")

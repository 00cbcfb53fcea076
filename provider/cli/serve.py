"""`oidcgate-provider serve`: the provider under gunicorn. How it is run is `provider.serve.gunicorn`."""

from pathlib import Path

import click

from provider.cli.opening import explained


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Port to listen on.  [default: that of an http issuer, else 9000]",
)
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 256), help="Processes.")
@click.option("--threads", default=8, show_default=True, type=click.IntRange(1, 256), help="Threads of each.")
@click.pass_obj
def serve(config: Path, host: str, port: int | None, workers: int, threads: int) -> None:
    """Serve the provider. The database is brought up to date first."""
    # Here, so that the other commands work where gunicorn is not installed.
    try:
        from provider.serve.gunicorn import ProviderServer
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "gunicorn":
            raise
        raise click.ClickException("serve needs gunicorn: pip install 'oidcgate[serve]'") from None

    with explained():
        server = ProviderServer(config, host=host, port=port, workers=workers, threads=threads)
    server.run()

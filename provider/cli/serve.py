"""`oidcgate-provider serve`: the provider under gunicorn. How it is run is `provider.serve.gunicorn`."""

from pathlib import Path

import click

from provider.cli.opening import explained


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=9000, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on."
)
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 256), help="Processes.")
@click.option("--threads", default=8, show_default=True, type=click.IntRange(1, 256), help="Threads of each.")
@click.pass_obj
def serve(config: Path, host: str, port: int, workers: int, threads: int) -> None:
    """Serve the provider. The database is brought up to date first."""
    # Here, so that the other commands work where gunicorn is not installed.
    from provider.serve.gunicorn import ProviderServer

    with explained():
        server = ProviderServer(config, host=host, port=port, workers=workers, threads=threads)
    server.run()

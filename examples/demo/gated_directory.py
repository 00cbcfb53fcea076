"""The directory app behind an in-process gate, for gunicorn."""

from typing import TYPE_CHECKING

from examples.directory.app import create_app as create_directory
from oidcgate import Gate

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def create_app(configuration: str) -> "WSGIApplication":
    """The gate of the configuration file, around the directory."""
    return Gate.from_config(create_directory(), configuration)

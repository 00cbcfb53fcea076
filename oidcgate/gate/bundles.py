"""Files of certificates that settings name: one question for all of them."""

import ssl
from collections.abc import Iterator
from pathlib import Path

from oidcgate.settings import Problem


def bundle_problems(ca_file: Path | None) -> Iterator[Problem]:
    """Why certificates cannot be checked against this file; nothing where none is named."""
    if ca_file is None:
        return
    try:
        ssl.create_default_context(cafile=str(ca_file))
    except OSError:  # and of it ssl.SSLError: nothing in it is a certificate
        yield Problem("ca_file", str(ca_file), "is no readable PEM bundle", "name one")

"""A plain WSGI app, and the three lines that put the gate around it.

oidcgate init                              # writes oidcgate.toml into this folder; fill it in
oidcgate check                             # until nothing is left to say
gunicorn examples.in_process:application
"""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from oidcgate import Gate  # 1

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Say who is there: nobody gets this far unknown."""
    identity = environ["oidcgate.identity"]  # 2
    body = json.dumps({"hello": identity.user_name, "path": environ["PATH_INFO"]}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


application = Gate.from_config(application, "oidcgate.toml")  # 3
